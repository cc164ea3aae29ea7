"""What the operator's pages look like, each in every state and size. After an intended change: --snapshot-update."""

import pytest
from msgspec.structs import replace
from pygame import Surface
from syrupy.assertion import SnapshotAssertion

from station.model.api import BayState
from station.model.base import BayId
from station.model.consent import Options
from station.model.face import Face, Language
from station.model.face import Turn as Turned
from station.model.gates import Finding, Gate
from station.model.panel import Control, ControlState
from station.model.service import Service
from station.model.upkeep import TROUBLE, Chore
from station.screen.canvas import Canvas
from station.screen.office import (
    HOME,
    ImageDraft,
    KindDraft,
    LearnDraft,
    NightDraft,
    Office,
    PanelDraft,
    PinDraft,
    Room,
    TouchDraft,
)
from station.screen.pages import Page
from station.screen.pages import opened as page_of
from station.screen.render import View, picture, render
from tests.screen import samples
from tests.screen.operator_samples import (
    COMING,
    EMPTY,
    LOCKED_DOOR,
    MACHINE,
    NEWS,
    NIGHT,
    ONE,
    OPERATOR,
    ORDER,
    PERFECT,
    REPORT,
    WAITING,
    controls,
    opened,
)
from tests.screen.samples import BENCH, NOW, bay, offered, station

pytestmark = [pytest.mark.usefixtures("utc"), pytest.mark.system]
SIZES = [(800, 480), (1280, 720), (720, 1280), (480, 320)]
DOWN, UP, FAULT = ControlState.DOWN, ControlState.UP, ControlState.FAULT
BOTH = frozenset({(Control.START, None), (Control.CONFIRM, None)})
SET_ASIDE = Finding(
    gate=Gate.QUARANTINE,
    title="An erase of this phone failed on 2026-08-06, and nobody has looked into it.",
    remedy="An operator looks into it and releases the phone.",
)
CLOSED = offered(Service.ERASE, samples.LOCKED)
ASIDE = offered(Service.ERASE, SET_ASIDE)
CHOSEN = offered(Service.RESTORE)
SOME = NightDraft(service=Service.ERASE, bays=frozenset({BayId("1"), BayId("3")}), count=20, hours=1)
BUSY = opened(station(bay(BayState.WORKING), bay(BayState.QUEUED, 2), bay(BayState.EMPTY, 3)))


def at(office: Office, snapshot=None, note: str = "") -> View:
    """A page of the operator's."""
    return View(opened() if snapshot is None else snapshot, note, office)


