"""Does the whole glass feel a finger? Every place that does turns green."""

from pygame import Rect

from station.screen.canvas import Canvas, Target
from station.screen.office import Key, Office, Room, TouchDraft
from station.screen.scenes.operator.furniture import page
from station.screen.theme import GREEN, INK, LINE, RAISED, Shape
from station.screen.widgets import grid


def draw(canvas: Canvas, box: Rect, office: Office, note: str) -> None:
    """Fill the box."""
    touched = office.draft.touched if isinstance(office.draft, TouchDraft) else frozenset()
    columns, rows = (8, 4) if box.width > box.height else (5, 7)
    left = columns * rows - len(touched)
    title = f"Touch every place. {left} left." if left else "The whole glass feels a finger."
    room = page(canvas, box, title, office, note, back=Office(Room.SCREEN))
    for number, cell in enumerate(grid(canvas, room, columns * rows, columns=columns, tallest=200)):
        name = str(number)
        on = name in touched
        canvas.framed(cell, GREEN if on else RAISED, canvas.px(12), GREEN if on else LINE, canvas.px(2))
        if on:
            canvas.icon(Shape.CHECK, cell.inflate(-cell.width // 2, -cell.height // 2), INK)
        canvas.touch(cell, Target(Key(name)))
