"""One restore: plays the script, reports checkpoints and progress, and ends with a status and a restart."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

from station.model.phone import PhoneMode
from station.virtual.faults.kinds import RefusedError, StatusError, StayError
from station.virtual.phones.phone import VirtualPhone
from station.virtual.restore.fdr import Fdr
from station.virtual.restore.host import Host
from station.virtual.restore.installation import NOTHING_TO_UPDATE, Installation
from station.virtual.restore.items import Action, Checkpoint, Item, Operation, Pause, Request, When
from station.virtual.restore.link import HostGoneError, Link, beside
from station.virtual.restore.log import RestoreLog
from station.virtual.restore.requests import Requests
from station.virtual.restore.script import Script

HOST_UNSUPPORTED = 10
"""is_host_compatible ended with it (idevicerestore#786)."""
PROTOCOL = "MuxSocket"
"""The only transport there is over USB (idevicerestore#735)."""
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
        script: Script,
        host: Host,
        requests: Requests,
        installation: Installation,
        fdr: Fdr,
    ) -> None:
        """Prepare.

        Args:
            phone: what is restored.
            link: how it reaches the host.
            script: what is done, in order.
            host: what the host can do.
            requests: how to ask the host for something.
            installation: the ledger.
            fdr: the way to Apple through the host.
        """
        self._phone = phone
        self._link = link
        self._script = script
        self._host = host
        self._requests = requests
        self._installation = installation
        self._log = RestoreLog()
        self._error: str | None = None
        """What failed; all checkpoints from there on tell of it."""
        self._open: list[Checkpoint] = []
        """Checkpoints that began and have not ended, the innermost last."""
        self._context = str(uuid.uuid4()).upper()
        """Names what runs beside the script: the system image."""
        self._image: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup
        self._actions: dict[Action, Callable[[], Awaitable[None]]] = {
            Action.CHECK_HOST: self._check_host,
            Action.CHOOSE_PROTOCOL: self._choose_protocol,
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
            await self._play(self._script.items)
            await self._phone.step("restored:status")
            self._installation.commit()
            await self._link.send({"MsgType": "StatusMsg", "Status": 0, "Successful": True})
            with suppress(HostGoneError):
                while (await self._link.receive()).get("MsgType") != "ReceivedFinalStatusMsg":
                    pass
            listener.cancel()

    async def _fail(self, failure: StatusError) -> None:
        """Tell the host that it failed: every open checkpoint ends so, and the status comes with the log."""
        self._log.note(f"ERROR: {failure.log} ({failure.status})")
        while self._open:
            await self._complete(self._open.pop(), failure)
        for checkpoint in self._script.failed:
            await self._begin(checkpoint)
            await self._complete(checkpoint)
        await self._begin(self._script.final)
        status = {"Status": failure.status, "AMRError": failure.status, "Successful": False}
        await self._link.send({"MsgType": "StatusMsg", **status, "Log": str(self._log)})
        await self._complete(self._script.final)

    async def _play(self, items: Iterable[Item]) -> None:
        for item in items:
            match item:
                case Checkpoint():
                    await self._checkpoint(item)
                case Operation():
                    await self._operation(item)
                case Pause():
                    await self._phone.pace.pause(item.seconds)
                case Request():
                    await self._requests.make(item)
                case Action():
                    await self._actions[item]()
                case When():
                    raise AssertionError("a script has none")

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
        self._log.begin(checkpoint)
        await self._link.send(_checkpoint_message(checkpoint, complete=False))

    async def _complete(self, checkpoint: Checkpoint, failure: StatusError | None = None) -> None:
        """Report the end of a checkpoint. Once one has failed, those after it tell of the error too, with result 0."""
        self._log.end(checkpoint, failure)
        message = _checkpoint_message(checkpoint, complete=True)
        if failure is not None:
            self._error = f"[0]D({failure.log})"
            message["CHECKPOINT_RESULT"] = failure.status
        await self._link.send(message | ({"CHECKPOINT_ERROR": self._error} if self._error else {}))

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
        known = "host/device compatibility check found that a message is missing or is not supported"
        lacking = self._host.lacks(self._script.ios)
        for name in self._host.could_have(self._script.ios):
            self._log.note(f"{known} (optional): {name}")
        for name in lacking:
            self._log.note(f"{known} (required): {name}")
        if lacking:
            why = "This host version is unsupported. You may need to update your host tools."
            raise StatusError(HOST_UNSUPPORTED, why)

    async def _choose_protocol(self) -> None:
        if PROTOCOL in self._host.protocols and "RestoreProtocol" in self._host.message_types:
            await self._link.send({"MsgType": "RestoreProtocol", "Arguments": {"RestoreProtocol": PROTOCOL}})

    async def _find_system(self) -> None:
        if self._phone.system is None:
            raise StatusError(NOTHING_TO_UPDATE, "there is nothing to update")

    async def _erase(self) -> None:
        self._phone.erase("restored format_media")

    async def _start_image(self) -> None:
        context = self._context if self._script.asynchronous else None

        async def percent(value: int) -> None:
            await self._progress(13, value, context=context)

        self._image = self._group.create_task(self._requests.system_image(percent))

    async def _finish_image(self) -> None:
        assert self._image is not None
        await asyncio.wait({self._image})

    async def _async_wait(self) -> None:
        await self._link.send({"MsgType": "AsyncWait", "AsyncContextUUID": self._context})


def _soon(act: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def later() -> None:
        act()

    return later


def _checkpoint_message(checkpoint: Checkpoint, *, complete: bool) -> dict[str, Any]:
    name = {"CHECKPOINT_NAME": checkpoint.name} if checkpoint.name else {}
    return {
        "MsgType": "CheckpointMsg",
        "CHECKPOINT_ID": checkpoint.junk << 32 | checkpoint.number,
        "CHECKPOINT_COMPLETE": complete,
        "CHECKPOINT_RESULT": 0,
        **name,
    }
