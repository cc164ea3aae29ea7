"""The vault: the backups of phones, one directory each.

VAULT/ID/note.json      whose it is, how far it is (`model.backup`)
VAULT/ID/lock           flock'ed by whoever works with it: what is worked with is not deleted
VAULT/ID/received.db    what came from the phone, digest by digest (`worker.received`)
VAULT/ID/data/UDID/…    the backup, as the phone laid it out, encrypted by the phone
VAULT/ID/deleted/…      what is left of it while it is deleted: a backup without `data` is none, whatever its note says
VAULT/owed/ECID         the id of the backup whose password is still set on that phone

The password of a backup is never kept: it is derived, whenever it is needed, from the vault's one secret and the
backup's id. So it protects whoever's phone it was against everybody who has the vault's disk, a copy or a backup of
it, but not the station's own state: where `vault` is on a disk of its own, that disk alone opens nothing. Against
somebody who takes the whole station it protects only as far as the secret's file does; a service manager that hands
the secret in (systemd's credentials, which a TPM or the machine's own key can seal) is the place for more.

What the format leaves in plain stays in plain: Info.plist, Status.plist and Manifest.plist tell whose phone it is, its
numbers and the names of its apps. No content of the owner's is in them.

Deleted means unlinked: blocks of a deleted backup may stay on the medium until something else is written there. They
cannot be made unreadable one by one by forgetting a key, because there is but one secret for all; they stay encrypted.
"""

import errno
import fcntl
import os
import secrets
import shutil
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from station.adapters import durable
from station.adapters.commons import clear_away, let_group_enter, let_group_in, open_plain
from station.adapters.listing import all_below, entries_of
from station.errors import InputRejected, Refused, StorageError
from station.model.backup import BackupNote, BackupState
from station.model.base import BackupId, Ecid, Udid, format_ecid

SECRET_BYTES = 32
DATA, DELETED, NOTE, LOCK, OWED = "data", "deleted", "note.json", "lock", "owed"
MAX_NOTE = 64 * 1024
LAST_YEAR = 9000
"""Days are added to what a note says."""
_PLAINLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
PARTIAL_DAYS = 2
"""For so long a backup that broke off can be gone on with."""
TIME = "%Y-%m-%dT%H:%M:%SZ"

_note_decoder = msgspec.json.Decoder(BackupNote)

log = structlog.get_logger(__name__)


