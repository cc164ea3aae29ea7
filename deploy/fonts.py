#!/usr/bin/env python3
"""Cut the fonts for Arabic and Chinese out of Debian's packages, so that the repository stays small.

    deploy/fonts.py [DIR]  writes station/screen/fonts, from packages in DIR or fetched (apt-get download, as anybody)

To be run when a catalog has a character that no font has, which a test says. Chinese gets the characters of its
catalog and no more; Arabic its whole alphabet, with the forms that letters take beside each other.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import polib
from fontTools import subset
from fontTools.ttLib import TTCollection, TTFont

from station.model.face import LANGUAGE_NAMES

ROOT = Path(__file__).resolve().parents[1]
FONTS = ROOT / "station" / "screen" / "fonts"
CATALOGS = ROOT / "station" / "screen" / "languages"

ARABIC = frozenset(map(chr, (*range(0x600, 0x6D4), *range(0x200C, 0x2010)))) | set(" 0123456789")
MARKS = frozenset("，。、；：！？（）《》「」【】·…—％")
SOURCES = {
    # Our file: Debian's package, and the file in it.
    "NotoSansArabicUI-Medium.ttf": ("fonts-noto-ui-extra", "truetype/noto/NotoSansArabicUI-Medium.ttf"),
    "NotoSansArabicUI-Bold.ttf": ("fonts-noto-ui-core", "truetype/noto/NotoSansArabicUI-Bold.ttf"),
    "NotoSansSC-Medium.otf": ("fonts-noto-cjk-extra", "opentype/noto/NotoSansCJK-Medium.ttc"),
    "NotoSansSC-Bold.otf": ("fonts-noto-cjk", "opentype/noto/NotoSansCJK-Bold.ttc"),
}
SIMPLIFIED = "Noto Sans CJK SC"


def chinese() -> set[str]:
    """Every character that the Chinese catalog needs."""
    said = "".join(entry.msgstr for entry in polib.pofile(str(CATALOGS / "zh.po")))
    every = {*said, *"".join(LANGUAGE_NAMES.values()), *MARKS}
    return {character for character in every if ord(character) > 0x2E7F} | {" "}


def opened(path: Path) -> TTFont:
    """A font; of a collection the one for simplified Chinese."""
    if path.suffix != ".ttc":
        return TTFont(path)
    fonts = TTCollection(path, lazy=True).fonts
    return next(font for font in fonts if str(font["name"].getDebugName(4)).startswith(SIMPLIFIED))


def cut(font: TTFont, characters: set[str] | frozenset[str], to: Path) -> None:
    """Write what is left of a font when it has these characters only."""
    options = subset.Options(layout_features=["*"], hinting=False, name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14])
    if to.suffix == ".otf":  # no vertical text, no old forms
        options.layout_features = ["kern", "palt", "locl", "ccmp"]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[ord(character) for character in characters])
    cutter.subset(font)
    font["head"].modified = font["head"].created  # the same file every time
    font.recalcTimestamp = False
    font.save(to)
    print(f"{to.name}: {len(font.getBestCmap())} characters, {to.stat().st_size / 1000:.0f} kB")


def main(arguments: list[str]) -> int:
    """Fetch and cut."""
    with tempfile.TemporaryDirectory() as directory:
        packages = Path(arguments[0]) if arguments else Path(directory)
        if not arguments:
            names = sorted({package for package, _ in SOURCES.values()})
            subprocess.run(["apt-get", "download", "--quiet", *names], cwd=packages, check=True)  # noqa: S607
        for package in packages.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, directory], check=True)  # noqa: S607
        for name, (_, path) in SOURCES.items():
            source = Path(directory, "usr", "share", "fonts", path)
            cut(opened(source), chinese() if name.endswith(".otf") else ARABIC, FONTS / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
