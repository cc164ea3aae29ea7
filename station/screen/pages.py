"""Where somebody is on the screen: a page about one phone, void as soon as another phone is in its bay.

Or one of the operator's, which are about the station (`office`), void when the operator's session is over.

Nothing but this is the screen's own. It is no state of the station: whoever leaves a page loses nothing, and
a screen that starts again begins with none open.
"""

from dataclasses import dataclass, replace
from enum import Enum

from station.model.api import BayState, BayView, Command, Describe, Select, Snapshot
from station.model.base import BayId
from station.model.guide import Target
from station.model.symptoms import Symptom
from station.screen import office
from station.screen.office import Office

Guest = tuple[bool, int | None]
"""Who is in a bay: whether there is a phone, and its ECID if it tells."""


class Page(Enum):
    """What can be opened about a bay."""

    PHONE = "phone"
    """The whole screen for this bay, among several."""
    SERVICES = "services"
    ASK = "ask"
    """What is wrong with it, and what can help."""
    BACKUP = "backup"
    FACTS = "facts"
    CHECKS = "checks"
    """What was looked at after a job."""
    PROOF = "proof"
    """The code of the certificate, as large as it can be."""
    LOCK = "lock"
    """What Find My is, and what to do about it."""
    FAMILY = "family"
    """Which phone is it, when no cable tells?"""
    OVERRULE = "overrule"
    """The operator's: why a gate is opened for this phone, or why it is no longer set aside."""
    BUILDS = "builds"
    """The operator's: which iOS is installed."""


OPERATORS = frozenset({Page.OVERRULE, Page.BUILDS})
"""Pages about a phone that only the operator has."""


@dataclass(frozen=True)
class Place:
    """A page of a bay.

    Attributes:
        bay: Whose.
        page: Which.
        guest: Who was in the bay when it was opened.
        goal: Where presses of buttons shall lead.
    """

    bay: BayId
    page: Page
    guest: Guest
    goal: Target | None = None


Where = Place | Office
"""Any page."""


@dataclass(frozen=True)
class Turn:
    """What a touch does that turns to another page.

    Attributes:
        to: The page; None: what is shown when none is open.
        sends: Commands that go with it.
        done: What to say when the daemon has carried out the last of them; empty: nothing.
    """

    to: Where | None
    sends: tuple[Command, ...] = ()
    done: str = ""


def guest(bay: BayView) -> Guest:
    """Who is in a bay."""
    return bay.phone is not None, None if bay.phone is None else bay.phone.ecid


def opened(bay: BayView, page: Page) -> Place:
    """A page of a bay, as of now."""
    return Place(bay.bay, page, guest(bay))


_AT_REST = frozenset({BayState.READY, BayState.NEEDS_PERSON})
_OVER = frozenset({BayState.DONE, BayState.FAILED, BayState.CANCELLED})
SHOWN_IN: dict[Page, frozenset[BayState]] = {
    Page.PHONE: frozenset(BayState) - {BayState.EMPTY},
    Page.SERVICES: frozenset({BayState.READY}),
    Page.ASK: frozenset({BayState.READY, BayState.NEEDS_PERSON, BayState.EMPTY}),
    Page.BACKUP: frozenset({BayState.READY}),
    Page.FACTS: _AT_REST | _OVER,
    Page.CHECKS: _OVER,
    Page.PROOF: _OVER,
    Page.LOCK: frozenset({BayState.READY}),
    Page.FAMILY: _AT_REST | {BayState.EMPTY},
    Page.OVERRULE: frozenset({BayState.READY}),
    Page.BUILDS: frozenset({BayState.READY}),
}
"""In which states a page is shown; in others what is shown without it."""


def unseen(bay: BayView) -> Turn:
    """What helps when a phone is plugged in and USB shows nothing."""
    chosen: tuple[Command, ...] = () if bay.selected else (Select(id=0, bay=bay.bay),)
    said: tuple[Command, ...] = () if bay.advice is not None else (Describe(id=0, bay=bay.bay, symptom=Symptom.BLACK),)
    return Turn(opened(bay, Page.ASK), (*chosen, *said))


def still(place: Where | None, snapshot: Snapshot | None) -> Where | None:
    """The place, unless its phone is gone, something has begun with it, or another bay was chosen.

    What only the operator may see closes when the operator's session does.
    """
    if place is None or snapshot is None:
        return None
    if isinstance(place, Office):
        return office.still_open(place, snapshot)
    if place.page in OPERATORS and snapshot.operator is None:
        place = replace(place, page=Page.PHONE)
    bay = bay_of(place, snapshot)
    if bay is None or guest(bay) != place.guest:
        return None
    if any(other.selected for other in snapshot.bays) and not bay.selected:
        return None
    over = bay.result is not None or bay.state in _OVER
    if place.page is not Page.PHONE and not over and (bay.job is not None or bay.confirm is not None):
        return None
    return place


def bay_of(place: Place, snapshot: Snapshot) -> BayView | None:
    """The bay that a place is about."""
    return next((bay for bay in snapshot.bays if bay.bay == place.bay), None)
