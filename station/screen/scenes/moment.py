"""No daemon to show anything of: it starts, or starts again. Jobs go on meanwhile."""

from pygame import Rect

from station.screen.canvas import Canvas
from station.screen.text import Style
from station.screen.theme import GREY, MUTED, TEXT, Shape
from station.screen.widgets import Part, column, paragraph


def draw(canvas: Canvas, box: Rect) -> None:
    """Fill the box."""
    room = box.width
    dots = Part(canvas.px(72), lambda place: canvas.icon(Shape.DOTS, place, GREY), rank=1)
    title = Style(canvas.px(44), TEXT, bold=True)
    small = Style(canvas.px(22), MUTED)
    column(
        box,
        [
            dots,
            *paragraph(canvas, "One moment…", title, room, align=0.5, gap=canvas.px(12)),
            *paragraph(
                canvas,
                "The station is starting. Leave plugged in what is plugged in.",
                small,
                room,
                lines=3,
                align=0.5,
                gap=canvas.px(12),
                rank=2,
            ),
        ],
        align=0.45,
    )
