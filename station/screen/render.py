"""From a snapshot to a picture: chooses the scene. A pure function of what it is given."""

from dataclasses import dataclass

from pygame import Surface

from station.model.api import BayState, BayView, Snapshot
from station.screen.canvas import Canvas
from station.screen.chrome import chrome
from station.screen.scenes import bench, confirm, moment, single, welcome


@dataclass(frozen=True)
class View:
    """All that a picture depends on, besides the time and the finger.

    Attributes:
        snapshot: The station; None: there is no daemon to tell.
        note: An answer to the last touch, shown for a while.
    """

    snapshot: Snapshot | None
    note: str = ""


def render(view: View, canvas: Canvas) -> None:
    """Draw the view, and fill in the canvas' targets and when it is due again."""
    canvas.clear()
    snapshot = view.snapshot
    if snapshot is None:
        moment.draw(canvas, canvas.area)
        return
    box = chrome(canvas, snapshot, view.note)
    armed = to_confirm(snapshot)
    if armed is not None and armed.confirm is not None:
        confirm.draw(canvas, box, snapshot, armed, armed.confirm)
    elif all(bay.state is BayState.EMPTY for bay in snapshot.bays):
        welcome.draw(canvas, box, snapshot)
    elif len(snapshot.bays) == 1:
        single.draw(canvas, box, snapshot.bays[0])
    else:
        bench.draw(canvas, box, snapshot)


def to_confirm(snapshot: Snapshot) -> BayView | None:
    """The bay whose confirmation takes the screen: the armed one that CONFIRM means."""
    armed = [bay for bay in snapshot.bays if bay.state is BayState.ARMED and bay.confirm is not None]
    return next((bay for bay in armed if bay.selected), armed[0] if len(snapshot.bays) == 1 and armed else None)


def picture(view: View, size: tuple[int, int], now: float) -> Surface:
    """The view as a picture of its own."""
    surface = Surface(size)
    render(view, Canvas(surface, now))
    return surface
