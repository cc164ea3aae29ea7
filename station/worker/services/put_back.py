"""PUT_BACK: what is on the phone is replaced by what is in its backup, once every byte of that was read."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from pymobiledevice3.exceptions import PyMobileDevice3Exception
from pymobiledevice3.usbmux import select_devices_by_connection_type

from station.adapters.vault import held
from station.model.causes import Cause
from station.model.job import Phase
from station.worker.backups import Backups
from station.worker.failures import JobFailed
from station.worker.patience import tries
from station.worker.received import Received
from station.worker.services.backup import clear_owed, passwords, read_back, take_off
from station.worker.services.look import connect
from station.worker.work import Work

_log = logging.getLogger(__name__)


async def give(work: Work) -> None:
    """Read the backup, have the phone fetch it, and take its password, which came with it, off the phone again.

    The phone restarts in between. Where the password cannot be taken off, it is owed, and the backup is back all the
    same.

    Raises:
        JobFailed: BACKUP_FAULTY, what is in the vault is not what came from the phone: nothing was replaced.
        whatever else goes wrong, for `failures.explain`.
    """
    place, secret, owed = passwords(work)
    reporter, data = work.reporter, Path(place.directory)
    with held(data), Received(data) as received:
        lockdown = await connect(work)  # whether it is there, and trusts us, before the long reading
        udid = lockdown.identifier
        await lockdown.close()
        assert udid is not None
        reading = await read_back(work, data / udid, secret, received)
        if reading.faults:
            raise JobFailed(Cause.BACKUP_FAULTY, "; ".join(reading.faults))
        reporter.enter(Phase.PUT_BACK)
        lockdown = await connect(work)
        assert lockdown.service.mux_device is not None
        before = lockdown.service.mux_device.devid
        try:
            backups = Backups(lockdown, reporter, data)
            await clear_owed(backups, reporter, secret, owed)
            reporter.password_owed(True)
            try:
                await backups.put_back(secret, lambda: reporter.enter(Phase.TIDY))
            except JobFailed:
                with suppress(PyMobileDevice3Exception, OSError):
                    if not await backups.has_password():
                        reporter.password_owed(False)
                raise
        finally:
            await lockdown.close()
    await _tidy(work, data, secret, before)


async def _tidy(work: Work, data: Path, password: str, before: int) -> None:
    """Wait until the phone is back, and take the password off it. Nothing fails for want of that."""
    try:
        async with asyncio.timeout(work.reporter.deadline.share(0.8)):
            async for _ in tries(work.reporter.deadline.share(0.8)):
                if await _is_back(work, before) and await _tidied(work, data, password):
                    return
    except TimeoutError:
        _log.warning("the phone did not come back in time: its backup password is owed")


async def _is_back(work: Work, before: int) -> bool:
    """Whether the phone has enumerated anew."""
    with suppress(PyMobileDevice3Exception, OSError):
        return any(
            (device.ecid == work.spec.ecid or device.matches_udid(work.spec.udid or "")) and device.devid != before
            for device in await select_devices_by_connection_type("USB")
        )
    return False


async def _tidied(work: Work, data: Path, password: str) -> bool:
    """Whether there is nothing more to be done about the password."""
    try:
        lockdown = await connect(work)
    except (JobFailed, PyMobileDevice3Exception, OSError) as error:  # it may still be starting
        _log.info("the phone does not answer yet: %s: %s", type(error).__name__, error)
        return False
    try:
        backups = Backups(lockdown, work.reporter, data)
        if not await backups.has_password():
            work.reporter.password_owed(False)
        else:
            await take_off(backups, password)
    except (PyMobileDevice3Exception, OSError) as error:
        _log.info("the phone does not answer yet: %s: %s", type(error).__name__, error)
        return False
    finally:
        await lockdown.close()
    return True
