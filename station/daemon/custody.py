"""What the station holds of other people's: backups, their passwords on the way to a worker, pairings.

Each has an end: a backup when it was kept long enough, a password when its worker has read it, a pairing when its
phone leaves. Every call blocks.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from station.adapters.jobdir import EventReader
from station.adapters.jobshelf import JobShelf
from station.adapters.pairings import Pairings
from station.adapters.secrets_in_memory import MemoryShelf
from station.adapters.usbmuxd import UsbmuxdSilent
from station.adapters.vault import Vault
from station.core.events import Moment
from station.core.situation import VaultState
from station.errors import InputRejected, Refused, StorageError
from station.model.backup import BackupNote, BackupState
from station.model.base import BackupId, Ecid, JobId, Udid
from station.model.causes import Cause
from station.model.events import PasswordOwed
from station.model.job import JobSpec
from station.model.record import Outcome, Record
from station.model.service import Service

USELESS = frozenset({Cause.BACKUP_FAULTY, Cause.DISK_FULL})
"""Why a backup that was not finished is not gone on with: it is deleted, and its room is free again."""

log = structlog.get_logger(__name__)


class Custody:
    """The vault, the memory in which passwords wait, and the ledger of pairings."""

    def __init__(self, vault: Vault, memory: MemoryShelf, pairings: Pairings, shelf: JobShelf) -> None:
        self._vault = vault
        self._memory = memory
        self._pairings = pairings
        self._shelf = shelf
        self._promised: dict[JobId, BackupId] = {}
        """Backups that workers are about to work with, or do: each locks its own, but not before it runs."""
        self._unforgotten: set[Udid] = set()
        """Phones that have left, and whose pairing usbmuxd did not forget when it was asked to."""

    def look(self) -> VaultState:
        """Look into the vault. What is wrong with it is told, and stops only what needs it."""
        trouble = remedy = ""
        notes: list[BackupNote] = []
        owed: dict[Ecid, BackupId] = {}
        free = 0
        try:
            self._vault.open()
            self._memory.open()
            notes, owed, free = self._vault.notes(), self._vault.owed(), self._vault.free
        except StorageError as error:
            trouble, remedy = str(error), error.remedy
        except OSError as error:
            trouble = f"The vault cannot be used: {error.strerror}."
        verified = {note.ecid: note for note in notes if note.state is BackupState.VERIFIED}
        partial = {note.ecid: note for note in notes if note.state is BackupState.PARTIAL}
        for ecid, note in verified.items():
            if ecid in partial and partial[ecid].made < note.made:
                del partial[ecid]
        return VaultState(
            directory=str(self._vault.path),
            secrets=str(self._memory.path),
            trouble=trouble,
            remedy=remedy,
            free=free,
            verified=verified,
            partial=partial,
            owed=owed,
        )

    def prepare(self, spec: JobSpec, *, now: str, trusted: bool) -> None:
        """Lay out what a job needs, right before its worker starts.

        Args:
            spec: the job.
            now: the time, RFC 3339 in UTC.
            trusted: whether it is known to be right.

        Raises:
            Refused: there is no such backup any more.
            StorageError: it cannot be written down.
        """
        if spec.udid is not None:
            self._pairings.expect(spec.udid)
            self._unforgotten.discard(spec.udid)
        if spec.service not in (Service.BACKUP, Service.PUT_BACK):
            return
        place = spec.backup
        if place is None or spec.ecid is None or spec.udid is None:
            raise Refused("There is no backup of this phone here.")
        self._vault.open()
        self._promised[spec.job] = place.id
        try:
            if spec.service is Service.BACKUP:
                model = "" if spec.before is None else spec.before.model_name
                self._vault.begin(place.id, ecid=spec.ecid, udid=spec.udid, model=model, now=now, trusted=trusted)
            else:
                self._require_verified(self._vault.note(place.id), spec.ecid)
                self._vault.lend(place.id)
        except InputRejected as error:
            raise Refused(str(error)) from error
        self._memory.put(Path(place.secret), self._vault.password(place.id))
        if place.owed:
            owed = self._vault.owed().get(spec.ecid, place.id)
            self._memory.put(Path(place.owed), self._vault.password(owed))

    def ended(self, job: JobId) -> None:
        """A job's worker is gone: what it left unread, and the keys in its home, go too."""
        with _told_of_passwords():
            self._memory.clear(job)
        self._clear_home(job)
        self._promised.pop(job, None)

    def sweep(self, specs: Collection[JobSpec], living: Collection[JobId]) -> None:
        """Clear away what an earlier daemon left.

        Args:
            specs: the jobs that are still open.
            living: those whose workers live.
        """
        with _told_of_passwords():
            self._memory.sweep(living)
        for spec in specs:
            if spec.job not in living:
                self._clear_home(spec.job)
        try:
            gone = self._pairings.sweep({spec.udid for spec in specs if spec.udid is not None})
            if gone:
                log.info("pairings forgotten", phones=len(gone))
        except UsbmuxdSilent as error:
            log.warning("pairings not looked into", error=str(error))

    def _clear_home(self, job: JobId) -> None:
        if not self._shelf.directory(job).clear_home():
            log.warning("a worker left what is not the daemon's to remove", path=str(self._shelf.directory(job).work))

    def settle(self, record: Record) -> None:
        """A job is on record: from now on its backup counts, or is gone. May be told again.

        Raises:
            StorageError: that could not be written down; ask again later.
        """
        if record.backup is None:
            return
        self._settle_password(record)
        if record.service is not Service.BACKUP:
            return
        with suppress(InputRejected, Refused):  # it is gone, or somebody else looks after it
            if record.outcome is Outcome.VERIFIED:
                self._vault.count(record.backup, now=record.ended, trusted=record.clock_trusted)
                log.info("backup counts", backup=record.backup)
            elif record.cause in USELESS and self._vault.note(record.backup).state is BackupState.PARTIAL:
                self._discard(record.backup, record.cause)

    def _discard(self, backup: BackupId, why: Cause) -> None:
        """Delete what is of no use. What cannot be deleted counts for nothing, and goes when its time is over."""
        try:
            self._vault.delete(backup)
            log.info("backup deleted", backup=backup, why=why.value)
        except StorageError as error:
            log.warning("backup not deleted", backup=backup, error=str(error))

    def forget(self, udid: Udid) -> None:
        """A phone has left. One that usbmuxd does not forget now it is told of again."""
        self._unforgotten.add(udid)
        self._forget_the_rest()

    def expire(self, now: Moment) -> bool:
        """Delete what was kept long enough; whether the clock could be trusted with that, and the vault read."""
        self._forget_the_rest()
        if not now.trusted:
            return False
        try:
            for backup in self._vault.expire(now=now.utc, spared=lambda backup: backup in [*self._promised.values()]):
                log.info("backup deleted", backup=backup, why="kept long enough")
        except StorageError as error:
            log.warning("the vault was not looked through", error=str(error))
            return False
        return True

    def _forget_the_rest(self) -> None:
        for udid in sorted(self._unforgotten):
            try:
                self._pairings.forget(udid)
            except UsbmuxdSilent as error:
                log.warning("pairing not forgotten", error=str(error))
            else:
                self._unforgotten.discard(udid)

    def _settle_password(self, record: Record) -> None:
        """Remember whether the phone still has our password. The worst is believed of events that cannot be read."""
        assert record.backup is not None
        owed: bool | None = None
        try:
            events = EventReader(self._shelf.directory(record.job)).read()
            owed = next((event.owed for event in reversed(events) if isinstance(event, PasswordOwed)), None)
        except (InputRejected, OSError):
            owed = True
        if owed is None:
            return
        if owed:
            log.warning("the phone still has a backup password of ours", backup=record.backup)
            self._vault.owe(record.ecid, record.backup)
        else:
            self._vault.settle(record.ecid)

    @staticmethod
    def _require_verified(note: BackupNote, ecid: Ecid) -> None:
        if note.state is not BackupState.VERIFIED or note.ecid != ecid:
            raise Refused(f"Backup {note.id} is not one that this phone can get.")


@contextmanager
def _told_of_passwords() -> Iterator[None]:
    """Passwords that stay in memory are told of, and keep nothing else from being cleared away."""
    try:
        yield
    except StorageError as error:
        log.warning("passwords not removed", error=str(error))
