"""Snapshots as a station would send them: one for each thing the screen can show."""

from msgspec.structs import replace

from station.core import guides
from station.core.view import TO_DO
from station.model.api import (
    AdviceView,
    BayState,
    BayView,
    ConfirmView,
    GuideView,
    JobView,
    Lamp,
    OfferView,
    PhoneView,
    ResultView,
    Snapshot,
)
from station.model.base import BayId, Ecid, JobId, Udid
from station.model.causes import EXPLANATIONS, Cause
from station.model.gates import Finding, Gate
from station.model.guide import Family, Seen
from station.model.guide import Target as GoalOf
from station.model.job import Phase
from station.model.phone import ActivationLock, LockReading, Media, PhoneFacts, PhoneMode
from station.model.record import Check, Outcome
from station.model.service import SERVICES, Service
from station.model.symptoms import Symptom

NOW = 1000.0

PHONE = PhoneView(
    ecid=Ecid(0x1C2D3E4F5A6B7C),
    mode=PhoneMode.NORMAL,
    emulated=False,
    model_name="iPhone 12",
    product_type="iPhone13,2",
    version="17.5.1",
    build="21F90",
    name="Anna’s iPhone",
    battery_percent=81,
)
JOB = JobView(
    job=JobId("20260807-101500-1"),
    service=Service.RESTORE,
    phase=Phase.IMAGE,
    phase_fraction=0.4,
    fraction=0.43,
    detail="",
    started=NOW - 200,
    eta=NOW + 250,
    target_version="18.5",
    target_build="22F76",
    keep_plugged=True,
)
CONFIRM = ConfirmView(
    service=Service.RESTORE, until=NOW + 22, holding_since=None, hold_seconds=2.0, target_version="18.5"
)
VERIFIED = ResultView(
    job=JOB.job,
    ecid=Ecid(0x000A1B2C3D4E5F60),
    service=Service.RESTORE,
    outcome=Outcome.VERIFIED,
    title="Erased, restored and verified.",
    remedy="Unplug the phone.",
    record=42,
    certificate="/var/lib/station/certificates/42.pdf",
    proof=f"RESTORE-STATION 8F31C0D2A4B6-000042 {'7A04E6B1' * 8} 8F31C0D2A4B6",
)


ERASED = ResultView(
    job=JOB.job,
    ecid=Ecid(0x000A1B2C3D4E5F60),
    service=Service.RESTORE,
    outcome=Outcome.FAILED_ERASED,
    title="The phone could not recover its factory data (53).",
    remedy="Check the internet connection and retry once. A replaced part is the usual cause. "
    "The phone is erased and cannot be used until it is restored.",
    record=43,
    certificate=None,
)
UNTOUCHED = ResultView(
    job=JOB.job,
    ecid=Ecid(0x000A1B2C3D4E5F60),
    service=Service.RESTORE,
    outcome=Outcome.FAILED_UNTOUCHED,
    title="Something else answered in place of Apple's signing server.",
    remedy="The network may ask for a login first (a guest Wi-Fi page). Use another network, then start again.",
    record=44,
    certificate=None,
)
CANCELLED = ResultView(
    job=JOB.job,
    ecid=Ecid(0x1C2D3E4F5A6B7C),
    service=Service.RESTORE,
    outcome=Outcome.FAILED_UNTOUCHED,
    title="Cancelled before anything was erased.",
    remedy="Start again whenever you like.",
    record=45,
    certificate=None,
    cause=Cause.CANCELLED,
)


def bay(state: BayState, number: int = 1, *, selected: bool = False) -> BayView:  # noqa: C901 one arm a state
    """A bay in a state, with everything that goes with it."""
    empty = BayView(
        bay=BayId(str(number)),
        state=state,
        lamp=None,
        title="Empty",
        hint="Plug in a phone.",
        selected=selected,
    )
    held = replace(empty, phone=PHONE, title="", hint="", chosen=Service.RESTORE)
    match state:
        case BayState.EMPTY:
            return empty
        case BayState.READING:
            phone = replace(PHONE, model_name="", product_type="", version="", build="", ecid=None)
            return replace(held, phone=phone, title="Reading the phone", hint="Leave it plugged in.")
        case BayState.READY:
            return replace(held, title="Ready", hint="Press START to erase it and install iOS 18.5.")
        case BayState.NEEDS_PERSON:
            return replace(
                held,
                title="The phone does not trust this station.",
                hint="Unlock the phone and tap “Trust” when it asks. If it does not ask, plug it in again.",
                cause=Cause.NOT_TRUSTED,
            )
        case BayState.ARMED:
            return replace(held, title="Erase everything?", hint="Hold CONFIRM for 2 seconds.", confirm=CONFIRM)
        case BayState.QUEUED:
            job = replace(JOB, phase=Phase.CONNECT, fraction=0.0, eta=None, keep_plugged=False)
            return replace(held, title="Waiting for its turn", hint="Leave it plugged in.", job=job)
        case BayState.WORKING:
            phone = replace(PHONE, mode=PhoneMode.RESTORE)
            return replace(held, phone=phone, title="Installing iOS", hint="Do not unplug.", job=JOB)
        case BayState.DONE:
            phone = replace(PHONE, version="18.5", build="22F76")
            return replace(held, phone=phone, title=VERIFIED.title, hint=VERIFIED.remedy, result=VERIFIED)
        case BayState.FAILED:
            phone = replace(PHONE, mode=PhoneMode.RECOVERY)
            return replace(held, phone=phone, title=ERASED.title, hint=ERASED.remedy, result=ERASED)
        case BayState.CANCELLED:
            return replace(held, title=CANCELLED.title, hint=CANCELLED.remedy, result=CANCELLED)