class Vault:
    """All backups there are. Every call blocks for as long as the disk takes."""

    def __init__(self, path: Path, *, secret: Path, days: int, elsewhere: bool = False) -> None:
        """Name the place; `open` makes it.

        Args:
            path: the vault's directory.
            secret: the file of its secret, made by `open` when it is not there.
            days: how long a verified backup is kept.
            elsewhere: whether it is on a disk of its own. Then somebody has made its directory there, or backups would
                be written to the station's own disk whenever that one is not mounted.
        """
        self.path = path
        self._elsewhere = elsewhere
        self._secret = secret
        self._days = days

    def open(self) -> None:
        """Make what is missing. Raises StorageError when the vault or its secret cannot be used."""
        try:
            if self._elsewhere and not self.path.is_dir():
                raise StorageError(
                    f"The vault {self.path} is not there.", remedy="Plug in its disk, or make the directory on it."
                )
            self.path.mkdir(mode=0o750, parents=True, exist_ok=True)
            let_group_enter(self.path)
            (self.path / OWED).mkdir(mode=0o700, exist_ok=True)
            if not self._secret.exists():
                if self.notes():  # a new secret would open none of them, and nobody would see why
                    raise StorageError(
                        f"The vault's secret {self._secret} is gone: no backup in it can be opened.",
                        remedy="Bring the file back, or delete the backups (station backups delete).",
                    )
                self._secret.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                durable.write(self._secret, secrets.token_bytes(SECRET_BYTES), mode=0o600)
            self._read_secret()
        except OSError as error:
            raise StorageError(f"The vault {self.path} cannot be used: {error.strerror}.", remedy=_REMEDY) from error

    def password(self, backup: BackupId) -> str:
        """The password of a backup: 43 characters. Raises StorageError when the secret cannot be read."""
        derive = HKDF(SHA256(), SECRET_BYTES, salt=None, info=b"restore-station backup " + backup.encode())
        return urlsafe_b64encode(derive.derive(self._read_secret())).rstrip(b"=").decode()

    def notes(self) -> list[BackupNote]:
        """Every backup, oldest first. What cannot be read is no backup, and is left alone. Raises StorageError."""
        return [note for note in self._all() if self._is_there(note)]

    def note(self, backup: BackupId) -> BackupNote:
        """One backup. Raises InputRejected when there is none of this name."""
        note = self._named(backup)
        if not self._is_there(note):
            raise InputRejected(f"There is no backup {backup}.")
        return note

    def data(self, backup: BackupId) -> Path:
        """Where the backup itself is: what is of one phone lies in a directory below, named by its UDID."""
        return self.path / backup / DATA

    def begin(self, backup: BackupId, *, ecid: Ecid, udid: Udid, model: str, now: str, trusted: bool) -> None:
        """A backup begins, or is gone on with. `trusted`: whether the clock is right. Raises as `count`.

        Each is dated after all others of its phone, however wrong the clock is: the newest is put back.
        """
        place = self.path / backup
        keep_until = _later(now, PARTIAL_DAYS) if trusted else ""
        try:
            place.mkdir(mode=0o770, exist_ok=True)
            with suppress(FileExistsError):
                self.data(backup).mkdir(mode=0o770)
                (self.data(backup) / udid).mkdir(mode=0o770)  # the library's own would be for the worker alone
            os.close(os.open(place / LOCK, os.O_RDWR | os.O_CREAT | _PLAINLY, 0o660))
        except OSError as error:
            raise StorageError(f"The backup could not be begun: {error.strerror}.", remedy=_REMEDY) from error
        self.lend(backup)
        if (place / NOTE).exists():
            known = self.note(backup)
            if known.ecid != ecid:
                raise InputRejected(f"Backup {backup} is of another phone.")
            self._write(msgspec.structs.replace(known, keep_until=keep_until))
            return
        latest = max((note.made for note in self.notes() if note.ecid == ecid), default="")
        note = BackupNote(
            id=backup,
            ecid=ecid,
            udid=udid,
            model=model,
            made=now if now > latest else _later(latest, seconds=1),
            state=BackupState.PARTIAL,
            keep_until=keep_until,
        )
        self._write(note)

    def lend(self, backup: BackupId) -> None:
        """Have a worker get to a backup that an earlier version made for the daemon alone. Raises StorageError."""
        try:
            let_group_in(self.path / backup, write=True)
        except OSError as error:
            raise StorageError(f"The backup cannot be handed on: {error.strerror}.", remedy=_REMEDY) from error

    def count(self, backup: BackupId, *, now: str, trusted: bool) -> None:
        """It is on record that this backup was read back without a fault: from now on it counts.

        What the same phone began before and never ended is of no use any more, and goes.

        Args:
            backup: which one.
            now: when it was recorded.
            trusted: whether the clock was right then; else it is kept from when the clock is.

        Raises:
            StorageError: it could not be written down; ask again.
            InputRejected: it is gone.
        """
        note = self.note(backup)
        if note.state is BackupState.VERIFIED:
            return
        try:
            sizes = [path.lstat().st_size for path in all_below(self.data(backup)) if path.is_file()]
        except OSError as error:
            raise StorageError(f"The backup cannot be read: {error.strerror}.", remedy=_REMEDY) from error
        keep_until = _later(now, self._days) if trusted else ""
        counted = msgspec.structs.replace(
            note, state=BackupState.VERIFIED, files=len(sizes), size=sum(sizes), keep_until=keep_until
        )
        self._write(counted)
        for other in self.notes():
            if other.ecid == note.ecid and other.state is BackupState.PARTIAL:
                with suppress(Refused, StorageError):
                    self.delete(other.id)

    def delete(self, backup: BackupId) -> None:
        """Delete a backup. It is none from the first moment on; the note goes last, so that what is left is found.

        Raises:
            InputRejected: there is none of this name.
            Refused: somebody works with it.
            StorageError: not all of it could be deleted.
        """
        self._named(backup)
        with held(self.data(backup)):
            place = self.path / backup
            try:
                self._clear(place / DELETED)
                if (place / DATA).exists():
                    (place / DATA).rename(place / DELETED)  # takes no room, which a full disk does not have
                    durable.sync_directory(place)
                    self._clear(place / DELETED)
                for path in sorted(place.iterdir(), key=lambda path: path.name == NOTE):
                    path.unlink()
                place.rmdir()
                durable.sync_directory(self.path)
            except OSError as error:
                raise StorageError(f"Backup {backup} could not be deleted whole: {error.strerror}.") from error

    def expire(self, *, now: str, spared: Callable[[BackupId], bool] = lambda _: False) -> list[BackupId]:
        """Delete what has been kept long enough, and is not worked with; what was deleted. Raises StorageError.

        Args:
            now: the time, which must be right. What was made while it was not is kept from now on.
            spared: says which backups somebody is about to work with.
        """
        gone = []
        for note in self._all():
            try:
                if not self._is_there(note) or (note.keep_until and note.keep_until <= now and not spared(note.id)):
                    self.delete(note.id)
                    gone.append(note.id)
                elif not note.keep_until:
                    days = self._days if note.state is BackupState.VERIFIED else PARTIAL_DAYS
                    self._write(msgspec.structs.replace(note, keep_until=_later(now, days)))
            except (Refused, InputRejected):
                continue  # the next time
            except StorageError as error:
                log.warning("backup not deleted", backup=note.id, error=str(error))
        return gone

    # -- passwords that could not be taken off again

    def owe(self, ecid: Ecid, backup: BackupId) -> None:
        """The phone has the password of this backup. Raises StorageError."""
        try:
            durable.write(self.path / OWED / format_ecid(ecid), backup.encode(), mode=0o600)
        except StorageError as error:
            raise StorageError(str(error), remedy=_REMEDY) from error

    def settle(self, ecid: Ecid) -> None:
        """The phone has no password of ours. Raises StorageError."""
        try:
            (self.path / OWED / format_ecid(ecid)).unlink(missing_ok=True)
            durable.sync_directory(self.path / OWED)
        except OSError as error:
            raise StorageError(f"The vault could not be written to: {error.strerror}.", remedy=_REMEDY) from error

    def owed(self) -> dict[Ecid, BackupId]:
        """The phones that have a password of ours, and the backup whose it is. Raises StorageError."""
        found = {}
        for path in self._entries(self.path / OWED):
            if not path.name.startswith("0x"):
                continue
            with suppress(OSError, ValueError), open_plain(path) as file:
                found[Ecid(int(path.name, 16))] = BackupId(file.read(MAX_NOTE).decode())
        return found

    @property
    def free(self) -> int:
        """Bytes that can still be written here."""
        existing = next(parent for parent in (self.path, *self.path.parents) if parent.exists())
        return shutil.disk_usage(existing).free

    @staticmethod
    def _clear(directory: Path) -> None:
        if directory.exists() and not clear_away(directory):
            raise OSError(errno.ENOTEMPTY, "some of it stays", str(directory))

    def _read_secret(self) -> bytes:
        try:
            secret = self._secret.read_bytes()
        except OSError as error:
            raise StorageError(f"The vault's secret {self._secret} cannot be read: {error.strerror}.") from error
        if len(secret) < SECRET_BYTES:
            raise StorageError(f"The vault's secret {self._secret} is cut off.", remedy="Bring the whole file back.")
        return secret

    def _all(self) -> list[BackupNote]:
        """Every note, oldest first, of what is being deleted too. Raises StorageError."""
        notes = []
        try:
            for place in self._entries(self.path):
                with suppress(InputRejected, PermissionError):  # the latter: lost+found is root's
                    if (place / NOTE).exists():
                        notes.append(self._read(place / NOTE))
        except OSError as error:
            raise self._unreadable(error) from error
        return sorted(notes, key=lambda note: (note.made, note.id))

    def _entries(self, directory: Path) -> list[Path]:
        """What is in a directory of the vault; nothing where there is no vault yet. Raises StorageError."""
        try:
            return entries_of(directory, missing_ok=True)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> StorageError:
        return StorageError(f"The vault {self.path} cannot be read: {error.strerror}.", remedy=_REMEDY)

    def _named(self, backup: BackupId) -> BackupNote:
        if "/" in backup or backup in ("", ".", "..", OWED):
            raise InputRejected(f"There is no backup {backup}.")
        return self._read(self.path / backup / NOTE)

    def _is_there(self, note: BackupNote) -> bool:
        """Whether it is more than a note; what cannot be looked at is not."""
        with suppress(OSError):
            return self.data(note.id).is_dir()
        return False

    def _read(self, path: Path) -> BackupNote:
        try:
            with open_plain(path) as file:
                note = _note_decoder.decode(file.read(MAX_NOTE))
        except (OSError, ValueError) as error:
            raise InputRejected(f"There is no backup {path.parent.name}.") from error
        _checked_time(note.made)
        _checked_time(note.keep_until or note.made)
        if note.id != path.parent.name:
            raise InputRejected(f"{path} names another backup: {note.id}.")
        return note

    def _write(self, note: BackupNote) -> None:
        durable.write(self.path / note.id / NOTE, msgspec.json.encode(note), mode=0o600)
        try:
            durable.sync_directory(self.path)
        except OSError as error:
            raise StorageError(f"The vault could not be written to: {error.strerror}.", remedy=_REMEDY) from error


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Work with the backup whose data is here; nobody deletes it meanwhile.

    Raises:
        Refused: somebody else works with it.
        InputRejected: it is not there.
    """
    try:
        fd = os.open(data.parent / LOCK, os.O_RDWR | _PLAINLY)
    except OSError as error:
        raise InputRejected(f"There is no backup {data.parent.name}.") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused(f"Backup {data.parent.name} is being worked with.", remedy="Wait until that is done.") from None
    finally:
        os.close(fd)


def _checked_time(utc: str) -> None:
    """Raises InputRejected: no clock ever said so."""
    try:
        year = datetime.strptime(utc, TIME).replace(tzinfo=UTC).year
    except ValueError as error:
        raise InputRejected(f"“{utc}” is no time.") from error
    if year > LAST_YEAR:
        raise InputRejected(f"“{utc}” is no time of ours.")


def _later(utc: str, days: int = 0, *, seconds: int = 0) -> str:
    when = datetime.strptime(utc, TIME).replace(tzinfo=UTC) + timedelta(days=days, seconds=seconds)
    return when.strftime(TIME)


_REMEDY = "See that its disk is there and has room, or set `vault` to another one."
