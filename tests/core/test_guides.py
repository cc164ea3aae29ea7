"""The presses of every family, as a person reads them."""

import pytest

from station.core import guides
from station.core.models import _MODELS
from station.model.guide import FAMILY_WORDS, TARGET_WORDS, Family, Key, Target

BUTTONS = {
    Family.FACE: {Key.UP, Key.DOWN, Key.SIDE},
    Family.SEVEN: {Key.DOWN, Key.SIDE},
    Family.HOME: {Key.HOME, Key.SIDE},
    Family.PAD: {Key.UP, Key.DOWN, Key.TOP},
    Family.PAD_HOME: {Key.HOME, Key.TOP},
}
EVERY = [(family, target) for family in Family for target in Target]


@pytest.mark.parametrize(("family", "target"), EVERY)
def test_every_family_has_a_way_to_every_target(family, target):
    presses = guides.GUIDES[family, target]
    assert {key for press in presses for key in press.keys} == BUTTONS[family]
    held = sum(press.seconds for press in presses if press.keys)
    assert 10 <= held <= 60, "shorter does nothing, longer nobody holds"
    assert presses[-1].until_seen, "the last one ends when USB shows it"
    assert all(0 < press.seconds <= 90 for press in presses)


@pytest.mark.parametrize(("family", "target"), EVERY)
def test_what_it_says_is_short_and_names_what_is_pressed(family, target):
    ready, *presses = guides.steps(family, target)
    assert not ready.keys, "first one gets ready"
    assert len(ready.says) <= 80
    for press in presses:
        assert 10 < len(press.says) <= 70, press.says
        assert press.says.endswith(".")
        newly = [key for key in press.keys if key in (Key.UP, Key.DOWN, Key.HOME)]
        for key in newly:
            assert key.value in press.says
        if Key.TOP in press.keys:
            assert "top button" in press.says or "as well" in press.says


@pytest.mark.parametrize("target", Target)
def test_new_phones_are_warned_of_emergency_calls(target):
    assert "Emergency SOS" in guides.warning(Family.FACE, target, known=True)
    assert "Emergency SOS" in guides.warning(Family.SEVEN, target, known=False), "perhaps it is a newer one"
    assert "Emergency SOS" not in guides.warning(Family.SEVEN, target, known=True)
    assert "Emergency SOS" not in guides.warning(Family.PAD, target, known=False), "iPads do not call"


@pytest.mark.parametrize("family", [family for family in Family if family is not Family.PAD])
def test_the_way_to_dfu_names_the_cable_that_does_not_lead_there(family):
    assert "USB-A" in guides.warning(family, Target.DFU, known=True)
    assert "USB-A" not in guides.warning(family, Target.RECOVERY, known=True)


@pytest.mark.parametrize(
    ("product_type", "family"),
    [
        ("iPhone6,1", Family.HOME),
        ("iPhone8,1", Family.HOME),
        ("iPhone8,4", Family.HOME),
        ("iPhone9,3", Family.SEVEN),
        ("iPhone10,1", Family.FACE),
        ("iPhone10,6", Family.FACE),
        ("iPhone12,8", Family.FACE),
        ("iPhone18,3", Family.FACE),
        ("iPad7,11", Family.PAD_HOME),
        ("iPad8,1", Family.PAD),
        ("iPad11,6", Family.PAD_HOME),
        ("iPad12,2", Family.PAD_HOME),
        ("iPad13,18", Family.PAD),
        ("iPad16,3", Family.PAD),
        ("iPod9,1", Family.SEVEN),
        ("Watch6,1", None),
        ("", None),
    ],
)
def test_the_family_of_a_model(product_type, family):
    assert guides.family_of(product_type) is family


def test_every_model_that_the_station_knows_has_a_family():
    assert all(guides.family_of(product_type) is not None for product_type, _ in _MODELS.values())


def test_every_family_and_target_has_words():
    assert FAMILY_WORDS.keys() == set(Family)
    assert TARGET_WORDS.keys() == set(Target)
    assert guides.NEXT_FAMILY.keys() == set(Family)
