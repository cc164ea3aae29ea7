"""The one state each bay is in, for tiles, lamps and words."""

from station.core.arming import Arming
from station.core.bays import Bay, Bays, Stay
from station.core.jobs import Job, JobState
from station.model.api import BayState
from station.model.causes import Cause
from station.model.phone import PhoneMode
from station.model.record import Outcome


def state_of(bay: Bay, bays: Bays, arming: Arming) -> BayState:
    """A result outweighs the job, the job outweighs the phone."""
    if bay.result is not None:
        return ended(bay.result.outcome, bay.result.cause)
    if bay.job is not None:
        return _of_job(bay.job)
    if bay.stay is None or bay.sighting is None:
        return BayState.EMPTY
    if arming.armed is not None and arming.armed.bay == bay.id:
        return BayState.ARMED
    return BayState.NEEDS_PERSON if bays.is_twin(bay) else _of_phone(bay, bay.stay)


def ended(outcome: Outcome, cause: Cause | None) -> BayState:
    """The state of a bay whose job is over."""
    if outcome is Outcome.VERIFIED:
        return BayState.DONE
    unharmed = outcome is Outcome.FAILED_UNTOUCHED and cause is Cause.CANCELLED
    return BayState.CANCELLED if unharmed else BayState.FAILED


def _of_job(job: Job) -> BayState:
    if job.state is JobState.QUEUED:
        return BayState.QUEUED
    if job.verdict is not None and job.outcome is not Outcome.VERIFIED:
        return ended(job.verdict.outcome, job.verdict.cause)
    return BayState.WORKING if job.story.person is None else BayState.NEEDS_PERSON


def _of_phone(bay: Bay, stay: Stay) -> BayState:
    asked_in_vain = stay.failed is not None
    asks_back = bay.inspection is not None and bay.inspection.story.person is not None
    if asked_in_vain or asks_back:
        return BayState.NEEDS_PERSON
    if stay.mode is PhoneMode.NORMAL and stay.facts is None:
        return BayState.READING
    return BayState.NEEDS_PERSON if stay.ecid is None else BayState.READY
