"""The library's restore, from the point where the restore system has booted."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from ipsw_parser.ipsw import IPSW
from pymobiledevice3.exceptions import ConnectionTerminatedError
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.restore import Restore

from station.model.phone import PhoneMode
from station.virtual.phones.phone import VirtualPhone

SECONDS = 15


class Device:
    """What the library asks of a device that has left recovery: facts, nothing over the wire."""

    lockdown = None
    irecv = None

    def __init__(self, phone: VirtualPhone) -> None:
        self._phone = phone

    def get_hardware_model_value(self) -> str:
        return self._phone.identity.hardware_model.lower()

    async def get_hardware_model(self) -> str:
        return self.get_hardware_model_value()

    async def get_ecid(self) -> int:
        return self._phone.identity.ecid

    async def get_ap_nonce(self) -> bytes:
        return self._phone.ap_nonce

    async def get_sep_nonce(self) -> bytes:
        return self._phone.sep_nonce

    async def get_is_image4_supported(self) -> bool:
        return True

    async def get_ap_parameters(self) -> dict[str, Any]:
        return {}


class Watched(Restore):
    """The library's restore; all it adds is to write down what the phone says."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.messages: list[dict[str, Any]] = []
        self._handlers = {kind: self._written_down(handler) for kind, handler in self._handlers.items()}

    def _written_down(self, handler):
        async def handle(message):
            self.messages.append(dict(message))
            return await handler(message)

        return handle

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["MsgType"] == kind]

    async def hang_up(self) -> None:
        """Close the main connection in the middle of it."""
        assert self._restored is not None
        await self._restored.service.close()

    async def status(self) -> int | None:
        """Restore, to the final status; None when the phone hung up without one."""
        async with asyncio.timeout(SECONDS):
            with suppress(ConnectionTerminatedError):
                await self.restore_device()
        statuses = self.said("StatusMsg")
        return statuses[-1]["Status"] if statuses else None


@cache
def opened(ipsw: Path) -> IPSW:
    """An unpacked firmware, whose manifest takes a while to read; its other files are read when they are needed."""
    return IPSW.create_from_path(str(ipsw))


async def in_restore_mode(phone: VirtualPhone, ipsw: Path, behavior: Behavior = Behavior.Erase) -> Watched:
    """The library's `Restore`, with a ticket; and the phone as iBoot leaves it that took that ticket."""
    restore = Watched(opened(ipsw), Device(phone), behavior=behavior)
    restore.recovery.tss = await restore.recovery.get_tss_response()
    phone.restore_ticket = restore.recovery.tss.ap_img4_ticket
    await phone.disappear()
    phone.appear(PhoneMode.RESTORE)
    return restore


class History(list[str]):
    """A phone's history that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._grown = asyncio.Event()

    def append(self, step: str) -> None:
        super().append(step)
        self._grown.set()

    async def until(self, reached: Callable[[list[str]], bool]) -> None:
        async with asyncio.timeout(SECONDS):
            while not reached(self):
                self._grown.clear()
                await self._grown.wait()


async def comes_back(phone: VirtualPhone) -> PhoneMode:
    """The mode in which the phone shows itself after its restart."""
    assert phone.bus is not None
    async with asyncio.timeout(SECONDS), phone.bus.watch() as events:
        while phone.running is None or phone.mode is PhoneMode.RESTORE:
            await events.get()
    return phone.mode


@contextmanager
def elsewhere(context) -> Iterator[Callable[[Coroutine[None, None, Any]], Any]]:
    """Enter an async context manager on a loop in another thread; the result runs a coroutine there, and waits."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="elsewhere")
    thread.start()

    def call(work):
        return asyncio.run_coroutine_threadsafe(work, loop).result(SECONDS)

    try:
        call(context.__aenter__())
        try:
            yield call
        finally:
            call(context.__aexit__(None, None, None))
            call(loop.shutdown_default_executor())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(SECONDS)
        loop.close()


def spoilt(ipsw: Path, copy: Path, path: str, *, at: int = -1) -> Path:
    """A copy of an IPSW with one bit of one file flipped."""
    shutil.copytree(ipsw, copy, copy_function=lambda source, target: Path(target).hardlink_to(source))
    data = bytearray((copy / path).read_bytes())
    data[at] ^= 1
    (copy / path).unlink()
    (copy / path).write_bytes(data)
    return copy
