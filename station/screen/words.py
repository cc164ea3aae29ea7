"""Words for what a snapshot gives as a value; its titles and hints are the daemon's, and shown as they are."""

from station.model.api import BayState, BayView, JobView, OfferView, OrderView, PhoneView, ResultView
from station.model.catalog import Arrival, ArrivalState
from station.model.gates import Finding
from station.model.job import PHASES, Phase
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.model.service import SERVICES, Keeps, Service
from station.screen.text import clean
from station.screen.theme import LOOKS

STARTS: dict[Service, str] = {
    Service.RESTART: "Start restart",
    Service.RESCUE: "Leave recovery",
    Service.BACKUP: "Start backup",
    Service.PUT_BACK: "Put backup back",
    Service.ACTIVATE: "Start activation",
    Service.REINSTALL: "Start reinstall",
    Service.ERASE: "Start erase",
    Service.RESTORE: "Start restore",
}
DOING: dict[Service, str] = {
    Service.RESTART: "Restarting",
    Service.RESCUE: "Leaving recovery",
    Service.BACKUP: "Backing up",
    Service.PUT_BACK: "Putting back",
    Service.ACTIVATE: "Activating",
    Service.REINSTALL: "Reinstalling",
    Service.ERASE: "Erasing",
    Service.RESTORE: "Restoring",
}

MODES: dict[PhoneMode, str] = {
    PhoneMode.NORMAL: "",
    PhoneMode.RECOVERY: "Recovery mode",
    PhoneMode.DFU: "DFU mode",
    PhoneMode.RESTORE: "Restore mode",
}


def percent(fraction: float) -> str:
    """A share in whole percent; 100 only when it is all."""
    return f"{int(max(0.0, min(fraction, 1.0)) * 100)}%"


def time_left(seconds: float) -> str:
    """A wait in words, as exact as such a guess can be."""
    if seconds <= 0:
        return "any moment now"
    if seconds < 45:
        return "under a minute left"
    return f"about {time_left_short(seconds)} left"


def time_left_short(seconds: float) -> str:
    """The same where there is little room."""
    if seconds < 45:
        return "< 1 min"
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 100 else f"{round(minutes / 60)} h"


def model(bay: BayView) -> str:
    """The phone's name on the box, or as much as is known of it."""
    phone = bay.phone
    if phone is None:
        return ""
    return clean(phone.model_name) or clean(phone.product_type) or "iPhone"


def version(phone: PhoneView) -> str:
    """What the phone runs: mode, iOS version and build, as far as they are known."""
    installed = f"iOS {phone.version}" if phone.version else ""
    build = f"({phone.build})" if phone.version and phone.build else phone.build
    return " · ".join(part for part in (f"{installed} {build}".strip(), MODES[phone.mode]) if part)


def step(job: JobView) -> str:
    """Which of how many phases it is in; empty where it is in none that is known of."""
    phases = PHASES[job.service]
    if job.phase not in phases:
        return ""
    return f"Step {phases.index(job.phase) + 1} of {len(phases)}"


def may_cancel(job: JobView) -> bool:
    """Whether cancelling still makes sense: what cannot be undone belongs to these phases or comes after them."""
    return job.phase not in TOO_LATE


TOO_LATE = frozenset(
    {
        Phase.RESTART,
        Phase.PUT_BACK,
        Phase.ERASE_CONTENT,
        Phase.PREPARE,
        Phase.IMAGE,
        Phase.FIRMWARE,
        Phase.RETURN,
        Phase.VERIFY,
    }
)


OUTCOME_TAGS: dict[Outcome, str] = {
    Outcome.VERIFIED: "",
    Outcome.NOT_VERIFIED: "Not verified",
    Outcome.FAILED_UNTOUCHED: "Nothing was erased",
    Outcome.FAILED_BETWEEN: "Half-way",
    Outcome.FAILED_ERASED: "Data is gone",
}


def headline(bay: BayView) -> str:
    """The one thing to say about a bay. What its badge says already is not said again."""
    if bay.state is BayState.WORKING and bay.job is not None:
        doing, version = DOING[bay.job.service], bay.job.target_version
        return f"{doing} to iOS {version}" if version else doing
    title = bay.result.title if bay.result is not None else bay.title
    return bay.hint if _said_by_badge(bay, title) else title


