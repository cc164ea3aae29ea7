"""A daemon in the test's own loop, real worker processes that a test conducts, and a bus that is a queue."""

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec

from station.adapters import sticks
from station.adapters.api import ApiClient, ApiServer, connect
from station.adapters.clock import boottime
from station.adapters.firmware import FirmwareStore
from station.adapters.jobshelf import JobShelf
from station.adapters.orders import OrderShelf
from station.adapters.pairings import Pairings
from station.adapters.releases import Releases
from station.adapters.secrets_in_memory import MemoryShelf
from station.adapters.vault import Vault
from station.adapters.workers import LocalStarter
from station.core.events import Moment
from station.core.situation import Health
from station.core.station import Station
from station.daemon.chosen import ChosenFirmware
from station.daemon.custody import Custody
from station.daemon.loop import Loop, StartsAnew
from station.daemon.office import Office
from station.daemon.proof import RecordedProof
from station.daemon.running import Running
from station.daemon.supply import Unsupplied
from station.model.api import BayView, Command, Lamp, Snapshot
from station.model.base import BayId, Ecid, JobId
from station.model.consent import Act
from station.model.events import (
    FactsRead,
    Intent,
    Operation,
    PhaseBegan,
    Progress,
    Succeeded,
    WorkerEvent,
    WorkerStarted,
)
from station.model.firmware import Firmware
from station.model.job import JobSpec, Phase
from station.model.lights import Lights
from station.model.operator import Power
from station.model.panel import Button, Control, ControlState
from station.model.phone import PhoneFacts, UsbArrived, UsbEvent
from tests.core.helpers import FIRMWARE, NORMAL, ONE, RECOVERY, A, facts, gone, policy
from tests.core.helpers import arrived as real_arrived

PATIENCE = 15.0
WORKER = Path(__file__).with_name("scripted_worker.py")


def arrived(ecid: Ecid = A, bay: BayId = ONE, product_id: int = NORMAL) -> UsbArrived:
    """All phones here are emulated: their records need no trusted clock."""
    return msgspec.structs.replace(real_arrived(ecid, bay, product_id), emulated=True)


class Conducted:
    """One scripted worker, as the conductor has it on the line."""

    def __init__(self, job: JobId, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.job = job
        self.pid = pid
        self._reader = reader
        self._writer = writer

    async def say(self, *events: WorkerEvent) -> None:
        """Have it write events down; they are in the file when this returns."""
        for event in events:
            self._writer.write(msgspec.json.encode(event) + b"\n")
            async with asyncio.timeout(PATIENCE):
                assert await self._reader.readline() == b"ok\n"

    async def exit(self, code: int = 0) -> None:
        """Have it end."""
        self._writer.write(f"exit {code}\n".encode())
        await self.gone()

    async def gone(self) -> None:
        """Wait until its end of the line is closed."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                await self._reader.read()

    def hang_up(self) -> None:
        """Whoever is still on the line ends."""
        self._writer.transport.abort()

    # -- stretches of a story

    async def inspect(self, found: PhoneFacts | None = None) -> None:
        await self.say(WorkerStarted(at=boottime(), pid=self.pid), FactsRead(at=boottime(), facts=found or facts()))
        await self.say(Succeeded(at=boottime()))
        await self.exit(0)

    async def begin(self, phase: Phase, fraction: float = 0.0) -> None:
        await self.say(PhaseBegan(at=boottime(), phase=phase))
        if fraction:
            await self.say(Progress(at=boottime(), phase=phase, fraction=fraction))

    async def erase(self, ecid: Ecid = A) -> None:
        await self.begin(Phase.PREPARE)
        await self.say(Intent(at=boottime(), act=Act.ERASE, ecid=ecid))
        await self.say(*(Operation(at=boottime(), operation=number) for number in (42, 50)))

    async def succeed(self) -> None:
        await self.begin(Phase.FIRMWARE)
        await self.say(Succeeded(at=boottime()))
        await self.exit(0)


class Conductor:
    """Where scripted workers call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._calls: asyncio.Queue[Conducted] = asyncio.Queue()
        self._all: list[Conducted] = []
        self._server: asyncio.Server | None = None
        self.program = (sys.executable, str(WORKER), str(path))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._call, self.path)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        for conducted in self._all:
            conducted.hang_up()

    async def worker(self) -> Conducted:
        """The next worker that calls."""
        async with asyncio.timeout(PATIENCE):
            return await self._calls.get()

    def nobody(self) -> bool:
        return self._calls.empty()

    async def _call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        job, pid = (await reader.readline()).decode().split()
        conducted = Conducted(JobId(job), int(pid), reader, writer)
        self._all.append(conducted)
        self._calls.put_nowait(conducted)


