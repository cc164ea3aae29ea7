"""Text that always fits: fonts, and words from strangers made harmless, shortened and broken into lines.

Names come from phones, and a phone's name may be anything: NUL and lone surrogates (which raise in SDL_ttf),
direction overrides, 5,000 characters, a hundred accents on one letter.
"""

import math
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import resources

import pygame

from station.screen.theme import RGB, TEXT, Colour

LONGEST = 300
"""More characters than this fit on no screen; cut before any costly look at them."""
ACCENTS = 2
"""Combining marks kept on one letter; none without a letter."""
_NO_CHARACTER = "\ue000"
_ANY: RGB = (255, 255, 255)
"""What is only measured has no colour."""
FINE = 3
"""How many times larger letters are drawn before they are shrunk: SDL_ttf puts each on a whole pixel, which
shows as uneven spacing in small text."""


@dataclass(frozen=True)
class Style:
    """How text looks. `size` is the em in pixels."""

    size: int
    colour: Colour = TEXT
    bold: bool = False


@lru_cache(maxsize=64)
def font(size: int, bold: bool) -> pygame.font.Font:
    """The bundled font, FINE times larger than `size`."""
    pygame.font.init()
    name = "Inter-Bold.ttf" if bold else "Inter-Medium.ttf"
    with resources.as_file(resources.files("station.screen") / "fonts" / name) as path:
        return pygame.font.Font(str(path), max(size, 1) * FINE)


@lru_cache(maxsize=1024)
def _known(character: str) -> bool:
    """Whether the font has the character. It draws a box for all others, which tells nobody anything."""
    return character.isascii() or _drawn(character) != _drawn(_NO_CHARACTER)


def _drawn(character: str) -> bytes:
    """A character after a letter: alone, some are too narrow to be drawn, and pygame refuses them."""
    return pygame.image.tobytes(font(16, bold=False).render(f"o{character}", antialias=False, color=_ANY), "RGBA")


def clean(text: str) -> str:
    """What can be drawn of `text`, on one line: no controls, overrides or surrogates, at most LONGEST characters."""
    kept: list[str] = []
    accents = ACCENTS
    for character in unicodedata.normalize("NFC", text[:LONGEST]):
        category = unicodedata.category(character)
        accents = accents + 1 if category == "Mn" else 0 if category[0] in "LN" else ACCENTS
        if category[0] == "Z" or category == "Cc":
            kept.append(" ")
        elif category[0] != "C" and accents <= ACCENTS and _known(character):
            kept.append(character)
    return " ".join("".join(kept).split())


def width(text: str, style: Style) -> int:
    """How wide a cleaned line is, in pixels."""
    return math.ceil(font(style.size, style.bold).size(text)[0] / FINE)


def line_height(style: Style) -> int:
    """How high one line is, in pixels."""
    return math.ceil(font(style.size, style.bold).get_height() / FINE)


@lru_cache(maxsize=512)
def shorten(text: str, style: Style, room: int) -> str:
    """`text` cleaned and, where it is wider than `room` pixels, ended with an ellipsis; empty if even that is wider."""
    text = clean(text)
    if width(text, style) <= room:
        return text
    low, high = -1, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        if width(text[:middle].rstrip() + "…", style) <= room:
            low = middle
        else:
            high = middle
    return text[:low].rstrip() + "…" if low >= 0 else ""


@lru_cache(maxsize=256)
def wrap(text: str, style: Style, room: int, lines: int) -> tuple[str, ...]:
    """`text` in at most `lines` about equal lines of `room` pixels; what does not fit ends in an ellipsis."""
    wrapped = _fill(text, style, room, lines)
    narrow = room
    while len(wrapped) > 1 and not wrapped[-1].endswith("…") and narrow > room // 2:
        narrow -= max(1, room // 40)
        narrower = _fill(text, style, narrow, lines)
        if len(narrower) > len(wrapped) or any(line.endswith("…") for line in narrower):
            break
        wrapped = narrower
    return wrapped


def _fill(text: str, style: Style, room: int, lines: int) -> tuple[str, ...]:
    """As many words on each line as it takes."""
    words = clean(text).split()
    wrapped: list[str] = []
    while words and len(wrapped) < lines:
        count = 1
        while count < len(words) and width(" ".join(words[: count + 1]), style) <= room:
            count += 1
        last = len(wrapped) == lines - 1
        wrapped.append(shorten(" ".join(words if last else words[:count]), style, room))
        del words[:count]
    return tuple(line for line in wrapped if line)


def fitting(text: str, style: Style, room: int, *, smallest: int, lines: int = 1) -> Style:
    """`style`, made smaller down to `smallest` until the whole text fits into `lines` lines of `room` pixels."""
    while style.size > smallest and any(line.endswith("…") for line in wrap(text, style, room, lines)):
        style = replace(style, size=max(smallest, int(style.size * 0.9)))
    return style


@lru_cache(maxsize=256)
def picture(line: str, style: Style, ink: RGB = _ANY) -> pygame.Surface:
    """A line, already cleaned and shortened, as a picture."""
    large = font(style.size, style.bold).render(line, antialias=True, color=ink)
    return pygame.transform.smoothscale(large, (width(line, style), line_height(style)))
