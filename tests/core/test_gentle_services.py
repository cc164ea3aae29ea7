"""Services that move no firmware: when their phones must leave, when they must not, and what is seen of them after."""

import pytest

from station.core.actions import KillWorker, RevokeConsent, StartWorker
from station.core.events import WorkerEnded
from station.core.leash import KILL_SECONDS
from station.model.api import BayState, OperatorConfirm, Start
from station.model.causes import Cause
from station.model.consent import Act, Options
from station.model.events import Intent, Succeeded
from station.model.job import DEADLINES, JobSpec, Phase
from station.model.phone import Media, PhoneFacts, PhoneMode
from station.model.record import Outcome, Record
from station.model.service import SERVICES, Service
from tests.core.helpers import ALL_FINE, ONE, RECOVERY, A, Bench, arrived, facts, gone

PHASE = {
    Service.RESTART: Phase.RESTART,
    Service.RESCUE: Phase.RESTART,
    Service.ACTIVATE: Phase.ACTIVATE,
    Service.ERASE: Phase.ERASE_CONTENT,
    Service.PUT_BACK: Phase.PUT_BACK,
}
BEFORE = facts(A, boot_session="first", media=Media(files=5, size=500), passcode=True)
AFTER = facts(A, boot_session="second", media=Media(files=5, size=500), passcode=False)
ERASED = facts(
    A,
    boot_session="second",
    media=Media(files=0, size=0),
    passcode=False,
    activation_state="Unactivated",
    name="iPhone",
)


def begin(bench: Bench, service: Service, *, before: PhoneFacts = BEFORE, options: Options | None = None) -> JobSpec:
    """A phone is plugged in, and the service's worker is where it matters."""
    if SERVICES[service].modes == {PhoneMode.RECOVERY}:
        bench.do(arrived(A, product_id=RECOVERY))
    else:
        bench.do(arrived(A))
        bench.inspect(before)
    bench.do(Start(id=1, bay=ONE, service=service, options=options or Options()))
    if SERVICES[service].confirmed:
        bench.do(OperatorConfirm(id=2, bay=ONE, ecid=A))
    spec = bench.all(StartWorker)[-1].spec
    assert spec.service is service
    bench.phase(spec.job, PHASE[service])
    return spec


def finish(bench: Bench, spec: JobSpec) -> None:
    """The worker says that it did what it was asked."""
    bench.say(spec.job, Succeeded(at=bench.now))
    bench.do(WorkerEnded(job=spec.job, exit=ALL_FINE))


def seen(bench: Bench, found: PhoneFacts | Cause = AFTER) -> Record:
    """The phone restarts, and is looked at."""
    bench.do(gone(), arrived(A))
    bench.inspect(found)
    return bench.records[-1]


def bench_of(**policy: float) -> Bench:
    """A station whose command line may confirm."""
    return Bench(operator_confirm=True, **policy)  # type: ignore[arg-type]  # none of these is its clock's or its name


def failed_check(record: Record) -> str:
    return next(check.what for check in record.checks if not check.passed)


def test_a_restarted_phone_is_as_it_was():
    bench = bench_of()
    finish(bench, begin(bench, Service.RESTART))
    record = seen(bench)
    assert record.outcome is Outcome.VERIFIED
    assert [check.what for check in record.checks] == [
        "same phone",
        "started anew",
        "build",
        "activation state",
        "name",
        "pictures",
    ]
    assert record.decision is None
    assert bench.bay().title == SERVICES[Service.RESTART].done


def test_a_phone_that_does_not_leave_was_not_restarted():
    bench = bench_of(leave_seconds=20)
    finish(bench, begin(bench, Service.RESTART))
    bench.wait(19)
    assert not bench.records
    assert len(bench.all(StartWorker)) == 2  # nobody looks at what has not even left
    bench.wait(2)
    record = bench.records[0]
    assert (record.outcome, record.cause) == (Outcome.NOT_VERIFIED, Cause.NOT_LEFT)
    assert record.observed.mode is PhoneMode.NORMAL


