"""Whether the wall clock can be believed."""

import ctypes

import pytest

from station.adapters import clock


class Kernel:
    """Answers adjtimex as a kernel would whose clock is kept, or not, or that refuses to say."""

    def __init__(self, answer: int, maxerror: int) -> None:
        self._answer, self._maxerror = answer, maxerror

    def adjtimex(self, reference) -> int:
        reference._obj.maxerror = self._maxerror
        return self._answer


@pytest.mark.parametrize(
    ("answer", "maxerror", "marked", "trusted"),
    [
        (0, 1_500, False, True),
        (5, 16_000_000, False, False),
        (5, 2_000, False, True),  # STA_UNSYNC may be set on purpose, to keep the kernel away from the hardware clock
        (-1, 0, False, False),
        (-1, 0, True, True),
    ],
)
def test_somebody_must_keep_the_clock(monkeypatch, tmp_path, answer, maxerror, marked, trusted):
    mark = tmp_path / "synchronized"
    if marked:
        mark.touch()
    monkeypatch.setattr(clock, "TIMESYNCD_MARK", mark)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Kernel(answer, maxerror))
    assert clock.trusted() is trusted


def test_the_real_kernel_can_be_asked(monkeypatch, tmp_path):
    monkeypatch.setattr(clock, "TIMESYNCD_MARK", tmp_path / "none")
    state = clock._Timex()
    answer = ctypes.CDLL(None).adjtimex(ctypes.byref(state))
    assert clock.trusted() is (answer >= 0 and state.maxerror < clock.UNSYNCHRONISED)
