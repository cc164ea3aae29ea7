"""Everybody can read it: contrast by WCAG 2.2, level AA."""

import pytest

from station.model.api import BayState
from station.screen import theme
from station.screen.theme import LOOKS, Colour, tinted

TEXT_RATIO = 4.5
"""Success criterion 1.4.3."""
SHAPE_RATIO = 3.0
"""Success criterion 1.4.11."""


def luminance(colour: Colour) -> float:
    """Relative luminance as WCAG defines it."""
    shares = (value / 255 for value in colour)
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Colour, other: Colour) -> float:
    """From 1 (the same) to 21 (black and white)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


GROUNDS = [theme.BACKGROUND, theme.CARD, *(tinted(state) for state in BayState)]


@pytest.mark.parametrize("ground", GROUNDS)
def test_text_on_every_ground(ground: Colour) -> None:
    for colour in (theme.TEXT, theme.MUTED, theme.BLUE):
        assert contrast(colour, ground) >= TEXT_RATIO


@pytest.mark.parametrize("state", BayState)
def test_a_state_is_readable_and_stands_out(state: BayState) -> None:
    colour = LOOKS[state].colour
    assert contrast(theme.INK, colour) >= TEXT_RATIO
    assert contrast(colour, tinted(state)) >= SHAPE_RATIO


def test_tags_buttons_and_bars() -> None:
    assert contrast(theme.VIOLET, theme.VIOLET_DEEP) >= TEXT_RATIO
    assert contrast(theme.TEXT, theme.RAISED) >= TEXT_RATIO
    assert contrast(theme.YELLOW, theme.LINE) >= SHAPE_RATIO
    assert contrast(theme.BLUE, theme.LINE) >= SHAPE_RATIO


def test_the_ratio_itself() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert contrast((119, 119, 119), (255, 255, 255)) == pytest.approx(4.48, abs=0.01)
