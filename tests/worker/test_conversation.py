"""A restore system that says what no restore system should: each ends the restore, for a named cause, at once."""

import asyncio
import plistlib
import struct
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from ipsw_parser.ipsw import IPSW
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.tss import TSSResponse

from station.adapters.jobdir import EventReader, EventWriter, JobDirectory
from station.model.base import Ecid, JobId, SocketPath
from station.model.causes import Cause
from station.model.consent import Consent, Hand
from station.model.events import Checkpoint, Intent, Operation
from station.model.firmware import Firmware
from station.model.job import DEADLINES, JobSpec, Reach
from station.model.phone import PhoneMode
from station.model.service import Service
from station.virtual import framing
from station.virtual.bus import Bus
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, Handler, VirtualPhone
from station.virtual.usb.backend import UsbIpBackend
from station.virtual.usb.protocol import UsbDevice
from station.virtual.usb.usbmuxd import serve_usbmuxd
from station.worker.connection import PhoneConnection
from station.worker.failures import JobFailed, explain
from station.worker.firmware import open_firmware
from station.worker.guard import Guard
from station.worker.iboot import RecoverySocket
from station.worker.reporter import Reporter
from station.worker.restore import StationRestore
from tests.virtual_restore.helpers import Device
from tests.worker.station_host import BAY, PLUG
from tests.worker.test_reporter import Fed

FDR_PORT, RESTORED_PORT, DATA_PORT = 1082, 62078, 50000
HANG_UP = b"hang up"
DONE = {"MsgType": "StatusMsg", "Status": 0}


