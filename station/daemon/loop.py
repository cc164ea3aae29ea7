"""The daemon's loop: one thing after the other goes into the Station, and what it wants is done.

It is long because it is one thing: what is awaited where, and in which order, decides what the Station sees.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

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
    HealthChanged,
    OperatorTold,
    OrderFound,
    OrderNotSaved,
    OrderSaved,
    PapersSeen,
    QuarantineFound,
    RecordNotWritten,
    RecordWritten,
    ReleaseKept,
    Tick,
    TimesChanged,
    TroubleChanged,
    VaultSeen,
    WorkerEnded,
    WorkerNotStarted,
)
from station.core.situation import Health
from station.core.station import Station
from station.core.view import lights_of, snapshot
from station.daemon.follow import Ended, Stirred
from station.daemon.office import Office
from station.daemon.ports import Clock, Face, FirmwareShelf, OrderKeeper, Proof, ReleaseKeeper, Supplies
from station.daemon.running import Running
from station.errors import Refused, StationError, StorageError
from station.model.api import (
    Answer,
    Cancel,
    Command,
    Decide,
    HoldBegan,
    OperatorConfirm,
    Overrule,
    Release,
    Snapshot,
    Start,
)
from station.model.base import JobId, format_ecid
from station.model.catalog import Offer
from station.model.causes import Cause
from station.model.order import OrderNote
from station.model.panel import Button, ControlState
from station.model.phone import UsbArrived, UsbEvent, UsbGone
from station.model.record import Record
from station.model.release import Release as Released

VAULT_SECONDS = 24 * 3600.0
"""Between two looks for backups that were kept long enough."""
UNTRUSTED_SECONDS = 3600.0
"""The same, while the clock cannot be trusted: none is deleted then."""
HEALTH_SECONDS = 15.0
"""Between two looks at the machine, while nobody presses START."""
PAPERS_SECONDS = 5.0
"""Between two looks at what an operator looks through, while they do."""
WIND_UP_SECONDS = 20.0
"""How long what is being written may take, before the daemon starts anew without it: the next one takes it up."""

log = structlog.get_logger(__name__)


MAX_NEWS = 256
"""USB events that wait to be handled; what comes then waits outside."""


@dataclass(frozen=True)
class Given:
    """A client's command: whoever gives it waits until it is handled, so that none pile up."""

    command: Command
    done: "asyncio.Future[None]"
    """Has a Refused in it when it could not be."""


Item = Event | Given | Stirred | Ended


class StartsAnew(Exception):
    """The loop has ended because the settings are other ones now."""


