"""From a snapshot to a picture: chooses the scene. A pure function of what it is given."""

from dataclasses import dataclass

from pygame import Surface

from station.model.api import BayState, BayView, Snapshot
from station.model.face import PLAIN, Face
from station.model.guide import Target as Goal
from station.screen.canvas import Canvas
from station.screen.chrome import below_door, chrome, slim
from station.screen.office import Office
from station.screen.pages import SHOWN_IN, Page, Place, Where, bay_of, still
from station.screen.scenes import (
    ask,
    backup,
    bench,
    checks,
    confirm,
    facts,
    family,
    guide,
    lock,
    moment,
    proof,
    services,
    single,
    welcome,
)
from station.screen.scenes.operator import builds, overrule, rooms


@dataclass(frozen=True)
class View:
    """All that a picture depends on, besides the time and the finger.

    Attributes:
        snapshot: The station; None: there is no daemon to tell.
        note: An answer to the last touch, shown for a while.
        place: The page that is open.
        face: How it looked last: for when no snapshot tells.
        time: Of day, to be shown; empty: it is not known.
    """

    snapshot: Snapshot | None
    note: str = ""
    place: Where | None = None
    face: Face = PLAIN
    time: str = ""


def render(view: View, canvas: Canvas) -> None:
    """Draw the view, and fill in the canvas' targets and when it is due again."""
    snapshot = view.snapshot
    canvas.face = view.face if snapshot is None else snapshot.face
    canvas.time = view.time
    canvas.clear()
    if snapshot is None:
        moment.draw(canvas, canvas.area)
        return
    armed, led = to_confirm(snapshot), to_guide(snapshot)
    place = still(view.place, snapshot)
    bay = bay_of(place, snapshot) if isinstance(place, Place) else None
    if armed is not None and armed.confirm is not None:
        box = chrome(canvas, snapshot, view.note, door=False)
        confirm.draw(canvas, box, snapshot, armed, armed.confirm)
    elif isinstance(place, Office):
        rooms.draw(canvas, slim(canvas, snapshot), snapshot, place, view.note)
    elif led is not None and led.guide is not None:
        guide.draw(canvas, slim(canvas, snapshot), led, led.guide, view.note)
    elif isinstance(place, Place) and bay is not None and _page(canvas, snapshot, bay, place, view.note):
        pass
    elif all(bay.state is BayState.EMPTY for bay in snapshot.bays):
        welcome.draw(canvas, chrome(canvas, snapshot, view.note), snapshot)
    elif len(snapshot.bays) == 1:
        single.draw(canvas, chrome(canvas, snapshot, view.note), snapshot.bays[0], operator=snapshot.operator)
    else:
        bench.draw(canvas, below_door(canvas, chrome(canvas, snapshot, view.note)), snapshot)


def _page(  # noqa: C901 one arm a page
    canvas: Canvas, snapshot: Snapshot, bay: BayView, place: Place, note: str
) -> bool:
    """Draw an open page; False when there is none to draw now."""
    page = place.page if bay.state in SHOWN_IN[place.page] else Page.PHONE
    alone = len(snapshot.bays) == 1
    if page is Page.PHONE and (alone or bay.state is BayState.EMPTY):
        return False
    match page:
        case Page.PHONE:
            single.draw(canvas, chrome(canvas, snapshot, note), bay, alone=alone, operator=snapshot.operator)
        case Page.SERVICES:
            services.draw(canvas, slim(canvas, snapshot), bay, note)
        case Page.ASK:
            ask.draw(canvas, slim(canvas, snapshot), bay, place, note)
        case Page.BACKUP:
            backup.draw(canvas, slim(canvas, snapshot), bay, note)
        case Page.FACTS:
            facts.draw(canvas, slim(canvas, snapshot), bay, note)
        case Page.CHECKS:
            assert bay.result is not None
            checks.draw(canvas, slim(canvas, snapshot), bay, bay.result, note)
        case Page.PROOF:
            assert bay.result is not None
            proof.draw(canvas, slim(canvas, snapshot), bay, bay.result, note)
        case Page.LOCK:
            lock.draw(canvas, slim(canvas, snapshot), bay, note)
        case Page.FAMILY:
            goal = place.goal or Goal.RESTART
            family.draw(canvas, slim(canvas, snapshot), bay, goal, note)
        case Page.OVERRULE:
            overrule.draw(canvas, slim(canvas, snapshot), bay, note)
        case Page.BUILDS:
            assert snapshot.operator is not None
            builds.draw(canvas, slim(canvas, snapshot), bay, snapshot.operator, note)
    return True


def to_guide(snapshot: Snapshot) -> BayView | None:
    """The bay whose guide takes the screen: the chosen one."""
    led = [bay for bay in snapshot.bays if bay.guide is not None]
    return next((bay for bay in led if bay.selected), led[0] if len(snapshot.bays) == 1 and led else None)


def to_confirm(snapshot: Snapshot) -> BayView | None:
    """The bay whose confirmation takes the screen: the armed one that CONFIRM means."""
    armed = [bay for bay in snapshot.bays if bay.state is BayState.ARMED and bay.confirm is not None]
    return next((bay for bay in armed if bay.selected), armed[0] if len(snapshot.bays) == 1 and armed else None)


def picture(view: View, size: tuple[int, int], now: float) -> Surface:
    """The view as a picture of its own."""
    surface = Surface(size)
    render(view, Canvas(surface, now))
    return surface
