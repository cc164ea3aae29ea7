"""Phones at the USB end, workers, a disk and one person: everything around a Station, and the truth about it.

The truth is kept here, by other means than the Station's. A *grant* is a person's word, given by START and a held
CONFIRM, for the phone that was in that bay. It dies when its phone is seen to leave, when it appears elsewhere, or
when another phone is seen in its place. What nobody can see does not end it: the same phone pulled and put back
into the same socket while it restarts by itself, or while no daemon lives. For that there is the ECID, which the
worker checks each time.
"""

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from station.core import consent as rule
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
    Event,
    FirmwareFound,
    JobFound,
    Moment,
    OrderFound,
    OrderNotSaved,
    OrderSaved,
    RecordWritten,
    ResultFound,
    SupplyTold,
    Tick,
    WorkerEnded,
    WorkerSaid,
)
from station.core.station import Station
from station.core.view import snapshot
from station.errors import ConsentVoid, Refused
from station.model.api import HOLD_BEAT, Command, EndOrder, HoldBegan, HoldEnded, HoldGoesOn, Order
from station.model.base import BayId, Ecid, JobId, SocketPath
from station.model.causes import Cause
from station.model.consent import Act, Hand
from station.model.events import (
    FactsRead,
    Failed,
    Intent,
    Operation,
    PhaseBegan,
    Succeeded,
    WorkerEvent,
    WorkerExit,
    WorkerStarted,
)
from station.model.job import JobSpec, Phase
from station.model.panel import Control, ControlState
from station.model.phone import PhoneMode, UsbArrived, UsbGone
from station.model.record import Outcome, Record
from station.model.service import Service
from tests.core.helpers import FIRMWARE, RECOVERY, SOCKETS, arrived, clean_facts, facts, policy

if TYPE_CHECKING:
    from station.model.catalog import Arrival
    from station.model.firmware import Firmware
    from station.model.order import OrderNote

MOST_BEATS = 20
"""So often a screen says that a finger is there: nothing comes of a hold that is longer."""

STAYING = (Phase.CONNECT, Phase.TICKET)
"""In these phases a phone that leaves was unplugged, and a living daemon can see it."""


@dataclass
class Phone:
    """One phone. `bay` is where its cable is; `seen` is whether it is on the bus."""

    ecid: Ecid
    bay: BayId | None = None
    seen: bool = False
    mode: PhoneMode = PhoneMode.NORMAL
    starting: PhoneMode | None = None
    data: bool = True
    """Whether the owner's data is still on it."""
    restored_by: JobId | None = None


@dataclass
class Grant:
    """One person's word."""

    ecid: Ecid
    bay: BayId
    job: JobId | None = None
    """It is good for one."""
    shown: str = field(default="", compare=False)
    """The iOS that the screen named when the word was given."""


@dataclass
class Night:
    """An operator's order, as the operator meant it."""

    bays: tuple[BayId, ...]
    count: int
    until: float
    ended: bool = False
    turns: list[tuple[Ecid, int, JobId]] = field(default_factory=list)
    """Whose turn came, under which daemon."""


@dataclass
class OnDisk:
    """A job directory and its worker."""

    spec: JobSpec
    events: list[WorkerEvent] = field(default_factory=list)
    revoked: bool = False
    exit: WorkerExit | None = None
    record: Record | None = None
    worker: Generator[None, None, None] | None = None
    phase: Phase = Phase.CONNECT
    erased: bool = False


