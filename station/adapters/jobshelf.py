"""All job directories of a station: the open ones are what a new daemon must take up.

STATE/jobs/JOB/      not recorded yet, or its result not dismissed yet
    result.json      its record's number and certificate, once it is recorded; the daemon's
STATE/closed/JOB/    the last ones, for whoever looks for a fault; without anything private
"""

import os
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from station.adapters import durable
from station.adapters.commons import clear_away
from station.adapters.jobdir import JobDirectory
from station.errors import InputRejected, StorageError
from station.model.base import JobId, Message
from station.model.job import JobSpec
from station.model.record import Record

CLOSED_KEPT = 50

log = structlog.get_logger(__name__)


class Finished(Message, frozen=True, kw_only=True):
    """`result.json`: how a job was recorded."""

    record: Record
    number: int
    certificate: str | None
    proof: str = ""
    """What the certificate's QR code says; empty: there is none."""


@dataclass(frozen=True)
class Found:
    """An open job."""

    directory: JobDirectory
    spec: JobSpec
    finished: Finished | None


_finished_decoder = msgspec.json.Decoder(Finished)


class JobShelf:
    """Owned by the daemon. Every call blocks for as long as the disk takes."""

    def __init__(self, state: Path) -> None:
        """Make the directories. Raises StorageError when that cannot be."""
        self._open = state / "jobs"
        self._closed = state / "closed"
        try:
            self._closed.mkdir(mode=0o700, parents=True, exist_ok=True)
            # A worker may go through it, to its job, and not look around. (One of an earlier version let nobody.)
            self._open.mkdir(exist_ok=True)
            self._open.chmod(0o710)
        except OSError as error:
            raise StorageError(f"{state} cannot be used: {error.strerror}.") from error

    def create(self, spec: JobSpec) -> JobDirectory:
        """Write a job down. Raises StorageError when it is not on the disk."""
        return JobDirectory.create(self._open, spec)

    def directory(self, job: JobId) -> JobDirectory:
        """An open job's directory."""
        return JobDirectory(self._open / job)

    def found(self) -> list[Found]:
        """Every open job, oldest first. What never became a job is cleared away."""
        found = []
        for path in sorted(self._open.iterdir(), key=lambda path: path.stat().st_mtime):
            directory = JobDirectory(path)
            directory.bring_up_to_date()
            try:
                found.append(Found(directory, directory.spec(), self._finished(path)))
            except InputRejected as error:
                log.warning("cleared away what is no job", path=str(path), error=str(error))
                self._put_away(path)
        return found

    def finish(self, job: JobId, finished: Finished) -> None:
        """Note that a job is recorded. Raises StorageError; the record stands, and can be asked for again."""
        if (self._open / job).is_dir():  # a job that could not be written down has no directory
            durable.write(self._open / job / "result.json", msgspec.json.encode(finished), mode=0o600)

    def close(self, job: JobId) -> None:
        """Nobody needs the job any more: strip it of what is private, keep the rest for a while."""
        path = self._open / job
        try:
            inspection = JobDirectory(path).spec().service is None
        except InputRejected:
            inspection = False
        if inspection:
            clear_away(path)
        elif path.is_dir():
            self._put_away(path)

    def _put_away(self, path: Path) -> None:
        for private in ("home", "cwd"):  # pair records in there open the phone
            clear_away(JobDirectory(path).work / private)
        clear_away(self._closed / path.name)
        path.rename(self._closed / path.name)
        os.utime(self._closed / path.name)
        closed = sorted(self._closed.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in closed[CLOSED_KEPT:]:
            if not clear_away(old):
                log.warning("a worker left what is not the daemon's to remove", path=str(old))

    @staticmethod
    def _finished(path: Path) -> Finished | None:
        try:
            return _finished_decoder.decode((path / "result.json").read_bytes())
        except (OSError, ValueError):
            return None
