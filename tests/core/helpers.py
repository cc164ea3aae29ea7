"""A Station with a clock that a test turns, and a world that answers as little as it can."""

import dataclasses
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from station.core.actions import (
    Action,
    AskForNewest,
    CheckPin,
    CloseJob,
    DiscardFirmware,
    FindFirmware,
    ForgetPhone,
    KeepChoices,
    KeepRelease,
    KillWorker,
    MakePin,
    RevokeConsent,
    SaveOrder,
    StartAnew,
    StartWorker,
    StopFetching,
    SwitchMachine,
    WriteLogs,
    WriteRecord,
)
from station.core.events import (
    ButtonChanged,
    ChoicesKept,
    Event,
    FirmwareFound,
    Moment,
    OrderSaved,
    PinChecked,
    PinMade,
    RecordWritten,
    ReleaseKept,
    Tick,
    WorkerEnded,
    WorkerSaid,
)
from station.core.policy import Policy
from station.core.station import Station
from station.core.view import snapshot
from station.model.api import HOLD_BEAT, BayView, HoldBegan, HoldGoesOn, Snapshot
from station.model.base import BayId, Ecid, JobId, SocketPath, Udid
from station.model.catalog import Arrival, ArrivalState
from station.model.causes import Cause
from station.model.choices import Choices, PinHash
from station.model.consent import Act
from station.model.events import (
    FactsRead,
    Failed,
    Intent,
    Operation,
    PhaseBegan,
    Progress,
    Succeeded,
    WorkerEvent,
    WorkerExit,
    WorkerStarted,
)
from station.model.firmware import Firmware
from station.model.job import JobSpec, Phase, Reach
from station.model.panel import Control, ControlState
from station.model.phone import PhoneFacts, PhoneMode, UsbArrived, UsbGone

if TYPE_CHECKING:
    from station.model.order import OrderNote
    from station.model.record import Record

NORMAL, RECOVERY, DFU = 0x12A8, 0x1281, 0x1227
A, B = Ecid(0x000A11CE00000001), Ecid(0x000B0B0000000002)
SOCKETS = {BayId("1"): SocketPath("1-1.1"), BayId("2"): SocketPath("1-1.2")}
ONE, TWO = SOCKETS
FIRMWARE = Firmware(
    version="26.2",
    build="23C55",
    product_types=("iPhone13,2",),
    directory="/firmware/23C55/ipsw",
    manifest_sha256="ab" * 32,
)
BUILDS = {"26.2": "23C55", "26.3": "23D30"}
REACH = Reach(usbmuxd="/run/usbmuxd")
ALL_FINE = WorkerExit(code=0)

AnAction = TypeVar("AnAction", bound=Action)


def policy(**changes) -> Policy:
    return dataclasses.replace(Policy(name="Test", software="test 1", reach=REACH, bays=SOCKETS), **changes)


def image(version: str) -> Firmware:
    """Firmware in the store."""
    return replace(FIRMWARE, version=version, build=BUILDS[version], directory=f"/firmware/{BUILDS[version]}/ipsw")


def arriving(version: str = "26.2", done: int = 43, **changes) -> Arrival:
    """Firmware on its way; `done` of 100 bytes are here."""
    usual = Arrival(
        version=version,
        build=BUILDS[version],
        product_types=FIRMWARE.product_types,
        state=ArrivalState.FETCHING,
        done=done,
        total=100,
        seconds_left=360.0,
    )
    return replace(usual, **changes)


def hash_of(pin: str) -> PinHash:
    """What is kept of a PIN: a test need not wait for a hash."""
    return PinHash(salt=b"salt", digest=pin.encode())


def serial(ecid: Ecid, product_id: int = NORMAL) -> str:
    if product_id == NORMAL:
        return f"00008101{ecid:016X}"
    return f"CPID:8101 CPRV:11 CPFM:03 SCEP:01 BDID:0C ECID:{ecid:016X} IBFL:3D SRNM:[VIRTUAL]"


def udid(ecid: Ecid) -> Udid:
    return Udid(f"00008101-{ecid:016X}")


