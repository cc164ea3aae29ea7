"""The main job, as a person does it: plug in, press START, hold CONFIRM, wait for the green lamp."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from station.adapters.firmware import FirmwareStore
from station.adapters.records import chain_files
from station.adapters.signing import DemonstrationKey, PublicKey, StationKey
from station.core.arming import HOLD_SECONDS
from station.model.api import BayState, BayView, Lamp, Select
from station.model.base import format_ecid
from station.model.consent import Hand
from station.model.panel import Control
from station.model.phone import PhoneMode
from station.model.record import Outcome, Record
from station.virtual.phones.phone import VirtualPhone
from tests.system.firmware import BUILD, VERSION
from tests.system.rig import OLD, Rig, Station, make_rig

pytestmark = pytest.mark.system

PRESS = 0.2
HOLD = HOLD_SECONDS + 0.4


async def press_and_hold(station: Station, bay: str) -> None:
    """What a person's hands do, on the pins."""
    hand = station.rig.hand
    await hand.press(Control.START, seconds=PRESS)
    await station.until_state(bay, BayState.ARMED)
    await hand.press(Control.CONFIRM, seconds=HOLD)


async def until_lit(station: Station, lamp: Lamp) -> None:
    """Wait until this lamp is lit and no other. Lamps wink, so looking once may be too early."""
    async with asyncio.timeout(5):
        while await station.rig.hand.look() != (lamp,):
            pass


async def records_verify(rig: Rig, *arguments: str) -> tuple[int, str]:
    """Run `station records verify`; its exit code, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "station", "records", "verify", "--state", str(rig.state), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def check_restored(phone: VirtualPhone, record: Record, view: BayView) -> None:
    """The phone is as new, and the record says what was seen of it."""
    assert phone.system is not None
    assert (phone.system.version, phone.system.build, phone.system.canary) == (VERSION, BUILD, None)
    assert (record.outcome, record.cause, record.status) == (Outcome.VERIFIED, None, 0)
    assert record.checks
    assert all(check.passed for check in record.checks)
    assert (record.consent.by, record.consent.ecid) == (Hand.BUTTONS, phone.identity.ecid)
    assert record.observed.mode is PhoneMode.NORMAL
    assert record.observed.facts is not None
    assert record.observed.facts.build == BUILD
    assert {42, 50} <= set(record.operations)
    assert view.state is BayState.DONE
    assert view.result is not None
    assert view.result.title == record.title


def check_certificate(pdf: Path, phone: VirtualPhone) -> None:
    """It lies there in both shapes, and says what it is."""
    assert pdf.read_bytes().startswith(b"%PDF-")
    certificate = json.loads(pdf.with_suffix(".json").read_bytes())
    assert certificate["ecid"] == format_ecid(phone.identity.ecid)
    assert certificate["emulated"] is True


async def check_proof(rig: Rig, record: int, view: BayView, phone: VirtualPhone) -> None:
    """There is a certificate, and the verifier finds nothing wrong."""
    assert view.result is not None
    assert view.result.certificate is not None
    pdf = Path(view.result.certificate)
    await asyncio.to_thread(check_certificate, pdf, phone)
    for arguments in (("--emulated", "--certificate", str(pdf)), ()):
        code, said = await records_verify(rig, *arguments)
        assert code == 0, said
    # A phone that is none is in a chain of its own, under a key of its own.
    sealed = rig.sealed()[record - 1]
    assert sealed.key_id == PublicKey.read(chain_files(rig.state, DemonstrationKey).public_key).id
    assert sealed.key_id != PublicKey.read(chain_files(rig.state, StationKey).public_key).id
    assert rig.sealed(StationKey) == []


@pytest.mark.timeout(120)
async def test_the_main_job(store: FirmwareStore):
    settings = {"STATION_OPERATOR_CONFIRM": "false"}
    async with make_rig(store, bays=("1", "2", "3"), settings=settings) as rig, rig.station() as station:
        await until_lit(station, Lamp.READY)
        neighbour = rig.plug("2", model="iPhone 13")
        await station.until_state("2", BayState.READY)
        as_it_was = list(neighbour.history)

        phone = rig.plug("1")
        await station.until_state("1", BayState.READY)
        await station.obeyed(Select, "1")
        await press_and_hold(station, "1")
        await station.until_state("1", BayState.WORKING)
        await until_lit(station, Lamp.WORKING)
        view = await station.until_recorded("1", seconds=60)
        (record,) = rig.records()
        check_restored(phone, record, view)
        assert phone.destructions == ["restored format_media"]
        assert record.before is not None
        assert record.before.build == OLD.build
        await until_lit(station, Lamp.DONE)
        await check_proof(rig, 1, view, phone)

        # The next one is dead, in recovery mode. That the first is unplugged is all it takes.
        await station.clear("1")
        dead = rig.plug("3", model="iPhone 8", installed=None)
        await station.until_state("3", BayState.READY)
        await station.obeyed(Select, "3")
        await press_and_hold(station, "3")
        view = await station.until_recorded("3", seconds=60)
        check_restored(dead, rig.records()[1], view)
        assert (dead.destructions, rig.records()[1].before) == ([], None)  # there was nothing to erase
        await check_proof(rig, 2, view, dead)

        assert neighbour.history == as_it_was
        assert neighbour.system is not None
        assert neighbour.system.canary is not None
        assert rig.processes() == {}
