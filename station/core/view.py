"""The station as people see it: a Snapshot, with every state in short plain words."""

from station.core import lamps
from station.core.arming import HOLD_SECONDS
from station.core.arriving import Awaited, arrival_of, how_far
from station.core.bays import Bay, Stay
from station.core.gates import closed, may_start, told
from station.core.gates.health import ailing
from station.core.jobs import Job, JobState
from station.core.states import state_of
from station.core.station import Station
from station.errors import Refused
from station.model.api import (
    BayState,
    BayView,
    ConfirmView,
    JobView,
    OfferView,
    PhoneView,
    ResultView,
    Snapshot,
)
from station.model.catalog import Arrival
from station.model.causes import EXPLANATIONS, Cause
from station.model.consent import Options
from station.model.gates import Gate
from station.model.job import PHASE_WORDS, Phase
from station.model.lights import Lights
from station.model.panel import Button
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.model.service import SERVICES, Keeps, Service

FIXED_WORDS = {
    BayState.EMPTY: ("Empty", "Plug in a phone."),
    BayState.READING: ("Reading the phone", "Leave it plugged in."),
    BayState.QUEUED: ("Waiting for its turn", "Leave it plugged in."),
}
LOOPING = ("It starts over and over", "Take another cable first. If it goes on, see what can help.")

UNHURT_BY_UNPLUGGING = frozenset({Phase.CONNECT, Phase.TICKET, Phase.REREAD, Phase.PASSCODE})
TO_DO: dict[Service, str] = {
    Service.RESTART: "restart it",
    Service.RESCUE: "have it leave recovery",
    Service.BACKUP: "back it up",
    Service.PUT_BACK: "put its backup back",
    Service.ACTIVATE: "activate it",
    Service.REINSTALL: "install iOS and keep the data",
    Service.ERASE: "erase it",
    Service.RESTORE: "erase it and install iOS",
}

INSTALLS: dict[Service, str] = {
    Service.REINSTALL: "install iOS {version} and keep the data",
    Service.RESTORE: "erase it and install iOS {version}",
}
"""The same, where it is known which iOS."""

KEEP_IN_RECOVERY = "keep it in recovery"
"""What rescue does with Options.stay_in_recovery."""

RESTORE_SYSTEM_RUNS = frozenset({Phase.RESTORED, Phase.PREPARE, Phase.IMAGE, Phase.FIRMWARE})


def snapshot(station: Station, *, at: float, sequence: int) -> Snapshot:
    """The whole station, as of `at` (CLOCK_BOOTTIME seconds)."""
    bays = tuple(_bay(station, bay) for bay in station.bays)
    faulty, situation = station.desk.arming.faulty, station.desk.situation
    ills = [f"{found.title} {found.remedy}" for found in ailing(situation.health, station.policy)]
    unsettled = dict.fromkeys(situation.unsettled.values())
    troubles = [situation.records_trouble, situation.trouble, *unsettled, *ills, _button_trouble(faulty)]
    notice = " ".join(filter(None, [*troubles, station.operator.trouble, station.desk.notice]))
    fault = any(troubles)
    pin, pin_until = station.operator.door
    return Snapshot(
        station=station.policy.name,
        sequence=sequence,
        at=at,
        bays=bays,
        lamp=lamps.of_station((bay.lamp for bay in bays), fault=fault),
        touch_confirms=station.policy.touch_confirms,
        notice=notice,
        clock_trusted=situation.health.clock_trusted is True,
        emulated=any(bay.phone is not None and bay.phone.emulated for bay in bays),
        arrivals=situation.arrivals,
        order=station.orders.view(),
        face=station.operator.choices.face,
        pin=pin,
        pin_until=pin_until,
        operator=station.operator.view(controls=station.trial.controls, testing=station.trial.on),
    )


