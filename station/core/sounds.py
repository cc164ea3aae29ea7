"""When the buzzer speaks: once for each thing that happens, never in a loop, and not of what a finger just did."""

from enum import Enum

from station.model.api import BayState, Snapshot


class Sound(Enum):
    """What it says."""

    PERSON = "person"
    """Short: somebody is needed."""
    DONE = "done"
    """Two notes, going up."""
    FAILED = "failed"
    """One low note."""


OF_STATE = {
    # ARMED asks for somebody too, who has just pressed START and stands there.
    BayState.FAILED: Sound.FAILED,
    BayState.NEEDS_PERSON: Sound.PERSON,
    BayState.DONE: Sound.DONE,
}
"""The most urgent first: of what happens at once, only that is heard."""


def of_change(before: Snapshot | None, after: Snapshot) -> Sound | None:
    """What is to be heard when the station that looked like `before` looks like `after`; None: nothing.

    Before the first look (None) nothing has happened: a daemon that starts again announces nothing anew.
    """
    if before is None or not after.face.sound:
        return None
    were = {bay.bay: bay.state for bay in before.bays}
    came = {bay.state for bay in after.bays if were.get(bay.bay, bay.state) is not bay.state}
    return next((sound for state, sound in OF_STATE.items() if state in came), None)
