"""No wrong phone, ever: whatever people, phones and crashes do, in whatever order.

STATION_EXAMPLES sets how many interleavings are tried (a hundred by default; a night can do a million).
"""

import os

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from station.core import consent, scheduler
from station.core.jobs import Job
from station.core.station import Station
from station.model.api import Cancel, Dismiss, Select
from tests.core.helpers import ONE, TWO
from tests.core.world import World

EXAMPLES = int(os.environ.get("STATION_EXAMPLES", "100"))

QUICK = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
UNTIL_CAUGHT = settings(QUICK, max_examples=3000, phases=[Phase.generate], derandomize=True)

phones = st.integers(0, 2)
bays = st.sampled_from([ONE, TWO])


class WrongPhone(RuleBasedStateMachine):
    """One station with two bays and room for one job at once, two phones and a clone, one person."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(bay=bays)
    def begin_with_a_phone(self, bay):
        self.world.plug(self.world.phones[0], bay)
        self._work(2)

    @rule(phone=phones, bay=bays)
    def plug(self, phone, bay):
        phone = self.world.phones[phone]
        if phone.bay is None and self.world.in_bay(bay) is None:
            self.world.plug(phone, bay)

    @rule(phone=phones)
    def unplug(self, phone):
        phone = self.world.phones[phone]
        if phone.bay is not None:
            self.world.unplug(phone)

    @rule(phone=phones)
    def replug(self, phone):
        phone = self.world.phones[phone]
        if (bay := phone.bay) is not None:
            self.world.unplug(phone)
            self.world.plug(phone, bay)

    @rule(phone=phones, by=phones)
    def swap(self, phone, by):
        """The phone goes, another one takes its place."""
        out, other = self.world.phones[phone], self.world.phones[by]
        if out is not other and (bay := out.bay) is not None:
            self.world.unplug(out)
            if other.bay is not None:
                self.world.unplug(other)
            self.world.plug(other, bay)

    @rule(phone=phones)
    def move(self, phone):
        """The phone goes to the other bay, if that is free."""
        phone = self.world.phones[phone]
        there = TWO if phone.bay == ONE else ONE
        if phone.bay is not None and self.world.in_bay(there) is None:
            self.world.unplug(phone)
            self.world.plug(phone, there)

    @rule()
    def phones_start_up(self):
        for phone in self.world.phones:
            if phone.starting is not None:
                self.world.start_up(phone)

    @rule()
    def press_start(self):
        self.world.press_start()

    @rule()
    def confirm_down(self):
        self.world.confirm_down()

    @rule()
    def confirm_up(self):
        self.world.confirm_up()

    @rule()
    def confirm_as_one_should(self):
        self.world.confirm_up()
        self.world.press_start()
        self.world.confirm_down()
        self.world.wait(2.1)
        self.world.confirm_up()

    @rule(bay=bays)
    def select(self, bay):
        before = None if self.world.station is None else self.world.station.desk.selected
        self.world.command(Select(id=1, bay=bay))
        if before != bay:
            self.world.forget_start()

    @rule(bay=bays)
    def cancel(self, bay):
        self.world.command(Cancel(id=1, bay=bay))
        self.world.forget_start()

    @rule(bay=bays)
    def dismiss(self, bay):
        self.world.command(Dismiss(id=1, bay=bay))

    @rule(seconds=st.sampled_from([0.1, 1.0, 1.9, 2.0, 5.0, 27.0, 29.0, 31.0, 80.0, 200.0]))
    def wait(self, seconds):
        self.world.wait(seconds)

    @rule(steps=st.integers(1, 3))
    def workers_work(self, steps):
        self._work(steps)

    @rule(steps=st.integers(1, 12))
    def all_goes_well(self, steps):
        """Workers work and phones start as they are told to."""
        for _ in range(steps):
            self._work(1)
            self.phones_start_up()

    @rule()
    def a_worker_dies(self):
        for name in [name for name, job in self.world.disk.items() if job.worker is not None][:1]:
            self.world.kill_worker(name)

    @precondition(lambda self: self.world.station is not None)
    @rule()
    def the_daemon_dies(self):
        self.world.kill_daemon()

    @precondition(lambda self: self.world.station is None)
    @rule()
    def a_daemon_starts(self):
        self.world.start_daemon()

    @precondition(lambda self: self.world.station is not None)
    @rule(phone=phones, by=phones, steps=st.integers(0, 8))
    def a_swap_while_nobody_watches(self, phone, by, steps):
        self.world.kill_daemon()
        self.swap(phone, by)
        self.all_goes_well(steps)
        self.world.start_daemon()

    @invariant()
    def can_be_seen(self):
        self.world.look()

    def teardown(self):
        self.world.settle()

    def _work(self, steps):
        for _ in range(steps):
            for name in list(self.world.disk):
                if name in self.world.disk:
                    self.world.step(name)


def test_no_wrong_phone():
    run_state_machine_as_test(WrongPhone, settings=QUICK)


def test_the_machine_gets_as_far_as_erasing():
    """Or else it would prove nothing."""
    world = World()
    machine = WrongPhone()
    machine.world = world
    machine.begin_with_a_phone(ONE)
    machine.confirm_as_one_should()
    machine.all_goes_well(12)
    machine.all_goes_well(12)
    assert world.erasures == 1
    assert world.records == 1
    machine.teardown()


def ignoring(name):
    """The rule with one of its parts left out."""
    real = consent.require

    def require(given, **observed):
        if given is not None:
            observed[name] = getattr(given, name)
        real(given, **observed)

    return require


def not_voiding(_self, *_args, **_kwargs):
    return []


def test_a_rule_that_ignores_the_ecid_is_caught(monkeypatch):
    monkeypatch.setattr(consent, "require", ignoring("ecid"))
    caught()


def test_a_station_that_does_not_void_a_job_is_caught(monkeypatch):
    monkeypatch.setattr(Job, "void", not_voiding)
    caught()


def test_a_station_that_does_not_see_phones_leave_is_caught(monkeypatch):
    monkeypatch.setattr(Station, "_gone", not_voiding)
    monkeypatch.setattr(scheduler, "require", ignoring("plug"))
    caught()


def caught():
    with pytest.raises(AssertionError, match=r"erased without anybody's word|nobody has confirmed"):
        run_state_machine_as_test(WrongPhone, settings=UNTIL_CAUGHT)
