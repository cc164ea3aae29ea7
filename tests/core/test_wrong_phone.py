"""No wrong phone, ever: whatever people, phones and crashes do, in whatever order.

TESTS_EXAMPLES sets how many interleavings are tried (forty by default; a night can do a million).
"""

import dataclasses
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
from msgspec.structs import replace

from station.core import arming, consent, desk, jobs, orders, scheduler
from station.errors import Refused
from station.model.api import Cancel, Dismiss, Select
from station.model.catalog import ArrivalState
from tests.core.helpers import ONE, TWO, arriving, image
from tests.core.world import World

EXAMPLES = int(os.environ.get("TESTS_EXAMPLES", "40"))

QUICK = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    suppress_health_check=list(HealthCheck),
)
UNTIL_CAUGHT = settings(QUICK, max_examples=3000, phases=[Phase.generate], derandomize=True)
A_SWAP_IS_CAUGHT = settings(UNTIL_CAUGHT, stateful_step_count=6)
A_SLIP_IS_CAUGHT = settings(UNTIL_CAUGHT, stateful_step_count=12)

phones = st.integers(0, 2)
bays = st.sampled_from([ONE, TWO])
versions = st.sampled_from(["26.2", "26.3"])


class TwoBays(RuleBasedStateMachine):
    """One station with two bays and room for one job at once; two phones, and a clone of the first."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @invariant()
    def can_be_seen(self):
        self.world.look()

    def teardown(self):
        self.world.settle()

    def begin_with_a_phone(self, bay):
        self.world.plug(self.world.phones[0], bay)
        self.workers_work(3)

    def give_ones_word(self):
        self.world.confirm_up()
        self.world.press_start()
        self.world.confirm_down()
        self.world.wait(2.1)
        self.world.confirm_up()

    def phones_start_up(self):
        for phone in self.world.phones:
            if phone.starting is not None:
                self.world.start_up(phone)

    def workers_work(self, steps):
        for _ in range(steps):
            for name in list(self.world.disk):
                if name in self.world.disk:
                    self.world.step(name)


class Swaps(TwoBays):
    """In the middle of a restore: one phone takes the place of another."""

    @initialize(bay=bays, steps=st.integers(0, 3))
    def begin(self, bay, steps):
        self.begin_with_a_phone(bay)
        self.give_ones_word()
        self.all_goes_well(steps)

    @rule(bay=bays)
    def replug(self, bay):
        if (phone := self.world.in_bay(bay)) is not None:
            self.world.unplug(phone)
            self.world.plug(phone, bay)

    @rule(bay=bays, by=phones)
    def swap(self, bay, by):
        """The phone goes, another one takes its place."""
        out, other = self.world.in_bay(bay), self.world.phones[by]
        if out is not None and out is not other:
            self.world.unplug(out)
            if other.bay is not None:
                self.world.unplug(other)
            self.world.plug(other, bay)

    @rule(steps=st.integers(1, 20))
    def all_goes_well(self, steps):
        """Workers work and phones start as they are told to."""
        for _ in range(steps):
            self.workers_work(1)
            self.phones_start_up()

    @precondition(lambda self: self.world.station is not None)
    @rule(bay=bays, by=phones, steps=st.sampled_from([0, 1, 3, 20]))
    def a_swap_while_nobody_watches(self, bay, by, steps):
        self.world.kill_daemon()
        self.swap(bay, by)
        self.all_goes_well(steps)
        self.world.start_daemon()


class Cables(Swaps):
    """The same, and all that hands do to cables, and what dies."""

    @rule(phone=phones, bay=bays)
    def plug(self, phone, bay):
        phone = self.world.phones[phone]
        if phone.bay is None and self.world.in_bay(bay) is None:
            self.world.plug(phone, bay)

    @rule(bay=bays)
    def unplug(self, bay):
        if (phone := self.world.in_bay(bay)) is not None:
            self.world.unplug(phone)

    @rule(bay=bays)
    def move(self, bay):
        """The phone goes to the other bay, if that is free."""
        phone, there = self.world.in_bay(bay), TWO if bay == ONE else ONE
        if phone is not None and self.world.in_bay(there) is None:
            self.world.unplug(phone)
            self.world.plug(phone, there)

    @rule()
    def only_phones_start_up(self):
        self.phones_start_up()

    @rule(steps=st.integers(1, 3))
    def only_workers_work(self, steps):
        self.workers_work(steps)

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


class Hands(TwoBays):
    """A phone is there, and what people do with START, and time."""

    @initialize(bay=bays)
    def begin(self, bay):
        self.begin_with_a_phone(bay)

    @rule()
    def press_start(self):
        self.world.press_start()

    @rule(bay=bays)
    def press_start_of_a_bay(self, bay):
        self.world.press_start_of(bay)

    @rule(seconds=st.sampled_from([0.1, 1.0, 1.9, 2.0, 5.0, 27.0, 29.0, 31.0, 80.0, 200.0]))
    def wait(self, seconds):
        self.world.wait(seconds)


class Buttons(Hands):
    """The same, and CONFIRM."""

    @rule()
    def confirm_down(self):
        self.world.confirm_down()

    @rule()
    def confirm_up(self):
        self.world.confirm_up()

    @rule()
    def confirm_as_one_should(self):
        self.give_ones_word()

    @rule(bay=bays)
    def confirm_at_a_bay_as_one_should(self, bay):
        self.world.confirm_up()
        self.world.press_start_of(bay)
        self.world.confirm_down()
        self.world.wait(2.1)
        self.world.confirm_up()


class Ring(Hands):
    """The same, and CONFIRM on a screen."""

    @rule()
    def touch_the_ring(self):
        self.world.touch_ring()

    @rule()
    def leave_the_ring(self):
        self.world.leave_ring()

    @rule(seconds=st.sampled_from([0.1, 0.4, 1.0, 1.9, 2.0, 5.0]))
    def the_finger_leaves_a_screen_that_froze(self, seconds):
        """Whoever held it is gone, and the screen has not said so."""
        self.world.freeze_screen()
        self.world.leave_ring()
        self.world.wait(seconds)
        self.world.thaw_screen()

    @rule()
    def confirm_on_the_ring_as_one_should(self):
        self.world.confirm_up()
        self.world.leave_ring()
        self.world.press_start()
        self.world.touch_ring()
        self.world.wait(2.6)
        self.world.leave_ring()


class Everything(Cables, Buttons, Ring):
    """All of it; from the start or from the middle."""

    @initialize(bay=bays, steps=st.none() | st.integers(0, 3))
    def begin(self, bay, steps):
        self.begin_with_a_phone(bay)
        if steps is not None:
            self.give_ones_word()
            self.all_goes_well(steps)

    @rule(bay=bays)
    def select(self, bay):
        self.world.command(Select(id=1, bay=bay))
        self.world.forget_start(unless=bay)

    @rule(bay=bays)
    def cancel(self, bay):
        self.world.command(Cancel(id=1, bay=bay))
        self.world.forget_start(of=bay)

    @rule(bay=bays)
    def dismiss(self, bay):
        self.world.command(Dismiss(id=1, bay=bay))


class Nights(Cables):
    """An operator's order, and a night in which everything happens to it."""

    @initialize(bays=st.sampled_from([(), (ONE,)]), count=st.integers(1, 2), bay=bays, steps=st.integers(0, 6))
    def begin(self, bays, count, bay, steps):
        self.world.order(bays, count, 1000.0)
        self.begin_with_a_phone(bay)
        self.world.disk_is_done()
        self.all_goes_well(steps)

    @rule()
    def the_disk_is_done(self):
        self.world.disk_is_done()

    @rule(steps=st.integers(1, 20))
    def all_goes_well_on_the_disk_too(self, steps):
        for _ in range(steps):
            self.world.disk_is_done()
            self.all_goes_well(1)

    @rule()
    def the_disk_fails_once(self):
        self.world.disk_fails = True

    @rule()
    def the_operator_ends_it(self):
        self.world.end_order()

    @rule(count=st.integers(1, 2))
    def the_operator_gives_another(self, count):
        self.world.order((), count, 500.0)

    @rule(bay=bays)
    def dismiss(self, bay):
        self.world.command(Dismiss(id=1, bay=bay))

    @rule(seconds=st.sampled_from([0.1, 11.0, 100.0, 600.0]))
    def wait(self, seconds):
        self.world.wait(seconds)