def station(*bays: BayView, touch: bool = False, notice: str = "", emulated: bool = False) -> Snapshot:
    """A station with these bays."""
    return Snapshot(
        station="Restore Station",
        sequence=1,
        at=NOW,
        bays=bays,
        lamp=Lamp.READY,
        touch_confirms=touch,
        notice=notice,
        emulated=emulated,
    )


def emulate(view: BayView) -> BayView:
    """The same bay with a virtual phone in it."""
    return view if view.phone is None else replace(view, phone=replace(view.phone, emulated=True))


BENCH = tuple(bay(list(BayState)[number % 9], number + 1, selected=number == 6) for number in range(16))
"""Sixteen bays with everything happening at once."""


FACTS = PhoneFacts(
    ecid=Ecid(0x1C2D3E4F5A6B7C),
    udid=Udid("00008101-001C2D3E4F5A6B7C"),
    product_type="iPhone13,2",
    hardware_model="D53gAP",
    model_name="iPhone 12",
    name="Anna’s iPhone",
    serial_number="F17DX3K80DXP",
    imei="356728112345678",
    imei2="356728112345686",
    version="17.5.1",
    build="21F90",
    activation_state="Activated",
    passcode=True,
    battery_percent=81,
    capacity=128_000_000_000,
    free=41_300_000_000,
    colour="blue",
    battery_health=87,
    battery_cycles=412,
    supervised=False,
    lock=LockReading(state=ActivationLock.NOT_DETECTED, at="2026-08-07T10:15:00Z"),
    backup_password=False,
    media=Media(files=2304, size=9_000_000_000),
)
TOLD = replace(PHONE, facts=FACTS)
SECONDS: dict[Service, float | None] = {
    Service.RESTART: 42,
    Service.BACKUP: 18 * 60,
    Service.REINSTALL: 14 * 60,
    Service.ERASE: 70,
    Service.RESTORE: 11 * 60,
}
RECOVERY_OFFERS = (
    OfferView(service=Service.RESCUE, seconds=35),
    OfferView(service=Service.REINSTALL, seconds=14 * 60),
    OfferView(service=Service.RESTORE, seconds=11 * 60),
)
ASKS_PASSCODE = Finding(
    gate=Gate.PHONE,
    title="The phone will ask for its passcode.",
    remedy="Its owner must be here to type it on the phone: without it the data could not be unlocked afterwards.",
)
UNDECIDED = Finding(
    gate=Gate.BACKUP,
    title="Nobody has decided about a backup yet.",
    remedy="Make one here, or say that there is one, or that none is wanted.",
)
LOCKED = Finding(
    gate=Gate.ACTIVATION_LOCK,
    title="Find My is on: this phone belongs to an Apple Account.",
    remedy="The owner turns it off: Settings, their name, Find My. Then plug the phone in again.",
    overrulable=True,
)
NO_BACKUP = Finding(gate=Gate.VAULT, title="There is no verified backup of this phone here.", remedy="Make one first.")
OFFERS = tuple(
    OfferView(
        service=service,
        seconds=SECONDS.get(service),
        findings={Service.PUT_BACK: (NO_BACKUP,), Service.ERASE: (UNDECIDED,), Service.RESTORE: (UNDECIDED,)}.get(
            service, ()
        ),
    )
    for service, traits in SERVICES.items()
    if PhoneMode.NORMAL in traits.modes
)


