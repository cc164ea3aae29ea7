"""Snapshots as a station would send them: one for each thing the screen can show."""

from msgspec.structs import replace

from station.model.api import BayState, BayView, ConfirmView, JobView, Lamp, PhoneView, ResultView, Snapshot
from station.model.base import BayId, Ecid, JobId
from station.model.causes import EXPLANATIONS, Cause
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.model.service import Service

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
    title=EXPLANATIONS[Cause.CANCELLED].title,
    remedy=EXPLANATIONS[Cause.CANCELLED].remedy,
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