def test_a_phone_that_left_before_its_worker_said_so_has_left():
    bench = bench_of()
    spec = begin(bench, Service.RESTART)
    bench.do(gone())
    assert not bench.all(RevokeConsent)
    finish(bench, spec)
    bench.do(arrived(A))
    bench.inspect(AFTER)
    assert bench.records[0].outcome is Outcome.VERIFIED


def test_a_phone_with_the_start_it_had_before_has_not_started():
    """As when a daemon was away while it should have left."""
    bench = bench_of(leave_seconds=20)
    finish(bench, begin(bench, Service.ERASE))
    bench.do(gone(), arrived(A))
    bench.inspect(BEFORE)
    assert not bench.records
    bench.do(gone(), arrived(A))
    bench.inspect(ERASED)
    assert bench.records[0].outcome is Outcome.VERIFIED


def test_and_if_it_never_starts_anew_it_was_not_restarted():
    bench = bench_of(leave_seconds=20)
    finish(bench, begin(bench, Service.RESTART))
    bench.do(gone(), arrived(A))
    bench.inspect(BEFORE)
    bench.wait(21)
    assert bench.records[0].cause is Cause.NOT_LEFT


@pytest.mark.parametrize("cause", [Cause.LOCKED, Cause.NOT_TRUSTED])
def test_a_phone_that_only_had_to_start_need_not_say_more(cause):
    bench = bench_of()
    finish(bench, begin(bench, Service.RESTART))
    record = seen(bench, cause)
    assert record.outcome is Outcome.VERIFIED
    assert [check.observed for check in record.checks if check.by_phone] == [f"not seen: {cause.value}"]


def test_a_phone_that_should_be_empty_must_say_so():
    bench = bench_of()
    finish(bench, begin(bench, Service.ERASE))
    bench.do(gone(), arrived(A))
    bench.inspect(Cause.LOCKED)
    assert not bench.records
    for _ in range(20):
        bench.wait(11)
        if bench.records:
            break
        bench.inspect(Cause.LOCKED)
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.NOT_VERIFIED, Cause.LOCKED)


@pytest.mark.parametrize(
    ("changes", "cause", "what"),
    [
        ({"media": Media(files=4, size=400)}, Cause.DATA_CHANGED, "pictures"),
        ({"name": "iPhone"}, Cause.DATA_CHANGED, "name"),
        ({"activation_state": "Unactivated"}, Cause.DATA_CHANGED, "activation state"),
        ({"build": "23C55"}, Cause.BUILD_DIFFERS, "build"),
    ],
)
def test_what_was_kept_must_be_there(changes, cause, what):
    bench = bench_of()
    finish(bench, begin(bench, Service.RESTART))
    record = seen(bench, facts(A, **({"boot_session": "second", "media": Media(files=5, size=500)} | changes)))
    assert (record.outcome, record.cause, failed_check(record)) == (Outcome.NOT_VERIFIED, cause, what)


def test_whether_a_passcode_is_told_says_nothing():
    """Phones tell it while they are locked, as they are after a start."""
    bench = bench_of()
    finish(bench, begin(bench, Service.RESTART, before=facts(A, passcode=False)))
    assert seen(bench, facts(A, passcode=True)).outcome is Outcome.VERIFIED


def test_pictures_that_are_still_there_were_not_erased():
    bench = bench_of()
    finish(bench, begin(bench, Service.ERASE))
    left = facts(A, boot_session="second", media=Media(files=1, size=1), passcode=False, activation_state="Unactivated")
    record = seen(bench, left)
    assert (record.outcome, record.cause, failed_check(record)) == (
        Outcome.NOT_VERIFIED,
        Cause.NOT_CLEAN,
        "pictures",
    )


def test_a_rescued_phone_starts():
    bench = bench_of()
    finish(bench, begin(bench, Service.RESCUE))
    record = seen(bench)
    assert (record.outcome, record.title) == (Outcome.VERIFIED, SERVICES[Service.RESCUE].done)


