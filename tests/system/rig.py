"""A whole station: virtual phones in this process, a real daemon with its workers, and a person's hands.

The virtual host lives in the test's own process, so that a test sees what really happened to a phone (`history`,
`destructions`, `system`) and can hold it at any step. Everything else is what is delivered: `station daemon` as a
process, its workers, its socket, its mock pins.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Callable, Container, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path
from typing import Self

import msgspec
from asyncinotify import Inotify, Mask

from station.adapters import chain
from station.adapters.api import ApiClient, connect
from station.adapters.firmware import FirmwareStore
from station.adapters.jobdir import JobDirectory
from station.adapters.pairings import Pairings
from station.adapters.records import chain_files
from station.adapters.signing import DemonstrationKey, SigningKey
from station.adapters.vault import Vault
from station.errors import InputRejected, Refused
from station.model.api import Answer, BayState, BayView, Command, Dismiss, OperatorConfirm, Snapshot, Start
from station.model.base import BackupId, BayId, Ecid, JobId, SocketPath
from station.model.job import JobSpec
from station.model.record import Record, SealedRecord
from station.model.service import SERVICES, Service
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.hosting.panel import Hand
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import VirtualPhone
from tests.processes import until_gone
from tests.system.leaks import OF_A_KEY, Leak, anybodys, noting_pair_records

OLD = Installed(version="26.1", build="23B85")
PATIENCE = 30.0
"""Seconds for whatever does not depend on a phone, on a machine that is busy with others."""


class Rig:
    """A virtual world, and the place where a station keeps what it keeps."""

    def __init__(
        self,
        directory: Path,
        host: VirtualHost,
        store: FirmwareStore,
        *,
        bays: Sequence[str],
        settings: dict[str, str],
        pair_records: Sequence[bytes] = (),
    ) -> None:
        self.host = host
        self.store = store
        self.directory = directory
        self.state = directory / "state"
        self.state_seen = self.state
        """The same, as this process sees it."""
        self.vault_seen = self.state / "vault"
        """Where the backups are, as this process sees them."""
        self.socket = directory / "station.sock"
        self.log = directory / "daemon.log"
        self.hand = Hand(host.directory / "panel")
        self.sockets = {BayId(bay): SocketPath(f"1-1.{bay}") for bay in bays}
        self._pair_records = pair_records
        self.environment = {
            **{name: str(directory / name.lower()) for name in ("HOME", "TMPDIR")},
            "STATION_NAME": "Test station",
            "STATION_STATE": str(self.state),
            "STATION_SOCKET": str(self.socket),
            "STATION_FIRMWARE": str(store.path),
            "STATION_VIRTUAL": str(host.directory),
            "STATION_OPERATOR_CONFIRM": "true",
            # Tests that ask about something else try a phone more than once; those about quarantine set it.
            "STATION_QUARANTINE_AFTER": "0",
            "STATION_BAYS": msgspec.json.encode(self.sockets).decode(),
            **settings,
        }
        self.program: tuple[str, ...] = (sys.executable, "-m", "station", "daemon")
        self._notify = directory / "notify"
        for name in ("HOME", "TMPDIR"):
            Path(self.environment[name]).mkdir(exist_ok=True)

    def plug(self, bay: str, *, installed: Installed | None = OLD, **order: object) -> VirtualPhone:
        """Make a phone and plug it into a bay."""
        socket_path = self.sockets[BayId(bay)]
        return self.host.hands.plug(Plug(installed=installed, socket=socket_path, **order))  # type: ignore[arg-type]  # tests know

    def plug_stranger(
        self, bay: str, *, ecid: Ecid, installed: Installed = OLD, serial_number: str = "STRANGER"
    ) -> VirtualPhone:
        """A phone that may be anybody: with an ECID that another one has, or a serial number that is none."""
        identity = replace(find_model("iPhone 12").identity(ecid), serial_number=serial_number)
        phone = VirtualPhone(identity, installed.system(), self.host.hands._boots)
        self.host.bus.plug(phone, self.sockets[BayId(bay)])
        return phone

    @asynccontextmanager
    async def station(self) -> AsyncGenerator["Station", None]:
        """Run the daemon while the context is open, unless it is killed before."""
        daemon = await self.start_daemon()
        try:
            async with connect(self.socket) as watching:
                station = Station(self, daemon, watching)
                async with station:
                    yield station
        finally:
            if daemon.returncode is None:
                daemon.send_signal(signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                await daemon.wait()

    async def start_daemon(self) -> Process:
        """Start a daemon, and wait until it tells systemd that it is up. AssertionError when it ends instead."""
        self._notify.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear, self.log.open("ab") as log:
            ear.setblocking(False)
            ear.bind(str(self._notify))
            daemon = await asyncio.create_subprocess_exec(
                *self.program,
                stdout=log,
                stderr=log,
                env=os.environ | self.environment | {"NOTIFY_SOCKET": str(self._notify)},
            )
            word = asyncio.create_task(asyncio.get_running_loop().sock_recv(ear, 4096))
            end = asyncio.create_task(daemon.wait())
            await asyncio.wait({word, end}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
            up = word.done() and word.result().startswith(b"READY=1")
            for waiting in (word, end):
                waiting.cancel()
            await asyncio.gather(word, end, return_exceptions=True)
        assert up, f"the daemon did not come up:\n{self.log.read_text()[-3000:]}"
        return daemon

    @asynccontextmanager
    async def screen(self, pictures: Path) -> AsyncGenerator[Process, None]:
        """Run the kiosk on a display that shows nothing, from its first picture of the station on."""
        with Inotify() as inotify:
            inotify.add_watch(pictures, Mask.CLOSE_WRITE | Mask.MOVED_TO)
            command = ("-m", "station", "screen", "--socket", str(self.socket), "--pictures", str(pictures))
            process = await asyncio.create_subprocess_exec(
                sys.executable, *command, env=os.environ | {"SDL_VIDEODRIVER": "dummy"}
            )
            try:
                async with asyncio.timeout(PATIENCE):
                    await inotify.get()
                yield process
            finally:
                if process.returncode is None:
                    process.terminate()
                await process.wait()

    async def kill_daemon_at_start(self) -> None:
        """Start a daemon, and kill it as soon as it is up."""
        daemon = await self.start_daemon()
        daemon.kill()
        await daemon.wait()

    # -- what is left on the disk

    def sealed(self, key: type[SigningKey] = DemonstrationKey) -> list[SealedRecord]:
        """The records of one key's chain, in order, from their files."""
        files = chain_files(self.state_seen, key).records.glob("*.json")
        return [msgspec.json.decode(file.read_bytes(), type=SealedRecord) for file in sorted(files)]

    def record(self, number: int) -> Record:
        """A record of an emulated phone, by its number in the chain."""
        file = chain_files(self.state_seen, DemonstrationKey).record(number)
        return chain.record_of(msgspec.json.decode(file.read_bytes(), type=SealedRecord))

    def records(self) -> list[Record]:
        """Every record of an emulated phone, in order."""
        return [chain.record_of(sealed) for sealed in self.sealed()]

    def jobs(self) -> Iterator[tuple[JobDirectory, JobSpec]]:
        """Every job there still is; those of inspections disappear when they have ended."""
        for place in ("jobs", "closed"):
            for path in (self.state_seen / place).glob("*"):
                with suppress(InputRejected):
                    yield JobDirectory(path), JobDirectory(path).spec()

    def job(self, job: JobId) -> JobDirectory:
        """One job's directory, open or closed."""
        return next(directory for directory, spec in self.jobs() if spec.job == job)

    def worker_log(self, job: JobId) -> str:
        """A job's log, for a failed assertion."""
        path = self.job(job).work / "log"
        return path.read_text() if path.exists() else "no log"

    def worker_of(self, phone: VirtualPhone, *, child: bool = False) -> int:
        """The process id of a phone's living worker: of its keeper, or of the keeper's child that does the work."""
        (job,) = [job for job, spec in self.jobs() if spec.ecid == phone.identity.ecid and job.alive()]
        keeper = job.alive()
        assert keeper is not None
        return next(_children(keeper)) if child else keeper

    async def end_workers(self) -> None:
        """End those that outlived the daemon, as workers do: from then on nobody writes anything."""
        for job, _ in list(self.jobs()):
            if (keeper := job.alive()) is None:
                continue
            with suppress(OSError):  # it may end by itself just now
                both = (keeper, *_children(keeper))
                os.kill(keeper, signal.SIGKILL)
                for pid in both:
                    await until_gone(pid)

    @property
    def memory(self) -> Path:
        """Where passwords wait for workers."""
        return Path(self.environment["STATION_RUNTIME"])

    @property
    def vault(self) -> Vault:
        """The backups."""
        return Vault(self.vault_seen, secret=self.state_seen / "keys" / "vault-secret", days=30)

    def remembers(self, phone: VirtualPhone) -> bool:
        """Whether usbmuxd could open the phone."""
        pairings = Pairings(self.host.reach.usbmuxd, self.directory / "none")
        answer = pairings._ask({"MessageType": "ReadPairRecord", "PairRecordID": phone.identity.udid})
        return "PairRecordData" in answer

    def leaks(self) -> list[Leak]:
        """What lies where it may not (`leaks`), of all that this station ever held; and what is left in memory."""
        vault, secrets, keys = self.vault, anybodys(), self.state_seen / "keys"
        for record in self._pair_records:
            secrets.add_pair_record(record)
        if (keys / "vault-secret").exists():
            secrets.add("the vault's secret", (keys / "vault-secret").read_bytes())
            for backup in self._backups():
                secrets.add(f"the password of {backup}", vault.password(backup).encode())
        places = {self.directory, self.state_seen, vault.path, self.memory}
        outer = [place for place in places if place.exists() and places.isdisjoint(place.parents)]
        working = {spec.job for job, spec in self.jobs() if job.alive()}
        waiting = [path for path in (self.memory / "secrets" / "given").glob("*") if path.stem not in working]
        return [
            *(Leak(str(path), "left in memory") for path in waiting),
            *(leak for leak in secrets.search(outer) if not self._may_be_there(leak, working)),
        ]

    def _may_be_there(self, leak: Leak, working: Container[str]) -> bool:
        path = Path(leak.path)
        if path.parent == self.memory / "secrets" / "given":
            return path.stem in working
        own = leak.what.startswith(OF_A_KEY) or leak.what == "the vault's secret"
        return own and path.is_relative_to(self.state_seen / "keys")

    def _backups(self) -> set[BackupId]:
        """The ids of all backups that ever were, as far as anything here knows."""
        ids = {note.id for note in self.vault.notes()} | {*self.vault.owed().values()}
        ids |= {spec.backup.id for _, spec in self.jobs() if spec.backup is not None}
        return ids | {record.backup for record in self.records() if record.backup is not None}

    def processes(self) -> dict[int, str]:
        """Every process of this station but the daemon, and what it is at: whoever holds something of a job's open."""
        found = {}
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                held = [link.readlink() for link in place.glob("fd/*")]
                if any(path.is_relative_to(self.state / "jobs") for path in held):
                    found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found


