"""The firmware store: unpacked IPSWs (`unpacked`), one in each directory.

    STORE/.lock            held while the store is changed
    STORE/.incoming-…      a change under way, or what a crash left of one
    STORE/BUILD-MANIFEST/  a firmware

One build comes in many IPSWs, one for each family of models, so a directory's name has the start of its
manifest's digest too. Firmware is kept unpacked because seeking in a zip file means reading it from its start.
The calls block for as long as the disk takes: keep them off an event loop.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from station.adapters import durable, unpacked
from station.adapters.ipsw import MANIFEST, MAX_MANIFEST, Entry, entries, read_manifest
from station.adapters.unpacked import Advance, Digests, FirmwareDamaged
from station.core.versions import Age, age
from station.errors import InputRejected, Refused, StorageError
from station.model.firmware import Firmware

_RESERVE = 512 << 20
"""Bytes an import leaves free: records must still be written when the store is full."""


def _nobody(_done: int, _total: int) -> None:
    """Tell nobody how far it is."""


class FirmwareStore:
    """All firmware of a station."""

    def __init__(self, path: Path, *, reserve: int = _RESERVE) -> None:
        self.path = path
        self._reserve = reserve

    def list(self) -> list[Firmware]:
        """Every firmware, oldest version first."""
        found = (_present(directory) for directory in self._directories())
        return sorted((firmware for firmware in found if firmware), key=_age)

    def unusable(self) -> tuple[str, ...]:
        """Names of the directories in the store that are no firmware (any more)."""
        return tuple(directory.name for directory in self._directories() if _present(directory) is None)

    def newest_for(self, product_type: str) -> Firmware | None:
        """The newest firmware for a model, such as "iPhone13,2"; None when there is none."""
        fitting = self.every_for(product_type)
        return fitting[-1] if fitting else None

    def every_for(self, product_type: str) -> Sequence[Firmware]:
        """All firmware for a model, the newest last."""
        return [firmware for firmware in self.list() if product_type in firmware.product_types]

    def import_ipsw(self, source: Path, advance: Advance = _nobody) -> Firmware:
        """Copy an IPSW, a zip file or an unpacked directory, into the store: whole, or not at all.

        An IPSW that is in the store already, undamaged, is left as it is.

        Raises:
            InputRejected: it is no IPSW, or a hostile one.
            StorageError: it does not fit, or a disk fails.
            Refused: the store is being changed right now.
        """
        with self._changing(), entries(source) as found:
            data = _manifest_of(found)
            manifest, sha256 = read_manifest(data), hashlib.sha256(data).hexdigest()
            if missing := manifest.paths - {entry.name for entry in found}:
                raise InputRejected(
                    f"This IPSW is incomplete: {min(missing)[:100]!r} is missing.", remedy="Download it again."
                )
            target = self.path / f"{manifest.build}-{sha256[:12]}"
            if (present := _present(target)) and self._undamaged(present):
                return present
            self._require_space(sum(entry.size for entry in found))
            incoming = self._temporary()
            try:
                digests = unpacked.fill(incoming, manifest, found, advance)
                if digests.manifest_sha256 != sha256:
                    raise InputRejected("The IPSW changed while it was read.", remedy="Import it again.")
                incoming.chmod(0o755)
                self._discard(target)
                incoming.rename(target)
                durable.sync_directory(self.path)
            finally:
                shutil.rmtree(incoming, ignore_errors=True)
            return _firmware(target, digests)

    def verify(self, firmware: Firmware, advance: Advance = _nobody, *, full: bool = False) -> None:
        """Raise FirmwareDamaged unless every file is as it was imported (`unpacked.check` says how it can tell)."""
        directory = self._directory(firmware)
        with _disk_trouble():
            digests = unpacked.read(directory)
            if digests.manifest_sha256 != firmware.manifest_sha256:
                raise FirmwareDamaged(f"Firmware {firmware.build} was replaced by another.", remedy="Start again.")
            unpacked.check(directory, digests, advance, full=full)

    def remove(self, firmware: Firmware) -> None:
        """Delete a firmware. Whoever calls knows that no job uses it."""
        with self._changing():
            self._discard(self._directory(firmware))

    def _directory(self, firmware: Firmware) -> Path:
        return self.path / Path(firmware.directory).parent.name

    def _temporary(self) -> Path:
        return Path(tempfile.mkdtemp(prefix=".incoming-", dir=self.path))

    def _directories(self) -> Iterator[Path]:
        return self.path.glob("[!.]*/")

    def _undamaged(self, firmware: Firmware) -> bool:
        try:
            self.verify(firmware, full=True)
        except FirmwareDamaged:
            return False
        return True

    def _discard(self, directory: Path) -> None:
        """Make a directory disappear from the store at once; deleting it takes longer."""
        if directory.exists():
            away = self._temporary()
            directory.rename(away / "removed")
            durable.sync_directory(self.path)
            shutil.rmtree(away)

    def _require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.path).free
        if free < needed + self._reserve:
            raise StorageError(
                f"This firmware needs {needed >> 20} MiB, and the station's disk has {free >> 20} MiB free.",
                remedy="Remove firmware that is no longer needed.",
            )

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the store, and clear away what crashes left in it."""
        with _disk_trouble():
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for leftover in self.path.glob(".incoming-*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                yield
            except BlockingIOError:
                raise Refused("The firmware store is being changed right now.", remedy="Try again later.") from None
            finally:
                os.close(lock)


@contextmanager
def _disk_trouble() -> Iterator[None]:
    """Say what the operating system complains about in plain words."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The firmware could not be read or written: {error.strerror or error}.",
            remedy="Check that the medium is there, and that the station's disk is not full.",
        ) from error


def _age(firmware: Firmware) -> Age:
    return age(firmware.version, firmware.build)


def _present(directory: Path) -> Firmware | None:
    """The firmware in a directory, if what is in it can be told."""
    try:
        return _firmware(directory, unpacked.read(directory))
    except FirmwareDamaged:
        return None


def _firmware(directory: Path, digests: Digests) -> Firmware:
    return Firmware(
        version=digests.version,
        build=digests.build,
        product_types=digests.product_types,
        directory=str(directory.absolute() / "ipsw"),
        manifest_sha256=digests.manifest_sha256,
    )


def _manifest_of(found: list[Entry]) -> bytes:
    """The manifest's bytes; at most one more than `read_manifest` accepts."""
    with next(entry for entry in found if entry.name == MANIFEST).open() as source:
        return source.read(MAX_MANIFEST + 1)
