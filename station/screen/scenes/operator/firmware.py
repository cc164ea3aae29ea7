"""What can be installed: the images in the store."""

from pygame import Rect

from station.model.operator import FirmwareLine, OperatorView
from station.screen import facts
from station.screen.canvas import Canvas
from station.screen.office import Office
from station.screen.scenes.operator.furniture import entry, foot, page, pages, per_page, say
from station.screen.theme import TEXT, Shape

LINE = 62


def draw(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Firmware", office, note)
    lines = operator.firmware
    if not lines:
        say(canvas, room, "There is no firmware here yet. It is fetched or imported with “station firmware”.")
        return
    shown = per_page(canvas, room, LINE)
    room, below = foot(canvas, room, 60)
    for number, line in enumerate(lines[office.start : office.start + shown]):
        place = Rect(room.left, room.top + number * canvas.px(LINE), room.width, canvas.px(LINE))
        entry(canvas, place, Shape.FETCH, TEXT, words_of(line), models(line), aside=facts.size(line.size))
    pages(canvas, below, office, len(lines), shown)


def words_of(line: FirmwareLine) -> str:
    """An image's name."""
    return f"iOS {line.version} ({line.build})"


def models(line: FirmwareLine) -> str:
    """For how many models it is."""
    return "For 1 model" if line.models == 1 else f"For {line.models} models"