def _bay(station: Station, bay: Bay) -> BayView:
    state = state_of(bay, station.bays, station.desk.arming)
    title, hint = _words(station, bay, state)
    offers = _offers(station, bay, state)
    aside = any(found.gate is Gate.QUARANTINE for offer in offers for found in offer.findings)
    return BayView(
        bay=bay.id,
        state=state,
        lamp=lamps.of_bay(state, aside=aside),
        title=title,
        hint=hint,
        selected=station.desk.selected == bay.id,
        phone=_phone(bay),
        confirm=_confirm(station, bay),
        job=None if bay.job is None or state in (BayState.FAILED, BayState.CANCELLED) else _job(station, bay.job),
        result=_result(bay),
        offers=offers,
        chosen=None if bay.stay is None else bay.stay.chosen,
        options=Options() if bay.stay is None else bay.stay.options,
        advice=station.triage.advice_view(bay),
        guide=station.triage.guide_view(bay),
        cause=_drawn(station, bay, state),
        dropped=None if bay.stay is None or state is not BayState.READY else bay.stay.dropped,
    )


def _words(station: Station, bay: Bay, state: BayState) -> tuple[str, str]:
    """Title and hint."""
    if state in FIXED_WORDS or station.triage.loops(bay):
        return LOOPING if station.triage.loops(bay) else _waiting_words(station, bay) or FIXED_WORDS[state]
    if state is BayState.READY:
        return _ready_words(station, bay)
    if state is BayState.NEEDS_PERSON:
        return _person_words(station, bay)
    if state is BayState.ARMED:
        assert station.desk.arming.armed is not None
        traits = SERVICES[station.desk.arming.armed.service]
        how = "Hold on the screen" if station.policy.touch_confirms else "Hold CONFIRM"
        undone = "" if traits.keeps is Keeps.MEANT_TO else "This cannot be undone."
        return traits.asks, f"{how} for {HOLD_SECONDS:.0f} seconds. {undone}".strip()
    if state is BayState.WORKING:
        assert bay.job is not None
        return PHASE_WORDS[bay.job.phase], "Do not unplug." if _keep_plugged(bay.job) else ""
    result = _result(bay)
    assert result is not None
    another = bay.stay is not None and bay.stay.ecid != result.ecid
    return f"The phone before this one: {result.title}" if another else result.title, result.remedy


def _waiting_words(station: Station, bay: Bay) -> tuple[str, str] | None:
    """What the bay's job waits for, when that is not its turn."""
    coming = None if bay.job is None else _coming(station, bay.job)
    if coming is None:
        return None
    return f"Waiting for iOS {coming.version}", f"{how_far(coming)} Then it starts by itself. Leave it plugged in."


def _ready_words(station: Station, bay: Bay) -> tuple[str, str]:
    """What START would do here, or why it would do nothing."""
    assert bay.stay is not None
    service = bay.stay.chosen
    if (why := bay.stay.dropped) is not None:
        return "It did not begin", f"{why.title} {why.remedy} Nothing was changed.".replace("  ", " ")
    try:
        case = station.desk.case(bay, service, bay.stay.options)
        firmware = may_start(case)
    except Refused as refused:
        others = any(not offer.findings for offer in _offers(station, bay, BayState.READY))
        words = (str(refused), refused.remedy, "Or choose something else." if others else "")
        return f"Not ready to {TO_DO[service]}", " ".join(filter(None, words))
    to_do = KEEP_IN_RECOVERY if bay.stay.options.stay_in_recovery else TO_DO[service]
    if firmware is not None:
        to_do = INSTALLS[service].format(version=firmware.version)
    if isinstance(firmware, Awaited) and case.arrival is not None:
        return "Ready", f"Press START to {to_do}. {how_far(case.arrival)} Then it starts by itself."
    return "Ready", f"Press START to {to_do}."


def _offers(station: Station, bay: Bay, state: BayState) -> tuple[OfferView, ...]:
    """What the phone could be given. While it is being read, worked on or looked at, nothing is offered."""
    if bay.stay is None or state not in (BayState.READY, BayState.ARMED):
        return ()
    return tuple(
        OfferView(service=service, seconds=_seconds(station, bay.stay, service), findings=closed(case), told=told(case))
        for service, traits in SERVICES.items()
        if bay.stay.mode in traits.modes
        for case in (station.desk.case(bay, service),)
    )


def _seconds(station: Station, stay: Stay, service: Service) -> float | None:
    """How long a service took here of late, for a phone like this."""
    return station.desk.situation.times.of(service, stay.product_type, emulated=stay.emulated)


