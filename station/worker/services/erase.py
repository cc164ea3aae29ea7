"""ERASE: “Erase All Content and Settings”, as the phone's own services do it. Its system stays."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pymobiledevice3.exceptions import (
    InvalidServiceError,
    PasswordRequiredError,
    ProfileError,
    PyMobileDevice3Exception,
    StartServiceError,
)
from pymobiledevice3.services.device_link import DeviceLink
from pymobiledevice3.services.mobile_config import MobileConfigService
from pymobiledevice3.services.mobilebackup2 import Mobilebackup2Service

from station.model.causes import Cause
from station.model.consent import Act
from station.model.job import Phase
from station.worker.activation_lock import require_no_new_lock
from station.worker.answers import understood
from station.worker.connection import PhoneConnection
from station.worker.failures import JobFailed, printable
from station.worker.lockdown import Lockdown
from station.worker.services.look import connect, supervision
from station.worker.work import Work

LINK = Path("link")
"""The directory that the device link may see: an empty one, in the worker's own."""

Way = Callable[[Lockdown, bool], Awaitable[None]]
"""Tells the phone to erase itself, and whether its mobile plans stay."""


async def give(work: Work) -> None:
    """Tell the phone to erase itself.

    It is told by its backup service, or by its management service: that one first where an organisation supervises
    it, it alone where the mobile plans are to go too, which only it can be told, and it instead where the first
    refuses. A phone that hangs up has begun; whether it was erased is for the station to see.

    Raises:
        JobFailed: REFUSED_BY_PHONE, each that may be asked refused; LOCKED; ACTIVATION_LOCKED, since it was looked at.
        whatever else goes wrong, for `failures.explain`.
    """
    if work.spec.consent is None:
        raise JobFailed(Cause.INTERNAL, "an erase needs a consent")
    keep_esim = work.spec.consent.options.keep_esim
    lockdown = await connect(work)
    try:
        await require_no_new_lock(lockdown, work.spec.before)
        supervised, _ = await supervision(lockdown)
        work.reporter.enter(Phase.ERASE_CONTENT)
        async with asyncio.timeout(work.reporter.deadline.share(0.5)):
            await _erase(lockdown, supervised=bool(supervised), keep_esim=keep_esim)
        await lockdown.forget()  # the phone forgot this station too
    finally:
        await lockdown.close()


async def _erase(lockdown: Lockdown, *, supervised: bool, keep_esim: bool) -> None:
    ways: tuple[Way, ...] = (_by_backup, _by_management)
    if supervised:
        ways = (_by_management, _by_backup)
    if not keep_esim:
        ways = (_by_management,)  # who chose that the plans go has not agreed to an erase that leaves them
    refusals: list[Exception] = []
    for way in ways:
        try:
            with understood():
                await way(lockdown, keep_esim)
        except PyMobileDevice3Exception as error:
            if not _refused(error):
                raise
            refusals.append(error)
        else:
            return
    if all(isinstance(refused, PasswordRequiredError) for refused in refusals):
        raise refusals[0]
    raise JobFailed(Cause.REFUSED_BY_PHONE, "; ".join(_words(refused) for refused in refusals))


async def _by_management(lockdown: Lockdown, keep_esim: bool) -> None:
    async with MobileConfigService(lockdown) as management:
        assert isinstance(management.service, PhoneConnection)
        management.service.answer_seconds = math.inf  # it says nothing while it gets ready; the caller has an end
        await lockdown.authorise(Act.ERASE_CONTENT)
        await management.erase_device(preserve_data_plan=keep_esim, disallow_proximity_setup=False)


async def _by_backup(lockdown: Lockdown, _keep_esim: bool) -> None:
    await asyncio.to_thread(LINK.mkdir, exist_ok=True)
    async with _BackupService(lockdown) as backup:
        await backup.erase_device(LINK)


class _BackupService(Mobilebackup2Service):
    """The library's, for one request."""

    lockdown: Lockdown

    async def connect(self) -> None:
        await super().connect()
        assert isinstance(self._service, PhoneConnection)
        self._service.lists = True

    async def version_exchange(self, dl: DeviceLink, local_versions: Any = None) -> None:
        """Agree on a version; the request to erase is next."""
        await super().version_exchange(dl, local_versions)
        dl._dl_handlers.clear()  # noqa: SLF001 (a phone that is to be erased has no business in our files)
        await self.lockdown.authorise(Act.ERASE_CONTENT)


def _refused(error: PyMobileDevice3Exception) -> bool:
    """Whether the phone said no; the library has no word of its own for an error that the backup service reports."""
    named = (InvalidServiceError, PasswordRequiredError, ProfileError, StartServiceError)
    return isinstance(error, named) or type(error) is PyMobileDevice3Exception


def _words(refused: Exception) -> str:
    if isinstance(refused, StartServiceError):
        return f"{refused.service_name}: {printable(refused.message)}"
    return printable(refused, 120)
