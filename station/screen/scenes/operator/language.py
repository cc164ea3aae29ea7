"""What the screen speaks: each language in itself, for whoever looks for their own."""

from msgspec.structs import replace
from pygame import Rect

from station.model.api import SetFace, Snapshot
from station.model.face import LANGUAGE_NAMES
from station.screen.canvas import Canvas, Target
from station.screen.office import Office
from station.screen.scenes.operator.furniture import option, page
from station.screen.widgets import grid


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Language", office, note)
    columns = 2 if room.width > room.height else 1
    cells = grid(canvas, room, len(LANGUAGE_NAMES), columns=columns, tallest=88)
    for (language, name), cell in zip(LANGUAGE_NAMES.items(), cells, strict=True):
        target = Target(SetFace(id=0, face=replace(snapshot.face, language=language)))
        option(canvas, cell, name, "", target, chosen=snapshot.face.language is language)
