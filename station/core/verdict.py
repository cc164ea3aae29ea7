"""How a job ended: the worker's exit and its last word must agree; anything else is a failure with a cause."""

import signal
from dataclasses import dataclass

from station.core.story import Story
from station.model.causes import EXPLANATIONS, STATUS_WORDS, Cause, Explanation, signed
from station.model.consent import Act
from station.model.events import Failed, Succeeded, WorkerExit
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.model.service import SERVICES, Service

_CONSEQUENCES = frozenset({Cause.CONSENT_VOID, Cause.DISCONNECTED})
"""What a worker sees when the station voids its job: the station's own reason says more."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a job ended, with the words for it."""

    outcome: Outcome
    cause: Cause | None
    title: str
    remedy: str
    detail: str = ""
    status: int | None = None
    phone_mode: PhoneMode | None = None
    """The mode the worker last saw the phone in, when it said."""


def verified(service: Service) -> Verdict:
    """The verdict for a service whose result was seen to be right."""
    done = SERVICES[service].done
    return Verdict(outcome=Outcome.VERIFIED, cause=None, title=done, remedy="Unplug the phone.")


def judge(story: Story, how: WorkerExit | None, *, voided: Cause | None, detail: str = "") -> Verdict | None:
    """Judge a worker that has ended. None: it did what it was asked; what came back must now be looked at.

    Args:
        story: everything it said.
        how: how its process ended; None when nobody could say.
        voided: why the station itself ended or voided the job, if it did.
        detail: a line about `voided` for the record.
    """
    if isinstance(story.last, Succeeded) and how == WorkerExit(code=0):
        return None
    if isinstance(story.last, Failed) and not (voided is not None and story.last.cause in _CONSEQUENCES):
        failed = story.last
        return failure(failed.cause, story, detail=failed.detail, status=failed.status, mode=failed.phone_mode)
    if voided is not None:
        return failure(voided, story, detail=detail)
    if how is not None and how.signal == signal.SIGALRM:
        return failure(Cause.DEADLINE, story, detail=f"no sign of progress in phase “{story.phase.value}”")
    said = "said it succeeded" if isinstance(story.last, Succeeded) else "said nothing of its end"
    return failure(Cause.WORKER_DIED, story, detail=f"the worker {said}, and {_in_words(how)}")


def failure(
    cause: Cause, story: Story, *, detail: str = "", status: int | None = None, mode: PhoneMode | None = None
) -> Verdict:
    """The verdict for a failure, honest about whether the data can still be there."""
    outcome = Outcome.FAILED_BETWEEN if story.between else Outcome.FAILED_UNTOUCHED
    outcome = Outcome.FAILED_ERASED if story.erased else outcome
    words = explain(cause, outcome, status=status, erasing=story.erasing)
    return Verdict(
        outcome=outcome,
        cause=cause,
        title=words.title,
        remedy=words.remedy,
        detail=detail,
        status=status,
        phone_mode=mode,
    )


def not_verified(cause: Cause, detail: str = "") -> Verdict:
    """The verdict for a phone that reported success and was not seen to be right."""
    words = EXPLANATIONS[cause]
    return Verdict(outcome=Outcome.NOT_VERIFIED, cause=cause, title=words.title, remedy=words.remedy, detail=detail)


def explain(cause: Cause, outcome: Outcome, *, status: int | None = None, erasing: Act | None = None) -> Explanation:
    """A cause in words. Nothing that was erased is ever said to be untouched. `erasing`: what it was erased by."""
    words = EXPLANATIONS[cause]
    if cause is Cause.DEVICE_STATUS and status is not None:
        number = signed(status)
        words = STATUS_WORDS.get(number, Explanation(title=f"{words.title} ({number})", remedy=words.remedy))
    if outcome is Outcome.FAILED_UNTOUCHED:
        return words
    if outcome is Outcome.FAILED_BETWEEN:
        title = "Cancelled half-way." if cause is Cause.CANCELLED else words.title
        return Explanation(title=title, remedy=f"{words.remedy} Nothing was erased, but the phone is half-way: go on.")
    title = words.title
    remedy = words.remedy.replace("Nothing was erased.", "").strip()
    if cause is Cause.CANCELLED:
        title, remedy = "Cancelled, but the erase had already been sent.", "Start again."
    if erasing is Act.ERASE_CONTENT:  # its system stays, and a phone that refused may have everything still
        return Explanation(title=title, remedy=f"{remedy} The erase was sent and not seen to end: look at the phone.")
    return Explanation(title=title, remedy=f"{remedy} The phone is erased and cannot be used until it is restored.")


def _in_words(how: WorkerExit | None) -> str:
    if how is None:
        return "nobody saw how it ended"
    if how.signal is not None:
        return f"was ended by signal {how.signal}"
    return f"ended with code {how.code}"
