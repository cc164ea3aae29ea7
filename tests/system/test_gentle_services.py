"""Restart, rescue, activate and erase: by buttons or commands, through daemon and worker, on the virtual phone.

What is on a phone is looked at by another program than the station: the library's own client.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, Choose, OperatorConfirm, Overrule, Select, Start
from station.model.causes import Cause
from station.model.consent import Hand, Options
from station.model.gates import Choice, Gate
from station.model.panel import Control
from station.model.phone import ActivationLock, PhoneMode
from station.model.record import Outcome, Record
from station.model.service import SERVICES, Service
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.phones.phone import VirtualPhone
from station.virtual.services.backup import errors
from tests.system.rig import OLD, Station, bay_of, make_rig
from tests.virtual_services.backups import media

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

BAYS = ("1", "2", "3", "4", "5", "6", "7", "8")
SHORT = {
    "STATION_LEAVE_SECONDS": "4",
    "STATION_OBSERVE_SECONDS": "3",
    "STATION_DEADLINES": '{"return": 25}',
    "STATION_CAP": "3",
}


@pytest.fixture
async def station(store: FirmwareStore, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Station]:
    """A station of eight bays that does not wait long for what does not happen."""
    async with make_rig(store, bays=BAYS, settings=SHORT) as rig:
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", rig.host.reach.usbmuxd)
        async with rig.station() as station:
            yield station


async def give(station: Station, bay: str, phone: VirtualPhone, service: Service, **options: Any) -> Record:
    """START, CONFIRM where it takes one, and the record of what came of it."""
    await station.until_state(bay, BayState.READY)
    async with station._arming:
        await station.obeyed(Start, bay, service=service, options=Options(**options))
        if SERVICES[service].confirmed:
            await station.obeyed(OperatorConfirm, bay, ecid=phone.identity.ecid)
    return await recorded(station, bay, phone)


async def recorded(station: Station, bay: str, phone: VirtualPhone) -> Record:
    """The record of the service in a bay, once it is written."""
    view = await station.until_recorded(bay, seconds=90)
    assert view.result is not None
    record = station.rig.record(view.result.record)
    assert record.ecid == phone.identity.ecid
    return record


def passed(record: Record, *what: str) -> None:
    """A record is verified, by these checks among others."""
    assert record.outcome is Outcome.VERIFIED, (record.title, record.detail, record.checks)
    assert set(what) <= {check.what for check in record.checks}, record.checks


def kept(phone: VirtualPhone) -> bool:
    """Whether the phone has its owner's data."""
    return phone.destructions == [] and phone.system is not None and phone.system.canary is not None


async def test_what_keeps_everything(station: Station):
    rig = station.rig
    locking = Fault(at="diagnostics:Restart", kind=FaultKind.CHANGE, changes={"locked": True, "passcode": True})
    ordinary, locked, lazy = rig.plug("1"), rig.plug("2", faults=(locking,)), rig.plug("3")
    loop, held, broken = (
        rig.plug("4", auto_boot=False),
        rig.plug("5", auto_boot=False),
        rig.plug("6", installed=None),
    )
    new, owned = rig.plug("7", people=("not-activated",)), rig.plug("8", people=("activation-locked",))
    lazy.restart_into = lambda *_, **__: None  # type: ignore[method-assign]  # it says yes and does nothing
    before = await media(ordinary)
    assert before

    done = await asyncio.gather(
        give(station, "1", ordinary, Service.RESTART),
        give(station, "2", locked, Service.RESTART),
        give(station, "3", lazy, Service.RESTART),
        give(station, "4", loop, Service.RESCUE),
        give(station, "5", held, Service.RESCUE, stay_in_recovery=True),
        give(station, "6", broken, Service.RESCUE),
        give(station, "7", new, Service.ACTIVATE),
        give(station, "8", owned, Service.ACTIVATE),
    )

    passed(done[0], "same phone", "started anew", "build", "name", "pictures")
    assert ordinary.starts == 1
    assert await media(ordinary) == before
    passed(done[1], "started anew", "name")
    assert locked.starts == 1
    assert (done[2].outcome, done[2].cause) == (Outcome.NOT_VERIFIED, Cause.NOT_LEFT)
    assert kept(lazy)
    passed(done[3], "same phone")
    assert (loop.mode, done[3].title) == (PhoneMode.NORMAL, SERVICES[Service.RESCUE].done)
    assert await media(loop) == before
    passed(done[4], "mode")
    assert (held.mode, held.nvram["auto-boot"], done[4].title) == (
        PhoneMode.RECOVERY,
        "false",
        "Held in recovery mode.",
    )
    assert kept(held)
    assert (done[5].outcome, done[5].cause) == (Outcome.NOT_VERIFIED, Cause.STAYED_IN_RECOVERY)
    passed(done[6], "activation state")
    assert new.system is not None
    assert new.system.activation_state == "Activated"
    assert (done[7].outcome, done[7].cause) == (Outcome.FAILED_UNTOUCHED, Cause.ACTIVATION_LOCKED)
    assert done[7].observed.facts is not None
    assert done[7].observed.facts.lock.state is ActivationLock.LOCKED
    # What needs no confirmation is no consent to more than it says, and is somebody's all the same.
    assert {record.consent.by for record in done} == {Hand.SCREEN}
    assert not any(phone.destructions for phone in rig.host.hands.phones.values())