class Station:
    """A running daemon, as its clients see it."""

    def __init__(self, rig: Rig, process: Process, watching: ApiClient) -> None:
        self.rig = rig
        self.process = process
        self.snapshot: Snapshot | None = None
        """The newest; None once the daemon is gone."""
        self._watching = watching
        self._arming = asyncio.Lock()
        self._numbers = count(1)
        self._news = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    async def kill(self) -> None:
        """kill -9, and wait until it is dead."""
        self.process.kill()
        async with asyncio.timeout(PATIENCE):
            await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, as systemd does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    # -- eyes

    async def until(self, seen: Callable[[Snapshot], bool], *, seconds: float = PATIENCE) -> Snapshot:
        """Wait for a snapshot in which something is to be seen. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._news:
            await self._news.wait_for(lambda: self.snapshot is not None and seen(self.snapshot))
        assert self.snapshot is not None
        return self.snapshot

    async def next(self) -> Snapshot:
        """Wait for another snapshot. Raises TimeoutError."""
        before = self.snapshot
        return await self.until(lambda snapshot: snapshot is not before)

    async def until_bay(self, bay: str, seen: Callable[[BayView], bool], *, seconds: float = PATIENCE) -> BayView:
        """Wait until something is to be seen in a bay. AssertionError, with what is there, when it does not come."""
        try:
            return bay_of(await self.until(lambda snapshot: seen(bay_of(snapshot, bay)), seconds=seconds), bay)
        except TimeoutError:
            now = None if self.snapshot is None else bay_of(self.snapshot, bay)
            log = self.rig.log.read_text()[-1500:]
            raise AssertionError(f"bay {bay} after {seconds:.0f} s: {now}\n{log}") from None

    async def until_state(self, bay: str, *states: BayState, seconds: float = PATIENCE) -> BayView:
        """Wait until a bay is in one of these states."""
        return await self.until_bay(bay, lambda view: view.state in states, seconds=seconds)

    async def until_recorded(self, bay: str, *, seconds: float = PATIENCE) -> BayView:
        """Wait until a bay shows a result that is recorded."""
        return await self.until_bay(
            bay, lambda view: view.result is not None and view.result.record > 0, seconds=seconds
        )

    async def until_empty(self, bay: str) -> None:
        """Wait until nothing is in a bay any more."""
        await self.until_state(bay, BayState.EMPTY)

    # -- hands

    async def command(self, command: type[Command], bay: str, **fields: object) -> Answer:
        """Give a command for a bay."""
        return await self.give(command(id=next(self._numbers), bay=BayId(bay), **fields))  # type: ignore[arg-type, call-arg]  # tests know

    async def give(self, command: Command) -> Answer:
        """Give a command.

        Over a connection of its own: who keeps one, and does not read the snapshots that come over it, is dropped.
        """
        async with connect(self.rig.socket) as commanding:
            return await commanding.command(command)

    async def obeyed(self, command: type[Command], bay: str, **fields: object) -> None:
        """Give a command that must not be refused."""
        answer = await self.command(command, bay, **fields)
        assert not answer.refused, f"{command.__name__} in bay {bay}: {answer.refused} {answer.remedy}"

    async def confirm(self, bay: str, phone: VirtualPhone, service: Service = Service.RESTORE) -> None:
        """Give START and, where it takes one, a confirmation; one bay after the other: there is one CONFIRM."""
        await self.until_state(bay, BayState.READY)
        async with self._arming:
            await self.obeyed(Start, bay, service=service)
            if SERVICES[service].confirmed:
                await self.obeyed(OperatorConfirm, bay, ecid=phone.identity.ecid)

    async def clear(self, bay: str) -> None:
        """Take the phone out of a bay, if one is there, and dismiss the result, if there is one."""
        if (phone := self.rig.host.bus.at(self.rig.sockets[BayId(bay)])) is not None:
            assert phone.socket is not None
            await self.rig.host.bus.unplug(phone.socket)
        # What is still at work ends now, but not at once, and leaves a result too.
        await self.until_bay(bay, _is_over, seconds=2 * PATIENCE)
        await self.command(Dismiss, bay)
        await self.until_empty(bay)

    async def _follow(self) -> None:
        try:
            while True:
                self.snapshot = await self._watching.snapshot()
                async with self._news:
                    self._news.notify_all()
        except Refused:
            self.snapshot = None


class Window:
    """A window into one phone: tells when it is at a step, and holds it there until `go`."""

    def __init__(
        self,
        phone: VirtualPhone,
        name: str,
        *,
        after: str | None = None,
        hold: bool = True,
        armed: bool = True,
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Watch for a step.

        Args:
            phone: whose.
            name: a glob; it counts the first time.
            after: a step that must have been before, where `name` comes more than once.
            hold: whether it is held there.
            armed: whether it is watched from now on; otherwise `arm` it.
            then: called at that moment.
        """
        self.phone = phone
        self.reached = asyncio.Event()
        self._going = asyncio.Event()
        if not hold:
            self.go()
        self._armed = armed
        seen_before = after is None
        step = phone.step

        async def watched(at: str, *, seconds: float = 0.0) -> None:
            nonlocal seen_before
            if self._armed and seen_before and not self.reached.is_set() and fnmatchcase(at, name):
                self.reached.set()
                then()
                await self._going.wait()
            seen_before = seen_before or (after is not None and fnmatchcase(at, after))
            await step(at, seconds=seconds)

        phone.step = watched  # type: ignore[method-assign, assignment]  # a window into this one phone

    def arm(self) -> None:
        """Watch from now on."""
        self._armed = True

    def go(self) -> None:
        """Let it go on."""
        self._going.set()