class Script:
    """A restore system that says what it is told to, then listens."""

    usb: UsbDevice | None = None

    def __init__(self, phone: VirtualPhone, said: list[dict[str, Any] | bytes]) -> None:
        self.listeners: dict[int, Handler] = {RESTORED_PORT: self._restored, FDR_PORT: self._fdr}
        self.heard: list[dict[str, Any]] = []
        self.thanked = asyncio.Event()
        """The host has acknowledged the final status."""
        self._phone = phone
        self._said = said

    async def _restored(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            asked = await framing.read(reader, limit=1 << 24)
            answer: dict[str, Any]
            match asked.get("Request"):
                case "QueryType":
                    answer = {"Type": "com.apple.mobile.restored", "RestoreProtocolVersion": 15}
                case "QueryValue" if asked["QueryKey"] == "HardwareInfo":
                    answer = {"HardwareInfo": {"UniqueChipID": self._phone.identity.ecid}}
                case "QueryValue":
                    answer = {asked["QueryKey"]: {}}
                case _:
                    break
            writer.write(framing.frame(answer))
        for message in self._said:
            if message is HANG_UP:
                return
            writer.write(message if isinstance(message, bytes) else framing.frame(message))
        with suppress(EOFError):
            while True:
                self.heard.append(await framing.read(reader, limit=1 << 24))
                if self.heard[-1] == {"MsgType": "ReceivedFinalStatusMsg"}:
                    self.thanked.set()

    async def _fdr(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(b"BeginCtrl\0"))
        (length,) = struct.unpack("<L", await reader.readexactly(4))
        await reader.readexactly(length)
        body = plistlib.dumps({"ConnPort": 49151})
        writer.write(struct.pack("<L", len(body)) + body)
        await reader.read()


class Attempt:
    """A restore whose phone follows a script."""

    def __init__(self, bus: Bus, usbmuxd: Path, firmware: IPSW, place: Path) -> None:
        self._bus = bus
        self._usbmuxd = usbmuxd
        self._firmware = firmware
        self._number = 0
        self.place = place
        self.script: Script
        self.directory: JobDirectory

    async def run(self, *said: dict[str, Any] | bytes) -> None:
        """Restore; the errors are the worker's own."""
        self._number += 1
        ecid, socket = Ecid(self._number), SocketPath(f"1-{self._number}")
        identity = find_model("iPhone 12").identity(ecid)
        boots = Boots({PhoneMode.RECOVERY: lambda _: self.script, PhoneMode.RESTORE: lambda _: self.script})
        phone = VirtualPhone(identity, None, boots)
        self.script = Script(phone, list(said))
        self._bus.plug(phone, socket)
        await phone.disappear()
        phone.appear(PhoneMode.RESTORE)
        consent = Consent(ecid=ecid, bay=BAY, plug=PLUG, service=Service.RESTORE, by=Hand.BUTTONS, at="")
        spec = JobSpec(
            job=JobId(f"job-{self._number}"),
            service=Service.RESTORE,
            bay=BAY,
            socket=socket,
            plug=PLUG,
            ecid=ecid,
            udid=identity.udid,
            emulated=True,
            reach=Reach(usbmuxd=str(self._usbmuxd)),
            deadlines=DEADLINES,
            consent=consent,
        )
        self.directory = JobDirectory.create(self._usbmuxd.parent, spec)
        reporter = Reporter(EventWriter(self.directory), Fed(DEADLINES))
        guard = Guard(self.directory, spec, reporter)
        restore = StationRestore(
            spec,
            self._firmware,
            Device(phone),  # type: ignore[arg-type]  # all that is asked of a device that has left recovery
            socket=RecoverySocket(UsbIpBackend(Path("nowhere")), socket, ecid, guard),
            guard=guard,
            reporter=reporter,
            behavior=Behavior.Erase,
        )
        restore.recovery.tss = TSSResponse({"ApImg4Ticket": b"\x30\x00"})
        async with asyncio.timeout(15):
            await restore.restore_device()

    async def failure(self, *said: dict[str, Any] | bytes) -> JobFailed:
        """How it fails."""
        try:
            await self.run(*said)
        except BaseException as error:  # noqa: BLE001 (exactly what the worker does)
            return explain(error)
        raise AssertionError("it succeeded")

    def events(self, kind: type) -> list[Any]:
        """What it said, of a kind."""
        return [event for event in EventReader(self.directory).read() if isinstance(event, kind)]


@pytest.fixture(scope="module")
def opened(firmware: Firmware) -> IPSW:
    """The firmware, whose manifest takes a while to read."""
    return open_firmware(firmware)


@pytest.fixture
async def attempt(
    opened: IPSW, short_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[Attempt, None]:
    connections = []
    connect = PhoneConnection.__init__

    def watched(self: PhoneConnection, *args: Any, **kwargs: Any) -> None:
        connections.append(self)
        connect(self, *args, **kwargs)

    monkeypatch.setattr(PhoneConnection, "__init__", watched)
    usbmuxd, bus = short_path / "usbmuxd", Bus()
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(usbmuxd))
    monkeypatch.chdir(tmp_path)
    async with serve_usbmuxd(bus, usbmuxd):
        yield Attempt(bus, usbmuxd, opened, tmp_path)
        for connection in connections:  # the end of the process does this for a worker
            await connection.close()
        for phone in bus.phones:
            assert phone.socket is not None
            await bus.unplug(phone.socket)


def request(kind: str, *, port: object = None, **arguments: object) -> dict[str, Any]:
    message: dict[str, Any] = {"MsgType": "DataRequestMsg", "DataType": kind, "Arguments": arguments}
    return message | ({"DataPort": port} if port is not None else {})


async def test_status_zero_ends_it_well(attempt):
    await attempt.run({"MsgType": "NeverHeardOf", "x": 1}, {"no": "type"}, request("HostSystemTime"), DONE)
    async with asyncio.timeout(5):
        await attempt.script.thanked.wait()
    assert "SetHostTimeOnDevice" in attempt.script.heard[0]
    assert [intent.act.name for intent in attempt.events(Intent)] == ["ERASE"]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (request("NeverHeardOf"), Cause.PROTOCOL),
        ({"MsgType": "DataRequestMsg"}, Cause.PROTOCOL),
        (request("NORData", port=0), Cause.PROTOCOL),
        (request("NORData", port=1 << 16), Cause.PROTOCOL),
        (request("NORData", port="22"), Cause.PROTOCOL),
        (request("SourceBootObjectV4"), Cause.PROTOCOL),
        (request("SourceBootObjectV4", ImageName="NeverHeardOf"), Cause.PROTOCOL),
        (request("SourceBootObjectV4", ImageName="../../../etc/passwd"), Cause.PROTOCOL),
        (request("SourceBootObjectV4", ImageName=["x"]), Cause.PROTOCOL),
        (request("PersonalizedBootObjectV3", ImageName="NeverHeardOf"), Cause.PROTOCOL),
        (request("FUDData", ImageName="ApNeverHeardOf"), Cause.PROTOCOL),
        (request("FirmwareUpdaterData", MessageArgType="x"), Cause.PROTOCOL),
        (request("URLAsset", RequestMethod="GET", RequestURL="http://169.254.169.254/"), Cause.ASSET_REFUSED),
        (request("StreamedImageDecryptionKey", RequestMethod="GET"), Cause.PROTOCOL),
        ({"MsgType": "StatusMsg"}, Cause.DEVICE_STATUS),
        ({"MsgType": "StatusMsg", "Status": False}, Cause.DEVICE_STATUS),
        ({"MsgType": "StatusMsg", "Status": "0"}, Cause.DEVICE_STATUS),
        ({"MsgType": "BBUpdateStatusMsg", "Accepted": False}, Cause.DEVICE_STATUS),
        ({"MsgType": "BBUpdateStatusMsg"}, Cause.PROTOCOL),
        ({"MsgType": "CheckpointMsg", "CHECKPOINT_ID": "x"}, Cause.PROTOCOL),
        ({"MsgType": "CheckpointMsg"}, Cause.PROTOCOL),
        ({"MsgType": "ProgressMsg", "Operation": []}, Cause.PROTOCOL),
        ({"MsgType": "FDRSubmit", "DataClass": "x"}, Cause.PROTOCOL),
        ({"MsgType": "RestoreProtocol", "Arguments": {"RestoreProtocol": "Carrier pigeon"}}, Cause.PROTOCOL),
        (b"\x7f\xff\xff\xff", Cause.PROTOCOL),
        (b"\0\0\0\4junk", Cause.PROTOCOL),
    ],
    ids=repr,
)
async def test_nonsense_ends_it(attempt, said, cause):
    failure = await attempt.failure(said, DONE)
    assert failure.cause is cause
    assert str(failure).isprintable()


