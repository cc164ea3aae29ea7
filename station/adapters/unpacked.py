"""An unpacked IPSW whose every file is known: made by copying, checked by reading.

DIRECTORY/ipsw/          the files, as a worker is given them: links to the store's contents (`objects`);
                         in stores of earlier versions the contents themselves, which is as good
DIRECTORY/digests.json   what it is, and every file's size and SHA-256
DIRECTORY/checked.json   how the contents looked to the file system when they were last read whole
DIRECTORY/damaged.json   what was found damaged, if anything was; it cannot be used any more
"""

import errno
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from station.adapters import durable
from station.adapters.ipsw import MANIFEST, Entry, Manifest, is_inside
from station.adapters.listing import all_below
from station.adapters.objects import Look, Objects, link_to, look_at
from station.core.versions import age
from station.errors import InputRejected, StorageError
from station.model.base import Message

Advance = Callable[[int, int], None]
"""Told (bytes done, bytes in all) as a long call goes on."""

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]

_CHUNK = 4 << 20
_TICK = 0.02
"""Seconds after which a change gets another ctime than one before: more than a tick of any kernel's clock."""


class FirmwareDamaged(InputRejected):
    """The station's copy of a firmware is not what was imported."""

    def __init__(self, what: str, why: str, spoilt: Mapping[str, Look] | None = None) -> None:
        super().__init__(
            f"The station's copy of firmware {what} is damaged: {why}.", remedy="Import or download it again."
        )
        self.why = why
        self.spoilt = dict(spoilt or {})
        """The files that differ, by path, and how the contents looked that were read; empty: it is something else."""


class FileDigest(Message, frozen=True, kw_only=True):
    """One file of a firmware."""

    path: str
    size: int
    sha256: Sha256


class Digests(Message, frozen=True, kw_only=True):
    """`digests.json`: what a firmware is, and what is in it, by path."""

    version: str
    build: str
    product_types: tuple[str, ...]
    manifest_sha256: Sha256
    files: tuple[FileDigest, ...]

    @property
    def name(self) -> str:
        """Of its directory in a store."""
        return f"{self.build}-{self.manifest_sha256[:12]}"


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """`digests.json` without its many files."""

    version: str
    build: str
    product_types: tuple[str, ...]
    manifest_sha256: Sha256


class Damage(Message, frozen=True, kw_only=True):
    """`damaged.json`."""

    why: str
    """Part of a sentence."""
    files: tuple[str, ...] = ()
    """Paths of those whose contents differed."""


class _Meter:
    """Counts the bytes of a long call and tells how far it is."""

    def __init__(self, total: int, advance: Advance) -> None:
        self._done, self._total, self._advance = 0, total, advance

    def add(self, count: int) -> None:
        self._done += count
        self._advance(self._done, self._total)


_encoder = msgspec.json.Encoder()
_digests_decoder = msgspec.json.Decoder(Digests)
_head_decoder = msgspec.json.Decoder(Head)
_checked_decoder = msgspec.json.Decoder(dict[str, Look])
_damage_decoder = msgspec.json.Decoder(Damage)


def describe(manifest: Manifest, files: Iterable[FileDigest]) -> Digests:
    """What an IPSW of these files is; its manifest is one of them."""
    found = tuple(sorted(files, key=lambda file: file.path))
    return Digests(
        version=manifest.version,
        build=manifest.build,
        product_types=manifest.product_types,
        manifest_sha256=next(file.sha256 for file in found if file.path == MANIFEST),
        files=found,
    )


def fill(directory: Path, found: list[Entry], advance: Advance) -> list[FileDigest]:
    """Copy the files of an IPSW into `directory`/ipsw. Durable when it returns.

    Raises:
        InputRejected: a file is not as long as it said.
        OSError: the source cannot be read, or the copy cannot be written.
    """
    root = directory / "ipsw"
    root.mkdir()
    meter, files = _Meter(sum(entry.size for entry in found), advance), []
    for entry in sorted(found, key=lambda entry: entry.name):
        target = root / entry.name
        target.parent.mkdir(parents=True, exist_ok=True)
        files.append(FileDigest(path=entry.name, size=entry.size, sha256=_copy(entry, target, meter)))
    _sync_tree(root)
    return files


