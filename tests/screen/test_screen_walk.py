"""A finger walks through the screen by what it reads there; what it touches reaches the station's own decisions.

Between the two is nothing but the command and the snapshot: the kiosk as it runs, the core as it decides.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygame
import pytest
from pygame import Surface

from station.core.actions import StartWorker
from station.core.events import WorkerEnded
from station.core.policy import BackupRule
from station.errors import Refused
from station.model.api import Answer, BayState, Command, HoldBegan
from station.model.consent import Hand, Options
from station.model.events import Succeeded
from station.model.gates import Choice, Purpose
from station.model.guide import Family
from station.model.guide import Target as Goal
from station.model.job import JobSpec, Phase
from station.model.service import Service
from station.screen.app import PAGE_SECONDS
from station.screen.client import Link
from station.screen.touch import SETTLE
from tests.core.helpers import ALL_FINE, RECOVERY, SOCKETS, A, B, Bench, arrived, facts, gone
from tests.screen.robot import Robot

ONE, TWO = SOCKETS


LOOK = 0.05
"""Seconds between two looks at the screen while the ring is held."""


class Counter(Link):
    """A link whose other end is a bench: each command is carried out at once."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(Path("/nonexistent"), lambda: None)
        self.bench = bench

    def send(self, command: Command) -> None:
        try:
            self.bench.do(command)
        except Refused as refused:
            self.answers.append(Answer(id=command.id, refused=str(refused), remedy=refused.remedy))
        else:
            self.answers.append(Answer(id=command.id))
        self.snapshot = self.bench.view()


class Visitor(Robot):
    """A robot at a bench."""

    def __init__(self, **policy: Any) -> None:
        usual: dict[str, Any] = {"bays": {ONE: SOCKETS[ONE]}, "touch_confirms": True}
        self.bench = Bench(**(usual | policy))
        self.counter = Counter(self.bench)
        super().__init__(self.counter, lambda: self.bench.now, self._moment)

    def hold(self, seconds: float) -> None:
        """Hold the ring, and the screen says so all the while."""
        box = next(box for box, target in self.look().targets if isinstance(target.command, HoldBegan))
        self.post(pygame.FINGERDOWN, box)
        for _ in range(round(seconds / LOOK)):
            self.bench.wait(LOOK)
            self.counter.snapshot = self.bench.view()
            self._steps()
        self.post(pygame.FINGERUP, box)

    def started(self) -> JobSpec:
        """The job that began last."""
        return self.bench.all(StartWorker)[-1].spec

    def _moment(self) -> None:
        self.bench.wait(2 * SETTLE)
        self.counter.snapshot = self.bench.view()


@pytest.fixture
def robot(display: Surface) -> Iterator[Visitor]:
    """A robot at a station with one bay, whose phones come without owners."""
    del display
    yield Visitor()
    pygame.event.clear()


def restart_ends(bench: Bench, spec: JobSpec) -> None:
    """The phone restarts, and is looked at."""
    bench.phase(spec.job, Phase.RESTART)
    bench.say(spec.job, Succeeded(at=bench.now))
    bench.do(WorkerEnded(job=spec.job, exit=ALL_FINE), gone(), arrived(A))
    bench.inspect(facts())


def test_what_is_wrong_leads_to_the_gentlest_and_then_further(robot: Visitor) -> None:
    robot.bench.plug()
    robot.touch("What is wrong?")
    robot.touch("It is slow")
    assert robot.reads("A restart mends much")
    robot.touch("Restart")
    robot.touch("Start restart")
    spec = robot.started()
    assert (spec.service, spec.consent and spec.consent.by) == (Service.RESTART, Hand.SCREEN)

    restart_ends(robot.bench, spec)
    assert robot.bench.bay().state is BayState.DONE
    robot.touch("It did not help")
    assert robot.bench.bay().state is BayState.READY
    advice = robot.bench.bay().advice
    assert advice is not None
    assert Service.RESTART not in advice.services
    assert robot.reads("It is slow")
    robot.touch("Something else")
    assert robot.reads("What is wrong with it?")