def certificate(pdf: str | None) -> dict[str, Any]:
    """The signed JSON beside a certificate."""
    assert pdf is not None
    found: dict[str, Any] = json.loads(Path(pdf).with_suffix(".json").read_bytes())
    return found


async def erase_by_hand(station: Station, bay: str, phone: VirtualPhone) -> Record:
    """Choose it on the screen, press START, hold CONFIRM."""
    await station.until_state(bay, BayState.READY)
    async with station._arming:
        await station.obeyed(Select, bay)
        await station.obeyed(Choose, bay, service=Service.ERASE)
        await station.rig.hand.press(Control.START, seconds=0.2)
        await station.until_state(bay, BayState.ARMED)
        await station.rig.hand.press(Control.CONFIRM, seconds=2.4)
        await station.until_state(bay, BayState.WORKING, BayState.QUEUED, BayState.DONE)
    return await recorded(station, bay, phone)


@pytest.mark.long
async def test_what_erases(station: Station):
    rig = station.rig
    forbids = Fault(at="backup:EraseDevice", kind=FaultKind.STATUS, status=errors.FORBIDDEN)
    pulled = Fault(at="management:EraseDevice", kind=FaultKind.UNPLUG)
    by_hand, firm, owned, coded = (
        rig.plug("1"),
        rig.plug("2", people=("managed",)),
        rig.plug("3", people=("find-my-on",)),
        rig.plug("4", people=("passcode",)),
    )
    unplugged, hangs_up = (
        rig.plug("5", faults=(forbids, pulled)),
        rig.plug("6", faults=(Fault(at="backup:EraseDevice", kind=FaultKind.REFUSE),)),
    )
    neighbour, refuses = rig.plug("7"), rig.plug("8", faults=(forbids,), people=("locked",))
    assert refuses.system is not None
    refuses.system.acquainted = True  # with this station, from before it was locked
    await station.until_state("3", BayState.READY)
    refused = await station.command(Start, "3", service=Service.ERASE)
    assert "Find My" in refused.refused
    why = {"ecid": owned.identity.ecid, "gate": Gate.ACTIVATION_LOCK, "reason": "the owner signed for it"}
    await station.obeyed(Overrule, "3", **why)

    done = await asyncio.gather(
        erase_by_hand(station, "1", by_hand),
        give(station, "2", firm, Service.ERASE),
        give(station, "3", owned, Service.ERASE),
        give(station, "4", coded, Service.ERASE, keep_esim=False),
        give(station, "5", unplugged, Service.ERASE),
        give(station, "6", hangs_up, Service.ERASE),
        give(station, "8", refuses, Service.ERASE),
    )

    for phone, record, by in zip(
        (by_hand, firm, owned, coded), done, ("mobilebackup2 EraseDevice", "EraseDevice", None, None), strict=False
    ):
        passed(record, "same phone", "started anew", "build", "activation state", "passcode", "pictures")
        assert await media(phone) == {}
        assert phone.system is not None
        assert (phone.system.build, phone.system.activation_state) == (OLD.build, "Unactivated")
        assert len(phone.destructions) == 1
        assert phone.destructions[0] == (by or phone.destructions[0])
        assert record.decision is not None
        assert record.decision.choice is Choice.STANDING
        assert (record.status, record.firmware, record.operations) == (None, None, ())
    assert done[0].consent.by is Hand.BUTTONS
    assert not done[3].consent.options.keep_esim
    check_certificates(station, done[0], done[2])

    assert (done[4].outcome, done[4].cause) == (Outcome.NOT_VERIFIED, Cause.NOT_RETURNED)
    assert (done[5].outcome, done[5].cause) == (Outcome.NOT_VERIFIED, Cause.NOT_LEFT)
    assert kept(hangs_up)
    assert (done[6].outcome, done[6].cause) == (Outcome.FAILED_ERASED, Cause.REFUSED_BY_PHONE)
    assert done[6].remedy.endswith("The erase was sent and not seen to end: look at the phone.")
    assert kept(refuses)
    assert kept(neighbour)
    assert set(await media(neighbour)) >= {"/DCIM/100APPLE/IMG_0001.JPG"}


def check_certificates(station: Station, plain: Record, overruled: Record) -> None:
    """The certificates of an erase without firmware say what was done, and nothing of a restore."""
    assert station.snapshot is not None
    results = [bay_of(station.snapshot, bay).result for bay in ("1", "3")]
    first, third = (certificate(result.certificate) for result in results if result is not None)
    assert "all content and settings" in first["method"]
    assert first["firmware_before"] == first["firmware_after"] == f"iOS {OLD.version} ({OLD.build})"
    assert not any("restore" in check["what"] for check in first["reported"])
    assert plain.before is not None
    assert plain.before.lock.state is ActivationLock.NOT_DETECTED
    assert first["activation_lock"].startswith("not detected")
    assert overruled.before is not None
    assert overruled.before.lock.state is ActivationLock.LOCKED
    assert third["activation_lock"].startswith("locked")
    assert any("the owner signed for it" in words for words in third["overruled"])
    assert "declined" in first["backup"]
