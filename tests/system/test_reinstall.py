"""Reinstalling through the whole station: what the owner has is there afterwards, byte for byte, or they are told."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.services.afc import AfcService

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, BayView
from station.model.causes import EXPLANATIONS, Cause
from station.model.job import DEADLINES, Phase
from station.model.phone import PhoneMode
from station.model.record import Outcome, Record
from station.model.service import Service
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.phones.phone import VirtualPhone
from tests.system.firmware import BUILD
from tests.system.rig import OLD, Station, make_rig

pytestmark = pytest.mark.system

SECONDS = 90.0
SETTINGS = {
    "STATION_CAP": "4",
    # A phone that says nothing to an order is taken to have followed it for a part of this.
    "STATION_DEADLINES": msgspec.json.encode({**DEADLINES, Phase.RECOVERY: 30.0}).decode(),
}


@pytest.fixture
async def station(store: FirmwareStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Station]:
    async with make_rig(store, bays=("1", "2", "3", "4"), settings=SETTINGS) as rig, rig.station() as station:
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", rig.host.reach.usbmuxd)  # for the library, in this process
        yield station


async def pictures(phone: VirtualPhone) -> dict[str, bytes]:
    """Everything in the owner's pictures, as the library reads it from the phone."""
    async with await create_using_usbmux(phone.identity.udid) as lockdown, AfcService(lockdown) as afc:
        return {
            f"{directory}/{name}": await afc.get_file_contents(f"{directory}/{name}")
            async for directory, _, names in afc.walk("/DCIM")
            for name in names
        }


async def given(station: Station, bay: str, phone: VirtualPhone, service: Service) -> tuple[BayView, Record]:
    """Give a service, to its record."""
    await station.confirm(bay, phone, service)
    view = await station.until_recorded(bay, seconds=SECONDS)
    assert view.result is not None
    return view, await asyncio.to_thread(station.rig.record, view.result.record)


def assert_kept(record: Record, phone: VirtualPhone) -> None:
    assert (record.outcome, record.cause) == (Outcome.VERIFIED, None), record
    assert phone.system is not None
    assert phone.system.build == BUILD
    assert phone.destructions == []
    assert {check.what for check in record.checks} >= {"same phone", "installed build"}
    assert all(check.passed for check in record.checks)


async def in_dfu(station: Station, bay: str) -> VirtualPhone:
    """A phone that somebody has brought into DFU mode."""
    phone = station.rig.plug(bay)
    await phone.disappear()
    phone.appear(PhoneMode.DFU)
    return phone


@pytest.mark.timeout(150)
async def test_the_data_is_there_afterwards_whatever_mode_it_began_in(station: Station):
    rig = station.rig
    phones = {
        "1": rig.plug("1", people=("passcode",)),
        "2": rig.plug("2"),
        "3": rig.plug("3", auto_boot=False),
        "4": await in_dfu(station, "4"),
    }
    owned = await pictures(phones["2"])
    assert owned
    ended = await asyncio.gather(*(given(station, bay, phone, Service.REINSTALL) for bay, phone in phones.items()))
    for phone, (view, record) in zip(phones.values(), ended, strict=True):
        assert_kept(record, phone)
        assert view.state is BayState.DONE
        assert await pictures(phone) == owned
    for _, record in ended[:2]:
        assert record.before is not None
        assert record.before.build == OLD.build


@pytest.mark.long
@pytest.mark.timeout(150)
async def test_what_went_wrong_is_told_as_it_is(station: Station):
    rig = station.rig
    half_way = Fault(at="asr:payload", kind=FaultKind.STATUS, status=14)
    phones = {
        "1": rig.plug("1", people=("passcode",)),
        "2": rig.plug("2", auto_boot=False, faults=(half_way,)),
        "3": rig.plug("3", faults=(Fault(at="lockdown:EnterRecovery", kind=FaultKind.REFUSE, times=9),)),
    }
    assert phones["1"].system is not None
    phones["1"].system.types_passcode = False
    services = (Service.REINSTALL, Service.REINSTALL, Service.RESTORE)

    async def help_by_hand() -> None:
        """Hold the buttons of the phone that refuses, when the station asks for it."""
        asked = EXPLANATIONS[Cause.ENTER_RECOVERY].title
        await station.until_bay("3", lambda view: view.title == asked, seconds=SECONDS)
        await phones["3"].disappear()
        phones["3"].appear(PhoneMode.RECOVERY)

    async with asyncio.TaskGroup() as group:
        group.create_task(help_by_hand())
        jobs = [
            group.create_task(given(station, bay, phone, service))
            for (bay, phone), service in zip(phones.items(), services, strict=True)
        ]
    (_, declined), (view, between), (_, helped) = (job.result() for job in jobs)
    assert (declined.outcome, declined.cause) == (Outcome.FAILED_UNTOUCHED, Cause.PASSCODE_NOT_GIVEN)
    assert (between.outcome, between.cause, between.status) == (Outcome.FAILED_BETWEEN, Cause.DEVICE_STATUS, 14)
    assert "Nothing was erased" in between.remedy
    assert view.state is BayState.FAILED
    for phone in (phones["1"], phones["2"]):
        assert phone.destructions == []
        assert phone.system is not None
        assert phone.system.canary is not None
    assert (helped.outcome, helped.cause) == (Outcome.VERIFIED, None)
    assert phones["3"].destructions == ["restored format_media"]