class Loop:
    """Feeds one Station from one queue, in the order in which things happen."""

    def __init__(
        self,
        station: Station,
        *,
        running: Running,
        proof: Proof,
        firmware: FirmwareShelf,
        supplies: Supplies,
        orders: OrderKeeper,
        clock: Clock,
        releases: ReleaseKeeper,
        office: Office,
        health: Callable[[], Health],
    ) -> None:
        """Wire the station to the world.

        Args:
            station: the owner of state; nobody else may touch it from now on.
            running: its jobs.
            proof: where records go.
            firmware: where firmware is.
            supplies: where it comes from.
            orders: where the standing order is kept.
            clock: tells the time.
            releases: where it is kept which failures somebody has looked into.
            office: what only operators need.
            health: looks at the machine; blocks for milliseconds.
        """
        self._station = station
        self._running = running
        self._proof = proof
        self._firmware = firmware
        self._supplies = supplies
        self._orders = orders
        self._clock = clock
        self._releases = releases
        self._office = office
        self._health = health
        self._known_health: Health | None = None
        # Not bounded itself, because every source is: so many USB events, one command a client, one piece of news a
        # job, and buttons that are debounced.
        self._inbox: asyncio.Queue[Item] = asyncio.Queue()
        self._room = asyncio.Semaphore(MAX_NEWS)
        self._writing: set[asyncio.Task[None]] = set()
        self._stirred = asyncio.Event()
        """An operator did something: what they look through is another now."""
        self._anew = False
        self._unanswered: set[asyncio.Future[None]] = set()
        self._closed = False
        self._shown: Snapshot | None = None
        self._sequence = 0

    async def run(self, usb: AsyncIterator[UsbEvent], face: Face) -> None:
        """Take up what an earlier daemon left, then serve until cancelled.

        Args:
            usb: where phones come and go; its end is the end of the station.
            face: who shows it.

        Raises:
            StartsAnew: in a group: it is to be started again, with the settings as they are then.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._running.begin(tasks, self._inbox.put_nowait)
                await self._handle(await self._office.found())
                aside = await asyncio.to_thread(lambda: self._proof.quarantine(self._releases.all()))
                await self._handle(QuarantineFound(quarantine=aside))
                for event in await self._running.take_up():
                    await self._handle(event)
                await self._refresh()
                await self._handle(TimesChanged(times=await asyncio.to_thread(self._proof.times)))
                if (order := await asyncio.to_thread(self._orders.holding)) is not None:
                    await self._handle(OrderFound(note=order[0], same_boot=order[1]))
                self._show(face)
                tasks.create_task(self._pump(usb))
                tasks.create_task(self._keep_vault())
                tasks.create_task(self._watch_health())
                tasks.create_task(self._keep_papers())
                tasks.create_task(self._supplies.run(self._inbox.put_nowait, self._came))
                while not self._anew:
                    await self._take(await self._next())
                    self._show(face)
                await self._wind_up()
                raise StartsAnew
        finally:
            self._close()

    async def carry_out(self, command: Command) -> Answer:
        """Carry out a client's command. Once the loop has ended, every command is refused."""
        try:
            await self._give(command)
        except Refused as refused:
            return Answer(id=command.id, refused=str(refused), remedy=refused.remedy)
        return Answer(id=command.id)

    def button(self, button: Button, state: ControlState) -> None:
        """Take in a button; called on the loop."""
        self._inbox.put_nowait(ButtonChanged(control=button.control, state=state, bay=button.bay))

    async def _pump(self, usb: AsyncIterator[UsbEvent]) -> None:
        # In the queue as soon as it is known, not when the loop has time for it: when a worker has ended, what its
        # phone did before must have been handled before.
        async for event in usb:
            await self._room.acquire()
            self._inbox.put_nowait(event)
        raise StationError("The bus says nothing any more.", remedy="See the log.")

    async def _give(self, command: Command) -> None:
        """Have it handled, and wait until it is. Raises Refused."""
        if self._closed:
            raise _ending()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unanswered.add(done)
        self._inbox.put_nowait(Given(command, done))
        try:
            await done
        finally:
            self._unanswered.discard(done)

    def _close(self) -> None:
        """Nobody waits for a loop that has ended."""
        self._closed = True
        for done in self._unanswered:
            if not done.done():
                done.set_exception(_ending())

    async def _next(self) -> Item:
        """The next thing to handle. What has happened comes before the time that has passed."""
        deadline = self._station.next_deadline()
        wait = None if deadline is None else max(0.0, deadline - self._clock().at)
        try:
            async with asyncio.timeout(wait):
                return await self._inbox.get()  # does not wait when there is something, whatever the deadline
        except TimeoutError:  # and yet, after a stall, something may have come in the same instant
            return Tick() if self._inbox.empty() else self._inbox.get_nowait()

    async def _take(self, item: Item) -> None:
        match item:
            case Given():
                await self._answer(item)
            case UsbArrived() | UsbGone():
                self._room.release()
                log.info("usb", **msgspec.to_builtins(item))
                await self._catch_up_all()
                await self._handle(item)
            case Stirred():
                await self._catch_up(item.job)
            case Ended():
                await self._catch_up(item.job)
                await self._handle(WorkerEnded(job=item.job, exit=await self._running.leave(item.job)))
            case ButtonChanged(state=ControlState.DOWN) | OrderSaved():
                # The gates are asked at START, and when CONFIRM was held; an order's consents begin to count here.
                await self._refresh()
                await self._handle(item)
            case _:
                await self._handle(item)

    async def _answer(self, given: Given) -> None:
        try:
            await self._obey(given.command)
        except Refused as refused:
            if not given.done.done():  # whoever asked may have left
                given.done.set_exception(refused)
        else:
            if not given.done.done():
                given.done.set_result(None)

    async def _obey(self, command: Command) -> None:
        if isinstance(command, Cancel):
            await self._catch_up_all()
        elif isinstance(command, Start | HoldBegan | OperatorConfirm):
            await self._refresh()
        await self._handle(command)
        if self._station.operator.open:
            self._stirred.set()
        if isinstance(command, Decide | Overrule | Release):
            log.info("ruling", **msgspec.to_builtins(command))

    async def _catch_up_all(self) -> None:
        """Read what the workers have said.

        A worker writes down that it sends its phone into another mode before it does. Read in this order, a phone
        that leaves because it was told to is not taken for one that was unplugged, and an erase that is under way
        is not cancelled.
        """
        for job in self._running:
            await self._catch_up(job)

    async def _catch_up(self, job: JobId) -> None:
        for event in await self._running.said(job):
            await self._handle(event)

    async def _handle(self, event: Event) -> None:
        """Handle an event. Raises Refused when it was a command that could not be carried out."""
        refused: Refused | None = None
        for action in self._station.handle(event, self._clock()):
            try:
                await self._do(action)
            except Refused as reason:  # whoever asked is told; what others wait for is done all the same
                refused = reason
        station = self._station
        self._supplies.needs(
            wants=station.wants(), models=frozenset(station.models()), seen=station.seen(), in_use=station.in_use()
        )
        if refused is not None:
            raise refused

    async def _do(self, action: Action) -> None:  # noqa: C901, PLR0912 one arm an action
        match action:
            case StartWorker(spec=spec):
                try:
                    await self._running.start(spec)
                except StorageError as error:
                    self._inbox.put_nowait(WorkerNotStarted(job=spec.job, cause=Cause.DISK_FULL, detail=str(error)))
            case RevokeConsent(job=job):
                log.warning("consent revoked", job=job)
                await self._running.revoke(job)
            case KillWorker(job=job):
                log.warning("worker killed", job=job)
                self._running.kill(job)
            case WriteRecord(record=record):
                task = self._tasks.create_task(self._write(record))
                self._writing.add(task)
                task.add_done_callback(self._writing.discard)
            case FindFirmware(product_type=product_type):
                self._tasks.create_task(self._find(product_type))
            case CloseJob(job=job):
                await self._running.close(job)
            case ForgetPhone(udid=udid):
                self._tasks.create_task(self._running.forget(udid))
            case KeepRelease(release=release):
                await self._keep_release(release)
            case SaveOrder(note=note):
                await self._save_order(note)
            case MakePin() | CheckPin() | KeepChoices() | SwitchMachine():
                for event in await self._office.do(action):
                    await self._handle(event)
            case WriteLogs(stick=stick):
                self._tasks.create_task(self._write_logs(stick))
            case AskForNewest():
                self._supplies.ask()
            case StopFetching(build=build):
                self._supplies.stop(build)
            case DiscardFirmware(name=name):
                if any(Path(directory).parent.name == name for directory in self._station.in_use()):
                    raise Refused("A job uses this firmware.", remedy="Remove it when the job is done.")
                self._tasks.create_task(self._discard(name))
            case StartAnew():
                log.info("starting anew; workers go on")
                self._anew = True

    async def _write(self, record: Record) -> None:
        bound = log.bind(job=record.job, bay=record.bay, ecid=format_ecid(record.ecid))
        try:
            finished = await self._proof.write(record)
            if not await self._settled(finished.record):
                return
            await self._running.finish(finished)
        except StationError as error:
            bound.critical("record not written", error=str(error))
            self._inbox.put_nowait(RecordNotWritten(job=record.job, detail=str(error)))
        else:
            sealed, number = finished.record, finished.number
            bound.info("recorded", number=number, outcome=sealed.outcome.value, why=sealed.title)
            if sealed.backup is not None:
                self._inbox.put_nowait(VaultSeen(vault=await self._running.vault()))
            certificate, proof = finished.certificate, finished.proof
            self._inbox.put_nowait(RecordWritten(record=sealed, number=number, certificate=certificate, proof=proof))
            self._inbox.put_nowait(TimesChanged(times=await asyncio.to_thread(self._proof.times)))

    async def _settled(self, record: Record) -> bool:
        """Whether what the vault is to know of a job that is recorded is in there; a vault that fails stops nobody."""
        try:
            await self._running.settle(record)
        except StorageError as error:
            log.critical("vault not told of a record", job=record.job, error=str(error))
            detail = f"{error} {error.remedy}".strip()
            self._inbox.put_nowait(RecordNotWritten(job=record.job, detail=detail, sealed=True))
            return False
        return True

    async def _keep_release(self, release: Released) -> None:
        """A phone leaves quarantine once that is on the disk. Raises Refused when it cannot be."""
        try:
            await asyncio.to_thread(self._releases.keep, release)
        except StorageError as error:
            log.critical("release not kept", ecid=format_ecid(release.ecid), error=str(error))
            raise Refused(str(error), remedy="Free some space on the station, then release it again.") from error
        await self._handle(ReleaseKept(release=release))

    async def _watch_health(self) -> None:
        while True:
            await asyncio.sleep(HEALTH_SECONDS)
            health = await asyncio.to_thread(self._health)
            if health != self._known_health:
                self._known_health = health
                self._inbox.put_nowait(HealthChanged(health=health))

    async def _keep_papers(self) -> None:
        """Gather what an operator looks through: now and then while somebody does, and never otherwise."""
        while True:
            wait = None
            if self._station.operator.open:
                wait = PAPERS_SECONDS
                try:
                    self._inbox.put_nowait(PapersSeen(papers=await asyncio.to_thread(self._office.look)))
                except (StationError, OSError) as error:  # a disk that fails costs the papers, not the daemon
                    log.warning("what an operator looks through cannot be read", error=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._stirred.wait()
            self._stirred.clear()

    async def _write_logs(self, stick: str) -> None:
        self._inbox.put_nowait(await self._office.write_logs(stick))

    async def _wind_up(self) -> None:
        """Let what has begun be written down: records, and workers that are on their way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WIND_UP_SECONDS):
                while (under_way := self._writing | self._running.starts) or not self._inbox.empty():
                    if under_way:
                        await asyncio.wait(under_way)
                    while not self._inbox.empty():
                        await self._take(self._inbox.get_nowait())

    async def _save_order(self, note: OrderNote) -> None:
        try:
            await asyncio.to_thread(self._orders.save, note)
        except StorageError as error:
            log.critical("standing order not written", order=note.id, error=str(error))
            self._inbox.put_nowait(OrderNotSaved(detail=str(error)))
        else:
            log.info("standing order", order=note.id, given=len(note.consents), done=len(note.results))
            self._inbox.put_nowait(OrderSaved(note=note))

    async def _find(self, product_type: str) -> None:
        self._inbox.put_nowait(await self._found(product_type))

    async def _found(self, product_type: str) -> FirmwareFound:
        try:
            found = [*await asyncio.to_thread(self._firmware.every_for, product_type)]
        except (StationError, OSError) as error:
            log.warning("the firmware store cannot be read", error=str(error))
            found = []
        newest = found.pop() if found else None
        return FirmwareFound(product_type=product_type, firmware=newest, older=tuple(found))

    async def _came(self, offer: Offer) -> None:
        """Firmware was put into the store: it is told before it is no longer on its way."""
        for product_type in self._station.models() & set(offer.product_types):
            await self._find(product_type)

    async def _discard(self, name: str) -> None:
        """Delete firmware, and tell what became of it: that can take a minute, and nothing waits for it."""
        try:
            says = await asyncio.to_thread(self._firmware.discard, name)
        except (Refused, StorageError) as error:
            says = f"{error} {error.remedy}".strip()
        log.info("firmware to be removed", name=name, says=says)
        for product_type in self._station.models():
            await self._find(product_type)
        self._inbox.put_nowait(OperatorTold(says=says))

    async def _refresh(self) -> None:
        """Look at what gates depend on and nobody announces: the machine, the vault and the firmware store."""
        await self._handle(TroubleChanged(trouble=self._proof.trouble))
        await self._handle(VaultSeen(vault=await self._running.vault()))
        await self._handle(HealthChanged(health=await asyncio.to_thread(self._health)))
        for product_type in self._station.models():
            await self._handle(await self._found(product_type))

    async def _keep_vault(self) -> None:
        """Delete backups when their time has come, as soon as the clock can be trusted to say so."""
        while True:
            done = await self._running.expire(self._clock())
            self._inbox.put_nowait(VaultSeen(vault=await self._running.vault()))
            await asyncio.sleep(VAULT_SECONDS if done else UNTRUSTED_SECONDS)

    def _show(self, face: Face) -> None:
        """Show the station, if it looks different."""
        shown = snapshot(self._station, at=0.0, sequence=0)
        # Before anything that takes its time: a finger waits for it.
        face.light(self._station.trial.lights(lambda: lights_of(shown)))
        if shown == self._shown:
            return
        self._shown = shown
        self._sequence += 1
        face.show(msgspec.structs.replace(shown, at=self._clock().at, sequence=self._sequence))


def _ending() -> Refused:
    return Refused("The station is ending.", remedy="Try again once it is up.")