def _is_over(view: BayView) -> bool:
    return view.state is BayState.EMPTY or (view.result is not None and view.result.record > 0)


def bay_of(snapshot: Snapshot, bay: str) -> BayView:
    """One bay of a snapshot."""
    return next(view for view in snapshot.bays if view.bay == bay)


def _children(pid: int) -> Iterator[int]:
    yield from map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


@asynccontextmanager
async def make_rig(
    store: FirmwareStore,
    *,
    bays: Sequence[str] = ("1", "2"),
    pace: float = 0.0,
    settings: Mapping[str, str] | None = None,
) -> AsyncGenerator[Rig, None]:
    """A rig in a directory of its own, whose path is short enough for sockets (107 bytes)."""
    with (
        tempfile.TemporaryDirectory(prefix="rig-") as name,
        tempfile.TemporaryDirectory(prefix="rig-", dir="/dev/shm") as memory,
        noting_pair_records() as pair_records,
    ):
        directory = Path(name)
        async with VirtualHost(directory / "v", pace=pace) as host:
            for firmware in await asyncio.to_thread(store.list):
                await asyncio.to_thread(host.apple.register, Path(firmware.directory))
            settings = {"STATION_RUNTIME": memory, **(settings or {})}
            rig = Rig(directory, host, store, bays=bays, settings=settings, pair_records=pair_records)
            try:
                yield rig
                leaks = await asyncio.to_thread(rig.leaks)  # whatever was tried with it
                assert not leaks, leaks
            finally:
                await rig.end_workers()
