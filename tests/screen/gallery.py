"""Every screen in every state: what the picture tests keep, and what the contact sheet shows."""

import dataclasses

from msgspec.structs import replace

from station.model.api import BayState, BayView, OrderView, ResultView
from station.model.base import BayId
from station.model.catalog import Arrival, ArrivalState
from station.model.causes import Cause
from station.model.consent import Options
from station.model.gates import Finding, Gate
from station.model.guide import Family, Seen
from station.model.guide import Target as Goal
from station.model.job import Phase
from station.model.phone import ActivationLock, LockReading, PhoneMode
from station.model.record import Outcome
from station.model.service import SERVICES, Service
from station.screen.pages import Page, opened
from station.screen.render import View
from tests.screen import samples
from tests.screen.samples import BENCH, CONFIRM, JOB, NOW, PHONE, bay, emulate, offered, station

TOO_EARLY = (
    "It only restarted: the buttons were let go too early. Hold on, past the apple. "
    "Again, a little slower: press “Next”."
)
DISK = "The disk is nearly full: 1.2 GB left. Ask an operator to remove old firmware."
REFUSAL = "The battery is nearly empty. Charge the phone for ten minutes."
SET_ASIDE = Finding(
    gate=Gate.QUARANTINE,
    title="An erase of this phone failed, and nobody has looked into it.",
    remedy="An operator looks into it, and releases it.",
)


def noted(view: View, note: str) -> View:
    """The same page, with an answer to the last touch."""
    return dataclasses.replace(view, note=note)


def at(view: BayView, page: Page) -> View:
    """A page of a station's only bay."""
    return View(station(view), place=opened(view, page))


def one(view: BayView, *, touch: bool = False) -> View:
    """A station with this bay alone."""
    return View(station(view, touch=touch))


def like(view: BayView, model_name: str, product_type: str) -> BayView:
    """The same bay with another model in it."""
    assert view.phone is not None
    return replace(view, phone=replace(view.phone, model_name=model_name, product_type=product_type))


def in_mode(view: BayView, mode: PhoneMode) -> BayView:
    """The same bay with its phone in another mode, where it tells little and is offered less."""
    offers = tuple(offer for offer in view.offers if mode in SERVICES[offer.service].modes)
    phone = replace(PHONE, mode=mode, version="", build="", battery_percent=None)
    return replace(view, phone=phone, offers=offers)


def working(service: Service, phase: Phase, fraction: float, **changes: object) -> BayView:
    """A bay in the middle of a job."""
    job = replace(JOB, service=service, phase=phase, fraction=fraction, **changes)
    return replace(bay(BayState.WORKING), phone=PHONE, title="", hint="", job=job)


def ended(result: ResultView, **changes: object) -> BayView:
    """A bay whose job is over."""
    return replace(bay(BayState.FAILED), result=result, title=result.title, hint=result.remedy, **changes)


def armed(service: Service, **changes: object) -> BayView:
    """A bay that waits for CONFIRM."""
    version = CONFIRM.target_version if SERVICES[service].firmware else ""
    return replace(
        bay(BayState.ARMED),
        confirm=replace(CONFIRM, service=service, target_version=version, **changes),
        chosen=service,
    )


def awaiting(arrival: Arrival) -> BayView:
    """A bay whose job waits for its firmware."""
    job = replace(JOB, service=Service.RESTORE, phase=Phase.CONNECT, fraction=0.0, eta=None, awaits=arrival)
    hint = "iOS 26.2 is still being fetched: 43 %, about 6 minutes. Then it starts by itself. Leave it plugged in."
    return replace(bay(BayState.QUEUED), phone=PHONE, title="Waiting for iOS 26.2", hint=hint, job=job)


ARRIVAL = Arrival(
    version="26.2",
    build="23C55",
    product_types=("iPhone13,2",),
    state=ArrivalState.FETCHING,
    done=3_500_000_000,
    total=8_100_000_000,
    seconds_left=372.0,
)
ON_ITS_WAY = Finding(
    gate=Gate.FIRMWARE,
    title="iOS 26.2 is still being fetched: 43 %, about 6 minutes.",
    remedy="The service starts by itself when it is here.",
)
RESTARTING = offered(Service.RESTART)
UNDECIDED = offered(Service.RESTORE, samples.UNDECIDED)
ERASING = offered(Service.ERASE)
REINSTALLING = replace(
    offered(Service.REINSTALL),
    offers=tuple(
        replace(offer, told=(samples.ASKS_PASSCODE,)) if offer.service is Service.REINSTALL else offer
        for offer in samples.OFFERS
    ),
)
LOCKED = replace(
    offered(Service.ERASE, samples.LOCKED, samples.UNDECIDED),
    phone=replace(samples.TOLD, facts=replace(samples.FACTS, lock=LockReading(state=ActivationLock.LOCKED, at=""))),
)
STUCK = in_mode(replace(offered(Service.RESCUE), offers=samples.RECOVERY_OFFERS), PhoneMode.RECOVERY)
DEEP = in_mode(replace(offered(Service.RESTORE, samples.UNDECIDED)), PhoneMode.DFU)
HELD = armed(Service.RESTORE, holding_since=NOW - 1.3)
FOUR = station(*(emulate(replace(view, selected=view.bay == "3")) for view in BENCH[2:6]), emulated=True)
EMPTY = station(*(bay(BayState.EMPTY, number) for number in range(1, 5)))
ORDER = OrderView(service=Service.ERASE, bays=(), left=7, until=NOW + 7200, done=3, failed=1)
ALL_DONE = station(*(bay(BayState.DONE, number + 1, selected=number == 3) for number in range(16)))
WORST = station(
    *(
        replace(samples.bay(BayState.READY, 5), phone=samples.TOLD, offers=samples.OFFERS, chosen=Service.ERASE)
        if number == 4
        else bay(BayState.FAILED if number in (2, 9) else BayState.WORKING, number + 1, selected=number == 9)
        for number in range(16)
    )
)
QUARANTINED = station(
    *(
        replace(offered(Service.ERASE, SET_ASIDE), bay=BayId("3"), selected=True) if view.bay == "3" else view
        for view in (replace(view, selected=False) for view in BENCH[:8])
    )
)

