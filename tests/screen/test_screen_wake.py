"""Sleeping until something happens."""

import socket
import threading
from collections.abc import Iterator

import pytest

from station.screen import wake
from station.screen.wake import Alarm


@pytest.fixture
def alarm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Alarm]:
    """An alarm that would sleep for ever: a test that is not woken runs into its timeout."""
    monkeypatch.setattr(wake, "HEARTBEAT", 3600)
    new = Alarm()
    yield new
    new.close()


def test_a_ring_from_another_thread_ends_the_sleep(alarm: Alarm) -> None:
    thread = threading.Thread(target=alarm.ring)
    thread.start()
    alarm.sleep(None)
    thread.join()


def test_many_rings_are_one(alarm: Alarm) -> None:
    for _ in range(100_000):
        alarm.ring()
    alarm.sleep(None)
    alarm.sleep(0)


def test_data_for_somebody_else_wakes(alarm: Alarm) -> None:
    ours, theirs = socket.socketpair()  # as SDL's connection to the X server is
    with ours, theirs:
        alarm.sleep(0)
        theirs.send(b"event")
        alarm.sleep(None)
        assert ours.recv(9) == b"event"


def test_the_sleep_has_an_end(alarm: Alarm) -> None:
    alarm.sleep(0.01)
