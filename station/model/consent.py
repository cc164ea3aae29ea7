"""Consent: the only thing that lets an irreversible act happen."""

from enum import Enum

from station.model.base import BayId, Ecid, Message, PlugId
from station.model.service import Service


class Hand(Enum):
    """Whose hand gave a consent."""

    BUTTONS = "buttons"
    """START, then CONFIRM held: two controls of the station itself."""
    SCREEN = "screen"
    """START, then a hold on the screen, on a station configured to have no buttons."""
    OPERATOR = "operator"
    """The command line of a station whose policy allows it."""


class Consent(Message, frozen=True, kw_only=True):
    """One person's word that *this* phone, in *this* bay, plugged in *this* time, may get *this* service. Once."""

    ecid: Ecid
    bay: BayId
    plug: PlugId
    service: Service
    by: Hand
    at: str
    """When, RFC 3339 in UTC."""


class Act(Enum):
    """Acts that change the phone. The worker checks the consent before each, and writes its intent down."""

    ENTER_RECOVERY = "enter recovery"
    BOOT_RESTORE_SYSTEM = "boot the restore system"
    ERASE = "erase and install"


DESTRUCTIVE = frozenset({Act.ERASE})
"""Acts that end data. Once one was intended, a failure can no longer say "nothing was erased"."""
