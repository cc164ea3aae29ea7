"""When a worker ends itself, and how long it may wait for something before that."""

import pytest

from station.model.job import DEADLINES, Phase
from station.worker import deadline
from station.worker.deadline import CHATTER, Deadline


class Timer:
    """The clock, and the kernel's timer."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.strikes = 0.0

    def boottime(self) -> float:
        return self.now

    def setitimer(self, _which: int, seconds: float) -> None:
        self.strikes = self.now + seconds


@pytest.fixture
def timer(monkeypatch):
    timer = Timer()
    monkeypatch.setattr(deadline, "boottime", timer.boottime)
    monkeypatch.setattr("station.worker.deadline.signal.setitimer", timer.setitimer)
    return timer


@pytest.fixture
def limit(timer):
    limit = Deadline(DEADLINES | {Phase.RAMDISK: 10.0})
    limit.begin(Phase.RAMDISK)
    return limit


def test_silence_ends_it_and_progress_puts_that_off(timer, limit):
    assert timer.strikes == 1010
    timer.now = 1004
    limit.feed()
    assert timer.strikes == 1014


def test_chatter_does_not_put_it_off_for_ever(timer, limit):
    while timer.now < 1000 + CHATTER * 10 - 1:
        timer.now += 1
        limit.feed()
    assert timer.strikes == 1000 + CHATTER * 10


@pytest.mark.parametrize("late", [0, 4, 9.5])
def test_a_wait_ends_before_it_strikes_however_late_it_begins(timer, limit, late):
    timer.now += late
    assert timer.now < timer.now + limit.share(0.9) < timer.strikes


def test_there_is_no_time_left_after_it_struck(timer, limit):
    timer.now += 11
    assert limit.share(0.9) == 0
