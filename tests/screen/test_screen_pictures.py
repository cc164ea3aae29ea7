"""What the screen looks like. After an intended change: pytest --snapshot-update, and look at every new picture.

All of the gallery is kept at the size of the first display, and what is laid out differently elsewhere at others;
`python -m tests.screen.contact_sheet` draws all of it at every size.
"""

import pytest
from pygame import Surface
from syrupy.assertion import SnapshotAssertion

from station.screen.canvas import Canvas
from station.screen.render import picture, render
from tests.screen.contact_sheet import sheets
from tests.screen.gallery import GALLERY
from tests.screen.pictures import same_picture
from tests.screen.samples import NOW

UPRIGHT = (
    "backup",
    "certificate",
    "confirm-touch",
    "done",
    "families",
    "guide-dfu",
    "locked",
    "services",
    "sixteen",
    "trust",
    "welcome",
    "working",
)
WIDE = ("confirm-held", "guide-pad", "locked", "sixteen", "working-backup")
TINY = ("confirm-touch", "done", "guide-dfu", "locked", "services", "sixteen", "untouched", "working-backup")
OTHERS = (
    *((name, (720, 1280)) for name in UPRIGHT),
    *((name, (1280, 720)) for name in WIDE),
    *((name, (480, 320)) for name in TINY),
)
MOMENTS = {"trust": 0.5, "unlock": 3.0, "silent": 1.5, "guide-up": 0.5}
"""Of what moves: seconds later than in the gallery."""
CALM = 1 / 20
"""Seconds between two pictures, at least: only what follows a finger is quicker."""


@pytest.mark.parametrize("name", GALLERY)
def test_picture(name: str, pictures: SnapshotAssertion) -> None:
    assert picture(GALLERY[name], (800, 480), NOW) == pictures


@pytest.mark.parametrize(
    ("name", "size"), OTHERS, ids=lambda value: value if isinstance(value, str) else "x".join(map(str, value))
)
def test_other_size(name: str, size: tuple[int, int], pictures: SnapshotAssertion) -> None:
    assert picture(GALLERY[name], size, NOW) == pictures


@pytest.mark.parametrize("name", MOMENTS)
def test_what_moves(name: str, pictures: SnapshotAssertion) -> None:
    assert picture(GALLERY[name], (800, 480), NOW + MOMENTS[name]) == pictures


@pytest.mark.parametrize("name", ["trust", "unlock", "silent", "guide-up"])
def test_what_moves_asks_to_be_drawn_again_and_stays_calm(name: str) -> None:
    canvas = Canvas(Surface((800, 480)), NOW)
    render(GALLERY[name], canvas)
    assert canvas.due is not None
    assert canvas.due - NOW >= CALM


@pytest.mark.parametrize("name", ["welcome", "phone", "done", "failed", "services", "sixteen-done"])
def test_what_stands_still_costs_nothing(name: str) -> None:
    canvas = Canvas(Surface((800, 480)), NOW)
    render(GALLERY[name], canvas)
    assert canvas.due is None


def test_a_contact_sheet_can_be_drawn() -> None:
    (sheet,) = sheets({name: GALLERY[name] for name in ("welcome", "sixteen")}, (480, 320), columns=2)
    assert sheet.get_width() > 2 * 480


def test_a_shift_by_one_pixel_is_noticed() -> None:
    before = picture(GALLERY["working-demo"], (480, 320), NOW)
    after = Surface(before.get_size())
    after.blit(before, (0, 1))
    assert same_picture(before, before.copy())
    assert not same_picture(before, after)
