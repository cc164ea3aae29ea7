"""The firmware store: unpacked IPSWs (`unpacked`), one in each directory, whose contents are there once (`objects`).

    STORE/.lock            held while something is put in its place or taken away; never for long
    STORE/.incoming-…      a copy under way, locked by who makes it, or what a crash left of one
    STORE/.fetch-…         a download (`fetch`), which looks after itself
    STORE/objects/         the contents
    STORE/BUILD-MANIFEST/  a firmware; locked by who uses it (`leases`)

One build comes in many IPSWs, one for each family of models, so a directory's name has the start of its
manifest's digest too. Firmware is kept unpacked because seeking in a zip file means reading it from its start.
Firmware of earlier versions, whose contents are not shared, is used as it is.
The calls block for as long as the disk takes: keep them off an event loop.
"""

import hashlib
import shutil
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from station.adapters import durable, leases, origins, stock, unpacked
from station.adapters.ipsw import MANIFEST, MAX_MANIFEST, Entry, entries, read_manifest
from station.adapters.leases import Lease
from station.adapters.objects import NO_FILE, Look, Objects, look_at
from station.adapters.premises import Premises, disk_trouble
from station.adapters.unpacked import Advance, Digests, FileDigest, FirmwareDamaged, Head
from station.core.pruning import Kept
from station.core.versions import Age, age
from station.errors import InputRejected, Refused, StorageError
from station.model.firmware import Firmware

RESERVE = 512 << 20
"""Bytes an import leaves free: records must still be written when the store is full."""


@dataclass(frozen=True)
class Unusable:
    """A firmware in the store that cannot be used, and why: part of a sentence."""

    name: str
    why: str
    firmware: Firmware | None
    """What it was, when that can be told."""


@dataclass(frozen=True)
class Removed:
    """What came of removing firmware."""

    names: tuple[str, ...]
    in_use: tuple[str, ...]
    """Those that were left, because a job uses them."""
    freed: int


def _nobody(_done: int, _total: int) -> None:
    """Tell nobody how far it is."""


