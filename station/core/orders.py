"""Standing orders: the next so many phones in these bays get a service, with nobody there.

Whoever gives one answers beforehand for phones that nobody has seen yet. So each of them gets a consent of its own, for
exactly its ECID, its bay and this stay, when it is ready and every gate is open; and the note that it did is on the
disk before that consent is used. A phone that is named in there gets no other one from the same order after a crash,
whatever became of the first. While the daemon lives it may get a second one: once, where `RETRIES` says that trying
again can mend what went wrong, and only after the same phone was seen again in the same bay. One that was unplugged
while it waited for its turn has not had it.

It is long because it is one rule: who may get a turn, what is on the disk by then, and what an end takes back.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec

from station.core import gates
from station.core.actions import Action, CloseJob, SaveOrder
from station.core.arriving import Awaited, Target
from station.core.bays import Bay, Bays, Stay
from station.core.desk import Desk
from station.core.events import Moment, OrderFound
from station.core.policy import Policy
from station.core.scheduler import Scheduler
from station.core.states import state_of
from station.errors import Refused
from station.model.api import BayState, Order, OrderView
from station.model.base import Ecid, JobId, PlugId
from station.model.causes import EXPLANATIONS
from station.model.consent import Consent, Hand
from station.model.firmware import Firmware
from station.model.gates import Finding, Gate
from station.model.order import (
    MAX_COUNT,
    MAX_SECONDS,
    OrderEnd,
    OrderId,
    OrderNote,
    OrderResult,
    PassedOver,
)
from station.model.phone import PhoneMode
from station.model.record import Outcome, Record
from station.model.retries import can_retry
from station.model.service import SERVICES

MAX_PASSED = 500
"""Phones of which it is kept why they got nothing; the oldest are forgotten first."""
AGAIN_SECONDS = 10.0
"""After which a note that could not be written is written again, and a clock that is not right looked at again."""


@dataclass(frozen=True, kw_only=True)
class _SecondTry:
    """A phone whose first job failed, and stays where it was seen again."""

    ecid: Ecid
    failed: JobId
    firmware: Firmware | None


class Orders:
    """At most one standing order: with two, nobody could say what a phone will get."""

    def __init__(self, bays: Bays, desk: Desk, scheduler: Scheduler, policy: Policy, instance: str) -> None:
        self.note: OrderNote | None = None
        self._bays = bays
        self._desk = desk
        self._scheduler = scheduler
        self._policy = policy
        self._instance = instance
        self._made = 0
        self._asked: tuple[Consent, ...] = ()
        """Consents that are being written down: used as soon as they are, if they still fit."""
        self._writing: OrderNote | None = None
        self._written: OrderNote | None = None
        self._again_at: float | None = None
        self._end_unknown = False
        """Whether it was given before the machine was switched off, and the clock does not tell yet for how long."""
        self._second_tries: dict[PlugId, _SecondTry] = {}
        self._begun: set[JobId] = set()
        """The jobs that this daemon made: what another one began before a crash gets no second try."""
        self._waiting: list[Consent] = []
        """Used, but the job of each waits for its turn still: it has not begun."""
        self._unclaimed: list[OrderResult] = []
        """Of results that an earlier daemon left, told before the order they belong to."""

    # -- people

    def give(self, order: Order, now: Moment) -> None:
        """Take an order. Raises Refused."""
        self._require_operator()
        if self.note is not None:
            raise Refused("A standing order holds already.", remedy="End it first: station order --end.")
        if not 1 <= order.count <= MAX_COUNT:
            raise Refused(f"An order is for 1 to {MAX_COUNT} phones.")
        if not 0 < order.seconds <= MAX_SECONDS:
            raise Refused(
                f"An order holds for {MAX_SECONDS / 3600:.0f} hours at most.", remedy="Give it a shorter time."
            )
        for name in order.bays:
            if self._bays.get(name) is None:
                raise Refused(f"There is no bay {name}.")
        self._made += 1
        self._forget()
        self.note = OrderNote(
            id=OrderId(f"{self._instance}-o{self._made}"),
            station=self._policy.name,
            service=order.service,
            options=order.options,
            bays=tuple(dict.fromkeys(order.bays)),
            count=order.count,
            given=now.utc,
            until=now.at + order.seconds,
            ends=_later(now.utc, order.seconds),
            clock_trusted=now.trusted,
        )

    def end(self, now: Moment) -> None:
        """End it; what has begun goes on. Raises Refused."""
        self._require_operator()
        if self.note is None or self.note.end is not None:
            raise Refused("There is no standing order.")
        self._end(OrderEnd.OPERATOR, now)

    def view(self) -> OrderView | None:
        """As people see it, until the last of its jobs is recorded."""
        note = self.note
        if note is None:
            return None
        last = {result.ecid: result.verified for result in note.results}
        busy = {bay.job.ecid for bay in self._bays if bay.job is not None and self._is_ours(bay)}
        busy |= {second.ecid for second in self._second_tries.values()}
        return OrderView(
            service=note.service,
            bays=note.bays,
            left=0 if note.end is not None else note.count - len(_covered(note)),
            until=note.until,
            done=sum(last.values()),
            failed=sum(not verified for ecid, verified in last.items() if ecid not in busy),
        )

    # -- what happens

    def found(self, event: OrderFound, now: Moment) -> None:
        """An earlier daemon's order. What it left of jobs and results was told before."""
        self._forget()
        self.note = self._written = event.note
        for result in self._unclaimed:
            if result.ecid in _covered(event.note):
                self._count(result)
        self._unclaimed.clear()
        if not event.same_boot:
            self._end_unknown = True
            self._find_end(now)

    def saved(self, note: OrderNote) -> list[Action]:
        """The note is on the disk: now its consents count."""
        asked, self._asked = self._asked, ()
        self._writing, self._written = None, note
        if note.closed:
            self.note = None
            return []
        actions: list[Action] = []
        for consent in asked:
            actions += self._use(consent)
        return actions

    def not_saved(self, now: Moment) -> None:
        """The note could not be written: nothing that is not in it may be done."""
        self._writing, self._again_at = None, now.at + AGAIN_SECONDS
        for consent in self._asked:
            self._take_back(consent)
        self._asked = ()

    def recorded(self, record: Record, number: int) -> None:
        """A job is recorded; perhaps one of the order's."""
        if record.consent.by is not Hand.ORDER:
            return
        verified = record.outcome is Outcome.VERIFIED
        result = OrderResult(ecid=record.ecid, record=number, emulated=record.emulated, verified=verified)
        note = self.note
        if note is None:
            self._unclaimed.append(result)
            return
        if record.consent not in note.consents:
            return
        self._count(result)
        first = sum(consent.ecid == record.ecid for consent in note.consents) == 1
        bay = self._bays.get(record.bay)
        stay = None if bay is None else bay.stay
        # Seen afresh: by the station itself, after it failed; and there since.
        seen = record.observed.mode is not None and stay is not None and stay.ecid == record.ecid
        known = record.job in self._begun
        if known and seen and first and not verified and can_retry(record.cause, record.status):
            assert stay is not None
            self._second_tries[stay.plug] = _SecondTry(ecid=record.ecid, failed=record.job, firmware=record.firmware)

    def consider(self, now: Moment) -> list[Action]:
        """See whether a phone's turn has come, or the order's end."""
        if self.note is None:
            return []
        self._miss_the_unplugged()
        if self._ends_anew():  # at once, whatever is still being written: who ended it may rely on that after a crash
            return self._write(now)
        if self._writing is not None or (self._again_at is not None and now.at < self._again_at):
            return []
        self._again_at = None
        if self._end_unknown and not self._find_end(now):
            return []
        if self.note.end is None and now.at >= self.note.until:
            self._end(OrderEnd.TIME, now)
        if self.note.end is None:
            self._look_round(now)
            self._end_if_all_had_their_turn(now)
        return self._write(now)

    def _miss_the_unplugged(self) -> None:
        """A phone that left while it waited for its turn has not had it; one that somebody cancelled has."""
        waiting, self._waiting = self._waiting, []
        for consent in waiting:
            bay = self._bays.get(consent.bay)
            if bay is not None and bay.job is not None and bay.job.consent == consent:
                self._waiting += [consent] if self._scheduler.waits(bay) else []
            elif bay is None or bay.stay is None or bay.stay.plug != consent.plug:
                self._take_back(consent)

    def _ends_anew(self) -> bool:
        """Whether it has ended, and nothing that says so was given to the disk yet."""
        assert self.note is not None
        given = self._written if self._writing is None else self._writing
        return self.note.end is not None and (given is None or given.end is None) and self._again_at is None

    @property
    def deadline(self) -> float | None:
        """When `consider` must be called next, whatever happens."""
        if self.note is None or self._writing is not None:
            return None
        if self._again_at is not None:
            return self._again_at
        return self.note.until if self.note.end is None else None

    # -- phones

    def _look_round(self, now: Moment) -> None:
        here = {bay.stay.plug for bay in self._bays if bay.stay is not None}
        self._second_tries = {plug: second for plug, second in self._second_tries.items() if plug in here}
        assert self.note is not None
        for bay in self._bays:
            if bay.stay is None or (self.note.bays and bay.id not in self.note.bays):
                continue
            if bay.stay.plug not in self._second_tries and not self._is_new(bay.stay):
                continue
            why = self._why_not(bay, bay.stay)
            if why:
                self._pass_over(bay, bay.stay, why, now)
            elif why is not None:
                self._ask(bay, bay.stay, now)

    def _is_new(self, stay: Stay) -> bool:
        """Whether the order still covers this phone."""
        assert self.note is not None
        covered = _covered(self.note)
        return len(covered) < self.note.count and stay.ecid not in covered

    def _why_not(self, bay: Bay, stay: Stay) -> str | None:
        """Why a phone gets nothing; empty: it may have its turn; None: there is nothing to say yet, or any more."""
        if bay.job is not None or bay.inspection is not None or bay.sighting is None or bay.led:
            return None
        if stay.plug in self._second_tries:
            return self._why_no_second_try(bay, stay)
        if self._is_of_an_earlier_phone(bay, stay):
            bay = replace(bay, result=None)
        state = state_of(bay, self._bays, self._desk.arming)
        own_result = bay.result is not None and bay.result.ecid == stay.ecid
        if own_result or state in (BayState.READING, BayState.ARMED) or self._is_looked_for(stay):
            return None
        assert self.note is not None
        if stay.failed is not None:
            return EXPLANATIONS[stay.failed.cause].title
        case = self._desk.case(bay, self.note.service, self.note.options)
        found = gates.closed(case)
        if bay.described or (not found and state is BayState.NEEDS_PERSON):
            return "Somebody must see to it."
        return " ".join([finding.title for finding in found] or _comes_first(case.target))

    def _is_of_an_earlier_phone(self, bay: Bay, stay: Stay) -> bool:
        """Whether the result in a bay is this order's own, of a phone that somebody has taken away since.

        It is in the order's report, and quarantine knows its phone wherever it turns up: so it need not hold up the
        next one. What others left in the bay waits for somebody to see it.
        """
        result = bay.result
        if result is None or self.note is None or stay.ecid is None or result.ecid == stay.ecid:
            return False
        return any((each.ecid, each.record) == (result.ecid, result.record) for each in self.note.results)

    def _is_looked_for(self, stay: Stay) -> bool:
        """Whether the store has not said yet what firmware it has for this phone."""
        assert self.note is not None
        if not SERVICES[self.note.service].firmware or not stay.product_type:
            return False
        return stay.product_type not in self._desk.situation.firmware

    def _why_no_second_try(self, bay: Bay, stay: Stay) -> str | None:
        second = self._second_tries[stay.plug]
        ours = bay.result is not None and bay.result.job == second.failed and stay.ecid == second.ecid
        if not ours or stay.failed is not None:
            del self._second_tries[stay.plug]  # somebody has seen to it, or it does not answer
            return None
        if stay.mode is PhoneMode.NORMAL and stay.facts is None:
            return None  # it is being asked who it is
        return "" if not self._closed_again(bay) else None

    def _closed_again(self, bay: Bay) -> tuple[Finding, ...]:
        """The gates that are closed to a second try, beyond those that the first one's failure closed."""
        assert self.note is not None
        cleared = replace(bay, result=None)
        found = gates.closed(self._desk.case(cleared, self.note.service, self.note.options))
        return tuple(finding for finding in found if finding.gate is not Gate.QUARANTINE)

    def _ask(self, bay: Bay, stay: Stay, now: Moment) -> None:
        """Have a consent for this phone written down."""
        assert self.note is not None
        assert stay.ecid is not None
        consent = Consent(
            ecid=stay.ecid,
            bay=bay.id,
            plug=stay.plug,
            service=self.note.service,
            by=Hand.ORDER,
            at=now.utc,
            options=self.note.options,
        )
        self._asked = (*self._asked, consent)
        passed = tuple(each for each in self.note.passed if each.plug != stay.plug and each.ecid != stay.ecid)
        self._change(consents=(*self.note.consents, consent), passed=passed)

    def _use(self, consent: Consent) -> list[Action]:
        """Make a job of a consent that is on the disk, if all is as it was when it was written."""
        assert self.note is not None
        bay = self._bays.get(consent.bay)
        stay = None if bay is None else bay.stay
        same = stay is not None and (stay.plug, stay.ecid) == (consent.plug, consent.ecid)
        if self.note.end is not None or bay is None or stay is None or not same or self._why_not(bay, stay) != "":
            self._take_back(consent)
            return []
        second = self._second_tries.pop(stay.plug, None)
        done, bay.result = bay.result, None  # the first try's, or of the phone before this one: it is in the report
        here = self._desk.case(bay, consent.service, consent.options).chosen
        firmware = here if second is None else second.firmware
        self._scheduler.submit(bay, consent, firmware)
        assert bay.job is not None
        self._begun.add(bay.job.id)
        self._waiting.append(consent)
        return [] if done is None else [CloseJob(job=done.job)]

    def _take_back(self, consent: Consent) -> None:
        """It was never used, and whoever knows that is still alive."""
        assert self.note is not None
        consents = list(self.note.consents)
        consents.reverse()
        consents.remove(consent)
        consents.reverse()
        self._change(consents=tuple(consents))

    def _pass_over(self, bay: Bay, stay: Stay, why: str, now: Moment) -> None:
        assert self.note is not None
        before = next((each for each in self.note.passed if each.plug == stay.plug), None)
        if before is not None and (before.why, before.ecid) == (why, stay.ecid):
            return
        passed = PassedOver(
            ecid=stay.ecid,
            bay=bay.id,
            plug=stay.plug,
            model_name=stay.model_name,
            at=now.utc if before is None else before.at,
            why=why,
        )
        others = tuple(each for each in self.note.passed if each.plug != stay.plug)
        self._change(passed=(*others, passed)[-MAX_PASSED:])

    def _count(self, result: OrderResult) -> None:
        """Take a result in, once."""
        assert self.note is not None
        if all((each.record, each.emulated) != (result.record, result.emulated) for each in self.note.results):
            self._change(results=(*self.note.results, result))

    # -- ends

    def _end_if_all_had_their_turn(self, now: Moment) -> None:
        assert self.note is not None
        busy = any(self._is_ours(bay) for bay in self._bays)
        if len(_covered(self.note)) >= self.note.count and not (busy or self._asked or self._second_tries):
            self._end(OrderEnd.COUNT, now)

    def _end(self, why: OrderEnd, now: Moment) -> None:
        """No more consents. What waits for its turn has not begun, and does not begin any more."""
        self._change(end=why)
        self._second_tries.clear()
        for bay in self._bays:
            if bay.job is not None and self._is_ours(bay) and self._scheduler.waits(bay):
                consent, stay = bay.job.consent, bay.stay
                self._scheduler.drop(bay)
                self._take_back(consent)
                if stay is not None:
                    self._pass_over(bay, stay, "The order ended before its turn came.", now)
        self._waiting.clear()

    def _write(self, now: Moment) -> list[Action]:
        """Have the note written, if it says anything new."""
        assert self.note is not None
        if self.note.end is not None and not any(self._is_ours(bay) for bay in self._bays):
            self._change(closed=now.utc)
        if self.note == self._written:
            return []
        self._writing = self.note
        return [SaveOrder(note=self.note)]

    def _find_end(self, now: Moment) -> bool:
        """Find out when an order of another boot ends. Returns whether that is known."""
        assert self.note is not None
        if not self.note.clock_trusted:
            self._end_unknown = False
            self._end(OrderEnd.TIME, now)  # nobody can know how long the machine was off
        elif now.trusted:
            self._end_unknown = False
            left = (_parsed(self.note.ends) - _parsed(now.utc)).total_seconds()
            whole = (_parsed(self.note.ends) - _parsed(self.note.given)).total_seconds()
            self._change(until=now.at + min(left, whole))
        else:
            self._again_at = now.at + AGAIN_SECONDS
        return not self._end_unknown

    def _is_ours(self, bay: Bay) -> bool:
        return bay.job is not None and self.note is not None and bay.job.consent in self.note.consents

    def _change(self, **changes: object) -> None:
        assert self.note is not None
        self.note = msgspec.structs.replace(self.note, **changes)

    def _forget(self) -> None:
        self._asked, self._writing, self._written, self._again_at = (), None, None, None
        self._end_unknown = False
        self._second_tries.clear()
        self._begun.clear()
        self._waiting.clear()

    def _require_operator(self) -> None:
        self._desk.situation.require_operator(self._policy)


def _covered(note: OrderNote) -> set[Ecid]:
    """The phones that have, or had, their turn."""
    return {consent.ecid for consent in note.consents}


def _comes_first(target: Target | None) -> list[str]:
    """What must be here before a phone's turn: a consent is for what there is, and only then on the disk."""
    return [f"iOS {target.version} is still being fetched."] if isinstance(target, Awaited) else []


def _parsed(utc: str) -> datetime:
    return datetime.fromisoformat(utc)


def _later(utc: str, seconds: float) -> str:
    """A time so many seconds after another, RFC 3339 in UTC."""
    return (_parsed(utc) + timedelta(seconds=seconds)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
