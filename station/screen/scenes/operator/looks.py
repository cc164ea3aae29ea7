"""How the screen is mounted and how it looks and sounds. Each touch is seen at once."""

from collections.abc import Callable

from msgspec.structs import replace
from pygame import Rect

from station.model.api import SetFace, Snapshot
from station.model.face import DARKEST, Face
from station.model.face import Turn as Turned
from station.screen.canvas import Canvas, Target
from station.screen.office import Office, Room, TouchDraft
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import option, page, stepper
from station.screen.theme import Shape
from station.screen.widgets import grid

TURNS: dict[Turned, str] = {
    Turned.NONE: "Not turned",
    Turned.RIGHT: "A quarter right",
    Turned.OVER: "Upside down",
    Turned.LEFT: "A quarter left",
}
Part = Callable[[Rect], None]
BRIGHT = tuple(range(DARKEST, 101, 10))
DIMS: dict[float, str] = {
    30.0: "After 30 seconds",
    60.0: "After 1 minute",
    120.0: "After 2 minutes",
    300.0: "After 5 minutes",
    600.0: "After 10 minutes",
    0.0: "Never",
}


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Screen", office, note)
    columns = 2 if room.width > room.height else 1
    face = snapshot.face
    parts: tuple[Part, ...] = (
        lambda cell: _brightness(canvas, cell, face),
        lambda cell: _dimming(canvas, cell, face),
        lambda cell: _turn(canvas, cell, face),
        lambda cell: _switch(canvas, cell, "Large print", on=face.large, face=replace(face, large=not face.large)),
        lambda cell: _switch(
            canvas, cell, "High contrast", on=face.contrast, face=replace(face, contrast=not face.contrast)
        ),
        lambda cell: _switch(canvas, cell, "Sound", on=face.sound, face=replace(face, sound=not face.sound)),
        lambda cell: _glass(canvas, cell),
    )
    for part, cell in zip(parts, grid(canvas, room, len(parts), columns=columns, tallest=88), strict=True):
        part(cell)


def _set(face: Face) -> Target:
    return Target(SetFace(id=0, face=face))


def _brightness(canvas: Canvas, box: Rect, face: Face) -> None:
    darker = max((step for step in BRIGHT if step < face.brightness), default=None)
    brighter = min((step for step in BRIGHT if step > face.brightness), default=None)
    less = None if darker is None else _set(replace(face, brightness=darker))
    more = None if brighter is None else _set(replace(face, brightness=brighter))
    stepper(canvas, box, "Brightness", f"{face.brightness} %", less, more)


def _dimming(canvas: Canvas, box: Rect, face: Face) -> None:
    steps = list(DIMS)
    now = steps.index(face.dim_seconds) if face.dim_seconds in DIMS else steps.index(120.0)
    said = DIMS.get(face.dim_seconds, f"After {face.dim_seconds:.0f} seconds")
    less = _set(replace(face, dim_seconds=steps[now - 1])) if now else None
    more = _set(replace(face, dim_seconds=steps[now + 1])) if now + 1 < len(steps) else None
    stepper(canvas, box, "Goes dim", said, less, more)


def _turn(canvas: Canvas, box: Rect, face: Face) -> None:
    turns = list(TURNS)
    now = turns.index(face.turn)
    less, more = (_set(replace(face, turn=turns[(now + way) % len(turns)])) for way in (-1, 1))
    stepper(canvas, box, "Picture", TURNS[face.turn], less, more, shapes=(Shape.BACK, Shape.RIGHT))


def _switch(canvas: Canvas, box: Rect, title: str, *, on: bool, face: Face) -> None:
    option(canvas, box, title, "On" if on else "Off", _set(face), chosen=on)


def _glass(canvas: Canvas, box: Rect) -> None:
    target = Target(Turn(Office(Room.TOUCH, draft=TouchDraft())))
    option(canvas, box, "Try the touch", "Does the whole glass feel a finger?", target, shape=Shape.TARGET)