def offered(chosen: Service, *findings: Finding) -> BayView:
    """A phone at rest that is offered everything; `findings` stand in the way of the chosen service."""
    offers = tuple(replace(offer, findings=findings) if offer.service is chosen else offer for offer in OFFERS)
    hint = f"Press START to {TO_DO[chosen]}."
    return replace(bay(BayState.READY), phone=TOLD, offers=offers, chosen=chosen, hint=hint, selected=True)


ADVICE = AdviceView(
    symptom=Symptom.CRASHING,
    services=(Service.RESTART, Service.BACKUP, Service.REINSTALL, Service.RESTORE),
    guide=None,
    says="A restart helps most often. If it does not, iOS is installed anew around the data: make a backup first.",
)
ADVISED_PRESSES = AdviceView(
    symptom=Symptom.FORGOTTEN_PASSCODE,
    services=(Service.RESTORE,),
    guide=GoalOf.RECOVERY,
    says="Without the passcode nobody can read the data, and nobody here can get it back. "
    "In recovery mode the phone can be erased and used again by whoever knows its Apple Account.",
)
ADVISED_PERSON = AdviceView(
    symptom=Symptom.NOT_TRUSTED,
    services=(),
    guide=None,
    says="On the phone: Settings, General, Transfer or Reset, Reset, Reset Location & Privacy. Then it asks "
    "anew. If a company manages it, it may not be allowed to.",
)
NO_ADVICE = AdviceView(
    symptom=Symptom.BLACK,
    services=(),
    guide=None,
    says="Nothing that can be done over the cable is left. Its battery or its board needs a repair shop.",
)
CHECKS = (
    Check(what="Came back", expected="yes", observed="yes, after 62 s", passed=True),
    Check(what="Same phone", expected="ECID 0x…6B7C", observed="ECID 0x…6B7C", passed=True),
    Check(what="iOS build", expected="22F76", observed="22F76", passed=True),
    Check(what="Activation", expected="not activated", observed="Unactivated", passed=True),
    Check(what="Passcode", expected="none", observed="none", passed=True),
)
CHECKED = replace(
    VERIFIED,
    ecid=FACTS.ecid,
    checks=CHECKS,
    before=FACTS,
    after=replace(FACTS, version="18.5", build="22F76", passcode=False, activation_state="Unactivated", media=None),
)
NOT_CLEAN = replace(
    CHECKED,
    outcome=Outcome.NOT_VERIFIED,
    title="The phone came back, but it does not look erased.",
    remedy="Start again. Do not hand the phone on.",
    certificate=None,
    proof="",
    cause=Cause.NOT_CLEAN,
    checks=(*CHECKS[:4], replace(CHECKS[4], observed="there is one", passed=False)),
)

BACKED_UP = replace(
    VERIFIED,
    service=Service.BACKUP,
    title="Backed up, and read back.",
    remedy="Unplug the phone, or choose what comes next.",
    record=46,
    certificate=None,
    proof="",
    checks=CHECKS[:1],
)


def asked(cause: Cause) -> BayView:
    """A person must do something at the phone, so that it can be read."""
    words = EXPLANATIONS[cause]
    phone = replace(PHONE, version="", build="", battery_percent=None)
    view = replace(bay(BayState.NEEDS_PERSON), phone=phone, title=words.title, hint=words.remedy)
    return replace(view, cause=cause)


def asked_in_job(cause: Cause) -> BayView:
    """A job waits for a person."""
    job = replace(JOB, service=Service.REINSTALL, phase=Phase.PASSCODE, fraction=0.03, eta=None, keep_plugged=True)
    return replace(asked(cause), phone=PHONE, job=job)


def guided(
    family: Family, goal: GoalOf, step: int, *, seen: Seen = Seen.UNMOVED, says: str = "", warning: str | None = None
) -> BayView:
    """A person in the middle of pressing: the station's own presses and warnings."""
    view = GuideView(
        target=goal,
        family=family,
        step=step,
        steps=guides.steps(family, goal),
        began=NOW - 1.4,
        seen=seen,
        says=says,
        warning=guides.warning(family, goal, known=True) if warning is None else warning,
    )
    return replace(offered(Service.RESTORE), phone=replace(TOLD, **LIKE[family]), guide=view)


LIKE: dict[Family, dict[str, str]] = {
    Family.FACE: {"model_name": "iPhone 15", "product_type": "iPhone15,4"},
    Family.SEVEN: {"model_name": "iPhone 7", "product_type": "iPhone9,3"},
    Family.HOME: {"model_name": "iPhone 6s", "product_type": "iPhone8,1"},
    Family.PAD: {"model_name": "iPad Air (4th generation)", "product_type": "iPad13,1"},
    Family.PAD_HOME: {"model_name": "iPad (9th generation)", "product_type": "iPad12,1"},
}
"""A model of each family."""
