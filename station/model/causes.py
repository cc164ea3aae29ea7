"""Why a job did not end well: stable codes, each with a title and a remedy in plain words."""

from enum import Enum

from station.model.base import Message


class Cause(Enum):
    """A stable code for records and tests; never renamed."""

    DISCONNECTED = "disconnected"
    WRONG_PHONE = "wrong_phone"
    CONSENT_VOID = "consent_void"
    DEADLINE = "deadline"
    DEVICE_STATUS = "device_status"
    SIGNING_REFUSED = "signing_refused"
    SIGNING_UNREACHABLE = "signing_unreachable"
    SIGNING_GARBLED = "signing_garbled"
    FIRMWARE_MISSING = "firmware_missing"
    FIRMWARE_CORRUPT = "firmware_corrupt"
    DISK_FULL = "disk_full"
    PORT_REFUSED = "port_refused"
    STAYED_IN_RECOVERY = "stayed_in_recovery"
    WORKER_DIED = "worker_died"
    NOT_TRUSTED = "not_trusted"
    LOCKED = "locked"
    ASSET_REFUSED = "asset_refused"
    PROTOCOL = "protocol"
    NOT_RETURNED = "not_returned"
    BUILD_DIFFERS = "build_differs"
    NOT_CLEAN = "not_clean"
    NOT_LEFT = "not_left"
    DATA_CHANGED = "data_changed"
    REFUSED_BY_PHONE = "refused_by_phone"
    PHONE_FULL = "phone_full"
    EARLIER_PUT_BACK = "earlier_put_back"
    FIND_MY_ON = "find_my_on"
    ACTIVATION_LOCKED = "activation_locked"
    NOT_ACTIVATED = "not_activated"
    NOT_SET_UP = "not_set_up"
    ACTIVATION_UNREACHABLE = "activation_unreachable"
    PASSCODE_NOT_GIVEN = "passcode_not_given"
    TYPE_PASSCODE = "type_passcode"
    ENTER_RECOVERY = "enter_recovery"
    ENTER_DFU = "enter_dfu"
    FIRMWARE_OLDER = "firmware_older"
    BACKUP_PASSWORD_UNKNOWN = "backup_password_unknown"  # noqa: S105 no password, but the name of a cause
    BACKUP_FAULTY = "backup_faulty"
    BACKUP_MISSING = "backup_missing"
    CANCELLED = "cancelled"
    NOT_SUPPORTED = "not_supported"
    USB_SERVICE = "usb_service"
    INTERNAL = "internal"


_NETWORK = "Check the station's network connection."
_NEWEST = "Fetch or import the newest firmware for this model, then START again."
_LINK = "Connect it without a hub. If another cable and socket do not help, the phone needs repair."


class Explanation(Message, frozen=True, kw_only=True):
    """A cause in words: what happened, and what a person can do."""

    title: str
    remedy: str


