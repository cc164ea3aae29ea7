"""A bench for workers: a virtual host, a firmware it signs, and real worker processes on real job directories."""

import asyncio
import hashlib
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path

import msgspec
from asyncinotify import Inotify, Mask

from station.adapters.jobdir import EventReader, JobDirectory
from station.model.base import BayId, JobId, PlugId
from station.model.consent import Consent, Hand
from station.model.events import Failed, WorkerEvent
from station.model.firmware import Firmware
from station.model.job import DEADLINES, JobSpec, Phase
from station.model.service import Service
from station.virtual.faults.kinds import Fault
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import VirtualPhone
from tests.gateways import gateway_to

BAY, PLUG = BayId("1"), PlugId("plug-1")
OLD = Installed(version="26.1", build="23B85")
SECONDS = 30.0
"""For what a worker says on a machine that is busy with others."""


def make_firmware(directory: Path, **sizes: int | bool) -> Firmware:
    """A small firmware for an iPhone 12."""
    make_ipsw(directory, version="26.2.1", build="23C71", models=[find_model("iPhone 12")], **sizes)  # type: ignore[arg-type]  # sizes and one flag
    manifest = (directory / "BuildManifest.plist").read_bytes()
    return Firmware(
        version="26.2.1",
        build="23C71",
        product_types=("iPhone13,2",),
        directory=str(directory),
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
    )


@dataclass
class Worker:
    """A worker process and its job directory."""

    directory: JobDirectory
    process: Process

    async def events(self) -> list[WorkerEvent]:
        """Everything it said, once it has ended."""
        await self.process.wait()
        return EventReader(self.directory).read()

    async def until(self, said: Callable[[WorkerEvent], bool]) -> WorkerEvent:
        """Wait until it has said something. TimeoutError, or AssertionError with its log when it ended before."""
        reader = EventReader(self.directory)
        with Inotify() as inotify:
            inotify.add_watch(self.directory.work, Mask.MODIFY)
            ended = asyncio.create_task(self.process.wait())
            async with asyncio.timeout(SECONDS):
                while True:
                    for event in reader.read():
                        if said(event):
                            ended.cancel()
                            return event
                    assert not ended.done(), self.log()
                    more = asyncio.create_task(inotify.get())
                    await asyncio.wait({more, ended}, return_when=asyncio.FIRST_COMPLETED)
                    more.cancel()

    async def failure(self) -> Failed:
        """How it failed."""
        last = (await self.events())[-1]
        assert isinstance(last, Failed), self.log()
        return last

    def log(self) -> str:
        """Its log, for a failed assertion."""
        path = self.directory.work / "log"
        return path.read_text() if path.exists() else "no log"


class StationHost:
    """Plugs phones in and gives workers jobs on them."""

    def __init__(self, host: VirtualHost, firmware: Firmware, jobs: Path, gateway: str) -> None:
        self.host = host
        self.gateway = gateway
        self.firmware = firmware
        self.jobs = jobs
        self._workers: list[Process] = []
        self._numbers = count()

    def plug(self, *faults: Fault, installed: Installed | None = OLD, **order: object) -> VirtualPhone:
        """An iPhone 12 with an older iOS."""
        return self.host.hands.plug(Plug(installed=installed, faults=faults, **order))  # type: ignore[arg-type]  # tests know

    def spec(self, phone: VirtualPhone, service: Service | None = Service.RESTORE, **changes: object) -> JobSpec:
        """The spec of a job on a phone."""
        ecid = phone.identity.ecid
        assert phone.socket is not None
        values: dict[str, object] = {
            "job": JobId(f"job-{next(self._numbers)}"),
            "service": service,
            "bay": BAY,
            "socket": phone.socket,
            "plug": PLUG,
            "ecid": ecid,
            "udid": phone.identity.udid,
            "emulated": True,
            "reach": msgspec.structs.replace(self.host.reach, gateway=self.gateway),
            "deadlines": dict(DEADLINES),
            "consent": service
            and Consent(ecid=ecid, bay=BAY, plug=PLUG, service=service, by=Hand.BUTTONS, at="2026-01-01T00:00:00Z"),
            "firmware": self.firmware,
        }
        return JobSpec(**(values | changes))  # type: ignore[arg-type]  # checked when it is read again

    async def start(self, spec: JobSpec) -> Worker:
        """Write the job down and start a worker on it."""
        return await self.start_in(await asyncio.to_thread(JobDirectory.create, self.jobs, spec))

    async def start_in(self, directory: JobDirectory) -> Worker:
        """Start a worker on a job."""
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "station.worker", directory.path)
        self._workers.append(process)
        return Worker(directory, process)

    async def close(self) -> None:
        """End what still runs."""
        for process in self._workers:
            if process.returncode is None:
                process.kill()
                await process.wait()


@asynccontextmanager
async def station_host(directory: Path, firmware: Firmware) -> AsyncIterator[StationHost]:
    """Everything a worker needs."""
    jobs = directory / "jobs"
    jobs.mkdir()
    async with VirtualHost(directory / "v") as host, gateway_to(host.reach) as gateway:
        await asyncio.to_thread(host.apple.register, Path(firmware.directory))
        station = StationHost(host, firmware, jobs, gateway)
        try:
            yield station
        finally:
            await station.close()


def reached(phone: VirtualPhone, at: str) -> asyncio.Event:
    """An event for the moment when the phone is at a step."""
    event = asyncio.Event()
    step = phone.step

    async def watched(name: str, *, seconds: float = 0.0) -> None:
        if fnmatchcase(name, at):
            event.set()
        await step(name, seconds=seconds)

    phone.step = watched  # type: ignore[method-assign]  # a window into this one phone
    return event


def deadlines(seconds: float, phases: Iterable[Phase] = Phase) -> dict[Phase, float]:
    """Short deadlines for some phases, the usual ones for the others."""
    return dict(DEADLINES) | dict.fromkeys(phases, seconds)
