"""Nothing secret is left on a disk: whatever was given to a phone, and wherever whoever gave it was killed.

What may lie where, `leaks` says. That its search finds what is there is shown with planted secrets. It is made at the
end of every system test; here also while phones are held in every phase of every service, and after kill -9.
"""

import asyncio
import os
import plistlib
import signal
import sqlite3
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, Dismiss
from station.model.backup import BackupState
from station.model.base import BackupId, Ecid
from station.model.job import PHASES, Phase
from station.model.record import Outcome, Record
from station.model.service import Service
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.files import CANARY, owners_files
from station.virtual.usb.usbmuxd import Usbmuxd
from tests.system.faults import OF_PHASE, RESTARTED
from tests.system.leaks import MANIFEST
from tests.system.rig import Rig, Station, Window, make_rig

LONG = 120.0
TICKET_SECONDS = 10.0
"""How long Apple thinks about a ticket that somebody is to be killed over."""
SETTINGS = {
    "STATION_CAP": "8",
    "STATION_LEAVE_SECONDS": "4",
    "STATION_OBSERVE_SECONDS": "3",
    "STATION_DEADLINES": '{"return": 25}',
}

# -- the search itself


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Rig]:
    """A rig of which nothing was started."""
    async with make_rig(FirmwareStore(tmp_path / "store", reserve=0)) as rig:
        yield rig


def pair_record() -> dict[str, Any]:
    """What a host keeps of a phone that trusts it, as far as it is secret; and a public key."""
    host, root = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    return {
        "DevicePublicKey": host.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1),
        "HostPrivateKey": host.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
        "RootPrivateKey": root.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "EscrowBag": os.urandom(32),
        "WiFiMACAddress": "0a:1b:2c:3d:4e:5f",
    }


def written(what: str, secret: bytes) -> Iterator[tuple[str, bytes]]:
    """A secret in all forms in which it could be in a file, somewhere in it."""
    yield what, secret
    yield f"{what} hex", secret.hex().encode()
    yield f"{what} HEX", secret.hex(":").replace(":", "").upper().encode()
    for before in range(3):
        yield f"{what} base64 {before}", b64encode(b"x" * before + secret)
    yield f"{what} base64 lines", encodebytes(b"x" * 30 + secret + b"x" * 100)
    yield f"{what} base64 url", urlsafe_b64encode(secret)
    yield f"{what} base64 utf-16", b64encode(secret).decode().encode("utf-16-le")
    if secret.isascii():
        yield f"{what} utf-16", secret.decode().encode("utf-16-be")


