"""What the lamps show. They must tell the truth when the screen is dead."""

from collections.abc import Iterable

from station.model.api import BayState, Lamp

OF_BAY: dict[BayState, Lamp | None] = {
    BayState.EMPTY: None,
    BayState.READING: Lamp.WORKING,
    BayState.READY: Lamp.READY,
    BayState.NEEDS_PERSON: Lamp.PERSON,
    BayState.ARMED: Lamp.PERSON,
    BayState.QUEUED: Lamp.WORKING,
    BayState.WORKING: Lamp.WORKING,
    BayState.DONE: Lamp.DONE,
    BayState.FAILED: Lamp.FAULT,
    BayState.CANCELLED: Lamp.PERSON,
}

URGENCY = (Lamp.FAULT, Lamp.PERSON, Lamp.WORKING, Lamp.DONE, Lamp.READY)
"""With one lamp set for the whole station, the most urgent bay is shown (IEC 60073: red before everything)."""


def of_bay(state: BayState, *, aside: bool) -> Lamp | None:
    """A bay's lamp. `aside`: its phone waits in quarantine for an operator."""
    return Lamp.FAULT if aside and state is BayState.READY else OF_BAY[state]


def of_station(bays: Iterable[Lamp | None], *, fault: bool) -> Lamp:
    """The station's one lamp. `fault`: something about the station itself needs mending."""
    if fault:
        return Lamp.FAULT
    shown = set(bays)
    return next((lamp for lamp in URGENCY if lamp in shown), Lamp.READY)
