"""What is wrong with the phone in a bay: said, tried, led, noticed and forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.core.actions import StartWorker
from station.core.events import WorkerEnded
from station.core.triage import KEPT_SECONDS, LOOP_SECONDS, UNSEEN_SECONDS
from station.errors import Refused
from station.model.api import (
    AdviceView,
    BayState,
    Choose,
    Describe,
    DidNotHelp,
    Dismiss,
    Guide,
    GuideNext,
    GuideView,
    Order,
    Start,
)
from station.model.base import BayId
from station.model.causes import Cause
from station.model.events import PersonNeeded, Succeeded
from station.model.guide import Family, Seen, Target
from station.model.job import Phase
from station.model.phone import ActivationLock, LockReading
from station.model.service import Service
from station.model.symptoms import Symptom
from tests.core.helpers import ALL_FINE, DFU, NORMAL, ONE, RECOVERY, A, B, Bench, arrived, facts, gone


def describe(bench: Bench, symptom: Symptom | None) -> None:
    bench.do(Describe(id=1, bay=ONE, symptom=symptom))


def did_not_help(bench: Bench) -> None:
    bench.do(DidNotHelp(id=1, bay=ONE))


def lead(bench: Bench, target: Target | None, family: Family | None = None) -> None:
    bench.do(Guide(id=1, bay=ONE, target=target, family=family))


def advice(bench: Bench) -> AdviceView:
    found = bench.bay().advice
    assert found is not None
    return found


def guide(bench: Bench) -> GuideView:
    found = bench.bay().guide
    assert found is not None
    return found


def restart(bench: Bench) -> None:
    """A restart, from START to its record."""
    bench.do(Start(id=1, bay=ONE, service=Service.RESTART))
    job = bench.bay().job
    assert job is not None
    bench.phase(job.job, Phase.RESTART)
    bench.do(gone())
    bench.say(job.job, Succeeded(at=bench.now))
    bench.do(WorkerEnded(job=job.job, exit=ALL_FINE))
    bench.do(arrived(A))
    bench.inspect(facts())
    assert bench.bay().state is BayState.DONE


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_gentlest_first_and_the_next_when_it_did_not_help(bench):
    bench.plug()
    describe(bench, Symptom.FROZEN)
    assert advice(bench).services[0] is Service.RESTART
    did_not_help(bench)
    assert Service.RESTART not in advice(bench).services
    assert advice(bench).guide is Target.RESTART
    did_not_help(bench)
    assert advice(bench).services == (Service.BACKUP, Service.REINSTALL, Service.RESTORE)
    for _ in range(3):
        did_not_help(bench)
    assert advice(bench).ended
    assert "repair" in advice(bench).says
    with pytest.raises(Refused, match="Nothing is left"):
        did_not_help(bench)


def test_what_was_done_here_is_not_advised_again_nor_skips_what_is_next(bench):
    bench.plug()
    describe(bench, Symptom.FROZEN)
    restart(bench)
    assert advice(bench).guide is Target.RESTART, "shown beside the result: did it help?"
    did_not_help(bench)
    assert advice(bench).guide is Target.RESTART, "it was the restart that did not help"
    bench.do(Dismiss(id=1, bay=ONE))
    did_not_help(bench)
    assert advice(bench).guide is None


def test_one_failure_is_no_try_two_are(bench):
    bench.plug()
    describe(bench, Symptom.CRASHING)
    for times in (1, 2):
        bench.do(Start(id=1, bay=ONE, service=Service.RESTART))
        job = bench.bay().job
        assert job is not None
        assert bench.bay().advice is None, "while it is worked on nothing is advised"
        bench.fail(job.job, Cause.PROTOCOL)
        bench.inspect(facts())
        bench.do(Dismiss(id=1, bay=ONE))
        bench.inspect(facts())
        assert (Service.RESTART in advice(bench).services) is (times == 1)


def test_a_phone_that_nobody_sees_is_led_to_where_it_can_be_helped(bench):
    bench.do(arrived(B), gone())  # the bay is known
    bench.wait(KEPT_SECONDS)
    describe(bench, Symptom.BLACK)
    assert (advice(bench).guide, advice(bench).services) == (Target.RESTART, ())
    did_not_help(bench)
    assert "charger" in advice(bench).says
    did_not_help(bench)
    assert advice(bench).guide is Target.RECOVERY
    lead(bench, Target.RECOVERY)
    assert guide(bench).family is Family.FACE, "most are"
    bench.do(arrived(A, product_id=RECOVERY))
    assert guide(bench).seen is Seen.ARRIVED
    assert advice(bench).services == (Service.REINSTALL, Service.RESTORE), "it was not led there to leave at once"


def test_a_phone_that_is_in_recovery_by_itself_is_first_told_to_leave(bench):
    bench.do(arrived(A, product_id=RECOVERY))
    describe(bench, Symptom.FAILED_UPDATE)
    assert advice(bench).services[0] is Service.RESCUE


def test_a_loop_is_kept_in_recovery(bench):
    bench.plug()
    describe(bench, Symptom.BOOT_LOOP)
    assert advice(bench).guide is Target.RECOVERY
    lead(bench, Target.RECOVERY)
    bench.do(gone(), arrived(A, product_id=RECOVERY))
    advised = advice(bench)
    assert advised.services[0] is Service.RESCUE
    assert advised.options.stay_in_recovery
    bench.do(Choose(id=1, bay=ONE, service=Service.RESCUE, options=advised.options))
    assert "keep it in recovery" in bench.bay().hint
    bench.press()
    consent = bench.all(StartWorker)[-1].spec.consent
    assert consent is not None
    assert consent.options.stay_in_recovery, "START means what was advised"


@pytest.mark.parametrize(("cause", "words"), [(Cause.NOT_TRUSTED, "Trust"), (Cause.LOCKED, "passcode")])
def test_a_phone_that_does_not_talk_has_a_way(bench, cause, words):
    bench.do(arrived(A))
    bench.inspect(cause)
    assert bench.bay().state is BayState.NEEDS_PERSON
    describe(bench, Symptom.SLOW)
    assert words in advice(bench).says
    assert advice(bench).services == ()
    did_not_help(bench)
    lead(bench, advice(bench).guide)
    assert guide(bench).target is Target.RESTART
    for _ in range(3):
        bench.do(GuideNext(id=1, bay=ONE))
    bench.do(gone(), arrived(A))
    assert guide(bench).seen is Seen.ARRIVED
    bench.inspect(cause)
    did_not_help(bench)
    assert advice(bench).guide is Target.RECOVERY, "the restart is done, and is what did not help"


def test_a_claimed_phone_is_its_owners(bench):
    bench.do(arrived(A))
    bench.inspect(facts(lock=LockReading(state=ActivationLock.LOCKED, at="2026-01-01T00:00:00Z")))
    describe(bench, Symptom.SELLING)
    assert advice(bench).services == ()
    assert "Find My" in advice(bench).says


def test_who_is_led_sees_the_steps_go_by(bench):
    bench.plug()
    lead(bench, Target.DFU)
    assert (guide(bench).step, guide(bench).seen, guide(bench).family) == (0, Seen.UNMOVED, Family.FACE)
    bench.do(GuideNext(id=1, bay=ONE))
    assert guide(bench).step == 1
    bench.wait(4)
    assert guide(bench).step == 3
    bench.wait(9)
    bench.do(gone())
    assert guide(bench).step == 4
    bench.wait(8)
    bench.do(arrived(A, product_id=DFU))
    assert guide(bench).seen is Seen.ARRIVED
    assert bench.bay().state is BayState.READY
    bench.wait(60)
    assert bench.bay().guide is None, "it ends by itself"


def test_nobody_is_led_any_more_once_a_job_begins(bench):
    bench.plug()
    lead(bench, Target.RECOVERY)
    bench.do(Start(id=1, bay=ONE, service=Service.RESTART))
    assert bench.bay().guide is None
    with pytest.raises(Refused, match="worked on"):
        lead(bench, Target.RECOVERY)


@pytest.mark.parametrize(
    ("cause", "target", "product_id"),
    [(Cause.ENTER_RECOVERY, Target.RECOVERY, RECOVERY), (Cause.ENTER_DFU, Target.DFU, DFU)],
)
def test_a_worker_that_waits_for_hands_has_them_led(bench, cause, target, product_id):
    job = bench.confirm().job
    bench.phase(job, Phase.RECOVERY)
    bench.say(job, PersonNeeded(at=bench.now, cause=cause))
    assert (guide(bench).target, guide(bench).family) == (target, Family.FACE)
    lead(bench, None)
    bench.wait(1)
    assert bench.bay().guide is None, "who ends it, ends it"
    lead(bench, target)
    bench.do(gone(), arrived(A, product_id=product_id))
    assert guide(bench).seen is Seen.ARRIVED
    bench.phase(job, Phase.RAMDISK)
    assert bench.bay().guide is None


def test_what_cannot_be_is_refused_in_words(bench):
    with pytest.raises(Refused, match="no bay"):
        bench.do(Describe(id=1, bay=BayId("9"), symptom=Symptom.SLOW))
    with pytest.raises(Refused, match="Nobody is being led"):
        bench.do(GuideNext(id=1, bay=ONE))
    with pytest.raises(Refused, match="what is wrong"):
        did_not_help(bench)
    bench.do(arrived(A, product_id=RECOVERY))
    with pytest.raises(Refused, match="recovery mode already"):
        lead(bench, Target.RECOVERY)


def loop(bench: Bench, times: int, *, seconds: float = 20.0) -> None:
    for _ in range(times):
        bench.do(arrived(A))
        bench.wait(seconds)
        bench.do(gone(), WorkerEnded(job=bench.all(StartWorker)[-1].spec.job, exit=None))
        bench.wait(1)


def test_a_phone_that_comes_and_goes_is_noticed(bench):
    loop(bench, 2)
    assert bench.bay().advice is None
    loop(bench, 1)
    assert advice(bench).symptom is Symptom.BOOT_LOOP
    assert advice(bench).guide is Target.RECOVERY
    assert bench.bay().title == "It starts over and over"
    bench.do(arrived(A))
    assert bench.bay().title == "It starts over and over"
    bench.inspect(facts())
    bench.wait(LOOP_SECONDS)
    assert bench.bay().title == "Ready"
    assert bench.bay().advice is None, "it stays: nobody has complained"


def test_one_that_is_plugged_now_and_then_is_not_looping(bench):
    loop(bench, 6, seconds=60)
    assert bench.bay().advice is None


def test_one_that_is_led_comes_and_goes_because_of_that(bench):
    bench.plug()
    for _ in range(4):
        lead(bench, Target.RECOVERY)
        bench.do(gone(), arrived(A))
    assert bench.bay().advice is None


def test_different_phones_in_a_row_are_not_looping(bench):
    for ecid in (A, B, A, B):
        bench.do(arrived(ecid), gone())
    assert bench.bay().advice is None


def test_what_is_said_of_one_phone_is_not_said_of_the_next(bench):
    bench.plug(A)
    describe(bench, Symptom.SLOW)
    bench.do(gone(), arrived(B))
    assert bench.bay().advice is None


def test_it_is_forgotten_a_while_after_the_phone_has_left(bench):
    bench.plug()
    describe(bench, Symptom.SLOW)
    bench.do(gone())
    bench.wait(KEPT_SECONDS - 1)
    assert bench.bay().advice is not None
    bench.wait(2)
    assert bench.bay().advice is None
    describe(bench, Symptom.BLACK)
    bench.wait(UNSEEN_SECONDS + 1)
    assert bench.bay().advice is None
    assert bench.station.next_deadline() is None, "nothing is left to wait for"


def test_a_standing_order_leaves_what_a_person_sees_to():
    bench = Bench(operator_confirm=True)
    bench.plug()
    lead(bench, Target.RESTART)
    bench.do(Order(id=1, service=Service.RESTORE, bays=(), count=1, seconds=3600.0))
    assert bench.bay().job is None
    describe(bench, Symptom.SLOW)
    lead(bench, None)
    assert bench.bay().job is None
    describe(bench, None)
    assert bench.bay().job is not None, "nobody sees to it any more"


def test_whoever_takes_it_back_is_advised_no_more(bench):
    bench.plug()
    describe(bench, Symptom.SLOW)
    describe(bench, None)
    assert bench.bay().advice is None


@given(
    st.lists(
        st.one_of(
            st.sampled_from([NORMAL, RECOVERY, DFU, 0]),
            st.sampled_from(Symptom),
            st.sampled_from(Target),
            st.sampled_from(["next", "did not help", "nothing"]),
            st.floats(0.1, 200.0),
        ),
        max_size=30,
    )
)
def test_whatever_happens_it_has_words_and_an_end(happenings):
    bench = Bench()
    for what in happenings:
        try:
            match what:
                case Symptom():
                    describe(bench, what)
                case Target():
                    lead(bench, what)
                case "next":
                    bench.do(GuideNext(id=1, bay=ONE))
                case "did not help":
                    did_not_help(bench)
                case 0:
                    bench.do(gone())
                case int():
                    bench.do(gone(), arrived(A, product_id=what))
                case float():
                    bench.wait(what)
                case _:
                    pass
        except Refused:
            pass
        view = bench.bay()
        assert view.advice is None or view.advice.says
    bench.do(gone())
    bench.wait(4000)
    assert bench.bay().advice is None
    assert bench.bay().guide is None
