"""What an operator chooses while phones are worked on, and logs on a stick."""

import asyncio
import zipfile
from pathlib import Path

import pytest

from station.adapters.api import connect
from station.adapters.firmware import FirmwareStore
from station.errors import Refused
from station.model.api import BayState, Lock, SaveLogs, SetFace, Snapshot, Unlock, UsePolicy
from station.model.face import Face
from station.model.operator import PinState
from station.model.record import Outcome
from tests.system.rig import PATIENCE, Station, Window, make_rig

pytestmark = pytest.mark.system

PIN = "2580"


async def back(path: Path) -> Snapshot:
    """The first thing that the station shows, once it is there again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with connect(path) as client:
                    return await client.snapshot()
            except Refused:
                await asyncio.sleep(0.05)  # nothing tells when a socket can be connected to


async def obeyed(station: Station, command, **fields) -> None:
    await station.obeyed(command, "1", **fields)


@pytest.mark.timeout(120)
async def test_a_job_goes_on_while_the_station_becomes_another_kind(store: FirmwareStore):
    async with make_rig(store, bays=("1",)) as rig:
        async with rig.station() as station:
            phone = rig.plug("1")
            window = Window(phone, "iboot:upload:rdsk")
            await station.confirm("1", phone)
            async with asyncio.timeout(PATIENCE):
                await window.reached.wait()
            async with connect(rig.socket) as hand:
                assert not (await hand.command(Unlock(id=1, pin=PIN))).refused
                assert not (await hand.command(SetFace(id=2, face=Face(large=True)))).refused
                assert not (await hand.command(UsePolicy(id=3, policy="walk-up"))).refused
                while True:  # until it closes the door behind itself
                    try:
                        await hand.snapshot()
                    except Refused:
                        break
            again = await back(rig.socket)
            assert station.process.returncode is None  # the same process
            assert again.bays[0].state is BayState.WORKING
            assert again.face.large
            assert again.pin is PinState.SET
            window.go()
            async with asyncio.timeout(60), connect(rig.socket) as eye:
                while (seen := await eye.snapshot()).bays[0].result is None or not seen.bays[0].result.record:
                    pass
                assert not (await eye.command(Unlock(id=1, pin=PIN))).refused
                while (seen := await eye.snapshot()).operator is None or not seen.operator.records:
                    pass
                assert seen.operator.policy == "walk-up"
                assert seen.operator.record_count == 1
                assert seen.operator.records[0].ecid == phone.identity.ecid
                assert seen.operator.firmware[0].size > 0
                assert seen.operator.machine is not None
        (record,) = rig.records()
        assert record.outcome is Outcome.VERIFIED


@pytest.mark.timeout(120)
async def test_logs_are_written_to_a_stick(store: FirmwareStore):
    async with make_rig(store, bays=("1",)) as rig, rig.station():
        stick = rig.host.directory / "sticks" / "STICK"
        stick.mkdir(parents=True)
        async with connect(rig.socket) as hand:
            assert not (await hand.command(Unlock(id=1, pin=PIN))).refused
            assert not (await hand.command(SaveLogs(id=2, stick="STICK"))).refused
            async with asyncio.timeout(PATIENCE):
                while "You can unplug it" not in ((await hand.snapshot()).operator or _Nothing).says:
                    pass
            assert not (await hand.command(Lock(id=3))).refused
        (written,) = stick.iterdir()
        with zipfile.ZipFile(written) as archive:
            assert archive.testzip() is None
            assert {"doctor.txt", "settings.json", "journal.txt"} <= set(archive.namelist())
            assert b"Test station" in archive.read("settings.json")


class _Nothing:
    says = ""