def link(directory: Path, digests: Digests) -> None:
    """Make the directory of a firmware whose contents are in the store. Durable when it returns, but for its name."""
    root = directory / "ipsw"
    root.mkdir()
    for file in digests.files:
        target = root / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(link_to(file.path, file.sha256))
    _sync_tree(root)
    durable.write(directory / "digests.json", _encoder.encode(digests))


def seal(directory: Path, digests: Digests) -> None:
    """Write down how the contents look, which are known to be as `digests` says.

    Waits until a change that comes after this can be seen.
    """
    time.sleep(_TICK)
    objects = Objects(directory.parent)
    write_checked(directory, {file.path: objects.look(file.sha256) for file in digests.files})


def require_sound(digests: Digests) -> None:
    """Raise InputRejected unless `digests` could have been read from a file."""
    try:
        _digests_decoder.decode(_encoder.encode(digests))
        age(digests.version, digests.build)
        sound = any(file.path == MANIFEST and file.sha256 == digests.manifest_sha256 for file in digests.files)
        sound = sound and len({file.path for file in digests.files}) == len(digests.files)
        sound = sound and all(is_inside(file.path) for file in digests.files)
    except ValueError as error:
        raise InputRejected("This is no usable list of a firmware's files.", remedy="Import it again.") from error
    if not sound:
        raise InputRejected("This list of a firmware's files contradicts itself.", remedy="Import it again.")


def read(directory: Path) -> Digests:
    """What an unpacked IPSW is. Raises FirmwareDamaged when that cannot be told."""
    try:
        digests = _digests_decoder.decode((directory / "digests.json").read_bytes())
        age(digests.version, digests.build)
    except (OSError, ValueError, InputRejected) as error:
        raise FirmwareDamaged(directory.name, "what is in it cannot be told") from error
    return digests


def read_head(directory: Path) -> Head:
    """The same without its files, which is much faster."""
    try:
        head = _head_decoder.decode((directory / "digests.json").read_bytes())
        age(head.version, head.build)
    except (OSError, ValueError, InputRejected) as error:
        raise FirmwareDamaged(directory.name, "what is in it cannot be told") from error
    return head


