"""What a scene draws on: a surface, the places a finger can touch, and when the picture will change by itself."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pygame import Rect, Surface

from station.model.api import Command
from station.model.face import PLAIN, Face
from station.screen import shapes, speech, text
from station.screen.office import Key
from station.screen.pages import Turn
from station.screen.sketch import Kept, Sketch
from station.screen.text import Style
from station.screen.theme import BACKGROUND, RGB, Colour, Shape, palette, rgb

Lengths = Callable[[float], int]
"""From a length drawn for 800x480 to pixels."""
LARGE = 1.2
"""How much larger everything is in large print."""
LEAST = 0.85
"""How much smaller words may be than their scene wishes, if they would be cut otherwise."""


@dataclass(frozen=True)
class Target:
    """What touching a place means. Two targets that are equal are the same one, before and after a redraw.

    Attributes:
        command: What a tap sends or turns to; for a hold (`release` is set) what the finger's arrival sends.
            Its id is 0: whoever sends it gives it one.
        release: What the finger's leaving sends.
        about: What the command is meant for (the phone's ECID, say): when that changes under a finger, the
            touch is void.
        hold: Seconds that a finger must stay for the command to be sent; 0: a tap does. It is for what must not
            happen by a touch in passing; a wipe is confirmed with `release`, and the daemon measures.
    """

    command: Command | Turn | Key
    release: Command | None = None
    about: Hashable = None
    hold: float = 0.0


_TURNED = {Shape.BACK: Shape.RIGHT, Shape.RIGHT: Shape.BACK}
"""Onward is to the left where people read from the right."""


@dataclass
class Canvas:
    """One picture in the making.

    Scenes lay out from left to right. For a language that runs from the right, every box is mirrored here, on its
    way to the surface and to the finger; pictures themselves are not, but for the arrows that mean onward and back.

    Attributes:
        surface: Where it is drawn.
        now: CLOCK_BOOTTIME seconds.
        pressed: The target under the finger, to be drawn pressed.
        face: How it shall look. Scenes never ask: lengths, colours and words obey it here.
        time: Of day, as the frame shows it; empty: it is not known.
        targets: Filled by the scene: where a finger does what. Later ones lie on top.
        due: Filled by the scene: when the picture changes without a new snapshot; None: never.
        pressed_since: When the finger came that is on `pressed`.
        mirrored: Whether the language runs from the right; known from `clear` on.
    """

    surface: Surface | Sketch
    now: float
    pressed: Target | None = None
    face: Face = PLAIN
    time: str = ""
    targets: list[tuple[Rect, Target]] = field(default_factory=list)
    due: float | None = None
    pressed_since: float = 0.0
    mirrored: bool = False
    _as_it_is: Rect | None = None

    @property
    def area(self) -> Rect:
        """The whole picture."""
        return self.surface.get_rect()

    def px(self, length: float) -> int:
        """A length drawn for 800x480, in this picture's pixels."""
        short, long = sorted(self.area.size)
        scale = min(short / 480, long / 800)
        return max(1, round(length * (LARGE * scale if self.face.large else scale)))

    def rgb(self, colour: Colour) -> RGB:
        """A colour as this picture has it."""
        return rgb(colour, palette(contrast=self.face.contrast))

    def lengths(self, scale: float) -> Lengths:
        """`px` for things drawn smaller than usual."""
        return lambda length: self.px(length * scale)

    def again_in(self, seconds: float) -> None:
        """Ask to be drawn again that soon."""
        due = self.now + seconds
        self.due = due if self.due is None else min(self.due, due)

    def _wish(self) -> float | None:
        """In how many seconds the picture wants to be drawn again."""
        return None if self.due is None else self.due - self.now

    def part(self, key: Hashable, draw: Callable[[], None]) -> None:
        """Draw a part of the picture, or take it from the last one where it is the same: that is much quicker.

        Args:
            key: All that the part depends on, besides the face, the size and the finger. What it tells of the time
                belongs to it, in the words that it tells it with.
            draw: Draws it.
        """
        sketch = self.surface
        if not isinstance(sketch, Sketch) or self._as_it_is is not None:
            draw()
            return
        key = (key, self.face, self.pressed, self.pressed_since)
        kept = sketch.find(key)
        if kept is None:
            marks, targets, due = len(sketch.marks), len(self.targets), self.due
            self.due = None
            draw()
            wish = self._wish()
            sketch.keep(key, Kept(sketch.marks[marks:], self.targets[targets:], wish))
            self.due = due
        else:
            wish = kept.due
            self.targets += kept.targets
        if wish is not None:
            self.again_in(wish)

    def touch(self, box: Rect, target: Target) -> None:
        """Make a place touchable."""
        self.targets.append((self._placed(box), target))

    @contextmanager
    def as_it_is(self, box: Rect) -> Iterator[None]:
        """Mirror this box as a whole, and not what is in it: a phone has its buttons where it has them."""
        before, self._as_it_is = self._as_it_is, box
        yield
        self._as_it_is = before

    def _placed(self, box: Rect) -> Rect:
        """Where a scene's box is in the picture."""
        if not self.mirrored:
            return box
        width, fixed = self.surface.get_width(), self._as_it_is
        left = width - box.right if fixed is None else box.left + width - fixed.right - fixed.left
        return Rect(left, box.top, *box.size)

    def clear(self) -> None:
        """Begin with an empty picture, in the face's language."""
        speech.speak(self.face.language)
        self.mirrored = self.face.language in speech.RIGHT_TO_LEFT
        self.surface.fill(self.rgb(BACKGROUND))

    def put(self, image: Surface, box: Rect, part: Rect | None = None) -> None:
        """Draw a picture (or a `part` of it) with its top left corner at the box's. Everything but fills goes here."""
        size = image.get_size() if part is None else part.size
        self.surface.blit(image, self._placed(Rect(box.topleft, size)), part)

    def fill(self, box: Rect, colour: Colour) -> None:
        """A plain rectangle."""
        self.surface.fill(self.rgb(colour), self._placed(box))

    def panel(self, box: Rect, colour: Colour, radius: int) -> None:
        """A filled rectangle with round corners."""
        radius = max(0, min(radius, box.width // 2, box.height // 2))
        self.fill(box.inflate(-2 * radius, 0), colour)
        self.fill(box.inflate(0, -2 * radius), colour)
        if radius:
            disc = shapes.disc(2 * radius, self.rgb(colour))
            turned = self.mirrored and self._as_it_is is None
            for x, left in ((radius * turned, box.left), (radius * (not turned), box.right - radius)):
                for y, top in ((0, box.top), (radius, box.bottom - radius)):
                    self.put(disc, Rect(left, top, radius, radius), Rect(x, y, radius, radius))

    def framed(self, box: Rect, colour: Colour, radius: int, line: Colour, thickness: int) -> None:
        """A panel with a line around it, inside its box."""
        self.panel(box, line, radius)
        self.panel(box.inflate(-2 * thickness, -2 * thickness), colour, radius - thickness)

    def icon(self, shape: Shape, box: Rect, colour: Colour) -> None:
        """A state's shape, as large as fits, in the middle of the box."""
        side = min(box.size)
        square = Rect(0, 0, side, side)
        square.center = box.center
        if self.mirrored and self._as_it_is is None:
            shape = _TURNED.get(shape, shape)
        self.put(shapes.icon(shape, side, self.rgb(colour)), square)

    def disc(self, box: Rect, colour: Colour) -> None:
        """A filled circle in a square box."""
        self.put(shapes.disc(box.width, self.rgb(colour)), box)

    def ring(self, box: Rect, thickness: int, colour: Colour, share: float = 1.0) -> None:
        """The first `share` (0..1) of a ring in a square box, clockwise from the top."""
        ink = self.rgb(colour)
        whole = share >= 1
        ring = shapes.ring(box.width, thickness, ink) if whole else shapes.arc(box.width, thickness, ink, share)
        self.put(ring, box)

    def words(self, words: str, box: Rect, style: Style, *, lines: int = 1, align: float = 0.0) -> None:
        """Text from the top of the box, shortened to fit.

        Args:
            words: English, or anything; it is cleaned, and said in the face's language.
            box: Where; what is wider or has more lines is cut with an ellipsis.
            style: How it looks.
            lines: How many lines there may be.
            align: 0 to the left, 0.5 centred, 1 to the right.
        """
        if _cut(words, style, box, lines):
            style, lines = self._smaller(words, style, box, lines)
        height = text.line_height(style)
        for number, line in enumerate(text.wrap(words, style, box.width, min(lines, max(1, box.height // height)))):
            wide = text.picture(line, style, self.rgb(style.colour)).get_width()
            left = box.left + round((box.width - wide) * align)
            self.line(line, style, Rect(left, box.top + number * height, wide, height))

    def line(self, line: str, style: Style, box: Rect) -> None:
        """A line of text that is cleaned, said in the face's language, and fits the box."""
        self.put(text.picture(line, style, self.rgb(style.colour)), box)

    def _smaller(self, words: str, style: Style, box: Rect, lines: int) -> tuple[Style, int]:
        """What would be cut is written a little smaller first, or in more lines where there is room for them.

        Large print that has no room is less large, for the same reason.
        """
        usual = style.size / LARGE if self.face.large else style.size
        for size in range(style.size - 1, max(1, round(usual * LEAST)) - 1, -1):
            smaller = replace(style, size=size)
            many = max(lines, box.height // text.line_height(smaller))
            if not _cut(words, smaller, box, many):
                return smaller, many
        return style, lines


def _cut(words: str, style: Style, box: Rect, lines: int) -> bool:
    """Whether words have no room in a box."""
    wrapped = text.wrap(words, style, box.width, min(lines, max(1, box.height // text.line_height(style))))
    return not wrapped or (wrapped[-1].endswith("…") and not words.endswith("…"))