async def test_the_verdict_of_a_phone_that_hangs_up_at_once(attempt):
    """What it was asked for meanwhile can no longer be sent; the status still counts."""
    requests = [request("HostSystemTime")] * 20
    failure = await attempt.failure(*requests, {"MsgType": "StatusMsg", "Status": 53}, HANG_UP)
    assert (failure.cause, failure.status) == (Cause.DEVICE_STATUS, 53)


async def test_a_port_that_stays_closed_ends_it(attempt, monkeypatch):
    monkeypatch.setattr("station.worker.conversation._REFUSED_SECONDS", 0.3)
    assert (await attempt.failure(request("NORData", port=DATA_PORT))).cause is Cause.PORT_REFUSED


async def test_too_many_requests_end_it(attempt):
    requests = [request("FDRTrustData", port=DATA_PORT)] * 80
    assert (await attempt.failure(*requests)).cause is Cause.PROTOCOL
    beside = [{"MsgType": "AsyncDataRequestMsg"} | request("FDRTrustData", port=DATA_PORT)] * 80
    asynchronous = [each | {"MsgType": "AsyncDataRequestMsg"} for each in beside]
    assert (await attempt.failure(*asynchronous)).cause is Cause.PROTOCOL


async def test_requests_that_are_too_large_together_end_it(attempt, monkeypatch):
    monkeypatch.setattr("station.worker.conversation.MAX_OPEN_BYTES", 1 << 20)
    large = [request("FDRTrustData", port=DATA_PORT, Data=bytes(300_000))] * 4
    assert (await attempt.failure(*large)).cause is Cause.PROTOCOL
    asynchronous = [each | {"MsgType": "AsyncDataRequestMsg"} for each in large]
    assert (await attempt.failure(*asynchronous)).cause is Cause.PROTOCOL


async def test_the_phones_own_words(attempt):
    log = "first line\n" + "x" * (2 << 20) + "\nRESTORED: \u202efailed to seal"
    failure = await attempt.failure({"MsgType": "StatusMsg", "Status": 27, "AMRError": 1015, "Log": log})
    assert (failure.cause, failure.status) == (Cause.DEVICE_STATUS, 27)
    assert str(failure) == "status 27: failed to mount filesystems: AMRError 1015: RESTORED: failed to seal"
    (kept,) = attempt.place.iterdir()
    assert kept.stat().st_size == 1 << 20


@pytest.mark.parametrize(("status", "told"), [(2**64 - 1, 2**64 - 1), (-1, -1), (2**64, None), (2.5, None)])
async def test_any_status_fits_into_an_event(attempt, status, told):
    plist = {"MsgType": "StatusMsg", "Status": status}
    assert (await attempt.failure(plist)).status == told


async def test_what_the_phone_hands_over_is_kept_within_bounds(attempt):
    crashes = [{"MsgType": "CrashLog", "Filename": "../../../tmp/evil", "Data": b"x"}] * 20
    trace = {"MsgType": "RestoredCrash", "RestoredBacktrace": ["a", 1]}
    await attempt.run(trace, *crashes, {"MsgType": "PreviousRestoreLogMsg", "PreviousRestoreLog": "old"}, DONE)
    names = sorted(path.name for path in attempt.place.iterdir())
    assert names == ["1-restored-backtrace.txt", *(f"{number}-crash.log" for number in range(2, 9))]


async def test_checkpoints_and_operations_become_events(attempt):
    begun = {"MsgType": "CheckpointMsg", "CHECKPOINT_ID": 0xFFFF_FFFF_0000_0652, "CHECKPOINT_NAME": "a\nb" * 99}
    ended = begun | {"CHECKPOINT_COMPLETE": True, "CHECKPOINT_RESULT": -1}
    progress = [{"MsgType": "ProgressMsg", "Operation": 42, "Progress": percent} for percent in (0, 50, 100, 900)]
    await attempt.run(begun, ended, *progress, DONE)
    first, second = attempt.events(Checkpoint)
    assert (first.id, first.result, second.result) == (0x652, None, -1)
    assert first.name.isprintable()
    assert len(first.name) <= 64
    assert [event.operation for event in attempt.events(Operation)] == [42]
