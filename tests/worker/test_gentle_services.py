"""Restart, rescue, activate, erase: the real worker, a real job directory, a virtual phone."""

import asyncio
from typing import Any

import msgspec
import pytest

from station.model.causes import Cause
from station.model.consent import Act, Options
from station.model.events import FactsRead, Intent, PhaseBegan, Succeeded
from station.model.job import JobSpec, Phase
from station.model.phone import ActivationLock, Media, PhoneFacts, PhoneMode
from station.model.service import Service
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.phones.phone import VirtualPhone
from station.virtual.services.backup import errors
from tests.worker.station_host import StationHost, Worker, deadlines

pytestmark = [pytest.mark.system, pytest.mark.timeout(60)]


async def give(station: StationHost, phone: VirtualPhone, service: Service | None, **options: Any) -> Worker:
    """A worker on a phone, with what a person chose."""
    return await station.start(chosen(station.spec(phone, service), **options))


def chosen(spec: JobSpec, **options: Any) -> JobSpec:
    if spec.consent is None:
        return spec
    return msgspec.structs.replace(
        spec, consent=msgspec.structs.replace(spec.consent, options=Options(**options)), firmware=None
    )


async def done(worker: Worker) -> tuple[list[Phase], list[Act]]:
    """The phases and acts of a worker that must succeed."""
    events = await worker.events()
    assert isinstance(events[-1], Succeeded), worker.log()
    phases = [event.phase for event in events if isinstance(event, PhaseBegan)]
    return phases, [event.act for event in events if isinstance(event, Intent)]


async def back(phone: VirtualPhone, mode: PhoneMode) -> None:
    """Wait until the phone is on the bus in a mode."""
    assert phone.bus is not None
    async with asyncio.timeout(5), phone.bus.watch() as queue:
        while phone.running is None or phone.mode is not mode:
            await queue.get()


async def look(station: StationHost, phone: VirtualPhone) -> PhoneFacts:
    """What a look at a phone finds."""
    worker = await give(station, phone, None)
    (read,) = [event for event in await worker.events() if isinstance(event, FactsRead)]
    return read.facts


async def test_everything_a_phone_tells_of_itself(station: StationHost):
    phones = {
        "theirs": station.plug(people=("find-my-on", "backup-password-known")),
        "firm's": station.plug(model="iPhone 15", people=("managed",)),
        "locked": station.plug(people=("locked", "find-my-off")),
        "new": station.plug(people=("not-activated",)),
        "held": station.plug(people=("activation-locked",)),
        "silent": station.plug(people=("find-my-silent",)),
    }
    for phone in phones.values():
        assert phone.system is not None
        phone.system.organisation.name = "Größenwahn AG"
    locked = phones["locked"].system
    assert locked is not None
    locked.acquainted = True  # with this station, from before it was locked
    found = dict(zip(phones, await asyncio.gather(*(look(station, phone) for phone in phones.values())), strict=True))

    theirs = found["theirs"]
    system = phones["theirs"].system
    assert system is not None
    assert (theirs.capacity, theirs.free) == (128_000_000_000, system.files.free)
    assert (theirs.colour, theirs.backup_password, theirs.supervised) == ("black", True, False)
    assert theirs.battery_health is not None
    assert 80 <= theirs.battery_health <= 100
    assert theirs.battery_cycles is not None
    assert theirs.imei2 != theirs.imei
    pictures = [node for path, node in system.files.walk("/var/mobile/Media/DCIM") if not node.is_directory]
    assert theirs.media == Media(files=len(pictures), size=sum(node.size for node in pictures))
    assert theirs.media.files > 0
    assert theirs.lock.state is ActivationLock.LOCKED
    assert {"com.apple.fmip IsAssociated: true", "NVRAM fm-activation-locked: YES"} <= set(theirs.lock.signs)
    assert "options fm-account-masked: there" in theirs.lock.signs
    assert theirs.lock.at.endswith("Z")

    assert (found["firm's"].supervised, found["firm's"].organisation) == (True, "Größenwahn AG")
    assert found["firm's"].lock.state is ActivationLock.NOT_DETECTED
    # While it is locked its services are closed, but for those that lockdownd itself answers.
    assert (found["locked"].media, found["locked"].supervised) == (None, False)
    assert found["locked"].lock.state is ActivationLock.NOT_DETECTED
    assert found["new"].media == Media(files=0, size=0)
    assert found["new"].lock.state is ActivationLock.NOT_DETECTED
    assert found["held"].lock.state is ActivationLock.LOCKED  # though it is associated with nobody any more
    assert found["silent"].lock.state is ActivationLock.UNKNOWN


