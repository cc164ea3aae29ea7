"""What to say to a person whose phone's job failed: START again, and what to do differently.

A consent is used once, so nothing is tried again on it: somebody has to say so anew. What an order consented to, it may
renew (`station.core.orders`), and nobody is there to be told.
"""

from collections.abc import Iterable
from dataclasses import replace

from station.core.verdict import Verdict
from station.model.base import BayId
from station.model.consent import Consent, Hand
from station.model.record import Outcome
from station.model.retries import Mend, mend


def advised(verdict: Verdict, consent: Consent, bays: Iterable[BayId]) -> Verdict:
    """A verdict whose remedy says whether, and how, to try again.

    Args:
        verdict: how the job ended.
        consent: what it was started with.
        bays: the station's bays, as far as they are known by name.
    """
    if verdict.outcome is Outcome.VERIFIED or consent.by is Hand.ORDER:
        return verdict
    match mend(verdict.cause, verdict.status):
        case Mend.LINK:
            other = next((bay for bay in bays if bay != consent.bay), None)
            where = "another socket" if other is None else f"bay {other}"
            how = f"Then START again with another cable, or in {where}."
        case Mend.AGAIN:
            how = "Then START again, once."
        case Mend.NOTHING:
            return verdict
    return replace(verdict, remedy=f"{verdict.remedy} {how}".strip())
