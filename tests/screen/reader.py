"""What can be read on a picture."""

from dataclasses import dataclass, field

from pygame import Rect, Surface

from station.screen import text
from station.screen.canvas import Canvas
from station.screen.render import View, render
from station.screen.text import Style
from tests.screen.samples import NOW


@dataclass
class Reader(Canvas):
    """A canvas that remembers what can be read on it, and how small the smallest of it is."""

    read: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)

    def words(self, words: str, box: Rect, style: Style, *, lines: int = 1, align: float = 0.0) -> None:
        height = text.line_height(style)
        for line in text.wrap(words, style, box.width, min(lines, max(1, box.height // height))):
            self.read.append(line)
            self.sizes[line] = style.size
        super().words(words, box, style, lines=lines, align=align)

    def reads(self, said: str) -> bool:
        """Whether all of it can be read."""
        return " ".join(said.split()) in " ".join(self.read)


def read(view: View, size: tuple[int, int]) -> Reader:
    """Draw a view, and read it."""
    reader = Reader(Surface(size), NOW)
    render(view, reader)
    return reader
