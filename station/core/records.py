"""What of a job goes into its record, and what of that people see."""

from typing import TYPE_CHECKING

from station.core.events import Moment
from station.model.api import ResultView
from station.model.events import Succeeded
from station.model.record import Observed, Record
from station.model.service import SERVICES

if TYPE_CHECKING:
    from station.core.jobs import Job


def record_of(job: "Job", observed: Observed, *, seconds: float, now: Moment) -> Record:
    """The record of a job that has its verdict.

    Args:
        job: the job, not yet recorded.
        observed: its phone as last seen.
        seconds: how long it took.
        now: when it ended.
    """
    assert job.verdict is not None
    return Record(
        job=job.id,
        station=job.policy.name,
        software=job.policy.software,
        bay=job.spec.bay,
        ecid=job.ecid,
        service=job.service,
        emulated=job.spec.emulated,
        consent=job.consent,
        firmware=job.firmware,
        before=job.spec.before,
        observed=observed,
        outcome=job.verdict.outcome,
        cause=job.verdict.cause,
        title=job.verdict.title,
        remedy=job.verdict.remedy,
        detail=job.verdict.detail,
        status=_status(job),
        last_phase=job.phase,
        operations=tuple(job.story.operations),
        checks=job.checks,
        started=job.consent.at,
        ended=now.utc,
        duration_seconds=round(seconds, 1),
        clock_trusted=now.trusted,
        decision=job.spec.decided,
        overruled=job.spec.overruled,
        ticket=job.story.ticket,
        backup=None if job.spec.backup is None else job.spec.backup.id,
    )


def _status(job: "Job") -> int | None:
    """Restored's Status: the one it failed with, or the 0 without which an installation has not succeeded."""
    assert job.verdict is not None
    installed = SERVICES[job.service].firmware and isinstance(job.story.last, Succeeded)
    return 0 if installed and job.verdict.status is None else job.verdict.status


def result_of(record: Record, *, number: int, certificate: str | None, proof: str = "") -> ResultView:
    """How a recorded job ended, as people see it: what is shown is what is sealed."""
    return ResultView(
        job=record.job,
        ecid=record.ecid,
        service=record.service,
        outcome=record.outcome,
        title=record.title,
        remedy=record.remedy,
        record=number,
        certificate=certificate,
        proof=proof,
        cause=record.cause,
        checks=record.checks,
        before=record.before,
        after=record.observed.facts,
    )
