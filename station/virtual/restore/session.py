"""One restore: plays the script, reports checkpoints and progress, and ends with a status and a restart."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from station.model.phone import PhoneMode
from station.virtual.faults import RefusedError, StatusError, StayError
from station.virtual.phone import VirtualPhone
from station.virtual.restore.fdr import Fdr
from station.virtual.restore.installation import NOTHING_TO_UPDATE, Installation
from station.virtual.restore.link import HostGoneError, Link, beside
from station.virtual.restore.requests import Requests
from station.virtual.restore.script import (
    FAILED,
    FINAL_STATUS,
    SCRIPT,
    Action,
    Checkpoint,
    Item,
    Operation,
    Request,
    applies,
)

HOST_UNSUPPORTED = 10
"""is_host_compatible ended with it (idevicerestore#786)."""
NEEDED_DATA_TYPES = ("FirmwareUpdaterPreflight", "ReceiptManifest", "SourceBootObjectV4", "URLAsset")
NEEDED_MESSAGE_TYPES = ("AsyncDataRequestMsg", "AsyncWait", "CheckpointMsg")
NEEDED_OPTIONS = ("CreateFilesystemPartitions", "FlashNOR", "SystemImage")
CHECKPOINT_SECONDS = 0.06
TICKS = 10
"""How many times a rising percentage is reported."""


class Session:
    """A restore from StartRestore to the restart."""

    def __init__(
        self,
        phone: VirtualPhone,
        link: Link,
        *,
        options: Mapping[str, Any],
        behavior: str,
        requests: Requests,
        installation: Installation,
        fdr: Fdr,
    ) -> None:
        """Prepare.

        Args:
            phone: what is restored.
            link: how it reaches the host.
            options: the host's RestoreOptions.
            behavior: "Erase" or "Update", from the ramdisk.
            requests: how to ask the host for something.
            installation: the ledger.
            fdr: the way to Apple through the host.
        """
        self._phone = phone
        self._link = link
        self._options = options
        self._behavior = behavior
        self._requests = requests
        self._installation = installation
        self._log: list[str] = []
        self._open: list[Checkpoint] = []
        """Checkpoints that began and have not ended, the innermost last."""
        self._context = str(uuid.uuid4()).upper()
        """Names what runs beside the script: the system image."""
        self._image: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup
        self._actions: dict[Action, Callable[[], Awaitable[None]]] = {
            Action.CHECK_HOST: self._check_host,
            Action.FIND_SYSTEM: self._find_system,
            Action.OPEN_FDR: fdr.ping,
            Action.RECOVER_FDR: fdr.recover,
            Action.ERASE: self._erase,
            Action.START_IMAGE: self._start_image,
            Action.FINISH_IMAGE: self._finish_image,
            Action.REQUEST_FUD: requests.firmware_updates,
            Action.ASYNC_WAIT: self._async_wait,
            Action.INSTALL_SPLAT: _soon(installation.install_splat),
            Action.SEAL: _soon(installation.seal),
            Action.CHECK_RESULT: _soon(installation.check),
        }

    async def run(self) -> None:
        """Restore. Whatever happens, the phone restarts afterwards; only one that left the bus does not."""
        mode: PhoneMode | None = None
        try:
            try:
                await self._restore()
            except StatusError as failure:
                await self._fail(failure)
            await self._phone.step("restored:restart")
        except StayError:
            mode = PhoneMode.RECOVERY
        except (StatusError, RefusedError, OSError, EOFError):
            pass  # nobody left to tell: the host hung up, or is hung up on
        await self._link.close()
        self._phone.restart_into(mode)

    async def _restore(self) -> None:
        async with beside() as group:
            self._group = group
            listener = group.create_task(self._link.listen())
            await self._phone.step("restored:StartRestore")
            await self._play(SCRIPT)
            await self._phone.step("restored:status")
            self._installation.commit()
            await self._link.send({"MsgType": "StatusMsg", "Status": 0, "Successful": True})
            with suppress(HostGoneError):
                while (await self._link.receive()).get("MsgType") != "ReceivedFinalStatusMsg":
                    pass
            listener.cancel()

    async def _fail(self, failure: StatusError) -> None:
        """Tell the host that it failed: every open checkpoint ends so, and the status comes with the log."""
        self._note(f"ERROR: {failure.log} ({failure.status})")
        while self._open:
            await self._complete(self._open.pop(), failure)
        for checkpoint in FAILED:
            await self._begin(checkpoint)
            await self._complete(checkpoint)
        await self._begin(FINAL_STATUS)
        status = {"Status": failure.status, "AMRError": failure.status, "Successful": False}
        await self._link.send({"MsgType": "StatusMsg", **status, "Log": "\n".join(self._log)})
        await self._complete(FINAL_STATUS)

    async def _play(self, items: Iterable[Item]) -> None:
        for item in items:
            match item:
                case Checkpoint() if applies(item, self._behavior):
                    await self._checkpoint(item)
                case Operation():
                    await self._operation(item)
                case Request():
                    await self._requests.make(item)
                case Action():
                    await self._actions[item]()
                case _:
                    pass

    async def _checkpoint(self, checkpoint: Checkpoint) -> None:
        await self._begin(checkpoint)
        self._open.append(checkpoint)
        await self._phone.step(checkpoint.step, seconds=CHECKPOINT_SECONDS)
        failed: StatusError | None = None
        try:
            await self._play(checkpoint.items)
        except StatusError as failure:
            if not checkpoint.survivable:
                raise
            failed = failure
        self._open.pop()
        await self._complete(checkpoint, failed)

    async def _begin(self, checkpoint: Checkpoint) -> None:
        self._note(f"CHECKPOINT BEGIN: RESTORED:[0x{checkpoint.wire_id & 0xFFFF:04X}] {checkpoint.name}")
        await self._link.send(_checkpoint_message(checkpoint, complete=False))

    async def _complete(self, checkpoint: Checkpoint, failure: StatusError | None = None) -> None:
        self._note(f"CHECKPOINT END: RESTORED:[0x{checkpoint.wire_id & 0xFFFF:04X}] {checkpoint.name}")
        message = _checkpoint_message(checkpoint, complete=True)
        if failure is not None:
            message |= {"CHECKPOINT_RESULT": failure.status, "CHECKPOINT_ERROR": f"[0]D({failure.log})"}
        await self._link.send(message)

    async def _operation(self, operation: Operation) -> None:
        if not operation.rising:
            await self._progress(operation.number, -1)
            await self._phone.pace.pause(operation.seconds)
            return
        for tick in range(TICKS + 1):
            await self._progress(operation.number, 100 * tick // TICKS)
            await self._phone.pace.pause(operation.seconds / TICKS)

    async def _progress(self, operation: int, percent: int, *, context: str | None = None) -> None:
        message = {"MsgType": "ProgressMsg", "Operation": operation, "Progress": percent}
        await self._link.send(message | ({"AsyncContextUUID": context} if context else {}))

    async def _check_host(self) -> None:
        lacking = [
            *self._lacks("SupportedDataTypes", NEEDED_DATA_TYPES),
            *self._lacks("SupportedMessageTypes", NEEDED_MESSAGE_TYPES),
            *(name for name in NEEDED_OPTIONS if not self._options.get(name)),
        ]
        if lacking:
            raise StatusError(HOST_UNSUPPORTED, f"This host version is unsupported: {', '.join(lacking)}")

    def _lacks(self, option: str, names: Iterable[str]) -> list[str]:
        types = self._options.get(option)
        return [name for name in names if not isinstance(types, Mapping) or name not in types]

    async def _find_system(self) -> None:
        if self._phone.system is None:
            raise StatusError(NOTHING_TO_UPDATE, "there is nothing to update")

    async def _erase(self) -> None:
        self._phone.erase("restored format_media")

    async def _start_image(self) -> None:
        async def percent(value: int) -> None:
            await self._progress(13, value, context=self._context)

        self._image = self._group.create_task(self._requests.system_image(percent))

    async def _finish_image(self) -> None:
        assert self._image is not None
        await asyncio.wait({self._image})

    async def _async_wait(self) -> None:
        await self._link.send({"MsgType": "AsyncWait", "AsyncContextUUID": self._context})

    def _note(self, line: str) -> None:
        self._log.append(line)


def _soon(act: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def later() -> None:
        act()

    return later


def _checkpoint_message(checkpoint: Checkpoint, *, complete: bool) -> dict[str, Any]:
    name = {"CHECKPOINT_NAME": checkpoint.name} if checkpoint.name else {}
    return {
        "MsgType": "CheckpointMsg",
        "CHECKPOINT_ID": checkpoint.wire_id,
        "CHECKPOINT_COMPLETE": complete,
        "CHECKPOINT_RESULT": 0,
        **name,
    }
