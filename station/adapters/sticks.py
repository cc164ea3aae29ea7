"""USB sticks that are mounted: found where the station (station-stick@.service) and desktops mount what people plug in.

From /proc/self/mountinfo (proc_pid_mountinfo(5)), and what udev says of the device below a mount.
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyudev

MOUNTS = Path("/proc/self/mountinfo")
PLACES = ("/media/", "/run/media/")
MAX_STICKS = 8
MAX_LABEL = 32

_OCTAL = re.compile(r"\\([0-7]{3})")


def mounted(*, mounts: Path = MOUNTS) -> dict[str, Path]:
    """The sticks that are plugged in and mounted to be written to: label to directory. Blocks for milliseconds.

    Not whatever else is on USB: a station may have its own system there.
    """
    # A unit that has /media once more to write to (ReadWritePaths=) has each mount in it twice.
    there = {
        directory: device
        for device, directory in _mounts(mounts)
        if os.major(device) and str(directory).startswith(PLACES)
    }
    found: dict[str, Path] = {}
    for directory, device in list(there.items())[:MAX_STICKS]:
        _add(found, _usb_label(device) or directory.name, directory)
    return found


def below(directory: Path) -> dict[str, Path]:
    """Every directory in this one, as if each was a stick: those of a virtual host."""
    found: dict[str, Path] = {}
    with suppress(OSError):
        for path in sorted(directory.iterdir())[:MAX_STICKS]:
            if path.is_dir():
                _add(found, path.name, path)
    return found


def _add(found: dict[str, Path], label: str, directory: Path) -> None:
    """Under a name of its own that can be shown: what a stick is called was written by anybody."""
    plain = "".join(letter for letter in label if letter.isprintable())[:MAX_LABEL].strip() or "USB stick"
    names = (plain, *(f"{plain} {number}" for number in range(2, MAX_STICKS + 1)))
    found[next(name for name in names if name not in found)] = directory


def _mounts(mounts: Path) -> Iterator[tuple[int, Path]]:
    """Device number and directory of each mount that can be written to."""
    with suppress(OSError):
        for line in mounts.read_text(errors="surrogateescape").splitlines():
            fields = line.split(" ")
            if len(fields) > 5 and "rw" in fields[5].split(","):
                major, _, minor = fields[2].partition(":")
                directory = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4])
                yield os.makedev(int(major), int(minor)), Path(directory)


def _usb_label(device: int) -> str:
    """What the file system of a USB disk is called; empty: it is no USB disk."""
    with suppress(pyudev.DeviceNotFoundError, OSError):
        disk = pyudev.Devices.from_device_number(pyudev.Context(), "block", device)
        if disk.properties.get("ID_BUS") == "usb":
            return str(disk.properties.get("ID_FS_LABEL") or disk.properties.get("ID_MODEL") or disk.sys_name)
    return ""
