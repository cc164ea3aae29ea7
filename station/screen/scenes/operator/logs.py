"""Logs to a USB stick, for whoever helps from afar."""

from pygame import Rect

from station.model.api import SaveLogs
from station.model.operator import OperatorView
from station.screen.canvas import Canvas, Target
from station.screen.office import Office
from station.screen.scenes.operator.furniture import foot, option, page, say
from station.screen.theme import BLUE, MUTED, TEXT, Shape
from station.screen.widgets import grid

MOST = 4
"""Sticks that are shown at once."""


def draw(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Logs to a USB stick", office, note)
    sticks = () if operator.machine is None else operator.machine.sticks[:MOST]
    room, below = foot(canvas, room, 84)
    if sticks:
        for stick, cell in zip(sticks, grid(canvas, room, len(sticks), columns=1, tallest=84), strict=True):
            save = Target(SaveLogs(id=0, stick=stick))
            option(canvas, cell, stick, "Write the logs to this stick.", save, shape=Shape.SAVE)
    else:
        say(canvas, room, "Plug a USB stick into the station, not into a bay.", size=26, colour=TEXT)
    private = "The logs hold no names, no passwords and nothing of any phone's content."
    say(canvas, below, operator.says or private, size=19, colour=BLUE if operator.says else MUTED)