async def test_a_source_that_fails_fails_nothing_else(station: StationHost):
    kinds = (FaultKind.SILENCE, FaultKind.GARBLE, FaultKind.REFUSE)
    phones = [station.plug(Fault(at="diagnostics:IORegistry", kind=kind)) for kind in kinds]
    for facts in await asyncio.gather(*(look(station, phone) for phone in phones)):
        assert facts.battery_health is None
        assert facts.media is not None
        assert facts.lock.state is ActivationLock.NOT_DETECTED
        assert "options: not told" in facts.lock.signs


async def test_what_a_consent_is_good_for_is_done_and_nothing_else(station: StationHost):
    """Side by side, because most of the time is spent in starting the workers."""
    restarted, rescued, held = station.plug(), station.plug(auto_boot=False), station.plug(auto_boot=False)
    starts = restarted.starts
    workers = await asyncio.gather(
        give(station, restarted, Service.RESTART),
        give(station, rescued, Service.RESCUE),
        give(station, held, Service.RESCUE, stay_in_recovery=True),
    )
    assert await done(workers[0]) == ([Phase.CONNECT, Phase.RESTART], [Act.RESTART])
    assert await done(workers[1]) == ([Phase.CONNECT, Phase.RESTART], [Act.SET_AUTO_BOOT] * 2)
    assert await done(workers[2]) == ([Phase.CONNECT, Phase.RESTART], [Act.SET_AUTO_BOOT])
    await back(restarted, PhoneMode.NORMAL)
    await back(rescued, PhoneMode.NORMAL)
    assert restarted.starts == starts + 1
    assert rescued.nvram["auto-boot"] == "true"
    assert (held.mode, held.nvram["auto-boot"], held.starts) == (PhoneMode.RECOVERY, "false", 0)
    for phone in (restarted, rescued, held):
        assert phone.system is not None
        assert phone.system.canary is not None
        assert phone.destructions == []


async def test_another_services_consent_opens_nothing(station: StationHost):
    phone = station.plug()
    spec = chosen(station.spec(phone, Service.ERASE))
    assert spec.consent is not None
    spec = msgspec.structs.replace(spec, consent=msgspec.structs.replace(spec.consent, service=Service.RESTART))
    worker = await station.start(spec)
    assert (await worker.failure()).cause is Cause.CONSENT_VOID, worker.log()
    assert phone.destructions == []


async def test_erased_by_the_service_that_fits(station: StationHost):
    refuse = Fault(at="backup:EraseDevice", kind=FaultKind.STATUS, status=errors.FORBIDDEN)
    ordinary, supervised, refused = station.plug(), station.plug(people=("supervised",)), station.plug(refuse)
    without_plan = station.plug()
    workers = await asyncio.gather(
        give(station, ordinary, Service.ERASE),
        give(station, supervised, Service.ERASE),
        give(station, refused, Service.ERASE),
        give(station, without_plan, Service.ERASE, keep_esim=False),
    )
    for worker, phone, by, times in zip(
        workers,
        (ordinary, supervised, refused, without_plan),
        ("mobilebackup2 EraseDevice", "EraseDevice", "EraseDevice", "EraseDevice"),
        (1, 1, 2, 1),
        strict=True,
    ):
        assert await done(worker) == ([Phase.CONNECT, Phase.ERASE_CONTENT], [Act.ERASE_CONTENT] * times)
        await back(phone, PhoneMode.NORMAL)
        assert phone.destructions == [by]
        assert phone.system is not None
        assert (phone.system.canary, phone.system.activation_state) == (None, "Unactivated")
        assert (phone.system.version, phone.system.build) == ("26.1", "23B85")