class World:
    """All of it. Methods are what can happen."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.phones = [Phone(Ecid(0xA)), Phone(Ecid(0xB)), Phone(Ecid(0xA))]  # the last: a clone of the first
        self.disk: dict[JobId, OnDisk] = {}
        self.closed: list[OnDisk] = []
        self.grants: list[Grant] = []
        self.erasures = 0
        self.records = 0
        self.night: Night | None = None
        self.order_on_disk: OrderNote | None = None
        self.disk_fails = False
        """The next order that is to be saved is not."""
        self.store: list[Firmware] = [FIRMWARE]
        """The firmware that is here, the newest last."""
        self.coming: tuple[Arrival, ...] = ()
        """The firmware that is on its way."""
        self._saved: list[Event] = []
        """What the disk has done, and the daemon has not heard yet."""
        self._end_lost = False
        self._daemons = 0
        self._start: tuple[float, Grant] | None = None
        self._down_at: float | None = None
        self._touched_at: float | None = None
        """Since when a finger is on the screen's ring."""
        self._screen_lives = True
        self.station: Station | None = None
        self.start_daemon()

    # -- the operator

    def order(self, bays: tuple[BayId, ...], count: int, seconds: float) -> None:
        if self.station is None or self.station.orders.note is not None:
            return
        self.night, self.order_on_disk = Night(bays, count, self.now + seconds), None
        self.tell(Order(id=1, service=Service.RESTORE, bays=bays, count=count, seconds=seconds))

    def end_order(self) -> None:
        if self.station is not None and self.station.orders.note is not None and self.night is not None:
            with suppress(Refused):
                self.tell(EndOrder(id=1))
            self.night.ended = True

    def disk_is_done(self) -> None:
        """The daemon hears what became of the order it wanted on the disk."""
        while self._saved:
            self.tell(self._saved.pop(0))

    # -- firmware

    def supply(self) -> None:
        """The daemon hears what is here, and then what is on its way."""
        self.tell(self._found())
        self.tell(SupplyTold(arrivals=self.coming))

    def _found(self) -> FirmwareFound:
        newest = self.store[-1] if self.store else None
        return FirmwareFound(product_type=FIRMWARE.product_types[0], firmware=newest, older=tuple(self.store[:-1]))

    # -- the bus

    def in_bay(self, bay: BayId) -> Phone | None:
        return next((phone for phone in self.phones if phone.bay == bay), None)

    def plug(self, phone: Phone, bay: BayId) -> None:
        phone.bay, phone.starting = bay, None
        self._appear(phone, PhoneMode.NORMAL if phone.data or phone.restored_by else PhoneMode.RECOVERY)

    def unplug(self, phone: Phone) -> None:
        if phone.seen and not self._changing(phone):
            self._seen_to_end(lambda grant: grant.ecid == phone.ecid and grant.bay == phone.bay)
        if self._start is not None and self._start[1].bay == phone.bay:
            self._start = None
        phone.starting = None
        self._disappear(phone)
        phone.bay = None

    def start_up(self, phone: Phone) -> None:
        """A phone that was restarting is back."""
        mode, phone.starting = phone.starting, None
        assert mode is not None
        self._appear(phone, mode)

    def _appear(self, phone: Phone, mode: PhoneMode) -> None:
        phone.mode, phone.seen = mode, True
        # Whoever was confirmed in this bay is not here, and who is here was not confirmed in another bay.
        self._seen_to_end(lambda grant: (grant.ecid == phone.ecid) is not (grant.bay == phone.bay))
        self.tell(self._arrival(phone))

    def _seen_to_end(self, ends: Callable[[Grant], bool]) -> None:
        """Grants end when a living daemon can see why."""
        if self.station is not None:
            self.grants = [grant for grant in self.grants if not ends(grant)]

    def _disappear(self, phone: Phone) -> None:
        if phone.seen:
            phone.seen = False
            assert phone.bay is not None
            self.tell(UsbGone(socket=SOCKETS[phone.bay]))

    def _restart(self, phone: Phone, mode: PhoneMode) -> None:
        phone.starting = mode
        self._disappear(phone)

    @staticmethod
    def _arrival(phone: Phone) -> UsbArrived:
        assert phone.bay is not None
        if phone.mode is PhoneMode.RECOVERY:
            return arrived(phone.ecid, phone.bay, RECOVERY)
        return arrived(phone.ecid, phone.bay)

    def _changing(self, phone: Phone) -> bool:
        return any(
            job.spec.consent is not None and job.spec.ecid == phone.ecid and job.phase not in STAYING
            for job in self.disk.values()
        )

    # -- the person

    def press_start(self) -> None:
        bay = None if self.station is None else self.station.desk.selected
        phone = None if bay is None else self.in_bay(bay)
        if phone is not None and bay is not None:
            self._start = (self.now, Grant(phone.ecid, bay))
        self._down_at = None if self._down_at is None else float("inf")  # pressed before START: does not count
        self._touched_at = None if self._touched_at is None else float("inf")
        self._button(Control.START, ControlState.DOWN)
        self._button(Control.START, ControlState.UP)

    def confirm_down(self) -> None:
        if self._down_at is None and self._touched_at is None:
            self._down_at = self.now
            self._button(Control.CONFIRM, ControlState.DOWN)

    def confirm_up(self) -> None:
        if self._down_at is not None:
            self._down_at = None
            self._button(Control.CONFIRM, ControlState.UP)

    def press_start_of(self, bay: BayId) -> None:
        """A bay's own button: it is that bay that is meant from now on, and no other."""
        phone = self.in_bay(bay)
        self._start = None if phone is None else (self.now, Grant(phone.ecid, bay))
        self._down_at = None if self._down_at is None else float("inf")
        self._touched_at = None if self._touched_at is None else float("inf")
        for state in (ControlState.DOWN, ControlState.UP):
            self.tell(ButtonChanged(control=Control.START, state=state, bay=bay))

    def touch_ring(self) -> None:
        """A finger on the ring, where there is one to see and no other finger is on CONFIRM."""
        armed = None if self.station is None else self.station.desk.arming.armed
        if armed is not None and self._touched_at is None and self._down_at is None and self._screen_lives:
            self._touched_at = self.now
            self.command(HoldBegan(id=1, bay=armed.bay))

    def leave_ring(self) -> None:
        """The finger leaves; a screen that lives says so."""
        if self._touched_at is not None and self._screen_lives:
            self._tell_of_the_ring(HoldEnded)
        self._touched_at = None

    def freeze_screen(self) -> None:
        """It says nothing any more, and nobody is told."""
        self._screen_lives = False

    def thaw_screen(self) -> None:
        """It goes on where it was: a finger that left meanwhile has left now, as far as it knows."""
        self._screen_lives = True
        self._tell_of_the_ring(HoldGoesOn if self._touched_at is not None else HoldEnded)

    def _tell_of_the_ring(self, kind: type[HoldGoesOn | HoldEnded]) -> None:
        armed = None if self.station is None else self.station.desk.arming.armed
        if armed is not None:
            self.command(kind(id=1, bay=armed.bay))

    def command(self, command: Command) -> None:
        with suppress(Refused):
            self.tell(command)

    def forget_start(self, *, unless: BayId | None = None, of: BayId | None = None) -> None:
        """The person changed their mind: about one bay, or about all but one."""
        if self._start is not None and (self._start[1].bay == of if of is not None else self._start[1].bay != unless):
            self._start = None

    def _button(self, control: Control, state: ControlState) -> None:
        self.tell(ButtonChanged(control=control, state=state))

    def _held(self) -> None:
        """Note a person's word, if it was given by now."""
        since = self._down_at if self._touched_at is None or not self._screen_lives else self._touched_at
        if self._start is None or since is None:
            return
        pressed, grant = self._start
        if pressed <= since and since + 2.0 <= min(self.now, pressed + 30.0):
            self.grants.append(replace(grant, shown=self._shown(grant.bay)))
            self._start = None

    def _shown(self, bay: BayId) -> str:
        """Which iOS the screen says that confirming would install."""
        if self.station is None:
            return ""
        views = snapshot(self.station, at=self.now, sequence=1).bays
        return next((view.confirm.target_version for view in views if view.bay == bay and view.confirm is not None), "")

    # -- time

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        for _ in range(MOST_BEATS if self._touched_at is not None and self._screen_lives else 0):
            if self.now + HOLD_BEAT < end:
                self._wait(self.now + HOLD_BEAT)
                self._tell_of_the_ring(HoldGoesOn)
        self._wait(end)

    def _wait(self, end: float) -> None:
        while self.station is not None and (due := self.station.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self._held()
            self.tell(Tick())
            again = self.station.next_deadline()
            assert again is None or again > self.now, "the loop would spin"
        self.now = end
        self._held()

    # -- the daemon

    def start_daemon(self) -> None:
        self._daemons += 1
        self.station = Station(policy(cap=1, operator_confirm=True, touch_confirms=True), f"d{self._daemons}")
        for job, found in list(self.disk.items()):
            if found.record is not None:
                self.tell(ResultFound(spec=found.spec, record=found.record, number=1, certificate=None))
            elif found.spec.service is None:
                del self.disk[job]
            else:
                self.tell(JobFound(spec=found.spec, revoked=found.revoked))
                for event in found.events:
                    self.tell(WorkerSaid(job=job, event=event))
                if found.worker is None:
                    self.tell(WorkerEnded(job=job, exit=found.exit))
        self.tell(SupplyTold(arrivals=self.coming))
        if self.order_on_disk is not None and not self.order_on_disk.closed:
            self.tell(OrderFound(note=self.order_on_disk, same_boot=True))
        for phone in self.phones:
            if phone.seen:
                self.tell(self._arrival(phone))

    def kill_daemon(self) -> None:
        self.station = None
        self._saved.clear()
        if self.night is not None and self.order_on_disk is None:
            self.night.ended = True  # it was never written down
        elif self.night is not None and self._end_lost:
            self.night.ended = False  # the disk did not take its end, and who would have tried again is dead
        self._start = None  # what was armed or queued in it died with it
        self._touched_at = None  # and the screen that has lost it holds nothing any more
        self.grants = [grant for grant in self.grants if any(job.spec.job == grant.job for job in self.disk.values())]

    def tell(self, event: Event) -> None:
        if self.station is None:
            return
        moment = Moment(at=self.now, utc="2026-01-01T00:00:00Z")
        for action in self.station.handle(event, moment):
            self._perform(action)

    def _perform(self, action: Action) -> None:  # noqa: C901 one arm an action
        match action:
            case StartWorker(spec=spec):
                job = self.disk[spec.job] = OnDisk(spec)
                job.worker = self._inspect(job) if spec.service is None else self._restore(job)
                self._take_grant(spec)
            case RevokeConsent(job=name):
                self.disk[name].revoked = True
            case KillWorker(job=name):
                if name in self.disk:
                    self.kill_worker(name)
            case WriteRecord(record=record):
                self._check(record)
                self.records += 1
                self.disk[record.job].record = record
                self.tell(RecordWritten(record=record, number=self.records, certificate=None))
            case FindFirmware():
                self.tell(self._found())
            case CloseJob(job=name):
                if name in self.disk:
                    self.closed.append(self.disk.pop(name))
            case MakePin() | CheckPin() | KeepChoices() | StartAnew() | WriteLogs() | SwitchMachine():
                pass
            case SaveOrder(note=note) if self.disk_fails:
                self.disk_fails = False
                self._end_lost = note.end is not None
                self._saved.append(OrderNotSaved(detail="full"))
            case SaveOrder(note=note):
                self.order_on_disk, self._end_lost = note, False
                self._saved.append(OrderSaved(note=note))
            case ForgetPhone() | KeepRelease() | AskForNewest() | StopFetching() | DiscardFirmware():
                pass

    # -- workers

    def step(self, name: JobId) -> None:
        """Let a worker do the next thing."""
        job = self.disk[name]
        if job.worker is None:
            return
        try:
            next(job.worker)
        except StopIteration:
            job.worker = None
            job.exit = WorkerExit(code=0 if isinstance(job.events[-1], Succeeded) else 1)
            self.tell(WorkerEnded(job=name, exit=job.exit))

    def kill_worker(self, name: JobId) -> None:
        job = self.disk[name]
        if job.worker is not None:
            job.worker = None
            self.tell(WorkerEnded(job=name, exit=None))

    def _say(self, job: OnDisk, event: WorkerEvent) -> None:
        job.events.append(event)
        if isinstance(event, PhaseBegan):
            job.phase = event.phase
        self.tell(WorkerSaid(job=job.spec.job, event=event))

    def _enter(self, job: OnDisk, phase: Phase) -> None:
        self._say(job, PhaseBegan(at=self.now, phase=phase))

    def _at(self, socket: SocketPath) -> Phone | None:
        phone = next((phone for phone in self.phones if phone.bay is not None and SOCKETS[phone.bay] == socket), None)
        return phone if phone is not None and phone.seen else None

    def _inspect(self, job: OnDisk) -> Generator[None, None, None]:
        self._say(job, WorkerStarted(at=self.now, pid=1))
        yield
        phone = self._at(job.spec.socket)
        if phone is None or phone.mode is not PhoneMode.NORMAL:
            self._say(job, Failed(at=self.now, cause=Cause.DISCONNECTED, detail=""))
            return
        said = clean_facts(phone.ecid) if phone.restored_by else facts(phone.ecid)
        self._say(job, FactsRead(at=self.now, facts=said))
        self._say(job, Succeeded(at=self.now))

    def _restore(self, job: OnDisk) -> Generator[None, None, None]:
        """A worker that trusts nothing but the rule: it takes whatever phone is in its socket."""
        try:
            yield from self._restoring(job)
        except ConsentVoid:
            self._say(job, Failed(at=self.now, cause=Cause.CONSENT_VOID, detail=""))
        except _Lost:
            self._say(job, Failed(at=self.now, cause=Cause.DISCONNECTED, detail=""))

    def _restoring(self, job: OnDisk) -> Generator[None, None, None]:
        self._say(job, WorkerStarted(at=self.now, pid=1))
        yield
        self._enter(job, Phase.TICKET)
        yield  # it asks Apple, and does not see what is done to the phone meanwhile
        phone = self._guard(job)
        if phone.mode is PhoneMode.NORMAL:
            self._enter(job, Phase.RECOVERY)
            self._restart(phone, PhoneMode.RECOVERY)
            phone = yield from self._await(job, PhoneMode.RECOVERY)
        phone = self._guard(job)
        self._enter(job, Phase.RAMDISK)
        self._restart(phone, PhoneMode.RESTORE)
        yield from self._await(job, PhoneMode.RESTORE)
        self._enter(job, Phase.PREPARE)
        yield
        phone = self._guard(job)
        self._say(job, Intent(at=self.now, act=Act.ERASE, ecid=phone.ecid))
        self.erase(phone, job)
        for operation in (42, 50):
            self._say(job, Operation(at=self.now, operation=operation))
        yield
        self._enter(job, Phase.FIRMWARE)
        yield
        if self._at(job.spec.socket) is not phone:
            raise _Lost
        phone.restored_by = job.spec.job
        self._restart(phone, PhoneMode.NORMAL)
        self._say(job, Succeeded(at=self.now))

    def _await(self, job: OnDisk, mode: PhoneMode) -> Generator[None, None, Phone]:
        for _ in range(5):
            yield
            phone = self._at(job.spec.socket)
            if phone is not None and phone.mode is mode:
                return phone
        raise _Lost

    def _guard(self, job: OnDisk) -> Phone:
        """What the worker does before each act that changes the phone."""
        phone = self._at(job.spec.socket)
        if phone is None:
            raise _Lost
        if job.revoked:
            raise ConsentVoid("revoked")
        spec = job.spec
        rule.require(spec.consent, ecid=phone.ecid, bay=spec.bay, plug=spec.plug, service=Service.RESTORE)
        return phone

    # -- the truth

    def _take_grant(self, spec: JobSpec) -> None:
        """A grant is good for one job."""
        if spec.consent is None:
            return
        assert spec.firmware in self.store, "a restore was started without its firmware"
        if spec.consent.by is Hand.ORDER:
            self._take_turn(spec)
            return
        free = [g for g in self.grants if g.job is None and (g.ecid, g.bay) == (spec.ecid, spec.bay)]
        assert free, f"a restore of {spec.ecid} in bay {spec.bay} was started that nobody has confirmed"
        meant = [grant for grant in free if grant.shown == spec.firmware.version]
        assert meant, f"iOS {spec.firmware.version} is installed, and what was confirmed is {free[-1].shown}"
        meant[-1].job = spec.job

    def _take_turn(self, spec: JobSpec) -> None:
        """An order covers so many phones, each once; a second time only where a living daemon saw the first fail."""
        night, ecid = self.night, spec.ecid
        assert night is not None
        assert ecid is not None
        assert not night.ended, "a turn after the order had ended"
        assert self.now <= night.until, "a turn after the order's time"
        assert not night.bays or spec.bay in night.bays, "a turn in a bay that was not ordered"
        assert self.order_on_disk is not None
        assert spec.consent in self.order_on_disk.consents, "a consent was used that no disk has"
        here = self.in_bay(spec.bay)
        assert here is not None, "nobody is there"
        assert here.ecid == ecid, "another phone is there"
        earlier = [(daemon, job) for whose, daemon, job in night.turns if whose == ecid]
        if earlier:
            assert len(earlier) == 1, "a third turn"
            ((daemon, first),) = earlier
            assert daemon == self._daemons, "a second turn after a crash"
            record = next(job.record for job in (*self.disk.values(), *self.closed) if job.spec.job == first)
            assert record is not None, "a second turn before the first had ended"
            assert record.outcome is not Outcome.VERIFIED, "a second turn after the first went well"
        night.turns.append((ecid, self._daemons, spec.job))
        assert len({whose for whose, *_ in night.turns}) <= night.count, "more turns than were ordered"
        self.grants.append(Grant(ecid, spec.bay, spec.job))

    def erase(self, phone: Phone, job: OnDisk) -> None:
        """The destructive command reaches a phone. THE invariant."""
        covered = Grant(phone.ecid, phone.bay, job.spec.job) in self.grants if phone.bay is not None else False
        assert covered, f"phone {phone.ecid:X} in bay {phone.bay} was erased without anybody's word"
        self.erasures += 1
        job.erased = True
        phone.data, phone.restored_by = False, None

    def _check(self, record: Record) -> None:
        """Records tell the truth."""
        job = self.disk[record.job]
        assert job.record is None, "recorded twice"
        if record.outcome is Outcome.FAILED_UNTOUCHED:
            assert not job.erased, "a record says that nothing was erased, and it was"
        if record.outcome is Outcome.VERIFIED:
            assert any(phone.restored_by == record.job for phone in self.phones), (
                "a record says verified, and the phone was not restored"
            )

    def look(self) -> None:
        """What people see can always be drawn."""
        if self.station is not None:
            snapshot(self.station, at=self.now, sequence=1)

    def settle(self) -> None:
        """Let everything end: then every job that was started has its record."""
        if self.station is None:
            self.start_daemon()
        for name in [name for name, job in self.disk.items() if job.worker is not None]:
            self.kill_worker(name)
        self.leave_ring()
        for _ in range(20):
            self.wait(1000)
            self.disk_is_done()
            for name in list(self.disk):
                for _ in range(5):
                    if name in self.disk:
                        self.step(name)
        for job in (*self.disk.values(), *self.closed):
            assert job.spec.consent is None or job.record is not None, f"{job.spec.job} never ended"


class _Lost(Exception):
    """The worker's phone is not there any more."""
