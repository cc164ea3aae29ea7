"""Text that always fits: words from strangers made harmless, ours said in the station's language, shortened, broken.

What comes in here is English, and what is measured is what will be drawn: `wrap` and its like translate first, and
return lines in the language that is spoken. `picture` draws such a line.

Names come from phones, and a phone's name may be anything: NUL and lone surrogates (which raise in SDL_ttf),
direction overrides, 5,000 characters, a hundred accents on one letter.
"""

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import lru_cache

import pygame

from station.model.face import Language
from station.screen import shaping, speech
from station.screen.theme import RGB, TEXT, Colour

LONGEST = 300
"""More characters than this fit on no screen; cut before any costly look at them."""
ACCENTS = 2
"""Combining marks kept on one letter; none without a letter."""
_NO_CHARACTER = "\ue000"
_ANY: RGB = (255, 255, 255)
"""What is only measured has no colour."""


@dataclass(frozen=True)
class Style:
    """How text looks. `size` is the em in pixels."""

    size: int
    colour: Colour = TEXT
    bold: bool = False


@lru_cache(maxsize=1024)
def _known(character: str) -> bool:
    """Whether the font has the character. It draws a box for all others, which tells nobody anything."""
    return character.isascii() or _drawn(character) != _drawn(_NO_CHARACTER)


def _drawn(character: str) -> bytes:
    """A character after a letter: alone, some are too narrow to be drawn, and pygame refuses them."""
    latin = shaping.font(16, bold=False)
    return pygame.image.tobytes(latin.render(f"o{character}", antialias=False, color=_ANY), "RGBA")


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


def said(text: str) -> str:
    """What is shown of an English text: cleaned, and in the language that is spoken."""
    return _said(text, speech.spoken())


@lru_cache(maxsize=1024)
def _said(text: str, _language: Language) -> str:
    return text if speech.is_name_of_language(text) else speech.say(clean(text))


def width(text: str, style: Style) -> int:
    """How wide a line is, in pixels."""
    return _width(said(text), style)


def _width(line: str, style: Style) -> int:
    return shaping.width(line, style.size, style.bold)


def line_height(style: Style) -> int:
    """How high one line is, in pixels."""
    return shaping.line_height(style.size, style.bold)


def shorten(text: str, style: Style, room: int) -> str:
    """`text` as it is shown and, if wider than `room` pixels, ended with an ellipsis; empty if even that is wider."""
    return _shorten(said(text), style, room)


@lru_cache(maxsize=512)
def _shorten(text: str, style: Style, room: int) -> str:
    text = text.replace(_HYPHEN, "")
    if _width(text, style) <= room:
        return text
    low, high = -1, len(text)
    while high - low > 1:
        middle = (low + high) // 2
        if _width(text[:middle].rstrip() + "…", style) <= room:
            low = middle
        else:
            high = middle
    return text[:low].rstrip() + "…" if low >= 0 else ""


def wrap(text: str, style: Style, room: int, lines: int) -> tuple[str, ...]:
    """`text` in at most `lines` about equal lines of `room` pixels; what does not fit ends in an ellipsis."""
    return _wrap(said(text), style, room, lines)


@lru_cache(maxsize=256)
def _wrap(text: str, style: Style, room: int, lines: int) -> tuple[str, ...]:
    wrapped = _fill(text, style, room, lines)
    narrow = room
    while len(wrapped) > 1 and not wrapped[-1].endswith("…") and narrow > room // 2:
        narrow -= max(1, room // 40)
        narrower = _fill(text, style, narrow, lines)
        if len(narrower) > len(wrapped) or any(line.endswith("…") for line in narrower):
            break
        wrapped = narrower
    return wrapped


_HYPHEN = "\u00ad"
"""Where a translation lets a long word be broken."""
_WIDE = "\u2e80-\ua4cf\uf900-\ufaff\uff00-\uffef"
_CLOSING = "，。、；：！？）》」』】”’…·,.;:!?)%"
_OPENING = "（《「『【“‘("
_UNITS = re.compile(
    rf"[{_OPENING}]*[{_WIDE}][{re.escape(_CLOSING)}]* ?"  # a Chinese character, which is a word
    rf"|(?:(?![{_WIDE}])[^ {_HYPHEN}])+(?:[{re.escape(_CLOSING)}]+|{_HYPHEN})? ?"
    rf"|[^ ] ?"
)
"""What a line is not broken within: a word, a part of one up to a hyphen, a Chinese character with its marks."""


def _joined(units: list[str]) -> str:
    """Units as one line: a hyphen shows only at its end."""
    line = "".join(units).rstrip()
    return line.replace(_HYPHEN, "") + ("-" if line.endswith(_HYPHEN) else "")


def _fill(text: str, style: Style, room: int, lines: int) -> tuple[str, ...]:
    """As many words on each line as it takes."""
    units = _UNITS.findall(text)
    wrapped: list[str] = []
    while units and len(wrapped) < lines:
        if len(wrapped) == lines - 1:
            wrapped.append(_shorten("".join(units), style, room))
            break
        fits = range(2, len(units) + 1)
        count = 1 + bisect_right(fits, room, key=lambda many: _width(_joined(units[:many]), style))
        wrapped.append(_shorten(_joined(units[:count]), style, room))
        del units[:count]
    return tuple(line for line in wrapped if line)


def fitting(text: str, style: Style, room: int, *, smallest: int, lines: int = 1) -> Style:
    """`style`, made smaller down to `smallest` until the whole text fits into `lines` lines of `room` pixels."""
    while style.size > smallest and any(line.endswith("…") for line in wrap(text, style, room, lines)):
        style = replace(style, size=max(smallest, int(style.size * 0.9)))
    return style


@lru_cache(maxsize=256)
def picture(line: str, style: Style, ink: RGB = _ANY) -> pygame.Surface:
    """A line that `wrap` returned, as a picture."""
    return shaping.picture(line, style.size, style.bold, ink)