GALLERY: dict[str, View] = {
    # Ready
    "welcome": one(bay(BayState.EMPTY)),
    "welcome-bench": View(EMPTY),
    "welcome-notice": View(station(bay(BayState.EMPTY), notice=DISK)),
    "no-daemon": View(None),
    "reading": one(bay(BayState.READING)),
    # Phone
    "phone": one(RESTARTING),
    "phone-new": one(like(ERASING, "iPhone 15 Pro", "iPhone16,1")),
    "phone-home": one(like(RESTARTING, "iPhone 8", "iPhone10,1")),
    "phone-pad": one(like(RESTARTING, "iPad Pro 11-inch (3rd generation)", "iPad13,4")),
    "phone-pad-home": one(like(RESTARTING, "iPad (9th generation)", "iPad12,1")),
    "phone-recovery": one(STUCK),
    "phone-dfu": one(DEEP),
    "phone-unknown": one(
        replace(bay(BayState.READY), phone=replace(PHONE, model_name="", product_type="", version=""))
    ),
    "undecided": one(UNDECIDED),
    "locked": one(LOCKED),
    "told": one(REINSTALLING),
    "esim": one(replace(ERASING, options=Options(keep_esim=False))),
    "quarantined": one(offered(Service.ERASE, SET_ASIDE)),
    "refusal": noted(one(RESTARTING), REFUSAL),
    "among-others": View(station(replace(UNDECIDED, bay=bay(BayState.EMPTY, 2).bay), bay(BayState.EMPTY, 3))),
    "among-others-open": View(
        station(replace(RESTARTING, bay=BayId("2")), bay(BayState.EMPTY, 3)),
        place=opened(replace(RESTARTING, bay=BayId("2")), Page.PHONE),
    ),
    "did-not-begin": one(
        replace(
            offered(Service.RESTORE),
            title="It did not begin",
            hint="iOS 26.2 could not be fetched. The server has another file than the lists say. Nothing was changed.",
            dropped=Finding(
                gate=Gate.FIRMWARE,
                title="iOS 26.2 could not be fetched. The server has another file than the lists say.",
                remedy="Import it by hand, or START again later.",
            ),
        )
    ),
    "on-its-way": one(
        replace(
            offered(Service.RESTORE),
            offers=tuple(
                replace(offer, findings=(), told=(ON_ITS_WAY,)) if offer.service is Service.RESTORE else offer
                for offer in samples.OFFERS
            ),
        )
    ),
    "waits-for-firmware": one(awaiting(ARRIVAL)),
    "waits-for-its-turn": one(
        awaiting(replace(ARRIVAL, state=ArrivalState.WAITING, done=0, says="Another download comes first."))
    ),
    "firmware-is-checked": one(awaiting(replace(ARRIVAL, state=ArrivalState.CHECKING, done=ARRIVAL.total))),
    "bench-waits-for-firmware": View(
        station(*(replace(awaiting(ARRIVAL), bay=view.bay) if view.bay in ("2", "5") else view for view in BENCH[:8]))
    ),
    "services": at(offered(Service.REINSTALL), Page.SERVICES),
    "services-recovery": at(STUCK, Page.SERVICES),
    "symptoms": at(RESTARTING, Page.ASK),
    "advice": at(replace(RESTARTING, advice=samples.ADVICE), Page.ASK),
    "advice-presses": at(replace(RESTARTING, advice=samples.ADVISED_PRESSES), Page.ASK),
    "advice-person": at(replace(RESTARTING, advice=samples.ADVISED_PERSON), Page.ASK),
    "advice-ended": at(replace(RESTARTING, advice=samples.NO_ADVICE), Page.ASK),
    "refused": noted(at(RESTARTING, Page.ASK), "This phone is being worked on. Wait until it is done."),
    "facts": at(RESTARTING, Page.FACTS),
    # Guide
    "trust": one(bay(BayState.NEEDS_PERSON)),
    "unlock": one(samples.asked(Cause.LOCKED)),
    "passcode": one(samples.asked_in_job(Cause.TYPE_PASSCODE)),
    "by-hand": one(samples.asked_in_job(Cause.ENTER_RECOVERY)),
    "silent": one(samples.asked(Cause.DEADLINE)),
    "twins": one(
        replace(
            bay(BayState.NEEDS_PERSON),
            cause=None,
            title="Two bays show the same phone",
            hint="Unplug both and set them aside: one of them is not what it says.",
        )
    ),
    "families": at(bay(BayState.EMPTY), Page.FAMILY),
    "guide-ready": one(samples.guided(Family.SEVEN, Goal.RECOVERY, 0)),
    "guide-up": one(samples.guided(Family.FACE, Goal.RECOVERY, 1)),
    "guide": one(samples.guided(Family.FACE, Goal.RECOVERY, 3)),
    "guide-dfu": one(samples.guided(Family.FACE, Goal.DFU, 4)),
    "guide-home": one(samples.guided(Family.HOME, Goal.DFU, 1)),
    "guide-seven": one(samples.guided(Family.SEVEN, Goal.RESTART, 1)),
    "guide-pad": one(samples.guided(Family.PAD, Goal.RECOVERY, 3)),
    "guide-pad-home": one(samples.guided(Family.PAD_HOME, Goal.DFU, 2)),
    "guide-wait": one(samples.guided(Family.FACE, Goal.RESTART, 4, seen=Seen.NOTHING, says="It has left USB.")),
    "guide-again": one(samples.guided(Family.PAD_HOME, Goal.RECOVERY, 9, seen=Seen.RESTARTED, says=TOO_EARLY)),
    "guide-arrived": one(
        samples.guided(Family.FACE, Goal.RECOVERY, 9, seen=Seen.ARRIVED, says="It is in recovery mode. Let go.")
    ),
    # Backup and Find My
    "backup": at(UNDECIDED, Page.BACKUP),
    "backup-impossible": at(replace(UNDECIDED, phone=replace(PHONE, mode=PhoneMode.RECOVERY)), Page.BACKUP),
    "find-my": at(LOCKED, Page.LOCK),
    "find-my-unknown": at(DEEP, Page.LOCK),
    # Confirm
    "confirm": one(armed(Service.RESTORE)),
    "confirm-held": one(HELD),
    "confirm-full": one(armed(Service.RESTORE, holding_since=NOW - 2.1)),
    "confirm-touch": one(armed(Service.ERASE), touch=True),
    "confirm-reinstall": one(armed(Service.REINSTALL)),
    "confirm-put-back": one(armed(Service.PUT_BACK)),
    "confirm-bench": View(station(replace(armed(Service.ERASE), selected=True), *BENCH[1:4])),
    # Working
    "queued": one(bay(BayState.QUEUED)),
    "working": one(bay(BayState.WORKING)),
    "working-begun": one(working(Service.RESTORE, Phase.CONNECT, 0.0, eta=None, keep_plugged=False)),
    "working-backup": one(working(Service.BACKUP, Phase.BACKUP, 0.37, target_version="", eta=NOW + 660)),
    "working-verify": one(working(Service.ERASE, Phase.VERIFY, 0.97, target_version="", eta=NOW + 12)),
    "working-demo": View(station(emulate(bay(BayState.WORKING)), emulated=True)),
    # Result
    "done": one(replace(bay(BayState.DONE), result=samples.CHECKED)),
    "done-bare": one(bay(BayState.DONE)),
    "done-kept": one(ended(samples.BACKED_UP, state=BayState.DONE)),
    "failed": one(bay(BayState.FAILED)),
    "untouched": View(station(ended(samples.UNTOUCHED), notice=DISK)),
    "not-verified": one(ended(samples.NOT_CLEAN, advice=samples.ADVICE)),
    "between": one(ended(replace(samples.UNTOUCHED, outcome=Outcome.FAILED_BETWEEN))),
    "cancelled": one(bay(BayState.CANCELLED)),
    "certificate": at(bay(BayState.DONE), Page.PROOF),
    "checks": at(replace(bay(BayState.DONE), result=samples.CHECKED), Page.CHECKS),
    "checks-failed": at(ended(samples.NOT_CLEAN), Page.CHECKS),
    # Bench
    "two": View(station(bay(BayState.READY, 1, selected=True), bay(BayState.EMPTY, 2))),
    "four": View(FOUR),
    "selected-failure": View(station(*(replace(view, selected=view.bay == "9") for view in BENCH[6:10]))),
    "quarantine": View(QUARANTINED),
    "order": View(replace(station(*BENCH[2:8]), order=ORDER)),
    "sixteen": View(station(*BENCH)),
    "sixteen-done": View(ALL_DONE),
    "sixteen-failures": View(WORST),
}
"""By name; what belongs to one screen stands together."""