def read_damage(directory: Path) -> Damage | None:
    """What was found damaged; None: nothing was."""
    try:
        return _damage_decoder.decode((directory / "damaged.json").read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return Damage(why="it was found damaged")


def mark(directory: Path, why: str, files: Iterable[str] = ()) -> None:
    """Write down that a firmware is damaged; from now on it cannot be used.

    Raises:
        StorageError: there is no room for that. All of it is read before its next use, which finds the same.
    """
    before = read_damage(directory)
    known = before.files if before else ()
    damage = Damage(why=before.why if before else why, files=tuple(sorted({*known, *files})))
    try:
        durable.write(directory / "damaged.json", _encoder.encode(damage))
    except StorageError:
        (directory / "checked.json").unlink(missing_ok=True)
        raise


def check(
    directory: Path, digests: Digests, advance: Advance, *, full: bool, done: dict[Look, str] | None = None
) -> dict[str, Look] | None:
    """Raise FirmwareDamaged unless every file is as it was imported; how they look, if that is to be written down.

    `done` are the contents that were read just before, for another firmware that has them too; it is added to.

    A content whose size, ctime and inode are those of its last whole reading is not read again: nothing can
    change a file through the file system without a new ctime, which no program can set. (Nor is it shared with
    anything that could: contents are never written to after they are put in place, a repaired one is another file
    with another inode, and a link here must say, letter for letter, where the content of that digest is. A change
    in the very tick of the clock in which a reading began could not be told from none: so readings, and what is
    written down after a copy, wait until that tick is over.) What this cannot see is a disk that decays or lies;
    `full` reads everything, from the disk and not from memory, and is for idle hours. Nor can such damage do
    harm unseen: the phone checks each image against the digest Apple signed, so the price of the short cut
    is a restore that fails, not a wrong one.
    """
    looks = _looks(directory, digests)
    expected = {file.path: file for file in digests.files}
    if differing := looks.keys() ^ expected.keys():
        raise FirmwareDamaged(digests.build, f"{min(differing)[:100]!r} is missing or was added")
    checked = {} if full else read_checked(directory)
    unread = [path for path, look in looks.items() if checked.get(path) != look]
    done = {} if done is None else done
    sizes = {looks[path]: expected[path].size for path in unread if looks[path] not in done}
    meter, spoilt = _Meter(sum(sizes.values()), advance), dict[str, Look]()
    for path in unread:
        look = looks[path]
        if look[0] == expected[path].size and look not in done:
            look, done[look] = _read(directory / "ipsw" / path, meter, full=full)
        if done.get(look) != expected[path].sha256:
            spoilt[path] = look
        looks[path] = look
    if spoilt:
        raise FirmwareDamaged(digests.build, f"{min(spoilt)[:100]!r} differs", spoilt)
    return looks if unread else None


def unchanged(directory: Path, digests: Digests) -> bool:
    """Whether every file is as when it was last read whole; reads none."""
    looks = _looks(directory, digests)
    return read_damage(directory) is None and looks == read_checked(directory) and len(looks) == len(digests.files)


def write_checked(directory: Path, looks: Mapping[str, Look]) -> None:
    """Write down how the files looked when they were last read whole. Raises StorageError."""
    durable.write(directory / "checked.json", _encoder.encode(looks))


def read_checked(directory: Path) -> dict[str, Look]:
    """How the files looked when they were last read whole; nothing when that cannot be told."""
    try:
        return _checked_decoder.decode((directory / "checked.json").read_bytes())
    except (OSError, ValueError):
        return {}


def _looks(directory: Path, digests: Digests) -> dict[str, Look]:
    """How each file's content looks: of a link only if it is the one that belongs there."""
    objects, expected = Objects(directory.parent), {file.path: file.sha256 for file in digests.files}
    found: dict[str, Look] = {}
    for path, entry in walk(directory / "ipsw"):
        look = look_at(entry.stat(follow_symlinks=False))
        if entry.is_symlink() and (sha256 := expected.get(path)):
            said = os.readlink(entry)  # noqa: PTH115 (a path would tidy up what the link says)
            look = objects.look(sha256) if said == link_to(path, sha256) else look
        found[path] = look
    return found


def walk(directory: Path | str, above: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything in a directory that is none, by path."""
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from walk(entry.path, f"{above}{entry.name}/")
            else:
                yield above + entry.name, entry


def _sync_tree(root: Path) -> None:
    for made in (root, *(path for path in all_below(root) if path.is_dir() and not path.is_symlink())):
        durable.sync_directory(made)


def _copy(entry: Entry, target: Path, meter: _Meter) -> str:
    """Copy one file, durably; its SHA-256. Raises InputRejected when it is not as long as it said."""
    hasher, left = hashlib.sha256(), entry.size
    with entry.open() as source, target.open("xb") as file:
        while left >= 0 and (chunk := source.read(_CHUNK)):
            left -= len(chunk)
            hasher.update(chunk)
            file.write(chunk)
            meter.add(len(chunk))
        file.flush()
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if left != 0:
        raise InputRejected(f"{entry.name[:100]!r} is not as long as the IPSW says.", remedy="Download it again.")
    return hasher.hexdigest()


def _read(path: Path, meter: _Meter, *, full: bool) -> tuple[Look, str]:
    """Read a file whole; how it looked before, and its SHA-256, empty when the disk cannot read it.

    What was read leaves the memory at once: several GB of it would push out everything else on a small computer.
    """
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(_CHUNK))
    with path.open("rb", buffering=0) as file:
        fd = file.fileno()
        look = look_at(os.fstat(fd))
        if abs(time.time_ns() - look[1]) < _TICK * 1e9:
            time.sleep(_TICK)
        if full:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        done = 0
        try:
            while count := file.readinto(buffer):
                hasher.update(buffer[:count])
                os.posix_fadvise(fd, done, count, os.POSIX_FADV_DONTNEED)
                done += count
                meter.add(count)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return look, ""
    return look, hasher.hexdigest()