def _person_words(station: Station, bay: Bay) -> tuple[str, str]:
    """What a person must do, and why."""
    if station.bays.is_twin(bay):
        return "Two bays show the same phone", "Unplug both and set them aside: one of them is not what it says."
    why = _why(bay)
    if why is not None:
        words = EXPLANATIONS[why]
        return words.title, words.remedy
    return "The phone does not tell who it is", "It cannot be erased here. Unplug it and plug it in again."


def _drawn(station: Station, bay: Bay, state: BayState) -> Cause | None:
    """What a person must do, where that is why the bay says what it says."""
    otherwise = station.bays.is_twin(bay) or station.triage.loops(bay)
    return None if state is not BayState.NEEDS_PERSON or otherwise else _why(bay)


def _why(bay: Bay) -> Cause | None:
    """What a job, or a look at the phone, waits for a person for; or why it could not be read."""
    story = bay.job.story if bay.job is not None else bay.inspection.story if bay.inspection is not None else None
    if story is not None and story.person is not None:
        return story.person.cause
    return None if bay.stay is None or bay.stay.failed is None else bay.stay.failed.cause


def _phone(bay: Bay) -> PhoneView | None:
    stay = bay.stay
    if stay is None:
        return None
    mode = stay.mode
    if bay.running and mode is PhoneMode.NORMAL and bay.job is not None and bay.job.phase in RESTORE_SYSTEM_RUNS:
        mode = PhoneMode.RESTORE
    facts = stay.facts
    return PhoneView(
        ecid=stay.ecid,
        mode=mode,
        emulated=stay.emulated,
        model_name=stay.model_name,
        product_type=stay.product_type,
        version="" if facts is None else facts.version,
        build="" if facts is None else facts.build,
        name="" if facts is None else facts.name,
        battery_percent=None if facts is None else facts.battery_percent,
        facts=facts,
    )


def _confirm(station: Station, bay: Bay) -> ConfirmView | None:
    armed, holding = station.desk.arming.armed, station.desk.arming.holding
    if armed is None or armed.bay != bay.id:
        return None
    return ConfirmView(
        service=armed.service,
        until=armed.until,
        holding_since=None if holding is None else holding.since,
        hold_seconds=HOLD_SECONDS,
        target_version="" if armed.firmware is None else armed.firmware.version,
        options=armed.options,
    )


def _coming(station: Station, job: Job) -> Arrival | None:
    """What a job waits for, while it is on its way."""
    if job.awaits is None or job.spec.firmware is not None:
        return None
    return arrival_of(station.desk.situation.arrivals, job.awaits.product_type, job.awaits.build)


def _job(station: Station, job: Job) -> JobView:
    phase = job.phase
    return JobView(
        job=job.id,
        service=job.service,
        phase=phase,
        phase_fraction=job.story.fraction if phase is job.story.phase else 0.0,
        fraction=job.fraction,
        detail=job.story.detail if phase is job.story.phase else "",
        started=job.started_at,
        eta=job.eta(),
        target_version="" if job.target is None else job.target.version,
        target_build="" if job.target is None else job.target.build,
        awaits=_coming(station, job),
        keep_plugged=_keep_plugged(job),
    )


def _keep_plugged(job: Job) -> bool:
    return job.state is not JobState.QUEUED and job.phase not in UNHURT_BY_UNPLUGGING


def _result(bay: Bay) -> ResultView | None:
    if bay.result is not None or bay.job is None or bay.job.outcome is Outcome.VERIFIED:
        return bay.result
    return bay.job.result()


def lights_of(shown: Snapshot) -> Lights:
    """What the lamps show, so that they say the same as the screen."""
    return {None: shown.lamp, **{bay.bay: bay.lamp for bay in shown.bays}}


def _button_trouble(faulty: tuple[Button, ...]) -> str:
    if not faulty:
        return ""
    names = " and ".join(_button_name(button) for button in faulty)
    return f"Button {names} is stuck or broken: release it, or have it mended."


def _button_name(button: Button) -> str:
    name = button.control.value.upper()
    return name if button.bay is None else f"{name} of bay {button.bay}"