def advice(bay: BayView) -> str:
    """What a person can do now."""
    if bay.result is not None:
        return bay.result.remedy or bay.hint
    return "" if _said_by_badge(bay, bay.title) else bay.hint


def sentence(said: str) -> str:
    """With a full stop, so that another can follow."""
    return said if said.rstrip().endswith((".", "!", "?", "…")) else f"{said}."


def fetched(arrival: Arrival) -> float:
    """The share of it that is here."""
    return 0.0 if arrival.total <= 0 else max(0.0, min(1.0, arrival.done / arrival.total))


def coming(arrival: Arrival) -> str:
    """What is going on with firmware that is on its way: a line."""
    match arrival.state:
        case ArrivalState.FETCHING:
            return f"Downloading: {arrival.done / 1e9:.1f} of {arrival.total / 1e9:.1f} GB"
        case ArrivalState.CHECKING:
            return "All of it is here, and is being checked."
        case ArrivalState.WAITING:
            return arrival.says or "It is its turn soon."
        case ArrivalState.FAILED:
            return arrival.says or "It could not be fetched."


def whence(arrival: Arrival) -> str:
    """Who sends firmware that is on its way, and what else there is to say of that; empty: nobody does."""
    if arrival.state is not ArrivalState.FETCHING or not arrival.origin:
        return ""
    if arrival.nearby:
        return f"It comes from the station at {arrival.origin}. {arrival.says}".strip()
    return f"It comes from {arrival.origin}. {arrival.says}".strip()


def time_to_come(arrival: Arrival) -> str:
    """How much longer that takes; empty: that cannot be told."""
    if arrival.state is not ArrivalState.FETCHING or arrival.seconds_left is None:
        return ""
    return time_left(arrival.seconds_left)


def _said_by_badge(bay: BayView, title: str) -> bool:
    return title.strip(" .").casefold() == LOOKS[bay.state].word.casefold()


def proof(result: ResultView) -> str:
    """Where the job is on record."""
    record = f"Record {result.record}" if result.record else "Record is being written"
    return f"{record} · certificate saved" if result.certificate else record


def duration(seconds: float) -> str:
    """How long something takes, in words."""
    if seconds < 45:
        return "under a minute"
    minutes = max(1, round(seconds / 60))
    return f"about {minutes} min" if minutes < 100 else f"about {round(minutes / 60)} h"


def ordered(order: OrderView, now: float) -> str:
    """A standing order in one line."""
    left = time_left_short(max(0.0, order.until - now))
    return f"Standing order: {SERVICES[order.service].title}, {order.left} more, for {left}"


KEEPS: dict[Keeps, str] = {
    Keeps.ALL: "Keeps everything",
    Keeps.MEANT_TO: "Meant to keep everything",
    Keeps.REPLACED: "Replaces what is on it",
    Keeps.NOTHING: "Erases everything",
}

WARNINGS: dict[Keeps, str] = {
    Keeps.ALL: "Nothing on this phone is touched.",
    Keeps.MEANT_TO: "iOS is installed anew around the data. It is meant to stay; only a backup is certain.",
    Keeps.REPLACED: "What is on this phone now is replaced by its backup.",
    Keeps.NOTHING: "Everything on this phone will be erased.",
}
"""What confirming means for the owner's data."""


def takes(offer: OfferView) -> str:
    """How long a service took of late; empty when nobody knows."""
    return "" if offer.seconds is None else duration(offer.seconds)


def keeps(offer: OfferView) -> str:
    """What a service means for the data, and how long it takes."""
    kept, long = KEEPS[SERVICES[offer.service].keeps], takes(offer)
    return f"{kept} · {long}" if long else kept


def remedy(found: Finding) -> str:
    """What can be done about a gate that is closed."""
    if not found.overrulable:
        return found.remedy
    return f"{sentence(found.remedy)} An operator may decide otherwise." if found.remedy else "An operator may decide."


def offer_of(bay: BayView, service: Service | None) -> OfferView | None:
    """What is offered of a service."""
    return next((offer for offer in bay.offers if offer.service is service), None)
