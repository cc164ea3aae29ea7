"""A screen that hangs ends itself."""

import signal
import subprocess
import sys

import pytest

from station.screen.guard import HANGS, STARTING, Guard

HANGING = """
from station.screen.guard import Guard
with Guard(starting={starting}, hangs={hangs}) as guard:
    {first}
    {then}
"""
STUCK = "sum(iter(int, 1))"
"""Never returns to the interpreter's own signal handling: an endless sum in C."""


def run(first: str, then: str, *, starting: float = 20, hangs: float = 20) -> subprocess.CompletedProcess[str]:
    """A process with a guard does two things."""
    code = HANGING.format(starting=starting, hangs=hangs, first=first, then=then)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=15, check=False)


@pytest.mark.system
@pytest.mark.parametrize(
    ("first", "starting", "hangs"), [("pass", 0.1, 20), ("guard.feed(0.0)", 20, 0.1)], ids=["starting", "running"]
)
def test_a_process_that_hangs_is_ended_and_says_where(first: str, starting: float, hangs: float) -> None:
    ended = run(first, STUCK, starting=starting, hangs=hangs)
    assert ended.returncode == -signal.SIGALRM
    assert "most recent call first" in ended.stderr


@pytest.mark.system
def test_a_process_that_is_done_is_left_alone() -> None:
    assert run("guard.feed(0.0)", "pass").returncode == 0


def test_it_is_fed_seldom_and_disarmed_at_the_end() -> None:
    with Guard() as guard:
        assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(STARTING, abs=1)
        guard.feed(100.0)
        assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(HANGS, abs=1)
        signal.setitimer(signal.ITIMER_REAL, STARTING)
        guard.feed(100.5)
        assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(STARTING, abs=1)
        guard.feed(101.0)
        assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(HANGS, abs=1)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