def arrived(ecid: Ecid, bay: BayId = ONE, product_id: int = NORMAL) -> UsbArrived:
    return UsbArrived(socket=SOCKETS[bay], product_id=product_id, serial=serial(ecid, product_id))


def gone(bay: BayId = ONE) -> UsbGone:
    return UsbGone(socket=SOCKETS[bay])


def facts(ecid: Ecid = A, **changes) -> PhoneFacts:
    usual = PhoneFacts(
        ecid=ecid,
        udid=udid(ecid),
        product_type="iPhone13,2",
        hardware_model="D53gAP",
        model_name="iPhone 12",
        name="Somebody’s iPhone",
        serial_number="VIRTUAL00001",
        imei=None,
        version="26.1",
        build="23B85",
        activation_state="Activated",
        passcode=True,
        battery_percent=80,
    )
    return replace(usual, **changes)


def clean_facts(ecid: Ecid = A, **changes) -> PhoneFacts:
    clean = facts(ecid, version="26.2", build="23C55", activation_state="Unactivated", passcode=False, name="")
    return replace(clean, **changes)


class Bench:
    """Drives one Station. Firmware is found and records are written at once, unless told otherwise."""

    def __init__(self, *, at: float = 1000.0, instance: str = "t", **policy_changes) -> None:
        self.station = Station(policy(**policy_changes), instance)
        self.now = at
        self.actions: list[Action] = []
        self.firmware: Firmware | None = FIRMWARE
        self.records: list[Record] = []
        self.writes_records = True
        self.choices_on_disk: Choices | None = None
        self.order_on_disk: OrderNote | None = None
        self.saves_orders = True

    @property
    def moment(self) -> Moment:
        return Moment(at=self.now, utc=f"2026-01-01T00:{int(self.now) // 60 % 60:02}:{int(self.now) % 60:02}Z")

    def do(self, *events: Event) -> list[Action]:
        """Handle events; the actions they led to."""
        before = len(self.actions)
        for event in events:
            self._perform(self.station.handle(event, self.moment))
        return self.actions[before:]

    def wait(self, seconds: float) -> list[Action]:
        """Let time pass, with a Tick at each deadline and nowhere else."""
        before, end = len(self.actions), self.now + seconds
        while (deadline := self.station.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.do(Tick())
            again = self.station.next_deadline()
            assert again is None or again > self.now, "a deadline that has passed comes again: the loop would spin"
        self.now = end
        return self.actions[before:]

    def all(self, kind: type[AnAction]) -> list[AnAction]:
        return [action for action in self.actions if isinstance(action, kind)]

    def all_jobs(self) -> list[JobSpec]:
        """Of every service that was begun."""
        return [action.spec for action in self.all(StartWorker) if action.spec.service is not None]

    def view(self) -> Snapshot:
        return snapshot(self.station, at=self.now, sequence=1)

    def bay(self, bay: BayId = ONE) -> BayView:
        return next(view for view in self.view().bays if view.bay == bay)

    # -- people

    def press(self, control: Control = Control.START, bay: BayId | None = None) -> list[Action]:
        down = ButtonChanged(control=control, state=ControlState.DOWN, bay=bay)
        return self.do(down, ButtonChanged(control=control, state=ControlState.UP, bay=bay))

    def hold_on_screen(self, seconds: float, bay: BayId = ONE) -> None:
        """A finger on the ring, and a screen that says so; it does not say when the finger leaves."""
        self.do(HoldBegan(id=1, bay=bay))
        end = self.now + seconds
        while self.now + HOLD_BEAT <= end:
            self.wait(HOLD_BEAT)
            self.do(HoldGoesOn(id=1, bay=bay))
        self.wait(end - self.now)

    def hold(self, seconds: float = 2.5) -> list[Action]:
        before = len(self.actions)
        self.do(ButtonChanged(control=Control.CONFIRM, state=ControlState.DOWN))
        self.wait(seconds)
        self.do(ButtonChanged(control=Control.CONFIRM, state=ControlState.UP))
        return self.actions[before:]

    # -- whole stretches of a story

    def plug(self, ecid: Ecid = A, bay: BayId = ONE) -> None:
        """A phone in normal mode is plugged in and read."""
        self.do(arrived(ecid, bay))
        self.inspect(facts(ecid))

    def inspect(self, found: PhoneFacts | Cause) -> JobId:
        """The last inspection started ends so."""
        job = self.all(StartWorker)[-1].spec.job
        if isinstance(found, Cause):
            self.fail(job, found)
        else:
            self.say(job, FactsRead(at=self.now, facts=found), Succeeded(at=self.now))
            self.do(WorkerEnded(job=job, exit=ALL_FINE))
        return job

    def confirm(self, ecid: Ecid = A, bay: BayId = ONE) -> JobSpec:
        """Plug, START, HOLD CONFIRM: a restore is started."""
        self.plug(ecid, bay)
        self.press()
        self.hold()
        spec = self.all(StartWorker)[-1].spec
        assert spec.consent is not None
        return spec

    def say(self, job: JobId, *events: WorkerEvent) -> list[Action]:
        return self.do(*(WorkerSaid(job=job, event=event) for event in events))

    def phase(self, job: JobId, phase: Phase, fraction: float = 0.0) -> None:
        self.say(job, PhaseBegan(at=self.now, phase=phase))
        if fraction:
            self.say(job, Progress(at=self.now, phase=phase, fraction=fraction))

    def erase(self, job: JobId, ecid: Ecid = A) -> None:
        """As far as the image: through recovery into the restore system, with the erase announced."""
        self.say(job, WorkerStarted(at=self.now, pid=1))
        self.phase(job, Phase.RECOVERY)
        self.do(gone(), arrived(ecid, product_id=RECOVERY))
        self.phase(job, Phase.RAMDISK)
        self.do(gone(), arrived(ecid))
        self.phase(job, Phase.PREPARE)
        self.say(job, Intent(at=self.now, act=Act.ERASE, ecid=ecid))
        self.say(job, Operation(at=self.now, operation=42), Operation(at=self.now, operation=50))
        self.phase(job, Phase.IMAGE)

    def succeed(self, job: JobId) -> None:
        self.phase(job, Phase.FIRMWARE)
        self.say(job, Succeeded(at=self.now))
        self.do(WorkerEnded(job=job, exit=ALL_FINE))

    def fail(self, job: JobId, cause: Cause, mode: PhoneMode | None = None, status: int | None = None) -> None:
        self.say(job, Failed(at=self.now, cause=cause, detail="so it is", phone_mode=mode, status=status))
        self.do(WorkerEnded(job=job, exit=WorkerExit(code=1)))

    def _perform(self, actions: list[Action]) -> None:  # noqa: C901 one arm an action
        self.actions += actions
        for action in actions:
            match action:
                case FindFirmware(product_type=product_type):
                    self.do(FirmwareFound(product_type=product_type, firmware=self.firmware))
                case WriteRecord(record=record):
                    self.records.append(record)
                    if self.writes_records:
                        self.do(RecordWritten(record=record, number=len(self.records), certificate=None))
                case SaveOrder(note=note):
                    self.order_on_disk = note
                    if self.saves_orders:
                        self.do(OrderSaved(note=note))
                case KeepRelease(release=release):
                    self.do(ReleaseKept(release=release))
                case MakePin(pin=pin, opens=opens):
                    self.do(PinMade(pin=hash_of(pin), opens=opens))
                case CheckPin(pin=pin, against=against):
                    self.do(PinChecked(right=hash_of(pin) == against))
                case KeepChoices():
                    self.choices_on_disk = action.choices
                    if action.must:
                        self.do(ChoicesKept(choices=action.choices, opens=action.opens))
                case StartAnew() | WriteLogs() | SwitchMachine() | AskForNewest() | StopFetching() | DiscardFirmware():
                    pass
                case StartWorker() | KillWorker() | RevokeConsent() | CloseJob() | ForgetPhone():
                    pass
