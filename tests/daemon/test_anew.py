"""The daemon replaces itself by one with other settings, unless somebody wants it to end."""

import os
import signal
import sys

import pytest

from station.adapters import notify
from station.adapters.workers import LocalStarter
from station.daemon import main
from station.daemon.loop import Loop, StartsAnew
from station.daemon.settings import load


class Starter(LocalStarter):
    """Its worker waits as the real one does. Somebody ends the daemon (SIGTERM) while it is let go."""

    def __init__(self, *, told_to_end: bool) -> None:
        super().__init__(("/bin/cat",))
        self._told_to_end = told_to_end

    def close(self) -> None:
        super().close()
        if self._told_to_end:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("told_to_end", [False, True])
def test_it_starts_anew_unless_it_is_told_to_end(tmp_path, monkeypatch, told_to_end):
    async def policy_was_chosen(*_: object) -> None:
        raise StartsAnew

    began: list[tuple[str, tuple[str, ...]]] = []
    monkeypatch.setattr(Loop, "run", policy_was_chosen)
    monkeypatch.setattr(os, "execv", lambda program, arguments: began.append((program, arguments)))
    settings = load(
        state=tmp_path / "state", runtime=tmp_path, socket=tmp_path / "station.sock", gpio={"enabled": False}
    )
    main.run(settings, starter=Starter(told_to_end=told_to_end))
    assert began == ([] if told_to_end else [(sys.executable, (sys.executable, *sys.orig_argv[1:]))])


def test_the_watchdog_waits_for_the_new_program(monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(notify, "notify", told.append)
    notify.reloading()
    assert {"WATCHDOG=1", "RELOADING=1"} <= set(told[0].splitlines())
