"""Which phones are set aside: their wipe failed, and nobody has looked into it.

Nothing of this is kept by itself. It follows from the records, in their order, and from the releases that operators
gave: a daemon that begins reads both, and comes to the same as the one before.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from station.errors import Refused
from station.model.base import Ecid, JobId, format_ecid
from station.model.consent import ALLOWED, DESTRUCTIVE, UNSETTLING
from station.model.gates import Gate, Overruling
from station.model.record import Outcome, Record
from station.model.release import Release

HALF_DONE = frozenset({Outcome.FAILED_ERASED, Outcome.FAILED_BETWEEN})


@dataclass(frozen=True, kw_only=True)
class Failures:
    """The failed wipes of one phone since its last good one."""

    jobs: tuple[JobId, ...]
    emulated: bool
    title: str
    """How the last one ended."""
    wiped: bool
    """Whether one of them was to end the data: then nothing but a wipe that goes well makes it good."""


@dataclass
class Quarantine:
    """What the records say of phones whose wipe failed."""

    _failures: dict[Ecid, Failures] = field(default_factory=dict)
    _releases: dict[Ecid, Release] = field(default_factory=dict)
    _announced: dict[JobId, Release] = field(default_factory=dict)

    def announce(self, releases: Iterable[Release]) -> None:
        """Before the records are taken in: the releases that were given in their course."""
        self._announced = {release.jobs[-1]: release for release in releases if release.jobs}

    def recorded(self, record: Record) -> None:
        """Take in a record. The same one may come again."""
        release = self._releases.get(record.ecid)
        if release is not None and record.job in release.jobs:
            return
        known = self._failures.get(record.ecid)
        if failed(record):
            jobs = () if known is None else known.jobs
            if record.job not in jobs:
                words = Failures(
                    jobs=(*jobs, record.job),
                    emulated=record.emulated,
                    title=record.title,
                    wiped=_wipes(record) or (known is not None and known.wiped),
                )
                self._failures[record.ecid] = words
        elif known is not None and record.outcome is Outcome.VERIFIED and _makes_good(record, known):
            del self._failures[record.ecid]
        if record.outcome is not Outcome.FAILED_UNTOUCHED:
            self._releases.pop(record.ecid, None)  # what came after it carries it in its own record
        if (announced := self._announced.pop(record.job, None)) is not None:
            self.released(announced)

    def release(self, ecid: Ecid, reason: str, *, at: str) -> Release:
        """What an operator's word would release; `released` makes it so. Raises Refused when nothing is set aside."""
        failures = self._failures.get(ecid)
        if failures is None:
            raise Refused(f"The phone {format_ecid(ecid)} is not set aside.")
        return Release(ecid=ecid, jobs=failures.jobs, emulated=failures.emulated, reason=reason, at=at)

    def released(self, release: Release) -> None:
        """An operator has looked into these failures, and the word is durable."""
        failures = self._failures.get(release.ecid)
        if failures is not None and set(failures.jobs) <= set(release.jobs):
            del self._failures[release.ecid]
        self._releases[release.ecid] = release

    def failures(self, ecid: Ecid | None, *, emulated: bool) -> Failures | None:
        """What failed with a phone. A virtual phone's failures say nothing of a real one with the same number."""
        found = None if ecid is None else self._failures.get(ecid)
        return found if found is not None and found.emulated == emulated else None

    def overruling(self, ecid: Ecid) -> Overruling | None:
        """For the record of what is done next: that it was released, and why."""
        release = self._releases.get(ecid)
        if release is None:
            return None
        return Overruling(gate=Gate.QUARANTINE, reason=release.reason, at=release.at)


def failed(record: Record) -> bool:
    """Whether a record is of a wipe that failed: the phone is neither as it was nor as it should be."""
    return record.outcome in HALF_DONE or (_wipes(record) and record.outcome is Outcome.NOT_VERIFIED)


def _wipes(record: Record) -> bool:
    return bool(ALLOWED[record.service] & DESTRUCTIVE)


def _makes_good(record: Record, known: Failures) -> bool:
    """Whether what went well ends what had failed. After a reinstall, what a wipe was to end may still be there."""
    return _wipes(record) or (not known.wiped and bool(ALLOWED[record.service] & UNSETTLING))