def test_a_backup_is_decided_about_before_anything_is_erased(robot: Visitor) -> None:
    del robot
    owner = Visitor(backup=BackupRule.ASK, purpose=Purpose.OWNER)
    owner.bench.plug()
    owner.touch("Change")
    owner.touch("Erase and restore")
    assert not owner.reads("Start restore")
    owner.touch("Decide about a backup")
    assert owner.reads("Two-factor codes can be had without this phone.")
    owner.touch("Go on without")
    owner.touch("Start restore")
    assert owner.reads("Everything on this phone will be erased.")
    owner.hold(1)
    assert owner.bench.bay().state is BayState.ARMED
    owner.hold(2.5)
    spec = owner.started()
    assert (spec.service, spec.consent and spec.consent.by) == (Service.RESTORE, Hand.SCREEN)
    assert spec.decided is not None
    assert spec.decided.choice is Choice.DECLINED


def test_what_was_chosen_about_a_service_is_what_is_confirmed(robot: Visitor) -> None:
    robot.bench.plug()
    robot.touch("Change")
    robot.touch("Erase")
    robot.touch("eSIM: keep")
    robot.touch("Start erase")
    assert robot.reads("The eSIM is removed too. This cannot be undone.")
    robot.hold(2.5)
    consent = robot.started().consent
    assert consent is not None
    assert consent.options == Options(keep_esim=False)


def test_a_phone_that_shows_nothing_is_led_into_recovery(robot: Visitor) -> None:
    robot.touch("It is plugged in, and nothing shows")
    for _ in range(5):
        advice = robot.bench.bay().advice
        assert advice is not None
        if advice.guide is Goal.RECOVERY:
            break
        robot.touch("It did not help")
    robot.touch("Into recovery mode")
    robot.touch("iPhone 7")
    guide = robot.bench.bay().guide
    assert guide is not None
    assert (guide.family, guide.target) == (Family.SEVEN, Goal.RECOVERY)
    robot.touch("Next")
    assert robot.reads("Step 1 of 1")
    robot.bench.do(arrived(A, product_id=RECOVERY))
    assert robot.reads("It is in recovery mode. Let go.")
    robot.touch("Done")
    assert robot.bench.bay().guide is None
    assert robot.reads("Recovery mode")


def test_the_result_tells_what_was_checked(robot: Visitor) -> None:
    robot.bench.plug()
    robot.touch("Change")
    robot.touch("Restart")
    robot.touch("Start restart")
    restart_ends(robot.bench, robot.started())
    robot.touch("Checks")
    assert robot.reads("What was checked")
    robot.back()
    robot.touch("OK")
    assert robot.bench.bay().state is BayState.READY


def test_a_page_is_void_when_another_phone_is_there(robot: Visitor) -> None:
    robot.bench.plug()
    robot.touch("Details")
    assert robot.reads("Serial number")
    robot.bench.do(gone())
    assert not robot.reads("Serial number")
    robot.bench.plug(B)
    assert not robot.reads("Serial number")


def test_nobody_leaves_a_page_open(robot: Visitor) -> None:
    robot.bench.plug()
    robot.touch("Details")
    robot.bench.wait(PAGE_SECONDS)
    assert not robot.reads("Serial number")


def test_among_several_bays(robot: Visitor) -> None:
    del robot
    bench = Visitor(bays=SOCKETS)
    bench.bench.plug(A, TWO)
    bench.touch("More")
    bench.touch("Details")
    assert bench.reads("Serial number")
    bench.back()
    bench.touch("Back")
    assert bench.reads("Plug in a phone.")


def test_a_refusal_is_read_on_the_page(robot: Visitor) -> None:
    robot.bench.plug()
    robot.touch("What is wrong?")
    robot.counter.answers.append(
        Answer(id=1, refused="This phone is being worked on.", remedy="Wait until it is done.")
    )
    assert robot.reads("This phone is being worked on. Wait until it is done.")