def formats(record: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """A pair record, and a key of one, as programs keep them."""
    yield "xml", plistlib.dumps(record)
    yield "binary", plistlib.dumps(record, fmt=plistlib.FMT_BINARY)
    yield "xml in base64", b64encode(plistlib.dumps(record))
    yield "names only", plistlib.dumps({"EscrowBag": b"another's"})
    yield "names only in base64", b64encode(plistlib.dumps({"EscrowBag": b"another's"}))
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    stranger = pair_record()["HostPrivateKey"]
    yield "a stranger's key", stranger
    yield "a stranger's key in base64", b64encode(stranger)
    for name, form in (("PKCS 1", PrivateFormat.TraditionalOpenSSL), ("PKCS 8", PrivateFormat.PKCS8)):
        yield f"a stranger's {name}", key.private_bytes(Encoding.DER, form, NoEncryption())


async def test_whatever_is_planted_is_found(quiet: Rig):
    record, vault = pair_record(), quiet.vault
    Usbmuxd()._save({"PairRecordID": "phone", "PairRecordData": plistlib.dumps(record)})
    vault.open()
    vault.owe(Ecid(1), BackupId("one"))
    password = vault.password(BackupId("one")).encode()
    canary = owners_files().read(CANARY)
    planted = {
        **dict(formats(record)),
        **dict(written("password", password)),
        **dict(written("vault-secret", (quiet.state / "keys" / "vault-secret").read_bytes())),
        **dict(written("canary", canary)),
        **dict(written("escrow bag", record["EscrowBag"])),
        **dict(written("line of a key", record["HostPrivateKey"].split(b"\n")[8])),
        "manifest": MANIFEST,
        "wifi": record["WiFiMACAddress"].encode(),
    }
    for name, data in planted.items():
        place = quiet.state / "jobs" / "some" / "work" / "home" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(os.urandom(100) + data + os.urandom(100))
    innocent = quiet.state / "jobs" / "some" / "work" / "innocent"
    innocent.write_bytes(record["DevicePublicKey"] + os.urandom(9999) + b"the stash bag was not made")
    (quiet.state / "keys" / "station.pem").write_bytes(record["RootPrivateKey"][:60])
    leaks = await asyncio.to_thread(quiet.leaks)
    assert {Path(leak.path).name for leak in leaks} == set(planted)

    for path in innocent.parent.rglob("home/*"):
        path.unlink()
    places = [
        quiet.state / "vault" / "one" / "data" / "file",
        quiet.state / "pairings" / "phone",
        quiet.state / "closed" / "job" / "work" / "log",
        quiet.state / "keys" / "other",
        quiet.directory / "home" / ".cache" / "library",
        quiet.directory / "tmpdir" / "tmpabc",
        quiet.memory / "secrets" / "given" / "job.secret",
        quiet.log,
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(password)
    with closing(sqlite3.connect(quiet.state / "records.db")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE words (word TEXT)")
        database.execute("INSERT INTO words VALUES (?)", (password.decode(),))
        database.commit()
        places.append(quiet.state / "records.db-wal")
        leaks = await asyncio.to_thread(quiet.leaks)
    assert {leak.path for leak in leaks} == {str(place) for place in places}
    for place in (*places, quiet.state / "records.db"):
        place.unlink(missing_ok=True)


# -- every service, in every phase


@dataclass(frozen=True)
class Point:
    """Where a phone is held while somebody is killed."""

    service: Service
    phase: Phase
    at: str = ""
    """The step of the phone; empty: the phone is not asked, and something else waits (`_Held.reach`)."""
    after: str | None = None

    @property
    def name(self) -> str:
        """For reports."""
        return f"{self.service.value} in {self.phase.value}"


SESSION = "lockdown:StartSession"
INSTALLING = {**OF_PHASE, Phase.TICKET: ""}

POINTS = (
    # One of each service first, where most is in its worker's hands.
    Point(Service.BACKUP, Phase.BACKUP, "backup:files"),
    Point(Service.PUT_BACK, Phase.PUT_BACK, "restore:files"),
    Point(Service.RESTART, Phase.RESTART, "diagnostics:Restart"),
    Point(Service.ACTIVATE, Phase.ACTIVATE, "activation:*"),
    Point(Service.ERASE, Phase.ERASE_CONTENT, "backup:EraseDevice"),
    Point(Service.REINSTALL, Phase.PASSCODE, "preboard:CreateStashbag"),
    Point(Service.RESCUE, Phase.RESTART, "iboot:saveenv"),
    Point(Service.RESTORE, Phase.RECOVERY, "lockdown:EnterRecovery"),
    *(Point(service, Phase.CONNECT, SESSION) for service in Service if service is not Service.RESCUE),
    Point(Service.RESTART, Phase.VERIFY, SESSION, "diagnostics:Restart"),
    Point(Service.RESCUE, Phase.VERIFY, SESSION, "iboot:reboot"),
    Point(Service.BACKUP, Phase.BACKUP, "backup:ChangePassword"),
    Point(Service.BACKUP, Phase.BACKUP, "backup:moving:manifest"),
    Point(Service.BACKUP, Phase.BACKUP, "backup:ChangePassword", "backup:removing"),
    Point(Service.BACKUP, Phase.REREAD),
    Point(Service.PUT_BACK, Phase.REREAD),
    Point(Service.PUT_BACK, Phase.TIDY, "backup:ChangePassword", "restore:files"),
    Point(Service.PUT_BACK, Phase.VERIFY, SESSION, "backup:ChangePassword"),
    Point(Service.ACTIVATE, Phase.VERIFY, SESSION, "activation:HandleActivationInfoWithSessionRequest"),
    Point(Service.ERASE, Phase.VERIFY, SESSION, "backup:EraseDevice"),
    *(
        Point(service, phase, INSTALLING[phase])
        for service in (Service.REINSTALL, Service.RESTORE)
        for phase in PHASES[service]
        if phase in INSTALLING and phase is not Phase.CONNECT and (service, phase) != (Service.RESTORE, Phase.RECOVERY)
    ),
    Point(Service.REINSTALL, Phase.VERIFY, "lockdown:GetValue", RESTARTED),
    Point(Service.RESTORE, Phase.VERIFY, "lockdown:GetValue", RESTARTED),
)
NOBODY_WORKS = {
    # The phone restarts by itself: there is no worker, and no step of the phone to hold it at.
    *((service, Phase.RETURN) for service in (Service.RESTART, Service.RESCUE, Service.PUT_BACK, Service.ERASE)),
    (Service.RESCUE, Phase.CONNECT),  # found on the bus, and asked nothing
}
HALF = 4


def _rounds() -> list[Any]:
    """Eight points each; every point once in the first half and once in the second."""
    rounds = []
    for first in range(0, len(POINTS), HALF):
        points = [POINTS[(first + number) % len(POINTS)] for number in range(2 * HALF)]
        rounds.append(pytest.param(points, id="; ".join(point.name for point in points[:HALF])))
    return rounds


def test_every_phase_of_every_service_is_in_the_table():
    every = {(service, phase) for service in Service for phase in PHASES[service]}
    assert {(point.service, point.phase) for point in POINTS} == every - NOBODY_WORKS


BEGINS: Mapping[Service, Mapping[str, Any]] = {
    # How its phone is before it.
    Service.RESCUE: {"auto_boot": False},
    Service.ACTIVATE: {"people": ("not-activated",)},
    Service.REINSTALL: {"people": ("passcode",)},
}


class _Held:
    """A phone that is held at a point of the service that it is given."""

    def __init__(self, bay: str, point: Point, phone: VirtualPhone) -> None:
        self.bay = bay
        self.point = point
        self.phone = phone
        self.go: Callable[[], None] = lambda: None
        """Lets it go on."""

    async def reach(self, station: Station) -> None:
        """Have the service given, up to the point."""
        point, phone, rig = self.point, self.phone, station.rig
        await station.until_state(self.bay, BayState.READY, seconds=LONG)
        if point.service is Service.PUT_BACK:
            await station.confirm(self.bay, phone, Service.BACKUP)
            assert (await recorded(station, self.bay)).outcome is Outcome.VERIFIED
            await station.obeyed(Dismiss, self.bay)
            await station.until_state(self.bay, BayState.READY, seconds=LONG)
        if point.at:
            self.go = (await self._hold(station, point.at, point.after)).go
            return
        match point.phase, point.service:
            case Phase.REREAD, Service.BACKUP:
                window = await self._hold(station, "backup:ChangePassword", "backup:removing")
                self.go = await asyncio.to_thread(stop_reading, rig, phone)
                window.go()
            case Phase.REREAD, _:
                self.go = await asyncio.to_thread(stop_reading, rig, phone)
                await station.confirm(self.bay, phone, point.service)
            case _:
                rig.host.apple.exceptions[AppleService.SIGNING, phone.identity.ecid] = Behaviour.SLOW
                await station.confirm(self.bay, phone, point.service)
        await station.until_bay(
            self.bay, lambda view: view.job is not None and view.job.phase is point.phase, seconds=LONG
        )

    async def _hold(self, station: Station, at: str, after: str | None) -> Window:
        window = Window(self.phone, at, after=after)
        await station.confirm(self.bay, self.phone, self.point.service)
        try:
            async with asyncio.timeout(LONG):
                await window.reached.wait()
        except TimeoutError:
            raise AssertionError(f"{self.point.name}: never at {at}: {self.phone.history[-12:]}") from None
        return window

    def kill(self, rig: Rig, *, child: bool) -> None:
        """kill -9 of whoever works on it, or of the keeper, with whom that one ends; in RETURN there is nobody."""
        if any(spec.ecid == self.phone.identity.ecid and job.alive() for job, spec in rig.jobs()):
            os.kill(rig.worker_of(self.phone, child=child), signal.SIGKILL)
        self.go()


def stop_reading(rig: Rig, phone: VirtualPhone) -> Callable[[], None]:
    """Have whoever reads the phone's backup wait in the middle of it, with its password: a file of it is a pipe.

    Returns what ends that; they then find that it is no file.
    """
    (note,) = [note for note in rig.vault.notes() if note.ecid == phone.identity.ecid]
    file = next(path for path in sorted(rig.vault.data(note.id).rglob("*")) if len(path.name) == 40)
    file.unlink()
    os.mkfifo(file)

    def go() -> None:
        with suppress(OSError):  # nobody reads any more
            os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))

    return go


async def recorded(station: Station, bay: str) -> Record:
    """What came of the service in a bay."""
    view = await station.until_recorded(bay, seconds=LONG)
    assert view.result is not None
    return await asyncio.to_thread(station.rig.record, view.result.record)


async def ended(station: Station, held: _Held) -> None:
    """It is on record, in words, and no backup counts that was not read to its end."""
    record = await recorded(station, held.bay)
    assert record.title, held.point
    assert record.remedy or record.outcome is Outcome.VERIFIED, (held.point, record)
    if record.backup is not None and record.service is Service.BACKUP:
        states = [note.state for note in station.rig.vault.notes() if note.id == record.backup]
        assert (BackupState.VERIFIED in states) is (record.outcome is Outcome.VERIFIED), (held.point, record)


async def clean(rig: Rig, when: str) -> None:
    """Nothing secret lies anywhere."""
    leaks = await asyncio.to_thread(rig.leaks)
    assert not leaks, (when, leaks)


@pytest.mark.long
@pytest.mark.system
@pytest.mark.timeout(400)
@pytest.mark.parametrize("points", _rounds())
async def test_nothing_is_left_whoever_is_killed(store: FirmwareStore, points: Sequence[Point]):
    bays = [str(number) for number in range(1, len(points) + 1)]
    async with make_rig(store, bays=bays, settings=SETTINGS) as rig:
        rig.host.apple.slow_seconds = TICKET_SECONDS
        every = [
            _Held(bay, point, rig.plug(bay, **BEGINS.get(point.service, {})))
            for bay, point in zip(bays, points, strict=True)
        ]
        seen, unseen = every[:HALF], every[HALF:]
        async with rig.station() as first:
            await asyncio.gather(*(held.reach(first) for held in every))
            await clean(rig, "while all work")
            for number, held in enumerate(seen):
                held.kill(rig, child=number % 2 == 0)
            await asyncio.gather(*(ended(first, held) for held in seen))
            await clean(rig, "the daemon saw its workers die")
            await first.kill()
        for number, held in enumerate(unseen):
            if number % 2:
                held.kill(rig, child=False)
        await clean(rig, "nobody saw them die")
        async with rig.station() as second:
            for held in unseen:
                held.go()
            await asyncio.gather(*(ended(second, held) for held in unseen))
            await clean(rig, "another daemon has come")
            for held in every:
                await second.clear(held.bay)
            async with asyncio.timeout(10):
                while await asyncio.to_thread(lambda: any(rig.remembers(held.phone) for held in every)):
                    pass  # each question takes usbmuxd its time
