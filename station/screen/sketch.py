"""What a picture consists of, and where it differs from the last one: only there is anything drawn.

A scene draws the whole picture each time, as if nothing had been there before, and so it stays a pure function. But
it draws on a `Sketch`, which only remembers the order of fills and images; that is quick. Two sketches are compared,
and what stands in both, in the same order, need not be drawn again.

Why a picture drawn partly equals one drawn whole: a pixel outside of every place that `changed` names is covered by
the same fills and images in the same order, before and after. A place that it names is drawn from its first fill on.
"""

from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from pygame import Rect, Surface

from station.screen.theme import RGB

Mark = tuple[RGB | Surface, int, int, int, int, tuple[int, int] | None]
"""A fill or an image, where it goes (left, top, width, height), and where in the image it begins."""


@dataclass(frozen=True)
class Kept:
    """A part of a picture that the next one may have too.

    Attributes:
        marks: What it consists of.
        targets: What can be touched on it.
        due: Seconds until it wants to be drawn again; None: never.
    """

    marks: Sequence[Mark]
    targets: Sequence[tuple[Rect, Any]]
    due: float | None


class Sketch:
    """What is drawn on, in place of a surface. Images that are put on it must not change afterwards.

    Parts of the `last` sketch can be found again in it; what this one does not use of them is forgotten.
    """

    def __init__(self, size: tuple[int, int], last: "Sketch | None" = None) -> None:
        self.marks: list[Mark] = []
        self._area = Rect(0, 0, *size)
        self.parts: dict[Hashable, Kept] = {}
        """What the next one may find here."""
        self._last = last.parts if last is not None and last.get_size() == size else {}

    def find(self, key: Hashable) -> Kept | None:
        """The part that was kept under this key, drawn here too."""
        kept = self._last.get(key)
        if kept is not None:
            self.parts[key] = kept
            self.marks += kept.marks
        return kept

    def keep(self, key: Hashable, kept: Kept) -> None:
        """Keep a part that was just drawn for the next picture."""
        self.parts[key] = kept

    def get_rect(self) -> Rect:
        """All of it."""
        return self._area.copy()

    def get_width(self) -> int:
        """Width in pixels."""
        return self._area.width

    def get_size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._area.size

    def fill(self, colour: RGB, box: Rect | None = None) -> None:
        """A plain rectangle; without a box all of it, and whatever was there is gone."""
        if box is None:
            self.marks.clear()
            box = self._area
        self.marks.append((colour, *box, None))

    def blit(self, image: Surface, box: Rect, part: Rect | None = None) -> None:
        """An image, or a part of it, with its top left corner at the box's."""
        if part is None:
            self.marks.append((image, *box.topleft, *image.get_size(), None))
        else:
            self.marks.append((image, *box.topleft, *part.size, part.topleft))


def changed(old: Sequence[Mark], new: Sequence[Mark]) -> list[Rect]:
    """The places where two pictures may differ: none overlaps another, and elsewhere they are the same."""
    first, last = 0, min(len(old), len(new))
    while first < last and old[first] == new[first]:
        first += 1
    behind = 0
    while behind < last - first and old[-1 - behind] == new[-1 - behind]:
        behind += 1
    before, after = old[first : len(old) - behind], new[first : len(new) - behind]
    kept_before, kept_after = _common(before, after)
    marks = [mark for number, mark in enumerate(before) if number not in kept_before]
    marks += [mark for number, mark in enumerate(after) if number not in kept_after]
    return _apart(marks)


def paint(surface: Surface, marks: Sequence[Mark], places: Sequence[Rect] | None = None) -> None:
    """Draw onto a surface, in these places only; None: everywhere."""
    boxes = [Rect(mark[1:5]) for mark in marks]
    for place in [surface.get_rect()] if places is None else places:
        surface.set_clip(place)
        for number in place.collidelistall(boxes):
            what, _, _, width, height, start = marks[number]
            if isinstance(what, tuple):
                surface.fill(what, boxes[number])
            else:
                surface.blit(what, boxes[number], None if start is None else (*start, width, height))
    surface.set_clip(None)


def _common(before: Sequence[Mark], after: Sequence[Mark]) -> tuple[set[int], set[int]]:
    """The numbers, on both sides, of marks that stand in both in the same order; about as many as there are."""
    where: defaultdict[Mark, deque[int]] = defaultdict(deque)
    for number, mark in enumerate(before):
        where[mark].append(number)
    pairs = [(where[mark].popleft(), number) for number, mark in enumerate(after) if where.get(mark)]
    # The longest row of pairs that rises on both sides: each pair remembers the one that it follows.
    ends: list[int] = []
    rows: list[int] = []
    follows: list[int] = []
    for number, (there, _) in enumerate(pairs):
        length = bisect_left(ends, there)
        follows.append(rows[length - 1] if length else -1)
        if length == len(ends):
            ends.append(there)
            rows.append(number)
        else:
            ends[length] = there
            rows[length] = number
    kept_before, kept_after = set[int](), set[int]()
    number = rows[-1] if rows else -1
    while number >= 0:
        there, here = pairs[number]
        kept_before.add(there)
        kept_after.add(here)
        number = follows[number]
    return kept_before, kept_after


def _apart(marks: Sequence[Mark]) -> list[Rect]:
    """Rectangles around all marks, none overlapping another."""
    places: list[Rect] = []
    for mark in marks:
        place = Rect(mark[1:5])
        if not place.width or not place.height:
            continue
        while (number := place.collidelist(places)) >= 0:
            place.union_ip(places.pop(number))
        places.append(place)
    return places