async def test_a_phone_that_hangs_up_has_begun_to_erase_itself(station: StationHost):
    phone = station.plug(Fault(at="backup:EraseDevice", kind=FaultKind.REFUSE))
    worker = await give(station, phone, Service.ERASE)
    assert await done(worker) == ([Phase.CONNECT, Phase.ERASE_CONTENT], [Act.ERASE_CONTENT])
    assert phone.destructions == []  # which is for the station to see


async def test_a_phone_that_says_nothing_is_not_waited_for(station: StationHost):
    phone = station.plug(Fault(at="backup:EraseDevice", kind=FaultKind.SILENCE))
    spec = chosen(station.spec(phone, Service.ERASE, deadlines=deadlines(4.0, [Phase.ERASE_CONTENT])))
    assert (await (await station.start(spec)).failure()).cause is Cause.DEADLINE


async def test_a_phone_that_was_locked_since_it_was_looked_at_is_not_erased(station: StationHost):
    """Hours may lie between the look that the gates judged by, and the erase."""
    seldom, theirs = station.plug(people=("find-my-off",)), station.plug(people=("find-my-on",))
    before = {phone: await look(station, phone) for phone in (seldom, theirs)}
    assert seldom.system is not None
    seldom.system.find_my = True
    for service in (Service.ERASE, Service.RESTORE):
        spec = msgspec.structs.replace(station.spec(seldom, service), before=before[seldom])
        worker = await station.start(spec)
        assert (await worker.failure()).cause is Cause.ACTIVATION_LOCKED
        assert not [event for event in await worker.events() if isinstance(event, Intent)]
    assert seldom.system.find_my  # and everything else is on it still
    spec = msgspec.structs.replace(station.spec(theirs, Service.ERASE), before=before[theirs])
    await done(await station.start(spec))  # that one was locked then, and somebody has answered for it


async def test_activated_or_somebodys(station: StationHost):
    phones = [
        station.plug(people=("not-activated",)),
        station.plug(),
        station.plug(people=("activation-locked",)),
        station.plug(
            Fault(at="activation:HandleActivationInfoWithSessionRequest", kind=FaultKind.UNPLUG),
            people=("not-activated",),
        ),
    ]
    fresh, in_use, locked, _ = phones
    workers = await asyncio.gather(*(give(station, phone, Service.ACTIVATE) for phone in phones))
    assert await done(workers[0]) == ([Phase.CONNECT, Phase.ACTIVATE], [Act.ACTIVATE])
    assert fresh.system is not None
    assert fresh.system.activation_state == "Activated"
    assert await done(workers[1]) == ([Phase.CONNECT, Phase.ACTIVATE], [])
    assert in_use.system is not None
    assert in_use.system.canary is not None
    failure = await workers[2].failure()
    assert failure.cause is Cause.ACTIVATION_LOCKED
    assert "Activation Lock" in failure.detail
    assert locked.system is not None
    assert locked.system.activation_state == "Unactivated"
    assert (await workers[3].failure()).cause is Cause.DISCONNECTED


REFUSALS: dict[Behaviour, Cause] = {
    Behaviour.REFUSE: Cause.NOT_ACTIVATED,
    Behaviour.HANG: Cause.ACTIVATION_UNREACHABLE,
    Behaviour.PORTAL: Cause.ACTIVATION_UNREACHABLE,
}


async def test_without_apple_nothing_is_activated(station: StationHost):
    for behaviour, cause in REFUSALS.items():
        station.host.apple.behaviours[AppleService.ACTIVATION] = behaviour
        phone = station.plug(people=("not-activated",))
        few: dict[str, Any] = {"deadlines": deadlines(3.0, [Phase.ACTIVATE])}
        failure = await (await station.start(station.spec(phone, Service.ACTIVATE, **few))).failure()
        assert failure.cause is cause, (behaviour, failure)
        assert phone.system is not None
        assert phone.system.activation_state == "Unactivated"