class Shelf:
    """A firmware store with one firmware in it."""

    def __init__(self) -> None:
        self.firmware: Firmware | None = FIRMWARE
        self.damage: Exception | None = None

    def every_for(self, product_type: str) -> Sequence[Firmware]:
        del product_type
        return [] if self.firmware is None else [self.firmware]

    def verify(self, firmware: Firmware) -> None:
        del firmware
        if self.damage is not None:
            raise self.damage

    def discard(self, name: str) -> str:
        raise NotImplementedError(name)


@dataclass
class House:
    """Everything of a station that outlives a daemon."""

    state: Path
    sockets: Path
    conductor: Conductor
    firmware: Shelf = field(default_factory=Shelf)
    changes: dict[str, object] = field(default_factory=dict)
    health: Health = field(default_factory=Health)
    daemons: int = 0
    switched: list[Power] = field(default_factory=list)

    @property
    def socket(self) -> Path:
        return self.sockets / "station.sock"

    @asynccontextmanager
    async def daemon(self) -> AsyncGenerator["Daemon", None]:
        """Run a daemon. Leaving is as sudden as a kill: workers and files stay as they are."""
        self.daemons += 1
        proof = await RecordedProof.open(self.state)
        shelf = await asyncio.to_thread(JobShelf, self.state)
        starter = LocalStarter(self.conductor.program)
        loop = Loop(
            Station(policy(**self.changes), instance=f"d{self.daemons}"),
            running=Running(shelf, starter, self.firmware, self.custody(shelf)),
            proof=proof,
            firmware=self.firmware,
            supplies=Unsupplied(),
            orders=OrderShelf(self.state),
            clock=lambda: Moment(at=boottime(), utc="2026-01-01T00:00:00Z"),
            releases=Releases(self.state),
            office=self.office(),
            health=lambda: self.health,
        )
        try:
            async with ApiServer(self.socket, loop.carry_out) as server:
                daemon = Daemon(loop, server)
                daemon.running = running = asyncio.create_task(loop.run(daemon.usb(), daemon))
                try:
                    async with connect(self.socket) as daemon.client:
                        yield daemon
                finally:
                    running.cancel()
                    with suppress(asyncio.CancelledError):
                        try:
                            await running
                        except* StartsAnew:
                            pass
        finally:
            starter.close()
            await proof.close()

    def switch(self, how: Power) -> None:
        self.switched.append(how)

    def office(self) -> Office:
        """Its sticks are the directories in `sticks`; nothing switches a machine off here."""
        return Office(
            self.state,
            software="test 1",
            firmware=ChosenFirmware(FirmwareStore(self.state / "firmware"), pins={}, denied=()),
            health=lambda: self.health,
            sticks=lambda: sticks.below(self.sockets / "sticks"),
            switch=self.switch,
            environment={"STATION_STATE": str(self.state), "STATION_SOCKET": str(self.socket)},
        )

    def custody(self, shelf: JobShelf) -> Custody:
        """A vault; no usbmuxd answers."""
        return Custody(
            Vault(self.state / "vault", secret=self.state / "keys" / "vault-secret", days=30),
            MemoryShelf(Path("/dev/shm", self.sockets.name)),
            Pairings(str(self.sockets / "usbmuxd"), self.state / "pairings"),
            shelf,
        )

    def jobs(self) -> list[str]:
        return sorted(path.name for path in (self.state / "jobs").iterdir())


class Daemon:
    """A running daemon, its bus, its buttons and a client."""

    client: ApiClient
    running: "asyncio.Task[None]"

    def __init__(self, loop: Loop, server: ApiServer) -> None:
        self.loop = loop
        self.lamps: list[Lamp | None] = []
        self._server = server
        self._bus: asyncio.Queue[UsbEvent] = asyncio.Queue()
        self._commands = 0

    def light(self, lights: Lights) -> None:
        self.lamps.append(lights[None])

    def show(self, snapshot: Snapshot) -> None:
        self._server.publish(snapshot)

    async def usb(self) -> AsyncIterator[UsbEvent]:
        while True:
            yield await self._bus.get()

    def tell(self, *events: UsbEvent) -> None:
        for event in events:
            self._bus.put_nowait(event)

    def press(self, control: Control = Control.START) -> None:
        self.loop.button(Button(control), ControlState.DOWN)
        self.loop.button(Button(control), ControlState.UP)

    async def command(self, kind: type[Command], **fields: Any) -> str:
        self._commands += 1
        answer = await self.client.command(kind(id=self._commands, **fields))
        return answer.refused

    async def until(self, fits: Callable[[BayView], object], bay: BayId = ONE) -> BayView:
        """Wait until a bay looks so."""
        async with asyncio.timeout(PATIENCE):
            snapshot = self.client.latest or await self.client.snapshot()
            while True:
                for view in snapshot.bays:
                    if view.bay == bay and fits(view):
                        return view
                snapshot = await self.client.snapshot()


def spec_of(state: Path, job: JobId) -> JobSpec:
    return msgspec.json.decode((state / "jobs" / job / "spec.json").read_bytes(), type=JobSpec)


RESTORED = (gone(), arrived())
IN_RECOVERY = (gone(), arrived(product_id=RECOVERY))
