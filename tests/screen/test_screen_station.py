"""The whole of it: a finger on the kiosk, a real daemon and its worker, and a virtual phone that does as it is told."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from pygame import Surface

from station.adapters.firmware import FirmwareStore
from station.model.api import BayState, BayView, Snapshot
from station.model.service import Service
from station.screen.app import boottime
from station.screen.client import Link
from station.screen.touch import SETTLE
from tests.screen.robot import Robot
from tests.system.rig import PATIENCE, make_rig


class Guest(Robot):
    """A robot at a running station. Its own clock runs ahead, so that nothing must be waited for to be touched."""

    def __init__(self, socket: Path) -> None:
        self._loop, self._news = asyncio.get_running_loop(), asyncio.Event()
        self._ahead = 0.0
        self.link = Link(socket, self._changed)
        super().__init__(self.link, lambda: boottime() + self._ahead, self._moment)

    async def until(self, seen: Callable[[BayView], bool], seconds: float = PATIENCE) -> BayView:
        """Wait until the screen has been told something of its one bay."""
        async with asyncio.timeout(seconds):
            while not self._seen(self.link.snapshot, seen):
                self._news.clear()
                await self._news.wait()
        assert self.link.snapshot is not None
        return self.link.snapshot.bays[0]

    @staticmethod
    def _seen(snapshot: Snapshot | None, seen: Callable[[BayView], bool]) -> bool:
        return snapshot is not None and seen(snapshot.bays[0])

    def _changed(self) -> None:
        self._loop.call_soon_threadsafe(self._news.set)

    def _moment(self) -> None:
        self._ahead += 2 * SETTLE


@pytest.fixture
def empty_store(tmp_path: Path) -> FirmwareStore:
    """No firmware: nothing is installed here."""
    return FirmwareStore(tmp_path / "store")


@pytest.mark.system
@pytest.mark.timeout(120)
async def test_a_slow_phone_is_restarted_by_touch(display: Surface, empty_store: FirmwareStore) -> None:
    del display
    async with make_rig(empty_store, bays=("1",)) as rig, rig.station():
        guest = Guest(rig.socket)
        guest.link.start()
        try:
            phone = rig.plug("1")
            await guest.until(lambda bay: bay.state is BayState.READY)
            guest.touch("What is wrong?")
            guest.touch("It is slow")
            await guest.until(lambda bay: bay.advice is not None)
            guest.touch("Restart")
            await guest.until(lambda bay: bay.chosen is Service.RESTART)
            guest.touch("Start restart")
            done = await guest.until(lambda bay: bay.result is not None and bay.result.record > 0, 60)
            assert done.state is BayState.DONE, done
            assert guest.reads("Restarted.")
            guest.touch("It did not help")
            after = await guest.until(lambda bay: bay.state is BayState.READY and bay.advice is not None)
            assert after.advice is not None
            assert Service.RESTART not in after.advice.services
            assert not phone.destructions
        finally:
            await asyncio.to_thread(guest.link.stop)
