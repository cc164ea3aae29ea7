"""The phone's backup service: the library's client, with an end to everything, files streamed and errors named."""

import asyncio
import hashlib
import shutil
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from io import BufferedWriter
from pathlib import Path
from typing import Any

from pymobiledevice3.exceptions import ConnectionTerminatedError, MissingValueError
from pymobiledevice3.services.device_link import CODE_FILE_DATA, CODE_FORMAT, SIZE_FORMAT, DeviceLink
from pymobiledevice3.services.mobilebackup2 import (
    NP_LOCAL_AUTH_DISMISSED,
    NP_LOCAL_AUTH_PRESENTED,
    BackupFilterCallback,
    Mobilebackup2Service,
)
from pymobiledevice3.services.notification_proxy import NotificationProxyService

from station.errors import ConsentVoid, InputRejected
from station.model.causes import Cause
from station.model.consent import Act
from station.worker.answers import understood
from station.worker.connection import PhoneConnection
from station.worker.failures import JobFailed, printable
from station.worker.lockdown import Lockdown
from station.worker.plists import MAX_MESSAGE
from station.worker.received import Received
from station.worker.reporter import Reporter

CHUNK = 1 << 20
KEEP_FREE = 512 << 20
"""Bytes that a backup leaves free on the vault's disk, whatever the phone sends: others' records must still fit."""
LOOK_EVERY = 64 << 20
"""Bytes received between two looks at how full the disk is."""

CAUSES = {
    # MBErrorDomain, as owners of real phones report it (issues of libimobiledevice and pymobiledevice3).
    102: Cause.EARLIER_PUT_BACK,
    105: Cause.DISK_FULL,
    106: Cause.PHONE_FULL,
    204: Cause.BACKUP_FAULTY,
    205: Cause.BACKUP_FAULTY,
    207: Cause.BACKUP_PASSWORD_UNKNOWN,
    208: Cause.LOCKED,
    211: Cause.FIND_MY_ON,
    212: Cause.NOT_SET_UP,
}
"""All others are the phone's refusal, in its own words: a management that forbids it, for one."""

CHANGING = {"ChangePassword": Act.CHANGE_BACKUP_PASSWORD, "Restore": Act.PUT_BACK}
"""Messages that change the phone."""
HARMLESS = frozenset({"Hello", "Backup"})
"""And those that do not. No other is sent."""


class Link(DeviceLink):
    """The device link of one request."""

    service: PhoneConnection

    def __init__(self, service: PhoneConnection, root: Path, reporter: Reporter, request: "Request") -> None:
        super().__init__(service, root)
        self._reporter = reporter
        self._request = request
        self._since_look = 0

    async def receive_message(self) -> list[Any]:
        """Wait for a message until shortly before the deadline. Raises JobFailed: it tells of an error."""
        async with asyncio.timeout(self._reporter.deadline.share(0.8)):
            message = await super().receive_message()
        self._reporter.deadline.feed()
        if not isinstance(message, list) or not message:
            raise InputRejected("The phone's backup service sent something that is no message.")
        if message[0] == "DLMessageProcessMessage" and message[1]["ErrorCode"]:
            raise self._failure(message[1])
        return message

    async def dl_loop(self, progress_callback: Callable[[Any], None] | None = None) -> Any:
        """Do what the phone asks for, until the request is done."""
        del progress_callback  # what the library passes on is what it was given below
        content = await super().dl_loop(self._progress)
        self._request.done()
        return content

    async def send_process_message(self, message: Mapping[str, Any]) -> None:
        """Ask for something; for what changes the phone only if this is the phone that may be asked for it now.

        The library may wait for other hosts in between, so that to ask when the link is made would be too early.
        """
        name = message["MessageName"]
        if name not in HARMLESS:
            if name not in CHANGING:
                raise ConsentVoid(f"Nobody has confirmed “{name}”.")
            await self._request.lockdown.authorise(CHANGING[name])
        await super().send_process_message(message)

    def _progress(self, percent: Any) -> None:
        if isinstance(percent, int | float):
            self._reporter.progress(percent / 100)

    def _failure(self, told: Any) -> JobFailed:
        code = told["ErrorCode"]
        cause = CAUSES.get(code, Cause.REFUSED_BY_PHONE)
        if code == 105 and self._request.restores:  # before iOS 14 the number for its own storage, too
            cause = Cause.PHONE_FULL
        return JobFailed(cause, f"{code}: {printable(told.get('ErrorDescription', ''))}")

    async def _sendall(self, payload: bytes) -> None:
        async with asyncio.timeout(self._reporter.deadline.share(0.8)):
            await super()._sendall(payload)
        self._reporter.deadline.feed()

    async def _recvall(self, size: int) -> bytes:
        async with asyncio.timeout(self._reporter.deadline.share(0.8)):
            return await super()._recvall(size)

    async def _consume_file_transfer(
        self, size: int, code: int, destination: BufferedWriter | None = None
    ) -> tuple[int, int]:
        """Receive a file in pieces that fit into memory, and take its digest."""
        digest = hashlib.sha256()
        while size and code == CODE_FILE_DATA:
            while size:
                chunk = await self._recvall(min(size, CHUNK))
                size -= len(chunk)
                digest.update(chunk)
                self._make_sure_of_room(len(chunk))
                if destination is not None:
                    destination.write(chunk)
                self._reporter.deadline.feed()
            (size,) = struct.unpack(SIZE_FORMAT, await self._recvall(struct.calcsize(SIZE_FORMAT)))
            (code,) = struct.unpack(CODE_FORMAT, await self._recvall(struct.calcsize(CODE_FORMAT)))
            size -= struct.calcsize(CODE_FORMAT)
        if destination is not None and self._request.received is not None:
            self._request.received.note(Path(destination.name).name, digest.digest())
        return size, code

    def _make_sure_of_room(self, more: int) -> None:
        self._since_look += more
        if self._since_look >= LOOK_EVERY:
            self._since_look = 0
            if shutil.disk_usage(self.root_path).free < KEEP_FREE:
                raise JobFailed(Cause.DISK_FULL, "the phone sends more than the vault's disk can take")


