"""The operator's snapshots: a station with everything that the pages can show."""

from msgspec.structs import replace

from station.model.api import BayState, OrderView, Snapshot
from station.model.base import BayId, Ecid, PlugId, SocketPath
from station.model.catalog import Arrival, ArrivalState
from station.model.operator import (
    BayLine,
    ControlLine,
    FirmwareLine,
    MachineView,
    OperatorView,
    PinState,
    RecordLine,
)
from station.model.order import OrderId, OrderReport, PassedOver, ReportLine
from station.model.panel import Control, ControlState
from station.model.record import Outcome
from station.model.service import Service
from tests.screen.samples import BENCH, NOW, bay, station

ONE = BayId("1")
EMPTY = station(*(bay(BayState.EMPTY, number) for number in range(1, 5)))
LOCKED_DOOR = replace(EMPTY, pin=PinState.SET)
WAITING = replace(EMPTY, pin=PinState.WAIT, pin_until=NOW + 42)

MACHINE = MachineView(
    software="Restore Station 0.5.0, pymobiledevice3 11.45.0",
    addresses=("192.168.1.42", "fd00::42"),
    clock="2026-08-07T20:14:00Z",
    clock_trusted=True,
    disk_free=183_000_000_000,
    temperature=52.4,
    under_voltage=False,
    sticks=("KINGSTON", "LOGS"),
)
FIRMWARE = (
    FirmwareLine(version="26.2", build="23C55", size=9_700_000_000, models=14, name="23C55-1", in_use=True),
    FirmwareLine(version="26.1", build="23B85", size=9_600_000_000, models=14, name="23B85-2"),
    FirmwareLine(version="18.7.2", build="22H124", size=8_900_000_000, models=3, name="22H124-3", pinned=True),
    FirmwareLine(version="15.8.5", build="19H394", size=5_100_000_000, models=1, name="19H394-4"),
)
COMING = (
    Arrival(
        version="26.3",
        build="23D30",
        product_types=("iPhone13,2",),
        state=ArrivalState.FETCHING,
        done=3_500_000_000,
        total=8_100_000_000,
        seconds_left=372.0,
        says="It does not come from 192.168.1.21:8750: it is too slow.",
        origin="192.168.1.20:8750",
        nearby=True,
    ),
    Arrival(
        version="18.7.3",
        build="22H217",
        product_types=("iPhone11,8",),
        state=ArrivalState.FAILED,
        done=0,
        total=7_000_000_000,
        says="The server has another file than the lists say.",
        remedy="Import it by hand, or look again tomorrow.",
    ),
)
NEWS = ("iOS 26.3 is out. This station has 26.2 for 3 models.",)
TITLES = {
    Outcome.VERIFIED: "Erased, restored and verified.",
    Outcome.FAILED_ERASED: "The phone could not recover its factory data (53).",
    Outcome.FAILED_UNTOUCHED: "The phone was unplugged.",
}


def record(number: int) -> RecordLine:
    """One of a row of records."""
    outcome = Outcome.FAILED_ERASED if number % 5 == 2 else Outcome.VERIFIED
    return RecordLine(
        number=number,
        ended=f"2026-08-07T{10 + number % 10:02}:15:00Z",
        bay=BayId(str(number % 4 + 1)),
        ecid=Ecid(0x1C2D3E4F5A0000 + number),
        model_name="iPhone 12" if number % 3 else "iPhone 13 Pro Max",
        service=Service.RESTORE if number % 2 else Service.ERASE,
        outcome=outcome,
        title=TITLES[outcome],
        certificate=outcome is Outcome.VERIFIED,
    )


def line(number: int, outcome: Outcome | None = Outcome.VERIFIED, *, tries: int = 1) -> ReportLine:
    """One phone of a night."""
    certified = outcome is Outcome.VERIFIED
    title = "It never began, or the station was interrupted." if outcome is None else TITLES[outcome]
    remedy = "" if certified else "Plug it in again and look at it before anything else."
    return ReportLine(
        ecid=Ecid(0x1C2D3E4F5A1000 + number),
        bay=BayId(str(number % 8 + 1)),
        model_name="iPhone 12" if number % 3 else "iPhone SE (2nd generation)",
        outcome=outcome,
        title=title,
        remedy=remedy,
        record=0 if outcome is None else 200 + number,
        emulated=False,
        tries=tries,
        seconds=640.0,
        certified=certified,
    )


PASSED = PassedOver(
    ecid=Ecid(0x1C2D3E4F5A6B7C),
    bay=BayId("4"),
    plug=PlugId("7"),
    model_name="iPhone 11",
    at="2026-08-07T23:41:00Z",
    why="Find My is on: this phone belongs to an Apple Account.",
)
REPORT = OrderReport(
    order=OrderId("a-o1"),
    station="Restore Station",
    service=Service.RESTORE,
    bays=(),
    count=14,
    given="2026-08-07T19:58:00Z",
    ended="2026-08-08T04:12:00Z",
    why_ended="its time is over",
    done=9,
    failed=2,
    left=3,
    phones=(line(3, Outcome.FAILED_ERASED, tries=2), line(5, None), *(line(number) for number in range(9, 18))),
    passed=(PASSED,),
)
PERFECT = replace(
    REPORT, count=4, done=4, failed=0, left=0, passed=(), phones=tuple(line(number) for number in range(4))
)
OPERATOR = OperatorView(
    until=NOW + 170,
    policy="bench",
    policies=("walk-up", "bench", "overnight"),
    bays=tuple(
        BayLine(bay=BayId(str(number)), socket=SocketPath(f"1-1.{number}"), occupied=number == 2)
        for number in range(1, 5)
    ),
    controls=(
        ControlLine(control=Control.START, bay=None, state=ControlState.UP),
        ControlLine(control=Control.CONFIRM, bay=None, state=ControlState.UP),
    ),
    firmware=FIRMWARE,
    records=tuple(record(number) for number in range(142, 122, -1)),
    record_count=142,
    machine=MACHINE,
)
ORDER = OrderView(service=Service.RESTORE, bays=(), left=7, until=NOW + 7200, done=3, failed=1)


def opened(snapshot: Snapshot = EMPTY, **changes: object) -> Snapshot:
    """The same station with the operator before it."""
    return replace(snapshot, pin=PinState.SET, operator=replace(OPERATOR, **changes))


def controls(*states: ControlState, bays: int = 0) -> tuple[ControlLine, ...]:
    """START and CONFIRM of the station, and a START for each of some bays."""
    own = zip((Control.START, Control.CONFIRM), states, strict=False)
    lines = [ControlLine(control=control, bay=None, state=state) for control, state in own]
    more = [
        ControlLine(control=Control.START, bay=BayId(str(number + 1)), state=ControlState.UP) for number in range(bays)
    ]
    return (*lines, *more)


NIGHT = replace(opened(station(*BENCH)), order=ORDER)
