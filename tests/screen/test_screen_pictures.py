"""What the screen looks like. After an intended change: pytest --snapshot-update, and look at every new picture."""

import dataclasses

import pytest
from msgspec.structs import replace
from pygame import Surface
from syrupy.assertion import SnapshotAssertion

from station.model.api import BayState, BayView, OrderView, Snapshot
from station.model.consent import Options
from station.model.guide import Family, Seen
from station.model.guide import Target as Goal
from station.model.phone import PhoneMode
from station.model.service import Service
from station.screen.pages import Page, opened
from station.screen.render import View, picture
from tests.screen import samples
from tests.screen.pictures import same_picture
from tests.screen.samples import BENCH, CONFIRM, NOW, PHONE, bay, emulate, station

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
SOS = (
    "Do not hold the side button and a volume button together before the screen is black: "
    "that calls for help (Emergency SOS)."
)
TOO_EARLY = (
    "It only restarted: the buttons were let go too early. Hold on, past the apple. "
    "Again, a little slower: press “Next”."
)


def noted(view: View, note: str) -> View:
    """The same page, with an answer to the last touch."""
    return dataclasses.replace(view, note=note)


def at(view: BayView, page: Page) -> View:
    """A page of a station's only bay."""
    return View(station(view), place=opened(view, page))


RESTARTING = samples.offered(Service.RESTART)
UNDECIDED = samples.offered(Service.RESTORE, samples.UNDECIDED)
ERASING = samples.offered(Service.ERASE)
PAGES: dict[str, View] = {
    "phone": View(station(RESTARTING)),
    "undecided": View(station(UNDECIDED)),
    "locked": View(station(samples.offered(Service.ERASE, samples.LOCKED, samples.UNDECIDED))),
    "esim": at(replace(ERASING, options=Options(keep_esim=False)), Page.PHONE),
    "among-others": View(station(bay(BayState.EMPTY, 2), RESTARTING), place=opened(RESTARTING, Page.PHONE)),
    "services": at(samples.offered(Service.REINSTALL), Page.SERVICES),
    "symptoms": at(RESTARTING, Page.ASK),
    "advice": at(replace(RESTARTING, advice=samples.ADVICE), Page.ASK),
    "advice-presses": at(replace(RESTARTING, advice=samples.ADVISED_PRESSES), Page.ASK),
    "advice-ended": at(replace(RESTARTING, advice=samples.NO_ADVICE), Page.ASK),
    "backup": at(UNDECIDED, Page.BACKUP),
    "backup-impossible": at(replace(UNDECIDED, phone=replace(PHONE, mode=PhoneMode.RECOVERY)), Page.BACKUP),
    "facts": at(RESTARTING, Page.FACTS),
    "checks": at(replace(bay(BayState.DONE), result=samples.CHECKED), Page.CHECKS),
    "not-verified": View(station(replace(bay(BayState.FAILED), result=samples.NOT_CLEAN, advice=samples.ADVICE))),
    "families": at(bay(BayState.EMPTY), Page.FAMILY),
    "guide": View(station(samples.guided(Family.FACE, Goal.RECOVERY, 3, warning=SOS))),
    "guide-ready": View(station(samples.guided(Family.SEVEN, Goal.RECOVERY, 0))),
    "guide-home": View(station(samples.guided(Family.HOME, Goal.DFU, 1))),
    "guide-pad": View(station(samples.guided(Family.PAD, Goal.RECOVERY, 3, warning=SOS))),
    "guide-again": View(
        station(samples.guided(Family.PAD_HOME, Goal.RECOVERY, 9, seen=Seen.RESTARTED, says=TOO_EARLY))
    ),
    "guide-arrived": View(
        station(
            samples.guided(Family.FACE, Goal.RECOVERY, 9, seen=Seen.ARRIVED, says="It is in recovery mode. Let go.")
        )
    ),
    "confirm-reinstall": View(
        station(replace(bay(BayState.ARMED), confirm=replace(CONFIRM, service=Service.REINSTALL)))
    ),
    "confirm-put-back": View(
        station(replace(bay(BayState.ARMED), confirm=replace(CONFIRM, service=Service.PUT_BACK, target_version="")))
    ),
    "order": View(
        replace(
            station(*BENCH[2:8]),
            order=OrderView(service=Service.ERASE, bays=(), left=7, until=NOW + 7200, done=3, failed=0),
        )
    ),
    "refused": noted(at(RESTARTING, Page.ASK), "This phone is being worked on. Wait until it is done."),
}


@pytest.mark.parametrize("page", PAGES)
def test_page(page: str, pictures: SnapshotAssertion) -> None:
    assert picture(PAGES[page], (800, 480), NOW) == pictures


@pytest.mark.parametrize("page", ["undecided", "services", "advice", "backup", "facts", "checks", "guide"])
@pytest.mark.parametrize("size", [(480, 320), (720, 1280)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_page_of_another_size(page: str, size: tuple[int, int], pictures: SnapshotAssertion) -> None:
    assert picture(PAGES[page], size, NOW) == pictures


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