class Request(Mobilebackup2Service):
    """One request to the phone's backup service: a connection of its own each."""

    lockdown: Lockdown

    def __init__(
        self,
        lockdown: Lockdown,
        reporter: Reporter,
        *,
        restores: bool = False,
        received: Received | None = None,
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare it.

        Args:
            lockdown: the phone.
            reporter: what it does is told to.
            restores: whether content is put on the phone, which tells what some of its errors mean.
            received: where the digests of files go.
            done: called when the phone has said that it is done, before the connection is closed.
        """
        super().__init__(lockdown)
        self.restores = restores
        self.received = received
        self.done = done
        self._reporter = reporter

    async def connect(self) -> None:
        """Connect to the service, and hold what it sends to a measure."""
        await super().connect()
        assert isinstance(self._service, PhoneConnection)
        self._service.lists = True
        self._service.max_read = MAX_MESSAGE

    @asynccontextmanager
    async def device_link(
        self, backup_directory: Path, filter_callback: BackupFilterCallback | None = None, password: str = ""
    ) -> AsyncGenerator[Link, None]:
        """The link that the request goes through."""
        del filter_callback, password
        await self.connect()
        assert isinstance(self._service, PhoneConnection)
        link = Link(self._service, backup_directory, self._reporter, self)
        await link.version_exchange()
        await self.version_exchange(link)
        try:
            yield link
        finally:
            # Nobody is being asked any more; what would say so may come after nobody listens, and the next request's
            # prompt would be taken for this one's, and not be told.
            self._reporter.person_came()
            with suppress(ConnectionTerminatedError):  # the phone may have hung up first
                await link.disconnect()

    def _log_backup_notification(self, event: dict[str, Any]) -> None:
        if event.get("Name") == NP_LOCAL_AUTH_PRESENTED:
            self._reporter.person_needed(Cause.TYPE_PASSCODE)
        elif event.get("Name") == NP_LOCAL_AUTH_DISMISSED:
            self._reporter.person_came()


class Backups:
    """What a phone can be asked about its backups."""

    def __init__(self, lockdown: Lockdown, reporter: Reporter, directory: Path) -> None:
        """Name the phone.

        Args:
            lockdown: the phone.
            reporter: what happens is told to.
            directory: what the phone sees of the vault: the place of this one backup.
        """
        self._lockdown = lockdown
        self._reporter = reporter
        self._directory = directory

    async def has_password(self) -> bool:
        """Whether somebody has set one; the library's own question takes every error for a no."""
        try:
            return bool(await self._lockdown.get_value("com.apple.mobile.backup", "WillEncrypt"))
        except MissingValueError:
            return False

    async def change_password(self, *, old: str = "", new: str = "") -> None:
        """Set one (`new`), or take it away (`old`); that the phone has one is on the disk before it has.

        Raises:
            JobFailed: BACKUP_PASSWORD_UNKNOWN, it has another one.
        """
        if new:
            self._reporter.password_owed(True)
        with understood():
            async with (
                asyncio.timeout(self._reporter.deadline.share(0.8)),
                Request(self._lockdown, self._reporter) as request,
                self._seeing_what_it_shows(request),
            ):
                await request.change_password(self._directory, old=old, new=new)
        if not new:
            self._reporter.password_owed(False)

    async def make(self, received: Received) -> None:
        """Back it up. What broke off is gone on with, as far as the phone does."""
        with understood():
            async with Request(self._lockdown, self._reporter, received=received) as request:
                await request.backup(full=False, backup_directory=self._directory)

    async def put_back(self, password: str, done: Callable[[], None]) -> None:
        """Replace what is on it with what is in the backup, but leave apps to the store. It restarts afterwards."""
        with understood():
            async with Request(self._lockdown, self._reporter, restores=True, done=done) as request:
                await request.restore(
                    self._directory,
                    system=True,
                    settings=False,  # the library's word for: keep the phone's own
                    remove=True,
                    copy=False,
                    skip_apps=True,
                    password=password,
                )

    @asynccontextmanager
    async def _seeing_what_it_shows(self, request: Request) -> AsyncIterator[None]:
        """Tell when the phone asks for its passcode; a phone that does not tell is asked all the same."""
        async with NotificationProxyService(self._lockdown) as proxy:
            await request._observe_backup_notifications(proxy)  # noqa: SLF001 (as the library does for a backup)
            watching = asyncio.create_task(request._log_backup_notifications(proxy))  # noqa: SLF001 (the same)
            try:
                yield
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