EXPLANATIONS: dict[Cause, Explanation] = {
    Cause.DISCONNECTED: Explanation(
        title="The phone was unplugged or lost its connection.",
        remedy="Plug it in again.",
    ),
    Cause.WRONG_PHONE: Explanation(
        title="A different phone is in this bay.",
        remedy="Put the right phone back, or start again for this one.",
    ),
    Cause.CONSENT_VOID: Explanation(
        title="The confirmation no longer covers this phone.",
        remedy="Press START and hold CONFIRM again.",
    ),
    Cause.DEADLINE: Explanation(
        title="The phone stopped answering.",
        remedy="Unplug it and plug it in again. If it repeats, the phone may be faulty.",
    ),
    Cause.DEVICE_STATUS: Explanation(
        title="The phone reported that the restore failed.",
        remedy="If the same number returns, the phone needs repair.",
    ),
    Cause.SIGNING_REFUSED: Explanation(
        title="Apple does not sign this iOS version for this phone.",
        remedy=_NEWEST,
    ),
    Cause.SIGNING_UNREACHABLE: Explanation(
        title="Apple's signing server cannot be reached.",
        remedy="Check the station's network connection. Nothing was erased.",
    ),
    Cause.SIGNING_GARBLED: Explanation(
        title="Something else answered in place of Apple's signing server.",
        remedy="The network may ask for a login first (a guest Wi-Fi page). Use another network, then start again.",
    ),
    Cause.FIRMWARE_MISSING: Explanation(
        title="The station has no firmware for this model.",
        remedy="Import it (station firmware import), then start again.",
    ),
    Cause.FIRMWARE_CORRUPT: Explanation(
        title="The station's copy of the firmware is damaged.",
        remedy="Import it again (station firmware import).",
    ),
    Cause.DISK_FULL: Explanation(
        title="The station's disk is full.",
        remedy="Free some space on the station, then start again.",
    ),
    Cause.PORT_REFUSED: Explanation(
        title="The phone refused a connection it had asked for.",
        remedy="Unplug it and plug it in again.",
    ),
    Cause.STAYED_IN_RECOVERY: Explanation(
        title="The phone came back in recovery mode.",
        remedy="If it repeats, choose “Reinstall iOS”; if that is what failed, import the firmware again.",
    ),
    Cause.WORKER_DIED: Explanation(
        title="The program working on this phone ended unexpectedly.",
        remedy="The log has details. Plug the phone in again.",
    ),
    Cause.NOT_TRUSTED: Explanation(
        title="The phone does not trust this station.",
        remedy="Unlock the phone and tap “Trust” when it asks. If it does not ask, plug it in again.",
    ),
    Cause.LOCKED: Explanation(
        title="The phone is locked.",
        remedy="Unlock it with its passcode and leave the screen on.",
    ),
    Cause.ASSET_REFUSED: Explanation(
        title="The phone asked the station to fetch something from a place it must not.",
        remedy="Set this phone aside; it may be tampered with.",
    ),
    Cause.PROTOCOL: Explanation(
        title="The phone said something the station does not understand.",
        remedy="If it repeats, set this phone aside and send the job's log to the makers.",
    ),
    Cause.NOT_RETURNED: Explanation(
        title="The phone did not come back.",
        remedy="Leave it plugged in for a few minutes; then plug it in again to see its state.",
    ),
    Cause.BUILD_DIFFERS: Explanation(
        title="The phone came back with another iOS version than the one installed.",
        remedy="Do not hand the phone on.",
    ),
    Cause.NOT_CLEAN: Explanation(
        title="The phone came back, but it does not look erased.",
        remedy="Do not hand the phone on.",
    ),
    Cause.NOT_LEFT: Explanation(
        title="The phone took the order and did not restart.",
        remedy="Hold its buttons to force it: choose “It does not react”.",
    ),
    Cause.DATA_CHANGED: Explanation(
        title="The phone came back, but not all that was on it was seen again.",
        remedy="Unlock it and look whether something is missing. The backup, if one was made, is in the vault.",
    ),
    Cause.REFUSED_BY_PHONE: Explanation(
        title="The phone refused.",
        remedy="A profile on it may forbid this: ask whoever manages it. Otherwise restore it from recovery mode.",
    ),
    Cause.PHONE_FULL: Explanation(
        title="The phone has too little free storage.",
        remedy="Delete something large on it, then start again.",
    ),
    Cause.EARLIER_PUT_BACK: Explanation(
        title="A backup that was put back before waits on the phone for its restart.",
        remedy="Restart the phone. Then start again.",
    ),
    Cause.FIND_MY_ON: Explanation(
        title="“Find My” is on.",
        remedy="The owner turns it off: Settings, their name, Find My, Find My iPhone. Then start again.",
    ),
    Cause.ACTIVATION_LOCKED: Explanation(
        title="The phone belongs to an Apple Account: Activation Lock.",
        remedy="Its owner signs in on the phone, or removes it from their account at icloud.com/find.",
    ),
    Cause.NOT_ACTIVATED: Explanation(
        title="Apple did not activate the phone.",
        remedy="Set it up by hand over Wi-Fi. If Apple refuses there too, ask Apple.",
    ),
    Cause.NOT_SET_UP: Explanation(
        title="The phone has not been set up.",
        remedy="Finish its setup on the phone. Then start again.",
    ),
    Cause.ACTIVATION_UNREACHABLE: Explanation(
        title="Apple's activation server cannot be reached.",
        remedy="Check the station's network connection.",
    ),
    Cause.PASSCODE_NOT_GIVEN: Explanation(
        title="The passcode was not typed on the phone.",
        remedy="Start again, and type it when the phone asks. Without it the data could not be unlocked afterwards.",
    ),
    Cause.TYPE_PASSCODE: Explanation(
        title="The phone asks for its passcode.",
        remedy="Its owner types it on the phone, perhaps more than once. The station does not see it.",
    ),
    Cause.ENTER_RECOVERY: Explanation(
        title="The phone does not enter recovery mode by itself.",
        remedy="Hold its buttons until it shows a cable and a computer. The station then goes on by itself.",
    ),
    Cause.ENTER_DFU: Explanation(
        title="The phone cannot go on from recovery mode.",
        remedy="Bring it into DFU mode: hold its buttons until the screen stays black. The station then goes on.",
    ),
    Cause.FIRMWARE_OLDER: Explanation(
        title="The firmware is older than what is on the phone.",
        remedy="Import newer firmware (station firmware import), then start again. Nothing was changed.",
    ),
    Cause.BACKUP_PASSWORD_UNKNOWN: Explanation(
        title="The phone's backups have a password that the station does not know.",
        remedy="The owner removes it: Settings, General, Transfer or Reset, Reset, Reset All Settings. Data stays.",
    ),
    Cause.BACKUP_FAULTY: Explanation(
        title="The backup was made, but reading it back found faults.",
        remedy="It does not count as a backup.",
    ),
    Cause.BACKUP_MISSING: Explanation(
        title="There is no verified backup of this phone here.",
        remedy="Make one first.",
    ),
    Cause.CANCELLED: Explanation(
        title="Cancelled before anything was erased.",
        remedy="Start again whenever you like.",
    ),
    Cause.NOT_SUPPORTED: Explanation(
        title="This phone, or the iOS on it, cannot do that.",
        remedy="Choose another service, or give it the newest iOS first.",
    ),
    Cause.USB_SERVICE: Explanation(
        title="The station's own USB service does not answer.",
        remedy="Wait a minute, then start again. If it repeats, restart the station.",
    ),
    Cause.INTERNAL: Explanation(
        title="The station hit an error of its own.",
        remedy="Start again. If it repeats, send the job's log to the makers.",
    ),
}

