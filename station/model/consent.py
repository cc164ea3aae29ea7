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
    ORDER = "order"
    """An operator's standing order, given beforehand for a number of phones, bays and hours."""


class Options(Message, frozen=True, kw_only=True):
    """What a person can choose about a service; part of what was confirmed."""

    keep_esim: bool = True
    """ERASE: whether the phone's mobile plans stay."""
    build: str = ""
    """REINSTALL, RESTORE: the build that is installed, such as "23C71"; empty: the newest in the store."""
    stay_in_recovery: bool = False
    """RESCUE: keep a phone that starts over and over in recovery mode, instead of having it leave."""


class Consent(Message, frozen=True, kw_only=True):
    """One person's word that *this* phone, in *this* bay, plugged in *this* time, may get *this* service. Once.

    START alone gives it for services that keep everything; the others take CONFIRM too (`Traits.confirmed`).
    """

    ecid: Ecid
    bay: BayId
    plug: PlugId
    service: Service
    by: Hand
    at: str
    """When, RFC 3339 in UTC."""
    options: Options = Options()


class Act(Enum):
    """Acts that change the phone. The worker checks the consent before each, and writes its intent down."""

    RESTART = "restart"
    ENTER_RECOVERY = "enter recovery"
    SET_AUTO_BOOT = "set auto-boot"
    """Tell iBoot to start the system by itself, or not to, and restart."""
    BOOT_RESTORE_SYSTEM = "boot the restore system"
    CHANGE_BACKUP_PASSWORD = "change the backup password"  # noqa: S105 no password, but the name of an act
    """Set the station's own for one backup, and take it away again."""
    STASH_PASSCODE = "stash the passcode"
    """Have the owner type it, so that the data can be unlocked after REINSTALL (preboard's stashbag)."""
    ACTIVATE = "activate"
    INSTALL = "install, and keep the data"
    PUT_BACK = "replace the content with the backup's"
    ERASE_CONTENT = "erase all content and settings"
    ERASE = "erase and install"


DESTRUCTIVE = frozenset({Act.ERASE, Act.ERASE_CONTENT})
"""Acts that end data. Once one was intended, a failure can no longer say "nothing was erased"."""

UNSETTLING = frozenset({Act.INSTALL, Act.PUT_BACK})
"""Acts that leave a phone in between when they fail: nothing is erased, and yet it is not as it was."""

_INSTALLING = frozenset({Act.ENTER_RECOVERY, Act.SET_AUTO_BOOT, Act.BOOT_RESTORE_SYSTEM})

ALLOWED: dict[Service, frozenset[Act]] = {
    # What a consent to a service covers: nobody who agreed to a restart has agreed to an erase.
    Service.RESTART: frozenset({Act.RESTART}),
    Service.RESCUE: frozenset({Act.SET_AUTO_BOOT}),
    Service.BACKUP: frozenset({Act.CHANGE_BACKUP_PASSWORD}),
    Service.PUT_BACK: frozenset({Act.PUT_BACK, Act.CHANGE_BACKUP_PASSWORD}),
    Service.ACTIVATE: frozenset({Act.ACTIVATE}),
    Service.REINSTALL: _INSTALLING | {Act.STASH_PASSCODE, Act.INSTALL},
    Service.ERASE: frozenset({Act.ERASE_CONTENT}),
    Service.RESTORE: _INSTALLING | {Act.ERASE},
}