class Deliveries(Everything):
    """Firmware comes, fails and goes while people confirm what it is needed for; phones are swapped meanwhile."""

    @initialize(bay=bays, steps=st.integers(0, 3))
    def begin(self, bay, steps):
        self.world.store = []
        self.world.coming = (arriving("26.2"),)
        self.world.supply()
        self.begin_with_a_phone(bay)
        self.give_ones_word()
        self.all_goes_well(steps)

    @rule(version=versions, done=st.integers(0, 100))
    def some_is_on_its_way(self, version, done):
        others = tuple(each for each in self.world.coming if each.version != version)
        if all(each.version != version for each in self.world.store):
            self.world.coming = (*others, arriving(version, done))
            self.world.supply()

    @rule(version=versions)
    def it_comes(self, version):
        """Whatever was said of it before."""
        self.world.coming = tuple(each for each in self.world.coming if each.version != version)
        here = {each.version: each for each in (*self.world.store, image(version))}
        self.world.store = [here[name] for name in sorted(here)]
        self.world.supply()

    @rule(version=versions)
    def it_fails(self, version):
        self.world.coming = tuple(
            replace(each, state=ArrivalState.FAILED) if each.version == version else each for each in self.world.coming
        )
        self.world.supply()

    @rule()
    def nobody_fetches_any_more(self):
        self.world.coming = ()
        self.world.supply()

    @precondition(lambda self: all(job.spec.firmware is None for job in self.world.disk.values()))
    @rule()
    def all_is_removed(self):
        self.world.store = []
        self.world.supply()