class FirmwareStore:
    """All firmware of a station."""

    def __init__(self, path: Path, *, reserve: int = RESERVE) -> None:
        self.path = path
        self.reserve = reserve
        """Bytes of the disk that firmware leaves free."""
        self._premises = Premises(path)
        self._objects = Objects(path)
        self._heads: dict[str, tuple[tuple[int, int] | None, Firmware]] = {}

    def list(self) -> list[Firmware]:
        """Every firmware that can be used, oldest version first."""
        found = (self._usable(directory) for directory in self._premises.directories())
        return sorted((firmware for firmware in found if firmware), key=_age)

    def unusable(self) -> tuple[Unusable, ...]:
        """What is in the store and cannot be used (any more)."""
        return tuple(
            Unusable(name=directory.name, why=why, firmware=firmware)
            for directory in self._premises.directories()
            for firmware, why in (self._look(directory),)
            if why
        )

    def every_for(self, product_type: str) -> Sequence[Firmware]:
        """All firmware for a model, the newest last."""
        return [firmware for firmware in self.list() if product_type in firmware.product_types]

    def import_ipsw(self, source: Path, advance: Advance = _nobody) -> Firmware:
        """Copy an IPSW, a zip file or an unpacked directory, into the store: whole, or not at all.

        An IPSW that is in the store already, undamaged, is left as it is.

        Raises:
            InputRejected: it is no IPSW, or a hostile one.
            StorageError: it does not fit, or a disk fails.
            Refused: others change the store all the time; or a job uses what had to be replaced.
        """
        with disk_trouble(), entries(source) as found:
            data = _manifest_of(found)
            manifest, sha256 = read_manifest(data), hashlib.sha256(data).hexdigest()
            if missing := manifest.paths - {entry.name for entry in found}:
                raise InputRejected(
                    f"This IPSW is incomplete: {min(missing)[:100]!r} is missing.", remedy="Download it again."
                )
            target = self.path / f"{manifest.build}-{sha256[:12]}"
            if (present := self._usable(target)) and self._undamaged(present):
                return present
            kept = stock.sound_files(self._premises, self._objects, target, sha256)
            lacking = [entry for entry in found if (have := kept.get(entry.name)) is None or have.size != entry.size]
            with self._workplace(sum(entry.size for entry in lacking)) as incoming:
                files = {file.path: file for file in unpacked.fill(incoming, lacking, advance)}
                files = {entry.name: files.get(entry.name) or kept[entry.name] for entry in found}
                digests = unpacked.describe(manifest, files.values())
                if digests.manifest_sha256 != sha256:
                    raise InputRejected("The IPSW changed while it was read.", remedy="Import it again.")
                return self.take_in(incoming, digests)

    def take_in(self, filled: Path, digests: Digests, origin: origins.Origin | None = None) -> Firmware:
        """Put a firmware into the store: whole, or not at all; `filled` is gone then.

        Waits for other changes. A crash at any point leaves `filled` as it was, or the firmware in the store, and
        what else there is then of `filled` may be deleted.

        Args:
            filled: a directory on the store's file system. `ipsw/` in it has the files, durable, and exactly as in
                `digests`: they are not read again. One may be missing whose content is in the store already; if
                that is not known to be good, it is read before it is used.
            digests: what it is.
            origin: where it came from, if that is known.

        Raises:
            InputRejected: what is in `filled` is not what `digests` says.
            StorageError: the disk fails.
            Refused: others change the store all the time; or a job uses a firmware that had to be replaced.
        """
        with self._premises.changing():
            unpacked.require_sound(digests)
            target = self.path / digests.name
            there = self._is_there(target, digests)
            known = there or self._put(filled, digests)
            if not there:
                self._replace(target, digests, origin)
            shutil.rmtree(filled)
            self._premises.hand_over(self.path, self._objects.path, target)
            if known and not there:
                # Not before: each file has lost one of its names now, and so has a new ctime.
                unpacked.seal(target, digests)
            return _firmware(target, digests)

    def verify(
        self,
        firmware: Firmware,
        advance: Advance = _nobody,
        *,
        full: bool = False,
        done: dict[Look, str] | None = None,
    ) -> None:
        """Raise FirmwareDamaged unless every file is as it was imported (`unpacked.check` says how it can tell).

        Each content that is not is deleted (its digest, which is kept, tells as much as it does), and every
        firmware that has it cannot be used from then on. What is good of them stays: an import brings the rest.
        Whoever verifies several gives each the same `done`, empty at first: then what they share is read once.
        """
        directory = self._directory(firmware)
        with disk_trouble():
            digests = unpacked.read(directory)
            if digests.manifest_sha256 != firmware.manifest_sha256:
                raise FirmwareDamaged(firmware.build, "it was replaced by another")
            if damage := unpacked.read_damage(directory):
                raise FirmwareDamaged(firmware.build, damage.why)
            try:
                looks = unpacked.check(directory, digests, advance, full=full, done=done)
            except FirmwareDamaged as error:
                with suppress(StorageError, Refused):  # it is damaged, whether that could be written down or not
                    self._quarantine(directory, digests, error)
                raise
            except FileNotFoundError as error:  # somebody removes it just now
                raise FirmwareDamaged(firmware.build, "not all of it is there any more") from error
        if looks is not None:
            # What cannot be written down, because it is removed just now, or the disk is full, is read once more.
            with suppress(StorageError, Refused), self._premises.changing():
                unpacked.write_checked(directory, looks)

    def origin(self, firmware: Firmware) -> origins.Origin | None:
        """Where a firmware came from; None: it was imported, or nobody knows."""
        return origins.read(self._directory(firmware))

    def lease(self, firmware: Firmware) -> Lease:
        """Use a firmware: nothing removes it before the lease is closed, or the process ends.

        Raises:
            Refused: it is being removed.
            FirmwareDamaged: it is not there.
        """
        try:
            return leases.take(self._directory(firmware))
        except OSError as error:
            raise FirmwareDamaged(firmware.build, "it is not there any more") from error

    def kept(self, in_use: Container[str] = ()) -> Sequence[Kept]:
        """All that takes room, also what cannot be used; `station.core.pruning` says what of it can go.

        Args:
            in_use: names of the directories that somebody will use; those that somebody uses are known.
        """
        sizes: dict[str, int] = {}
        return [self._kept(directory, in_use, sizes) for directory in self._premises.directories()]

    def remove(self, names: Iterable[str]) -> Removed:
        """Delete firmware, whichever is not used by a job, by the names of directories, and all that nobody needs."""
        removed, in_use = [], []
        with self._premises.changing():
            there = {directory.name for directory in self._premises.directories()}
            for name in sorted(there.intersection(names)):
                try:
                    with leases.take_alone(self.path / name):
                        self._premises.discard(self.path / name)
                    removed.append(name)
                except Refused:
                    in_use.append(name)
            freed = stock.sweep(self._premises, self._objects)
        return Removed(names=tuple(removed), in_use=tuple(in_use), freed=freed)

    def hand_over(self, made: Path) -> None:
        """Give what root has made in the store, by hand, to whom the store belongs. Raises OSError."""
        self._premises.hand_over(self.path, made)

    def _directory(self, firmware: Firmware) -> Path:
        return self.path / Path(firmware.directory).parent.name

    def _usable(self, directory: Path) -> Firmware | None:
        firmware, why = self._look(directory)
        return None if why else firmware

    def _look(self, directory: Path) -> tuple[Firmware | None, str]:
        """What is in a directory, if that can be told, and why it cannot be used, if it cannot."""
        try:
            firmware = self._head(directory)
        except FirmwareDamaged as error:
            return None, error.why
        damage = unpacked.read_damage(directory)
        return firmware, damage.why if damage else ""

    def _head(self, directory: Path) -> Firmware:
        """What is in a directory; what does not change is read once."""
        try:
            now = (directory / "digests.json").stat()
        except OSError:
            now = None
        seen = now and (now.st_mtime_ns, now.st_ino)
        known = self._heads.get(directory.name)
        if known is None or known[0] != seen:
            known = seen, _firmware(directory, unpacked.read_head(directory))
            self._heads[directory.name] = known
        return known[1]

    def _undamaged(self, firmware: Firmware) -> bool:
        try:
            self.verify(firmware, full=True)
        except FirmwareDamaged:
            return False
        return True

    def _is_there(self, target: Path, digests: Digests) -> bool:
        """Whether just this firmware is in the store, undamaged as far as can be told without reading."""
        with suppress(FirmwareDamaged):
            return unpacked.read(target) == digests and unpacked.unchanged(target, digests)
        return False

    def _put(self, filled: Path, digests: Digests) -> bool:
        """Put contents in their places; whether all that are there now are known to be good."""
        root, known, certain = filled / "ipsw", stock.known(self._premises), True
        files = {file.path: file for file in digests.files}
        if root.is_symlink() or {path for path, _ in unpacked.walk(root)} - files.keys():
            raise InputRejected("There is more in this firmware than it says.", remedy="Import it again.")
        brought: dict[str, Path] = {}
        for path, file in files.items():
            here = self._objects.look(file.sha256)
            if here[0] == file.size and here in known.get(file.sha256, ()):
                continue
            if _size(root / path) == file.size:
                brought[file.sha256] = root / path
            elif here[0] == file.size:
                certain = False
            else:
                raise InputRejected(
                    f"This firmware is incomplete: {path[:100]!r} is missing.", remedy="Import it again."
                )
        for sha256, source in brought.items():
            self._objects.put(source, sha256)
        self._objects.sync({file.sha256 for file in digests.files})
        durable.sync_directory(self.path)
        return certain

    def _replace(self, target: Path, digests: Digests, origin: origins.Origin | None) -> None:
        """Make the directory of a firmware whose contents are in place."""
        made = self._premises.temporary()
        try:
            unpacked.link(made, digests)
            if origin is not None:
                origins.write(made, origin)
            made.chmod(0o755)
            if target.exists():
                with leases.take_alone(target):
                    self._premises.discard(target)
            made.rename(target)
            durable.sync_directory(self.path)
        finally:
            shutil.rmtree(made, ignore_errors=True)

    def _quarantine(self, directory: Path, digests: Digests, error: FirmwareDamaged) -> None:
        """Make what was found damaged unusable, wherever it is."""
        files = {file.path: file for file in digests.files}
        with self._premises.changing():
            # A content that looks otherwise by now was repaired meanwhile.
            spoilt = {path for path, look in error.spoilt.items() if look in self._looks(directory, files[path])}
            if not directory.is_dir() or (not spoilt and self._is_there(directory, digests)):
                return
            unpacked.mark(directory, error.why, spoilt)
            gone = {files[path].sha256 for path in spoilt if (directory / "ipsw" / path).is_symlink()}
            for other in self._premises.directories():
                with suppress(FirmwareDamaged):
                    shared = [each for each in unpacked.read(other).files if each.sha256 in gone]
                    shared = [each for each in shared if (other / "ipsw" / each.path).is_symlink()]
                    if shared and other != directory:
                        unpacked.mark(other, f"{shared[0].path[:100]!r} differs", (each.path for each in shared))
            for sha256 in gone:
                self._objects.drop(sha256)

    def _looks(self, directory: Path, file: FileDigest) -> set[Look]:
        """How a file looks, and the content that it should have."""
        looks = {self._objects.look(file.sha256)}
        with suppress(OSError):
            looks.add(look_at((directory / "ipsw" / file.path).lstat()))
        return looks - {NO_FILE}

    def _kept(self, directory: Path, in_use: Container[str], sizes: dict[str, int]) -> Kept:
        firmware, why = self._look(directory)
        return Kept(
            name=directory.name,
            version=firmware.version if firmware else "",
            build=firmware.build if firmware else directory.name.partition("-")[0],
            product_types=firmware.product_types if firmware else (),
            bytes_of=stock.bytes_of(self._objects, directory, sizes),
            in_use=directory.name in in_use or leases.taken(directory),
            damaged=bool(why),
        )

    @contextmanager
    def _workplace(self, needed: int) -> Iterator[Path]:
        """A directory to copy into, with room for `needed` bytes. Others know by its lock that it is no leftover."""
        with self._premises.changing():
            self._require_space(needed)
            place = self._premises.temporary()
            lease = leases.take(place)
        with lease:
            try:
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)

    def _require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.path).free
        if free < needed + self.reserve:
            free += stock.sweep(self._premises, self._objects)  # a crash may have left some
        if free < needed + self.reserve:
            raise StorageError(
                f"This firmware needs {needed >> 20} MiB, and the station's disk has {free >> 20} MiB free.",
                remedy="Remove firmware that is no longer needed.",
            )


def _age(firmware: Firmware) -> tuple[Age, str]:
    return age(firmware.version, firmware.build), firmware.directory


def _size(path: Path) -> int:
    """Bytes of a file; -1 when it is none."""
    try:
        return look_at(path.lstat())[0]
    except OSError:
        return NO_FILE[0]


def _firmware(directory: Path, digests: Digests | Head) -> Firmware:
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
