"""Every screen in every state fits every display: whole, apart, in reach of a thumb, and large enough to read.

What may differ by display is how much is said: a column leaves out what matters least. What is said is not cut.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace
from pygame import Rect

from station.model.api import Select
from station.model.face import PLAIN, Face
from station.screen.canvas import Canvas
from station.screen.render import View, render
from station.screen.sketch import Sketch
from station.screen.text import Style
from tests.screen.gallery import GALLERY
from tests.screen.samples import NOW
from tests.screen.test_operator_pictures import VIEWS

LARGE = Face(large=True)
DISPLAYS = [(480, 320), (800, 480), (1024, 600), (1280, 720), (1920, 1080), (480, 800), (720, 1280), (1080, 1920)]
QUICK = {((480, 320), PLAIN), ((480, 800), PLAIN), ((800, 480), LARGE)}
"""The others are much like one of these, and are looked at with the long tests."""
THUMB = 44
"""Of a screen of 480: 9 mm on one of seven inches, what WCAG 2.2 (2.5.5) and both phone makers ask for."""
CUT_IN = {"way-back-in": "Standing order", "order": "Standing order", "phone-pad": "iPad Pro 11-inch"}
"""What begins so may be cut: the operator's page, or the one with the details, has it whole."""


@dataclass
class Ruler(Canvas):
    """A canvas that remembers where each line of text is, and what was cut."""

    lines: list[tuple[str, Rect]] = field(default_factory=list)
    cut: list[tuple[str, Rect]] = field(default_factory=list)
    said: str = ""

    def words(self, words: str, box: Rect, style: Style, *, lines: int = 1, align: float = 0.0) -> None:
        self.said = words
        super().words(words, box, style, lines=lines, align=align)
        self.said = ""

    def line(self, line: str, style: Style, box: Rect) -> None:
        self.lines.append((line, box))
        if line.endswith("…") and not self.said.endswith("…"):
            self.cut.append((self.said, box))
        super().line(line, style, box)


def displays() -> Iterator[object]:
    """Every display, with the usual print and with large."""
    for face in (PLAIN, LARGE):
        for size in DISPLAYS:
            name = f"{size[0]}x{size[1]}{'-large' if face.large else ''}"
            yield pytest.param(size, face, id=name, marks=[] if (size, face) in QUICK else pytest.mark.long)


@pytest.mark.system
@pytest.mark.parametrize(("size", "face"), list(displays()))
@pytest.mark.usefixtures("utc")
def test_everything_fits(size: tuple[int, int], face: Face) -> None:
    found = {}
    for name, view in (GALLERY | VIEWS).items():
        ruler = Ruler(Sketch(size), NOW)
        render(worn(view, face), ruler)
        found[name] = problems(ruler, name)
    assert not {name: said for name, said in found.items() if said}


def worn(view: View, face: Face) -> View:
    """The view with another face."""
    return view if view.snapshot is None else dataclasses.replace(view, snapshot=replace(view.snapshot, face=face))


def problems(ruler: Ruler, name: str) -> list[str]:
    """What does not fit."""
    thumb = Canvas(ruler.surface, NOW).px(THUMB)
    targets = [box for box, _ in ruler.targets]
    tiles = [box for box, target in ruler.targets if isinstance(target.command, Select)]
    texts = [box for _, box in ruler.lines]
    return [
        *(f"outside: {box}" for box in targets + texts if not ruler.area.contains(box)),
        *(f"too small for a thumb: {box}" for box in targets if min(box.size) < thumb),
        *(
            f"two at one place: {box}"
            for place, box in enumerate(targets)
            if box.collidelist(targets[place + 1 :]) >= 0
        ),
        *(
            f"one over another: {line}"
            for place, (line, box) in enumerate(ruler.lines)
            if box.collidelist(texts[place + 1 :]) >= 0
        ),
        # A tile says what it has room for; touched, it says all.
        *(
            f"cut: {said}"
            for said, box in ruler.cut
            if box.collidelist(tiles) < 0 and not said.startswith(CUT_IN.get(name, "\n"))
        ),
    ]