@pytest.mark.parametrize("machine", [Cables, Buttons, Ring, Everything, Nights, Deliveries])
def test_no_wrong_phone(machine):
    run_state_machine_as_test(machine, settings=QUICK)


def test_the_machine_gets_as_far_as_erasing():
    """Or else it would prove nothing."""
    machine = Cables()
    machine.begin(ONE, 24)
    assert machine.world.erasures == 1
    assert machine.world.records == 1
    machine.teardown()


def test_an_order_gets_as_far_as_erasing():
    machine = Nights()
    machine.begin((), 1, ONE, 0)
    machine.all_goes_well_on_the_disk_too(24)
    assert machine.world.erasures == 1
    assert machine.world.records == 1
    machine.the_disk_is_done()
    assert machine.world.order_on_disk is not None
    assert machine.world.order_on_disk.closed
    machine.teardown()


def test_what_waits_for_firmware_gets_as_far_as_erasing():
    machine = Deliveries()
    machine.begin(ONE, 3)
    assert machine.world.erasures == 0
    machine.it_comes("26.3")
    machine.all_goes_well(3)
    assert machine.world.erasures == 0
    machine.it_comes("26.2")
    machine.all_goes_well(24)
    assert machine.world.erasures == 1
    assert machine.world.records == 1
    machine.teardown()


def test_a_job_that_takes_whatever_firmware_is_here_is_caught(monkeypatch):
    real = scheduler.Scheduler.supplied

    def the_newest(self):
        for bay in self._bays:
            if bay.job is not None and bay.job.awaits is not None:
                bay.job.awaits = dataclasses.replace(bay.job.awaits, build="23D30")
        real(self)

    monkeypatch.setattr(scheduler.Scheduler, "supplied", the_newest)
    caught(Deliveries, A_SLIP_IS_CAUGHT, words="what was confirmed is")


def test_a_job_that_does_not_wait_for_its_firmware_is_caught(monkeypatch):
    monkeypatch.setattr(scheduler.Scheduler, "_held", lambda *_: False)
    caught(Deliveries, A_SLIP_IS_CAUGHT, words="without its firmware")


@pytest.mark.system
def test_an_order_that_forgets_whose_turn_it_was_is_caught(monkeypatch):
    monkeypatch.setattr(orders.Orders, "_is_new", lambda *_: True)
    caught(Nights, words=r"a (second|third) turn|a turn after|more turns than were ordered")


def test_a_rule_that_ignores_the_ecid_is_caught(monkeypatch):
    real = consent.require

    def ignoring_the_ecid(given, **observed):
        real(given, **(observed | {"ecid": given.ecid}))

    monkeypatch.setattr(consent, "require", ignoring_the_ecid)
    caught(Swaps, A_SWAP_IS_CAUGHT)


def test_a_station_that_does_not_void_on_unplug_is_caught(monkeypatch):
    monkeypatch.setattr(jobs, "MUST_STAY", frozenset())
    caught(Swaps, A_SWAP_IS_CAUGHT)


def test_the_ring_gets_as_far_as_erasing():
    machine = Everything()
    machine.begin(ONE, None)
    machine.confirm_on_the_ring_as_one_should()
    machine.all_goes_well(24)
    assert machine.world.erasures == 1
    machine.teardown()


@pytest.mark.system
def test_a_screen_whose_silence_is_taken_for_a_finger_is_caught(monkeypatch):
    monkeypatch.setattr(arming, "UNSEEN_SECONDS", 1000.0)
    monkeypatch.setattr(arming.Holding, "confirms", lambda holding, now: holding.full <= now.at)
    monkeypatch.setattr(arming.Holding, "lapses", property(lambda _: None))
    caught(Ring, A_SLIP_IS_CAUGHT)


def test_a_bays_button_that_is_ignored_while_another_waits_is_caught(monkeypatch):
    """It was the rule once: START of another bay was refused, and CONFIRM still meant the first."""

    def refuse(self, bay, now):
        if self.arming.armed is not None and self.arming.armed.bay != bay.id:
            raise Refused("Another bay waits.")

    monkeypatch.setattr(desk.Desk, "_turn_to", refuse)
    caught(Buttons, A_SLIP_IS_CAUGHT)


def test_a_hold_that_is_too_short_is_caught(monkeypatch):
    monkeypatch.setattr(arming, "HOLD_SECONDS", 1.0)
    caught(Buttons, A_SLIP_IS_CAUGHT)


def caught(machine, until=UNTIL_CAUGHT, words="erased without anybody's word|nobody has confirmed"):
    """By the property itself, in its own words, and not by whatever else a station in disorder stumbles over."""
    with pytest.raises(AssertionError, match=words):
        run_state_machine_as_test(machine, settings=until)
