"""A firmware of the store as an .ipsw file again, for another station.

Stored, not compressed: its images are compressed already, and a stored entry is copied at the speed of the stick.
"""

import hashlib
import os
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path

from station.adapters import durable, unpacked
from station.adapters.unpacked import Advance, Digests, FirmwareDamaged
from station.errors import InputRejected, StorageError
from station.model.firmware import Firmware

FAT = frozenset({"vfat", "msdos"})
FAT_LIMIT = (4 << 30) - 1
"""Bytes of the largest file on a FAT file system: it counts them with 32 bits."""

_PER_FILE = 512
"""Bytes at most that a zip file needs beside a file's content and twice its name: headers, zip64's among them."""
_CHUNK = 4 << 20
_AHEAD = 64 << 20
"""Bytes at most that are told as done and are not on the stick yet."""
_MOUNTS = Path("/proc/self/mountinfo")


def export(firmware: Firmware, folder: Path, advance: Advance, *, mounts: Path = _MOUNTS) -> Path:
    """Write a firmware into a folder, durably; the file. One of its name that is there already is replaced.

    Every content is compared with its digest on the way: what is damaged does not travel.

    Raises:
        InputRejected: the folder cannot hold it; said before anything is written.
        FirmwareDamaged: the station's copy is damaged.
        StorageError: it could not be written.
    """
    directory = Path(firmware.directory).parent
    digests = unpacked.read(directory)
    target = folder / f"{firmware.product_types[0]}_{firmware.version}_{firmware.build}_Restore.ipsw"
    part = target.with_name(f".{target.name}.part")
    try:
        _require_room(folder, _size(digests), mounts)
        _write(directory, digests, part, advance)
        part.replace(target)
        durable.sync_directory(folder)
    except OSError as error:
        raise StorageError(
            f"{target.name} could not be written: {error.strerror or error}.", remedy="Try another stick."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def _size(digests: Digests) -> int:
    """Bytes of the zip file, at most."""
    return sum(file.size + 2 * len(file.path.encode()) + _PER_FILE for file in digests.files)


def _require_room(folder: Path, size: int, mounts: Path) -> None:
    """Raise InputRejected when a file of that size cannot be in a folder."""
    if not folder.is_dir():
        raise InputRejected(f"There is no folder {folder}.", remedy="Plug the stick in, or make the folder.")
    gigabytes = f"{size / 1e9:.1f} GB"
    if size > FAT_LIMIT and _kind(folder, mounts) in FAT:
        raise InputRejected(
            f"This firmware is one file of {gigabytes}, and {folder} is formatted with FAT, which holds no file over "
            "4 GB.",
            remedy="Use a stick that is formatted with exFAT. Formatting deletes what is on it.",
        )
    free = shutil.disk_usage(folder).free
    if free < size:
        raise InputRejected(
            f"This firmware needs {gigabytes}, and {folder} has {free / 1e9:.1f} GB free.", remedy="Use a larger stick."
        )


def _kind(folder: Path, mounts: Path) -> str:
    """The kernel's name of the file system that a folder is on; empty: it does not tell (proc_pid_mountinfo(5))."""
    device = folder.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts.read_text(errors="surrogateescape").splitlines():
        mount, _, rest = line.partition(" - ")
        if wanted == mount.split(" ")[2] and rest:
            return rest.split(" ")[0]
    return ""


def _write(directory: Path, digests: Digests, part: Path, advance: Advance) -> None:
    total, done, durable_to = sum(file.size for file in digests.files), 0, 0
    part.unlink(missing_ok=True)  # what is on a stick may be a link to anywhere
    with part.open("xb") as file:
        with zipfile.ZipFile(file, "w") as archive:
            for each in digests.files:
                info = zipfile.ZipInfo(each.path)
                info.file_size = each.size  # tells zipfile whether it needs zip64
                info.external_attr = 0o100644 << 16
                hasher = hashlib.sha256()
                with (directory / "ipsw" / each.path).open("rb") as source, archive.open(info, "w") as entry:
                    while chunk := source.read(_CHUNK):
                        hasher.update(chunk)
                        entry.write(chunk)
                        done += len(chunk)
                        if done - durable_to >= _AHEAD:
                            os.fdatasync(file.fileno())
                            durable_to = done
                        advance(done, total)
                if hasher.hexdigest() != each.sha256:
                    raise FirmwareDamaged(digests.build, f"{each.path[:100]!r} differs")
        file.flush()
        os.fsync(file.fileno())
