"""Everybody can read it: contrast by WCAG 2.2, of every pair of colours that meet, in both palettes."""

import pytest
from msgspec.structs import replace
from pygame import Rect, Surface

from station.model.api import BayState
from station.model.face import Face
from station.screen.canvas import LARGE, Canvas
from station.screen.render import View, picture
from station.screen.text import Style
from station.screen.theme import (
    BACKGROUND,
    BLUE,
    CALM,
    CARD,
    GREEN,
    GREY,
    INK,
    LINE,
    LOOKS,
    MUTED,
    NOT_YET,
    RAISED,
    RED,
    RGB,
    STRONG,
    TEXT,
    TRACK,
    VIOLET,
    VIOLET_DEEP,
    YELLOW,
    Colour,
    Palette,
    Tone,
    mix,
    palette,
    rgb,
    tinted,
)
from tests.screen.samples import BENCH, NOW, bay, station

SHAPE_RATIO = 3.0
"""Success criterion 1.4.11: what is no text, and has to be seen."""


def luminance(colour: RGB) -> float:
    """Relative luminance as WCAG defines it."""
    shares = (value / 255 for value in colour)
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: RGB, other: RGB) -> float:
    """From 1 (the same) to 21 (black and white)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


GROUNDS: list[Colour] = [
    BACKGROUND,
    CARD,
    RAISED,
    *(mix(CARD, colour, 0.16) for colour in (YELLOW, BLUE)),  # strips
    mix(CARD, BLUE, 0.05),
    *(tinted(state) for state in BayState),
    *(mix(tinted(state), TEXT, 0.08) for state in BayState),  # a tile under the finger
]


@pytest.fixture(params=[(CALM, 4.5), (STRONG, 7.0)], ids=["calm", "strong"])
def looks(request: pytest.FixtureRequest) -> tuple[Palette, float]:
    """A palette, and the least contrast of its texts: success criteria 1.4.3 (AA) and 1.4.6 (AAA)."""
    chosen: tuple[Palette, float] = request.param
    return chosen


@pytest.mark.parametrize("ground", GROUNDS, ids=str)
def test_text_on_every_ground(looks: tuple[Palette, float], ground: Colour) -> None:
    shown, least = looks
    for colour in (TEXT, MUTED, BLUE, YELLOW):
        assert contrast(rgb(colour, shown), rgb(ground, shown)) >= least, colour


@pytest.mark.parametrize("state", BayState)
def test_a_state_is_readable_and_stands_out(looks: tuple[Palette, float], state: BayState) -> None:
    shown, least = looks
    colour = rgb(LOOKS[state].colour, shown)
    assert contrast(rgb(INK, shown), colour) >= least
    for ground in (tinted(state), BACKGROUND, CARD):
        assert contrast(colour, rgb(ground, shown)) >= SHAPE_RATIO


def test_tags_marks_and_what_is_pressed(looks: tuple[Palette, float]) -> None:
    shown, least = looks
    assert contrast(rgb(VIOLET, shown), rgb(VIOLET_DEEP, shown)) >= least
    assert contrast(rgb(INK, shown), rgb(mix(BLUE, INK, 0.25), shown)) >= 4.5
    assert contrast(rgb(TEXT, shown), rgb(mix(RAISED, TEXT, 0.25), shown)) >= 4.5
    for mark in (GREEN, RED, GREY, NOT_YET.colour):
        assert contrast(rgb(mark, shown), rgb(BACKGROUND, shown)) >= SHAPE_RATIO


@pytest.mark.parametrize("colour", [YELLOW, BLUE, GREEN, LOOKS[BayState.WORKING].colour], ids=str)
def test_how_far_it_is_can_be_told(looks: tuple[Palette, float], colour: Colour) -> None:
    shown, _ = looks
    assert contrast(rgb(colour, shown), rgb(TRACK, shown)) >= SHAPE_RATIO


def test_where_there_are_no_greys_lines_tell_what_can_be_touched() -> None:
    for ground in (BACKGROUND, CARD, RAISED):
        assert contrast(rgb(LINE, STRONG), rgb(ground, STRONG)) >= SHAPE_RATIO
        assert contrast(rgb(TRACK, STRONG), rgb(ground, STRONG)) >= SHAPE_RATIO


def test_every_tone_has_a_colour_in_both() -> None:
    assert set(CALM) == set(STRONG) == set(Tone)


def test_the_ratio_itself() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)


def test_a_canvas_draws_in_its_faces_colours() -> None:
    for face in (Face(), Face(contrast=True)):
        surface = Surface((20, 20))
        Canvas(surface, NOW, face=face).fill(Rect(0, 0, 20, 20), BLUE)
        assert surface.get_at((5, 5))[:3] == palette(contrast=face.contrast)[BLUE]


def test_a_picture_with_strong_contrast_has_none_of_the_calm_grounds() -> None:
    shown = picture(View(replace(station(*BENCH), face=Face(contrast=True))), (800, 480), NOW)
    colours = {tuple(shown.get_at((x, y))[:3]) for x in range(0, 800, 7) for y in range(0, 480, 7)}
    assert not colours & {CALM[tone] for tone in (BACKGROUND, CARD, RAISED, LINE)}
    assert STRONG[BACKGROUND] in colours


def test_without_a_station_it_looks_as_it_did() -> None:
    assert picture(View(None, face=Face(contrast=True)), (480, 320), NOW).get_at((0, 0))[:3] == STRONG[BACKGROUND]


def test_large_print_is_larger() -> None:
    usual, large = (Canvas(Surface((800, 480)), NOW, face=Face(large=large)) for large in (False, True))
    assert large.px(100) == round(LARGE * usual.px(100))
    assert Style(large.px(20)).size > Style(usual.px(20)).size


def test_one_process_draws_both() -> None:
    plain, strong = (View(replace(station(bay(BayState.DONE)), face=Face(contrast=on))) for on in (False, True))
    first = picture(plain, (480, 320), NOW)
    picture(strong, (480, 320), NOW)
    again = picture(plain, (480, 320), NOW)
    assert first.get_buffer().raw == again.get_buffer().raw
