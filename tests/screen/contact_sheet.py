"""Every screen in every state on a few large pictures, to be looked at with a critical eye.

python -m tests.screen.contact_sheet DIR [SIZE …] [--only NAME …]
"""

import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import pygame
from pygame import Surface

from station.screen import text
from station.screen.render import View, picture
from station.screen.text import Style
from tests.screen.gallery import GALLERY
from tests.screen.samples import NOW

SIZES = ((800, 480), (1280, 720), (720, 1280))
WIDEST, HIGHEST = 3300, 3300
"""No sheet is larger, in pixels: it must be seen at a glance."""
GAP, LABEL = 16, 30
PAPER, INK = (96, 100, 106), (255, 255, 255)


def sheets(named: dict[str, View], size: tuple[int, int], *, columns: int | None = None) -> Iterable[Surface]:
    """The views, in order, on as many sheets as it takes."""
    width, height = size[0] + GAP, size[1] + GAP + LABEL
    columns = columns or max(1, WIDEST // width)
    rows = max(1, HIGHEST // height)
    names = list(named)
    for first in range(0, len(names), columns * rows):
        here = names[first : first + columns * rows]
        sheet = Surface((columns * width + GAP, -(-len(here) // columns) * height + GAP))
        sheet.fill(PAPER)
        for number, name in enumerate(here):
            row, column = divmod(number, columns)
            left, top = GAP + column * width, GAP + row * height
            sheet.blit(text.picture(name, Style(22, bold=True), INK), (left, top))
            sheet.blit(picture(named[name], size, NOW), (left, top + LABEL))
        yield sheet


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the sheets, and say where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("sizes", nargs="*", default=[f"{width}x{height}" for width, height in SIZES])
    parser.add_argument("--only", nargs="+", default=[""], help="only views whose names begin so")
    parser.add_argument("--columns", type=int)
    chosen = parser.parse_args(arguments)
    chosen.directory.mkdir(parents=True, exist_ok=True)
    views = {name: view for name, view in GALLERY.items() if name.startswith(tuple(chosen.only))}
    for said in chosen.sizes:
        width, height = (int(part) for part in said.split("x"))
        for number, sheet in enumerate(sheets(views, (width, height), columns=chosen.columns), 1):
            path = chosen.directory / f"{said}-{number}.png"
            pygame.image.save(sheet, path)
            print(path)  # noqa: T201 it is a program


if __name__ == "__main__":
    main()
