"""What the screen looks like. After an intended change: pytest --snapshot-update, and look at every new picture."""

import pytest
from msgspec.structs import replace
from pygame import Surface
from syrupy.assertion import SnapshotAssertion

from station.model.api import BayState, Snapshot
from station.screen.render import View, picture
from tests.screen import samples
from tests.screen.pictures import same_picture
from tests.screen.samples import BENCH, CONFIRM, NOW, bay, emulate, station

HELD = station(
    replace(bay(BayState.ARMED), confirm=replace(CONFIRM, holding_since=NOW - 1.3)), touch=True, emulated=True
)
DEMO = station(emulate(bay(BayState.WORKING)), emulated=True)
UNTOUCHED = station(
    replace(bay(BayState.FAILED), result=samples.UNTOUCHED),
    notice="The disk is nearly full: 1.2 GB left. Ask an operator to remove old firmware.",
)
FOUR = station(*(emulate(replace(view, selected=view.bay == "3")) for view in BENCH[2:6]), emulated=True)
EMPTY = station(*(bay(BayState.EMPTY, number) for number in range(1, 5)))
SCENES: dict[str, Snapshot] = {
    "held": HELD,
    "demo": DEMO,
    "untouched": UNTOUCHED,
    "four": FOUR,
    "empty": EMPTY,
    "selected-failure": station(*(replace(view, selected=view.bay == "9") for view in BENCH[6:10])),
    "sixteen": station(*BENCH),
}


@pytest.mark.parametrize("state", BayState, ids=lambda state: state.value)
def test_one_bay(state: BayState, pictures: SnapshotAssertion) -> None:
    assert picture(View(station(bay(state))), (800, 480), NOW) == pictures


@pytest.mark.parametrize("scene", SCENES)
def test_scene(scene: str, pictures: SnapshotAssertion) -> None:
    assert picture(View(SCENES[scene]), (800, 480), NOW) == pictures


@pytest.mark.parametrize("scene", ["held", "demo", "untouched", "sixteen", "selected-failure"])
@pytest.mark.parametrize("size", [(480, 320), (480, 800), (1920, 1080)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_other_sizes(scene: str, size: tuple[int, int], pictures: SnapshotAssertion) -> None:
    assert picture(View(SCENES[scene]), size, NOW) == pictures


def test_no_daemon(pictures: SnapshotAssertion) -> None:
    assert picture(View(None), (800, 480), NOW) == pictures


def test_refusal(pictures: SnapshotAssertion) -> None:
    view = View(station(bay(BayState.READY)), note="The battery is nearly empty. Charge the phone for ten minutes.")
    assert picture(view, (800, 480), NOW) == pictures


def test_a_shift_by_one_pixel_is_noticed() -> None:
    before = picture(View(DEMO), (480, 320), NOW)
    after = Surface(before.get_size())
    after.blit(before, (0, 1))
    assert same_picture(before, before.copy())
    assert not same_picture(before, after)
