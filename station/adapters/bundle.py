"""Logs for whoever is asked for help: one zip file, whole or not there at all, as small as it can be sent by mail."""

import errno
import os
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from station.adapters import durable
from station.adapters.commons import open_plain
from station.adapters.jobdir import LOG
from station.adapters.listing import entries_of
from station.errors import StorageError

MAX_PART, MAX_ALL = 8 << 20, 32 << 20
"""Bytes, before they are compressed. Of what is longer the end is kept: what went wrong went wrong last."""
JOURNAL_SECONDS = 60.0
JOURNAL_LINES = 50_000
UNITS = (
    *("station.service", "station-worker@*", "station-reaper@*", "station-gateway.service", "station-fetcher@*"),
    *("station-share.service", "station-screen.service", "station-web.service", "station-check.service"),
    *("station-copy.service", "station-stick@*"),
)
MAX_JOBS = 30
"""Of the last so many jobs the workers' logs are taken."""

_WORDS = {
    errno.ENOSPC: ("It is full.", "Free some space there, or take another one."),
    errno.EROFS: ("Nothing can be written to it.", "Take another one, or unlock it."),
    errno.EACCES: ("Nothing may be written to it.", "Take another one."),
}
_GONE = ("It is gone, or it fails.", "Leave it plugged in until the logs are on it, or take another one.")


def write(directory: Path, name: str, parts: Iterable[tuple[str, bytes]]) -> Path:
    """Write a zip file: under another name first, which it loses when everything is on the medium.

    Args:
        directory: where to.
        name: of the file.
        parts: name and content of each file in it.

    Raises:
        StorageError: it is not there.
    """
    target, part = directory / name, directory / f".{name}.part"
    try:
        part.unlink(missing_ok=True)
        # A new file, always: a stick was written by anybody, and a link on it would lead to a file of the station's.
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                room = MAX_ALL
                for inside, data in parts:
                    kept = data[-min(MAX_PART, room) :] if room else b""
                    room -= len(kept)
                    archive.writestr(inside, kept)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        durable.sync_directory(directory)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        says, remedy = _WORDS.get(error.errno or 0, _GONE)
        raise StorageError(f"The logs could not be written. {says}", remedy=remedy) from error
    return target


def journal() -> bytes:
    """What the station's units said in the last week; why that cannot be told, where it cannot. Blocks."""
    command = ["journalctl", "--no-pager", "--quiet", "--output=short-iso", "--since=-7d", f"--lines={JOURNAL_LINES}"]
    command += [f"--unit={unit}" for unit in UNITS]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=JOURNAL_SECONDS)  # noqa: PLW1510 (whatever it says is taken)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"The journal cannot be read: {error}\n".encode()
    return done.stdout or b"The journal says nothing.\n" + done.stderr


def worker_logs(state: Path) -> Iterator[tuple[str, bytes]]:
    """The logs of the last jobs, each under its job's name; why they cannot be told, where they cannot."""
    found = []
    for place in ("jobs", "closed"):
        try:
            jobs = entries_of(state / place, missing_ok=True)
        except OSError as error:
            yield f"{place}.txt", f"The logs of these jobs cannot be read: {error}\n".encode()
            continue
        for job in jobs:
            path = job / "work" / LOG
            with suppress(OSError):  # it has none
                found.append((path.lstat().st_mtime, path))
    for _, path in sorted(found, reverse=True)[:MAX_JOBS]:
        with suppress(OSError), open_plain(path) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_PART))
            yield f"jobs/{path.parent.parent.name}.log", file.read(MAX_PART)
