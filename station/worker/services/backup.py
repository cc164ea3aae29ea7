"""BACKUP: what is on the phone is copied into the vault, encrypted by the phone, and read back."""

import asyncio
import logging
from pathlib import Path

from station.adapters.secrets_in_memory import take
from station.adapters.vault import held
from station.model.causes import Cause
from station.model.job import BackupPlace, Phase
from station.worker.backups import Backups
from station.worker.failures import JobFailed
from station.worker.received import Received
from station.worker.reporter import Reporter
from station.worker.reread import Reading, reread
from station.worker.services.look import connect
from station.worker.work import Work

_log = logging.getLogger(__name__)


async def give(work: Work) -> None:
    """Set a password of our own on the phone, have it make the backup, take the password away again, and read it all.

    A phone whose backups have a password already is left as it is: with another one, its owner's earlier backups and
    this one would differ in a way that nobody expects, and without it nobody can change it. What broke off is gone on
    with. Whatever happens to the backup, the password is taken away; where that cannot be, it is owed.

    Raises:
        JobFailed: BACKUP_PASSWORD_UNKNOWN, somebody else has set one.
        whatever else goes wrong, for `failures.explain`.
    """
    place, secret, owed = passwords(work)
    data = Path(place.directory)
    with held(data), Received(data) as received:
        lockdown = await connect(work)
        try:
            backups = Backups(lockdown, work.reporter, data)
            work.reporter.enter(Phase.BACKUP)
            await clear_owed(backups, work.reporter, secret, owed)
            if not await backups.has_password():
                await backups.change_password(new=secret)
            elif owed != secret:
                raise JobFailed(Cause.BACKUP_PASSWORD_UNKNOWN, "it was there before")
            try:
                if not await backups.has_password():
                    raise JobFailed(Cause.REFUSED_BY_PHONE, "it took the password, and does not encrypt")
                await backups.make(received)
            finally:
                await take_off(backups, secret)
            udid = lockdown.identifier
        finally:
            await lockdown.close()
        assert udid is not None
        await read_back(work, data / udid, secret, received)


async def clear_owed(backups: Backups, reporter: Reporter, secret: str, owed: str) -> None:
    """Take off the phone what an earlier job could not, unless it is the very password of this backup."""
    if not owed:
        return
    if not await backups.has_password():
        reporter.password_owed(False)  # somebody has reset its settings, or erased it
    elif owed != secret:
        try:
            await backups.change_password(old=owed)
        except JobFailed as failed:
            if failed.cause is Cause.BACKUP_PASSWORD_UNKNOWN:  # it is somebody else's by now
                reporter.password_owed(False)
            raise


async def take_off(backups: Backups, password: str) -> bool:
    """Take the station's password off the phone, if that can be; whether it was."""
    try:
        await backups.change_password(old=password)
    except Exception as error:  # noqa: BLE001 (that it is owed is on the disk; what else went wrong says more)
        _log.warning("the password could not be taken off the phone: %s: %s", type(error).__name__, error)
        return False
    return True


async def read_back(work: Work, directory: Path, password: str, received: Received) -> Reading:
    """Read a backup from its first byte to its last, and tell what was found."""
    reporter = work.reporter
    assert work.spec.backup is not None
    memory = Path(work.spec.backup.secret).with_suffix(".manifest")
    reporter.enter(Phase.REREAD)

    def alive(fraction: float) -> None:
        reporter.deadline.feed()
        reporter.progress(fraction)

    reading = await asyncio.to_thread(reread, directory, password, received=received, memory=memory, alive=alive)
    reporter.backup_read(files=reading.files, size=reading.size, faults=reading.faults)
    return reading


def passwords(work: Work) -> tuple[BackupPlace, str, str]:
    """The backup's place, its password, and the one that is owed; empty: none is. They are in no file any more."""
    place = work.spec.backup
    if place is None:
        raise JobFailed(Cause.INTERNAL, "a backup needs a place")
    return place, take(Path(place.secret)), take(Path(place.owed)) if place.owed else ""