def test_a_rescued_phone_that_comes_back_to_recovery_did_not_start():
    bench = bench_of(observe_seconds=5)
    finish(bench, begin(bench, Service.RESCUE))
    bench.do(gone(), arrived(A, product_id=RECOVERY))
    bench.wait(6)
    record = bench.records[0]
    assert (record.outcome, record.cause) == (Outcome.NOT_VERIFIED, Cause.STAYED_IN_RECOVERY)
    assert record.observed.mode is PhoneMode.RECOVERY


def test_a_phone_that_is_to_stay_in_recovery_is_done_there():
    bench = bench_of()
    finish(bench, begin(bench, Service.RESCUE, options=Options(stay_in_recovery=True)))
    record = bench.records[0]
    assert (record.outcome, record.title) == (Outcome.VERIFIED, "Held in recovery mode.")
    assert bench.bay().state is BayState.DONE


@pytest.mark.parametrize(
    ("then", "cause"),
    [((gone(),), Cause.DISCONNECTED), ((gone(), arrived(A)), Cause.NOT_RETURNED)],
)
def test_one_that_was_to_stay_and_does_not(then, cause):
    bench = bench_of(observe_seconds=5)
    spec = begin(bench, Service.RESCUE, options=Options(stay_in_recovery=True))
    bench.do(*then)
    finish(bench, spec)
    bench.wait(6)
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.NOT_VERIFIED, cause)


def test_an_activated_phone_is_asked_where_it_is():
    bench = bench_of()
    finish(bench, begin(bench, Service.ACTIVATE, before=facts(A, activation_state="Unactivated")))
    bench.inspect(facts(A))
    assert bench.records[0].outcome is Outcome.VERIFIED


def test_one_that_says_otherwise_is_not_activated():
    bench = bench_of()
    finish(bench, begin(bench, Service.ACTIVATE))
    bench.inspect(facts(A, activation_state="Unactivated"))
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.NOT_VERIFIED, Cause.NOT_ACTIVATED)


def test_one_that_is_unplugged_before_it_was_asked_is_not_waited_for_long():
    bench = bench_of(observe_seconds=5)
    finish(bench, begin(bench, Service.ACTIVATE))
    bench.do(gone())
    bench.wait(6)
    assert (bench.records[0].outcome, bench.records[0].cause) == (Outcome.NOT_VERIFIED, Cause.DISCONNECTED)


def test_a_phone_may_leave_while_it_is_told_to_but_not_while_it_is_activated():
    bench = bench_of()
    spec = begin(bench, Service.ACTIVATE)
    bench.do(gone())
    assert RevokeConsent(job=spec.job) in bench.actions


def test_a_refused_erase_is_not_called_done():
    bench = bench_of()
    spec = begin(bench, Service.ERASE)
    bench.say(spec.job, Intent(at=bench.now, act=Act.ERASE_CONTENT, ecid=A))
    bench.fail(spec.job, Cause.REFUSED_BY_PHONE)
    bench.inspect(BEFORE)
    record = bench.records[0]
    assert (record.outcome, record.cause) == (Outcome.FAILED_ERASED, Cause.REFUSED_BY_PHONE)
    assert "is erased" not in record.remedy
    assert "look at the phone" in record.remedy


@pytest.mark.parametrize(
    ("service", "outcome"), [(Service.ERASE, Outcome.FAILED_ERASED), (Service.RESTART, Outcome.FAILED_UNTOUCHED)]
)
def test_of_a_worker_that_nobody_could_end_the_worst_is_believed(service, outcome):
    bench = bench_of()
    spec = begin(bench, service)
    bench.wait(DEADLINES[PHASE[service]] + 30)
    assert KillWorker(job=spec.job) in bench.actions
    bench.wait(KILL_SECONDS + 1)
    bench.inspect(BEFORE)
    assert bench.records[0].outcome is outcome
