"""Lines of text in any of the screen's languages: which way each part runs, which font it has, how wide it is.

Inter has Latin letters only; Arabic and Chinese have a font of Noto's each. HarfBuzz, which is in SDL_ttf, joins
Arabic letters, and is told the direction of each run; the order of the runs is python-bidi's (Unicode's UAX #9).
A line in Latin letters alone, which nearly all are, is one run and takes the short way.
"""

import math
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib import resources

import pygame
from bidi import algorithm as bidi

RGB = tuple[int, int, int]
FINE = 3
"""How many times larger letters are drawn before they are shrunk: SDL_ttf puts each on a whole pixel, which
shows as uneven spacing in small text."""


class Script(Enum):
    """Which font: its file's name, and its script for HarfBuzz."""

    LATIN = "Inter-{weight}.ttf", "Latn"
    ARABIC = "NotoSansArabicUI-{weight}.ttf", "Arab"
    CHINESE = "NotoSansSC-{weight}.otf", "Hani"


SCALE = {Script.LATIN: 1.0, Script.ARABIC: 1.0, Script.CHINESE: 0.96}
"""How large each font is drawn beside the others: Chinese characters fill their whole square."""
_BLOCKS = (
    (0x0590, 0x08FF, Script.ARABIC),
    (0xFB1D, 0xFDFF, Script.ARABIC),
    (0xFE70, 0xFEFE, Script.ARABIC),
    (0x2E80, 0xA4CF, Script.CHINESE),
    (0xF900, 0xFAFF, Script.CHINESE),
    (0xFF00, 0xFFEF, Script.CHINESE),
)
"""First and last character of the blocks that are not Inter's."""
_FIRST = 0x0590
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_EMBEDDING = dict.fromkeys(map(ord, "\u200e\u200f\u202a\u202b\u202c"))


@dataclass(frozen=True)
class Run:
    """A part of a line in one font and one direction, its characters in the order in which they are read."""

    text: str
    script: Script
    backward: bool


@lru_cache(maxsize=256)
def font(size: int, bold: bool, script: Script = Script.LATIN, backward: bool = False) -> pygame.font.Font:
    """A bundled font, FINE times larger than `size`, for runs of one direction."""
    pygame.font.init()
    file, tag = script.value
    name = file.format(weight="Bold" if bold else "Medium")
    with resources.as_file(resources.files("station.screen") / "fonts" / name) as path:
        made = pygame.font.Font(str(path), round(max(size, 1) * FINE * SCALE[script]))
    if script is not Script.LATIN or backward:
        made.set_script(tag)
        made.set_direction(pygame.DIRECTION_RTL if backward else pygame.DIRECTION_LTR)
    return made


def script_of(character: str) -> Script:
    """The font that has a character, if any has."""
    code = ord(character)
    if code < _FIRST:
        return Script.LATIN
    return next((script for first, last, script in _BLOCKS if first <= code <= last), Script.LATIN)


@lru_cache(maxsize=512)
def runs(line: str) -> tuple[Run, ...]:
    """A line's runs from left to right as they are drawn. What has an Arabic letter in it runs from the right."""
    if _is_plain(line):
        return (Run(line, Script.LATIN, backward=False),) if line else ()
    drawn: list[tuple[str, Script, int]] = []
    for character, level in _in_order(line):
        script = script_of(character)
        if drawn and drawn[-1][2] == level and (drawn[-1][1] is script or character == " "):
            drawn[-1] = (drawn[-1][0] + character, drawn[-1][1], level)
        else:
            drawn.append((character, script, level))
    return tuple(
        Run(text[::-1] if level % 2 else text, script, backward=level % 2 == 1) for text, script, level in drawn
    )


def _is_plain(line: str) -> bool:
    """Whether all of it is Inter's, and runs forward."""
    return line.isascii() or all(ord(char) < _FIRST or 0x2010 <= ord(char) <= 0x2029 for char in line)


def _parts(line: str) -> list[tuple[str, Script]]:
    """A line's parts of one font each, in no particular order: to measure it, their order does not matter."""
    if _is_plain(line):
        return [(line, Script.LATIN)] if line else []
    parts: list[tuple[str, Script]] = []
    for character in line.translate(_EMBEDDING):
        script = script_of(character)
        if parts and (parts[-1][1] is script or character == " "):
            parts[-1] = (parts[-1][0] + character, parts[-1][1])
        else:
            parts.append((character, script))
    return parts


def _in_order(line: str) -> list[tuple[str, int]]:
    """The characters from left to right as they are drawn, each with its embedding level: odd ones run backward."""
    if not any(script_of(character) is Script.ARABIC for character in line):
        return [(character, 0) for character in line.translate(_EMBEDDING)]
    storage = bidi.get_empty_storage()
    storage["base_level"], storage["base_dir"] = 1, "R"
    bidi.get_embedding_levels(line, storage)
    bidi.explicit_embed_and_overrides(storage)
    bidi.resolve_weak_types(storage)
    bidi.resolve_neutral_types(storage, debug=False)
    bidi.resolve_implicit_levels(storage, debug=False)
    bidi.reorder_resolved_levels(storage, debug=False)
    return [(each["ch"], each["level"]) for each in storage["chars"]]


@lru_cache(maxsize=4096)  # breaking a text into equal lines measures the same beginnings again and again
def width(line: str, size: int, bold: bool) -> int:
    """How wide a line is, in pixels."""
    large = sum(font(size, bold, script, script is Script.ARABIC).size(part)[0] for part, script in _parts(line))
    return math.ceil(large / FINE)


def line_height(size: int, bold: bool) -> int:
    """How high every line is, in pixels, whatever is in it."""
    return math.ceil(font(size, bold).get_height() / FINE)


def picture(line: str, size: int, bold: bool, ink: RGB) -> pygame.Surface:
    """A line, drawn large and shrunk."""
    usual = font(size, bold)
    parts = runs(line)
    if len(parts) == 1 and parts[0].script is Script.LATIN:
        large = font(size, bold, Script.LATIN, parts[0].backward).render(parts[0].text, antialias=True, color=ink)
    else:
        fonts = [font(size, bold, run.script, run.backward) for run in parts]
        images = [each.render(run.text, antialias=True, color=ink) for each, run in zip(fonts, parts, strict=True)]
        whole = max(1, sum(image.get_width() for image in images))
        large = pygame.Surface((whole, usual.get_height()), pygame.SRCALPHA)
        large.fill((*ink, 0))
        left = 0
        for each, image in zip(fonts, images, strict=True):  # all on one base line
            large.blit(image, (left, usual.get_ascent() - each.get_ascent()))
            left += image.get_width()
    return pygame.transform.smoothscale(large, (width(line, size, bold), line_height(size, bold)))
