"""The operator's pages before a real daemon: its PIN, its choices on the disk, its session."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from pygame import Surface

from station.adapters.firmware import FirmwareStore
from station.model.api import Snapshot
from station.model.face import Language
from station.model.operator import OperatorView
from station.screen.office import ENTER, Key, Office, Room
from station.screen.pages import Turn
from tests.screen.test_screen_station import Guest
from tests.system.rig import PATIENCE, make_rig

PIN = "739162"


class Keeper(Guest):
    """A robot that runs the station."""

    async def told(self, seen: Callable[[Snapshot], bool], seconds: float = PATIENCE) -> Snapshot:
        """Wait until the screen has been told something of the station."""
        async with asyncio.timeout(seconds):
            while self.link.snapshot is None or not seen(self.link.snapshot):
                self._news.clear()
                await self._news.wait()
        return self.link.snapshot

    async def inside(self, seen: Callable[[OperatorView], bool] = lambda view: True) -> OperatorView:
        """Wait until the operator's pages are open, and show something."""
        snapshot = await self.told(lambda told: told.operator is not None and seen(told.operator))
        assert snapshot.operator is not None
        return snapshot.operator

    def type(self, pin: str) -> None:
        """Touch the digits and the check mark."""
        for does in (*(Key(digit) for digit in pin), ENTER):
            self.tap(next(box for box, target in self.look().targets if target.command == does))

    def to_the_door(self) -> None:
        """Touch the gear."""
        door = Turn(Office(Room.DOOR))
        self.tap(next(box for box, target in self.look().targets if target.command == door))


@pytest.mark.system
@pytest.mark.timeout(120)
async def test_an_operator_comes_in_changes_something_and_goes(display: Surface, tmp_path: Path) -> None:
    del display
    async with make_rig(FirmwareStore(tmp_path / "store"), bays=("1",)) as rig, rig.station():
        keeper = Keeper(rig.socket)
        keeper.link.start()
        try:
            await keeper.told(lambda told: bool(told.bays) and told.operator is None)
            keeper.to_the_door()
            keeper.type(PIN)
            assert keeper.reads("Type it once more")
            keeper.type(PIN)
            await keeper.inside()
            keeper.touch("Machine")
            await keeper.inside(lambda view: view.machine is not None)
            assert keeper.reads("Version")
            keeper.back()
            keeper.touch("Language")
            keeper.touch("Deutsch")
            await keeper.told(lambda told: told.face.language is Language.GERMAN)
            keeper.back()
            keeper.back()
            await keeper.told(lambda told: told.operator is None)
            keeper.to_the_door()
            keeper.type("000000")
            async with asyncio.timeout(PATIENCE):
                while not keeper.kiosk._note:
                    keeper._news.clear()
                    keeper.look()
                    if not keeper.kiosk._note:
                        await keeper._news.wait()
            assert keeper.link.snapshot is not None
            assert keeper.link.snapshot.operator is None
        finally:
            await asyncio.to_thread(keeper.link.stop)
        written = (path for path in rig.directory.rglob("*") if path.is_file() and not path.is_symlink())
        assert not [path for path in written if PIN.encode() in path.read_bytes()]
