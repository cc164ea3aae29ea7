"""What can be installed: the images in the store."""

from pygame import Rect

from station.model.operator import FirmwareLine, OperatorView
from station.screen import facts
from station.screen.canvas import Canvas
from station.screen.office import Office
from station.screen.scenes.operator.furniture import entry, foot, line_height, page, pages, part, per_page, say
from station.screen.theme import TEXT, Shape

LINE = 62


def draw(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Firmware", office, note)
    lines = operator.firmware
    if not lines:
        say(canvas, room, "There is no firmware here yet. It is fetched or imported with “station firmware”.")
        return
    line_of = line_height(canvas, room, LINE)
    high_of_line = canvas.px(line_of)
    shown = per_page(canvas, room, line_of)
    room, below = foot(canvas, room, 60)
    open_now = part(office, len(lines), shown)
    start = open_now[0] * shown
    for number, line in enumerate(lines[start : start + shown]):
        place = Rect(room.left, room.top + number * high_of_line, room.width, high_of_line)
        entry(canvas, place, Shape.FETCH, TEXT, words_of(line), models(line), aside=facts.size(line.size))
    pages(canvas, below, office, open_now)


def words_of(line: FirmwareLine) -> str:
    """An image's name."""
    return f"iOS {line.version} ({line.build})"


def models(line: FirmwareLine) -> str:
    """For how many models it is."""
    return "For 1 model" if line.models == 1 else f"For {line.models} models"