STATUS_WORDS: dict[int, Explanation] = {
    # What restored's final status numbers mean (idevicerestore's table, and numbers seen in public logs), and those
    # that Apple's own programs show to people, who will look for them here. What to try again: `station.model.retries`.
    -1: Explanation(
        title="The phone did not accept the restored system (-1).", remedy="If it repeats, import the firmware again."
    ),
    6: Explanation(title="The phone's storage failed (6).", remedy="Its storage is likely worn out: set it aside."),
    9: Explanation(
        title="The phone lost its connection during the restore (9).",
        remedy="If another cable and socket do not help, the phone needs repair.",
    ),
    14: Explanation(
        title="The restore failed (14).", remedy="Connect it without a hub. If it repeats, import the firmware again."
    ),
    21: Explanation(
        title="The phone stopped the restore (21).",
        remedy="Let it charge for half an hour. If it repeats, its battery or a replaced part may be the cause.",
    ),
    27: Explanation(
        title="The phone could not mount its storage (27).",
        remedy="Begin from DFU mode. If it repeats, it needs repair.",
    ),
    50: Explanation(
        title="The secure enclave firmware did not load (50).", remedy="If it repeats, the board is faulty."
    ),
    51: Explanation(
        title="The secure enclave firmware did not load (51).", remedy="If it repeats, the board is faulty."
    ),
    53: Explanation(
        title="The phone could not recover its factory data (53).",
        remedy="Check the internet connection. A replaced part is the usual cause.",
    ),
    68: Explanation(
        title="The update did not fit this phone (68).", remedy="Use “Erase and restore” with the newest iOS."
    ),
    94: Explanation(title="Apple does not sign this iOS version for this phone (94).", remedy=_NEWEST),
    1015: Explanation(title="The cellular modem update failed (1015).", remedy="If it repeats, the modem is faulty."),
    3004: Explanation(title="Apple's signing server cannot be reached (3004).", remedy=_NETWORK),
    3014: Explanation(title="Apple's signing server does not answer in time (3014).", remedy=_NETWORK),
    3194: Explanation(title="Apple does not sign this iOS version for this phone (3194).", remedy=_NEWEST),
    4005: Explanation(title="The phone lost its connection during the restore (4005).", remedy=_LINK),
    4013: Explanation(title="The phone lost its connection during the restore (4013).", remedy=_LINK),
    4014: Explanation(title="The phone lost its connection during the restore (4014).", remedy=_LINK),
    **{
        number: Explanation(
            title=f"The phone was not in the mode it had to be in ({number}).",
            remedy="Connect it without a hub and bring it into recovery mode anew.",
        )
        for number in (1600, 1601, 1602, 1603, 1604)
    },
}


def signed(status: int) -> int:
    """A status as people write it: phones send small negative ones as 32 or 64 bits without a sign."""
    for bits in (32, 64):
        if 1 << (bits - 1) <= status < 1 << bits:
            return status - (1 << bits)
    return status
