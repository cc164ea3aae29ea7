"""A bare client, which reads who a phone is; and a performance of a scenario for it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pymobiledevice3 import exceptions
from pymobiledevice3.lockdown import create_using_usbmux

from station.model.phone import PhoneMode, UsbArrived
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import VirtualPhone
from station.virtual.scenarios.play import Player
from station.virtual.scenarios.scenario import Expected, Scenario

SECONDS = 25.0
"""Within which a scenario ends at pace 0, on a busy machine."""
VISIT_SECONDS = 4.0
"""For a client that waits for somebody who never answers."""
TRIES = 6
WAITING = ("PasswordProtected", "PairingDialogResponsePending", "PhoneGone")
"""Somebody may do something about it."""
LIBRARY_NAMES: dict[type[Exception], str] = {
    exceptions.PasswordRequiredError: "PasswordProtected",
    exceptions.PairingDialogResponsePendingError: "PairingDialogResponsePending",
    exceptions.UserDeniedPairingError: "UserDeniedPairing",
}


async def read(udid: str, *, seconds: float = VISIT_SECONDS) -> str:
    """Pair with a phone and ask it for everything: "yes", or the error's name."""
    try:
        async with asyncio.timeout(seconds):
            async with await create_using_usbmux(udid, pair_timeout=0) as client:
                assert client.all_values["UniqueDeviceID"]
                return "yes"
    except Exception as error:  # noqa: BLE001 - whatever it is, its name is the outcome
        return LIBRARY_NAMES.get(type(error), type(error).__name__)


class Client:
    """Reads every phone that appears in normal mode, again as long as somebody may do something about it."""

    def __init__(self, host: VirtualHost) -> None:
        self.found: dict[str, str] = {}
        """What it found the last time, by the phone's UDID."""
        self.changed = asyncio.Condition()
        self._host = host
        self._few = asyncio.Semaphore(4)
        """Making keys takes a processor: who waits for one must not run out of time."""
        self._visits: dict[str, asyncio.Task[None]] = {}

    async def follow(self) -> None:
        """Do so until it is cancelled."""
        try:
            async with self._host.bus.watch() as events:
                while True:
                    event = await events.get()
                    phone = self._host.bus.at(event.socket)
                    if isinstance(event, UsbArrived) and phone is not None and phone.mode is PhoneMode.NORMAL:
                        self._visit(phone)
                    await self._tell()
        finally:
            for visit in self._visits.values():
                visit.cancel()
            await asyncio.gather(*self._visits.values(), return_exceptions=True)

    def _visit(self, phone: VirtualPhone) -> None:
        udid = phone.identity.udid
        before = self._visits.get(udid)
        self._visits[udid] = asyncio.create_task(self._try(udid, before))

    async def _try(self, udid: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        for _ in range(TRIES):
            async with self._few:
                self.found[udid] = await read(udid)
            await self._tell()
            if self.found[udid] not in WAITING:
                break

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()


@asynccontextmanager
async def performance(
    scenario: Scenario, environment: pytest.MonkeyPatch
) -> AsyncGenerator[tuple[Player, Client], None]:
    """Play a scenario to its last event at pace 0, with a client beside it."""
    with TemporaryDirectory(prefix="scene-") as directory:
        async with VirtualHost(Path(directory) / "v") as host:
            environment.setenv("USBMUXD_SOCKET_ADDRESS", host.reach.usbmuxd)
            environment.setenv("HOME", directory)  # the library keeps pair records there
            player, client = Player(scenario, host), Client(host)
            following = asyncio.create_task(client.follow())
            try:
                async with asyncio.timeout(SECONDS):
                    await player.play()
                yield player, client
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)


def differs(phone: VirtualPhone, found: str, expected: Expected) -> str:
    """What is not as expected of a phone; "": nothing."""
    mode = phone.mode if phone.running is not None else None
    if mode is not expected.mode:
        return f"in mode {mode}"
    if len(phone.destructions) != expected.destructions:
        return f"destroyed by {phone.destructions}"
    if expected.read and found != expected.read:
        return f"read: {found}"
    steps = iter(phone.history)
    missing = [step for step in expected.steps if not any(fnmatchcase(each, step) for each in steps)]
    return f"was never at {missing[0]} after what comes before it" if missing else ""