DOOR = Office(Room.DOOR)
VIEWS: dict[str, View] = {
    "way-back-in": View(replace(opened(station(*BENCH[:8])), order=ORDER)),
    "door": at(DOOR, LOCKED_DOOR),
    "door-typed": at(Office(Room.DOOR, draft=PinDraft("12345")), LOCKED_DOOR),
    "door-wrong": at(DOOR, LOCKED_DOOR, "That is not the PIN. Two more tries, then it must be waited."),
    "door-waits": at(DOOR, WAITING),
    "door-first": at(DOOR, EMPTY),
    "door-again": at(Office(Room.DOOR, draft=PinDraft("12", first="1234")), EMPTY),
    "door-differs": at(Office(Room.DOOR, draft=PinDraft(differs=True)), EMPTY),
    "home": at(HOME),
    "home-told": at(HOME, note="The PIN is changed."),
    "home-closing": at(HOME, opened(until=NOW + 12)),
    "home-night": at(HOME, replace(NIGHT, notice="The disk is nearly full: 1.2 GB left.")),
    "night": at(Office(Room.NIGHT, draft=NightDraft())),
    "night-some": at(Office(Room.NIGHT, draft=SOME), opened(report=REPORT, policy="walk-up")),
    "night-no-clock": at(Office(Room.NIGHT, draft=NightDraft(count=1)), opened(machine=None)),
    "night-service": at(Office(Room.NIGHT_SERVICE, draft=NightDraft())),
    "night-bays": at(Office(Room.NIGHT_BAYS, draft=NightDraft())),
    "night-bays-some": at(Office(Room.NIGHT_BAYS, draft=SOME), opened(station(*BENCH))),
    "night-goes-on": at(Office(Room.NIGHT), replace(NIGHT, operator=replace(OPERATOR, report=REPORT))),
    "night-ends": at(Office(Room.NIGHT), replace(BUSY, order=replace(ORDER, left=0, bays=(ONE, BayId("2"))))),
    "report": at(Office(Room.REPORT), opened(report=REPORT)),
    "report-second": at(Office(Room.REPORT, part=1), opened(report=REPORT)),
    "report-perfect": at(Office(Room.REPORT), opened(report=PERFECT)),
    "report-so-far": at(Office(Room.REPORT), opened(report=replace(REPORT, ended="", why_ended=""))),
    "report-none": at(Office(Room.REPORT)),
    "kind": at(Office(Room.KIND)),
    "kind-other": at(Office(Room.KIND, draft=KindDraft("overnight"))),
    "bays": at(Office(Room.BAYS)),
    "bays-none": at(Office(Room.BAYS), opened(bays=())),
    "bay": at(Office(Room.BAY, draft=LearnDraft(ONE, "1-1.1"))),
    "bay-occupied": at(Office(Room.BAY, draft=LearnDraft(BayId("2"), "1-1.2"))),
    "bay-learning": at(Office(Room.BAY, draft=LearnDraft(BayId("5"), "")), opened(learning=BayId("5"))),
    "bay-learned": at(Office(Room.BAY, draft=LearnDraft(ONE, "1-1.9"))),
    "bay-new": at(Office(Room.BAY, draft=LearnDraft(BayId("5"), ""))),
    "firmware": at(Office(Room.FIRMWARE)),
    "firmware-none": at(Office(Room.FIRMWARE), opened(firmware=())),
    "firmware-nothing-yet": at(Office(Room.FIRMWARE), opened(firmware=(), fetches=True)),
    "firmware-coming": at(Office(Room.FIRMWARE), opened(replace(EMPTY, arrivals=COMING), news=NEWS, fetches=True)),
    "image": at(Office(Room.IMAGE, draft=ImageDraft("23B85-2"))),
    "image-in-use": at(Office(Room.IMAGE, draft=ImageDraft("23C55-1"))),
    "image-pinned": at(Office(Room.IMAGE, draft=ImageDraft("22H124-3"))),
    "image-gone": at(Office(Room.IMAGE, draft=ImageDraft("nothing"))),
    "arrival": at(
        Office(Room.ARRIVAL, draft=ImageDraft("23D30")), opened(replace(EMPTY, arrivals=COMING), fetches=True)
    ),
    "arrival-failed": at(
        Office(Room.ARRIVAL, draft=ImageDraft("22H217")), opened(replace(EMPTY, arrivals=COMING), fetches=True)
    ),
    "arrival-gone": at(Office(Room.ARRIVAL, draft=ImageDraft("23D30"))),
    "records": at(Office(Room.RECORDS)),
    "records-none": at(Office(Room.RECORDS), opened(records=(), record_count=0)),
    "machine": at(Office(Room.MACHINE)),
    "machine-ails": at(
        Office(Room.MACHINE),
        replace(
            opened(machine=replace(MACHINE, clock_trusted=False, under_voltage=True, addresses=())),
            notice="The station's power supply is too weak. Take the one that came with it.",
        ),
    ),
    "machine-upkeep": at(Office(Room.MACHINE), opened(machine=replace(MACHINE, upkeep=tuple(TROUBLE.values())))),
    "home-upkeep": at(HOME, opened(machine=replace(MACHINE, upkeep=(TROUBLE[Chore.COPY],)))),
    "machine-unknown": at(Office(Room.MACHINE), opened(machine=None)),
    "panel": at(Office(Room.PANEL)),
    "panel-buttons": at(Office(Room.PANEL, draft=PanelDraft()), opened(testing=True)),
    "panel-pressed": at(
        Office(Room.PANEL, draft=PanelDraft(frozenset({(Control.CONFIRM, None)}))),
        opened(testing=True, controls=controls(DOWN, UP)),
    ),
    "panel-many": at(
        Office(Room.PANEL, draft=PanelDraft()), opened(testing=True, controls=controls(FAULT, UP, bays=8))
    ),
    "panel-none": at(Office(Room.PANEL, draft=PanelDraft()), opened(testing=True, controls=())),
    "panel-lamp": at(Office(Room.PANEL, draft=PanelDraft(BOTH, step=2)), opened(testing=True)),
    "panel-bays-lamp": at(
        Office(Room.PANEL, draft=PanelDraft(BOTH, step=6)), opened(testing=True, controls=controls(UP, UP, bays=2))
    ),
    "panel-good": at(Office(Room.PANEL, draft=PanelDraft(BOTH, step=5)), opened(testing=True)),
    "panel-wrong": at(Office(Room.PANEL, draft=PanelDraft(step=5, dark=(1, 3))), opened(testing=True)),
    "language": at(Office(Room.LANGUAGE)),
    "screen": at(Office(Room.SCREEN)),
    "screen-other": at(
        Office(Room.SCREEN),
        replace(
            opened(), face=Face(turn=Turned.OVER, brightness=10, dim_seconds=0.0, sound=True, language=Language.ENGLISH)
        ),
    ),
    "touch": at(Office(Room.TOUCH, draft=TouchDraft(frozenset({"0", "9", "10"})))),
    "logs": at(Office(Room.LOGS)),
    "logs-none": at(Office(Room.LOGS), opened(machine=replace(MACHINE, sticks=()))),
    "logs-written": at(Office(Room.LOGS), opened(says="The logs are on KINGSTON. It can be pulled out.")),
    "pin": at(Office(Room.PIN, draft=PinDraft())),
    "power": at(Office(Room.POWER)),
    "power-busy": at(Office(Room.POWER), BUSY),
    "phone-overrule": View(opened(station(CLOSED))),
    "phone-release": View(opened(station(ASIDE))),
    "phone-build": View(opened(station(replace(CHOSEN, options=Options(build="23B85"))))),
    "overrule": View(opened(station(CLOSED)), place=page_of(CLOSED, Page.OVERRULE)),
    "release": View(opened(station(ASIDE)), place=page_of(ASIDE, Page.OVERRULE)),
    "builds": View(opened(station(CHOSEN)), place=page_of(CHOSEN, Page.BUILDS)),
}


