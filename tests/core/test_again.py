"""Whether to try again, and what is said of it."""

import pytest

from station.core.again import advised
from station.core.story import Story
from station.core.verdict import Verdict, failure, verified
from station.model.base import PlugId
from station.model.causes import EXPLANATIONS, STATUS_WORDS, Cause, signed
from station.model.consent import Consent, Hand
from station.model.retries import RETRIES, STATUSES, Mend, can_retry, mend
from station.model.service import Service
from tests.core.helpers import ONE, TWO, A

BY_BUTTONS = Consent(ecid=A, bay=ONE, plug=PlugId("p"), service=Service.RESTORE, by=Hand.BUTTONS, at="")
BY_ORDER = Consent(ecid=A, bay=ONE, plug=PlugId("p"), service=Service.RESTORE, by=Hand.ORDER, at="")


def verdict(cause: Cause, status: int | None = None) -> Verdict:
    return failure(cause, Story(erased=True), status=status)


def test_another_bay_is_named():
    assert advised(verdict(Cause.DEADLINE), BY_BUTTONS, (ONE, TWO)).remedy.endswith("another cable, or in bay 2.")
    assert advised(verdict(Cause.DEADLINE), BY_BUTTONS, ()).remedy.endswith("another cable, or in another socket.")
    assert advised(verdict(Cause.DEVICE_STATUS, 53), BY_BUTTONS, (ONE, TWO)).remedy.endswith("Then START again, once.")


@pytest.mark.parametrize("cause", [Cause.FIRMWARE_CORRUPT, Cause.ASSET_REFUSED, Cause.CANCELLED])
def test_nobody_is_sent_to_try_what_cannot_help(cause):
    before = verdict(cause)
    assert advised(before, BY_BUTTONS, (ONE, TWO)) == before


def test_nobody_is_there_in_the_night():
    before = verdict(Cause.DEADLINE)
    assert advised(before, BY_ORDER, (ONE, TWO)) == before
    assert advised(verified(Service.ERASE), BY_BUTTONS, (ONE, TWO)) == verified(Service.ERASE)


@pytest.mark.parametrize(("status", "written"), [(0xFFFFFFFF, -1), ((1 << 64) - 1, -1), (-1, -1), (53, 53)])
def test_a_number_is_the_one_that_people_know(status, written):
    assert signed(status) == written
    title = verdict(Cause.DEVICE_STATUS, status).title
    assert title.endswith(f"({written}).") or f"({written})" in title


def test_the_tables_fit_each_other():
    assert set(STATUSES) == set(STATUS_WORDS)
    assert set(EXPLANATIONS) == set(Cause)
    assert Mend.NOTHING not in RETRIES.values()
    assert not can_retry(None)
    assert mend(Cause.DEVICE_STATUS, 123456) is Mend.AGAIN
    for cause, words in EXPLANATIONS.items():  # nobody is told twice, or told to do what cannot help
        assert cause not in RETRIES or "tart again" not in words.remedy or cause is Cause.USB_SERVICE, cause
    for words in (*EXPLANATIONS.values(), *STATUS_WORDS.values()):
        assert words.title.endswith(".")
        assert words.remedy.endswith(".")
        assert len(words.remedy) <= 120
