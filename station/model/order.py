"""A standing order as it is kept on the disk, and what is reported of it when it has ended."""

from enum import Enum
from typing import NewType

from station.model.base import BayId, Ecid, Message, PlugId
from station.model.consent import Consent, Options
from station.model.record import Outcome
from station.model.service import Service

OrderId = NewType("OrderId", str)
"""A standing order's name; also the name of its files."""

MAX_COUNT = 500
"""Phones that one order may cover; it is written down whole each time a phone gets its turn."""
MAX_SECONDS = 7 * 24 * 3600.0
"""How long one order may hold."""


class OrderEnd(Enum):
    """Why an order gives no more consents."""

    COUNT = "every phone it covers had its turn"
    TIME = "its time is over"
    OPERATOR = "the operator ended it"


class OrderResult(Message, frozen=True, kw_only=True):
    """A job of the order is recorded."""

    ecid: Ecid
    record: int
    """Its number in its chain."""
    emulated: bool
    """Whose chain that is: the demonstration's, or the station's own."""
    verified: bool


class PassedOver(Message, frozen=True, kw_only=True):
    """A phone that was here and got nothing."""

    ecid: Ecid | None
    bay: BayId
    plug: PlugId
    model_name: str
    at: str
    """When that was noticed first, RFC 3339 in UTC."""
    why: str
    """In words."""


class OrderNote(Message, frozen=True, kw_only=True):
    """A standing order and what has become of it. On the disk before any of its consents is used."""

    id: OrderId
    station: str
    service: Service
    options: Options
    bays: tuple[BayId, ...]
    """Empty: every bay."""
    count: int
    given: str
    """When, RFC 3339 in UTC."""
    until: float
    """CLOCK_BOOTTIME seconds; of another boot: `ends` counts."""
    ends: str
    """The same as RFC 3339 in UTC."""
    clock_trusted: bool
    """Whether the wall clock was known to be right when it was given: otherwise `ends` means nothing."""
    consents: tuple[Consent, ...] = ()
    """Each that was given, a second try too. A phone in here gets no other after a crash, whatever became of it."""
    results: tuple[OrderResult, ...] = ()
    passed: tuple[PassedOver, ...] = ()
    end: OrderEnd | None = None
    """Set: it gives no more consents; what has begun goes on."""
    closed: str = ""
    """When its last job was recorded, RFC 3339 in UTC; empty: it is not over."""


class ReportLine(Message, frozen=True, kw_only=True):
    """One phone that had its turn, with its last result."""

    ecid: Ecid
    bay: BayId
    model_name: str
    outcome: Outcome | None
    """None: it never began, or nobody knows: the station was interrupted."""
    title: str
    remedy: str
    record: int
    """Number of its record; 0: there is none."""
    emulated: bool
    tries: int
    seconds: float
    certified: bool
    """Whether what was done was verified, which is what a certificate says."""


class OrderReport(Message, frozen=True, kw_only=True):
    """What came of a standing order: for people as text, for programs as JSON."""

    order: OrderId
    station: str
    service: Service
    bays: tuple[BayId, ...]
    count: int
    given: str
    ended: str
    """Empty: it still holds, or ends with what has begun (`why_ended`)."""
    why_ended: str
    done: int
    failed: int
    left: int
    """Phones it would still have covered."""
    phones: tuple[ReportLine, ...]
    passed: tuple[PassedOver, ...]