KEPT = (
    "door-typed",
    "home",
    "night",
    "night-bays-some",
    "night-goes-on",
    "report",
    "kind-other",
    "bays",
    "bay-learning",
    "firmware-coming",
    "arrival",
    "records",
    "machine-ails",
    "panel-many",
    "panel-lamp",
    "screen",
    "touch",
    "power",
    "overrule",
    "builds",
)
"""Of each layout one is kept in the other sizes; that all of them fit is measured (test_operator_layout)."""


def size_of(size: tuple[int, int]) -> str:
    """A size as a test's name has it."""
    return f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("view", VIEWS)
def test_page(view: str, pictures: SnapshotAssertion) -> None:
    assert picture(VIEWS[view], SIZES[0], NOW) == pictures


@pytest.mark.parametrize("size", SIZES[1:], ids=size_of)
@pytest.mark.parametrize("view", KEPT)
def test_page_of_another_size(view: str, size: tuple[int, int], pictures: SnapshotAssertion) -> None:
    assert picture(VIEWS[view], size, NOW) == pictures


@pytest.mark.parametrize(("view", "hold"), [("night", "Order"), ("power", "Turn")])
def test_a_hold_fills(view: str, hold: str, pictures: SnapshotAssertion) -> None:
    first = Canvas(Surface(SIZES[0]), NOW)
    render(VIEWS[view], first)
    held = next(target for _, target in first.targets if target.hold and type(target.command).__name__ == hold)
    canvas = Canvas(Surface(SIZES[0]), NOW, held, pressed_since=NOW - 0.6 * held.hold)
    render(VIEWS[view], canvas)
    assert canvas.due == pytest.approx(NOW + 1 / 60)
    assert canvas.surface == pictures
