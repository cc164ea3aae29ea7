"""Every model looks as it looks: who compares the picture with what lies in their hand must not doubt."""

import pygame
import pytest
from pygame import Color, Rect, Surface

from station.core import guides
from station.model.guide import Family, Key, Target
from station.screen import handset
from station.screen.canvas import Canvas
from station.screen.handset import BODIES, USUAL, Build, build_of
from station.virtual.phones.models import MODELS, Model


@pytest.mark.parametrize(
    ("product_type", "build"),
    [
        ("iPhone6,1", Build.HOME_TOP),
        ("iPhone8,1", Build.HOME),
        ("iPhone8,4", Build.HOME_TOP),
        ("iPhone9,3", Build.HOME),
        ("iPhone10,1", Build.HOME),
        ("iPhone10,6", Build.NOTCH),
        ("iPhone11,8", Build.NOTCH),
        ("iPhone12,8", Build.HOME),
        ("iPhone13,2", Build.NOTCH),
        ("iPhone14,6", Build.HOME),
        ("iPhone14,7", Build.NOTCH),
        ("iPhone15,2", Build.ISLAND),
        ("iPhone15,4", Build.ISLAND),
        ("iPhone17,1", Build.ISLAND),
        ("iPhone17,5", Build.NOTCH),
        ("iPhone18,1", Build.ISLAND),
        ("iPad7,11", Build.PAD_HOME),
        ("iPad8,1", Build.PAD),
        ("iPad12,1", Build.PAD_HOME),
        ("iPad13,1", Build.PAD),
        ("iPod9,1", Build.HOME_TOP),
        ("", Build.NOTCH),
        ("something else", Build.NOTCH),
    ],
)
def test_a_model_looks_as_it_looks(product_type: str, build: Build) -> None:
    assert build_of(product_type) is build


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.product_type)
def test_every_key_of_a_guide_is_on_the_phone(model: Model) -> None:
    product_type = model.product_type
    family = guides.family_of(product_type)
    assert family is not None
    keys = set(BODIES[build_of(product_type, family)].keys)
    for target in Target:
        for press in guides.steps(family, target):
            assert {Key.TOP if key is Key.SIDE and key not in keys else key for key in press.keys} <= keys | {Key.HOME}


@pytest.mark.parametrize("family", Family)
def test_an_unknown_model_looks_like_its_family(family: Family) -> None:
    assert build_of("", family) is USUAL[family]


@pytest.mark.parametrize("build", Build)
@pytest.mark.parametrize("size", [(20, 20), (60, 200), (400, 90), (300, 400)])
def test_it_stays_in_its_place_with_all_its_marks(build: Build, size: tuple[int, int]) -> None:
    surface = Surface((640, 640))
    canvas = Canvas(surface, 0.0)
    canvas.clear()
    empty = surface.get_at((0, 0))
    box = Rect(100, 100, *size)
    for marked in (False, True):
        drawn = handset.draw(canvas, box, build, BODIES[build].keys, marked=marked, push=0.0)
        assert box.contains(drawn.body)
    surface.fill(empty, box)
    assert not _differs(surface, empty)


def _differs(surface: Surface, colour: Color) -> bool:
    """Whether anything has another colour."""
    alike = pygame.mask.from_threshold(surface, colour, (1, 1, 1, 255))
    return alike.count() != surface.get_width() * surface.get_height()
