"""What trying again can mend: by cause, and by the number a phone gave. Once; see `station.core.orders`."""

from enum import Enum

from station.model.causes import Cause, signed


class Mend(Enum):
    """What may make the difference the second time."""

    LINK = "link"
    """Another cable or socket: the connection broke or was too slow."""
    AGAIN = "again"
    """Nothing but another try."""
    NOTHING = "nothing"
    """The same would happen again: something else has to be done first."""


RETRIES: dict[Cause, Mend] = {
    # Public issue threads: a connection that breaks at a random percent goes well the second time, or with another
    # cable or port (idevicerestore#604, #759, #619, #132, #143).
    Cause.DISCONNECTED: Mend.LINK,
    Cause.DEADLINE: Mend.LINK,
    Cause.PORT_REFUSED: Mend.LINK,
    Cause.STAYED_IN_RECOVERY: Mend.LINK,
    Cause.NOT_RETURNED: Mend.LINK,
    Cause.DEVICE_STATUS: Mend.AGAIN,
    Cause.WORKER_DIED: Mend.AGAIN,
    Cause.PROTOCOL: Mend.AGAIN,
    Cause.SIGNING_UNREACHABLE: Mend.AGAIN,
    Cause.ACTIVATION_UNREACHABLE: Mend.AGAIN,
    Cause.NOT_LEFT: Mend.AGAIN,
    Cause.NOT_CLEAN: Mend.AGAIN,
    Cause.BUILD_DIFFERS: Mend.AGAIN,
    Cause.BACKUP_FAULTY: Mend.AGAIN,
    Cause.USB_SERVICE: Mend.AGAIN,
}
"""Whatever is not named: nothing."""

STATUSES: dict[int, Mend] = {
    # restored's Status. What is not named is tried again, once.
    -1: Mend.AGAIN,
    6: Mend.NOTHING,
    9: Mend.LINK,
    14: Mend.LINK,
    21: Mend.AGAIN,
    27: Mend.AGAIN,
    50: Mend.AGAIN,
    51: Mend.AGAIN,
    53: Mend.AGAIN,
    68: Mend.NOTHING,
    94: Mend.NOTHING,
    1015: Mend.AGAIN,
    1600: Mend.LINK,
    1601: Mend.LINK,
    1602: Mend.LINK,
    1603: Mend.LINK,
    1604: Mend.LINK,
    3004: Mend.AGAIN,
    3014: Mend.AGAIN,
    3194: Mend.NOTHING,
    4005: Mend.LINK,
    4013: Mend.LINK,
    4014: Mend.LINK,
}


def mend(cause: Cause | None, status: int | None = None) -> Mend:
    """What may mend a failure.

    Args:
        cause: why it failed; None: it did not.
        status: the number the phone gave, when it gave one.
    """
    if cause is Cause.DEVICE_STATUS and status is not None:
        return STATUSES.get(signed(status), Mend.AGAIN)
    return Mend.NOTHING if cause is None else RETRIES.get(cause, Mend.NOTHING)


def can_retry(cause: Cause | None, status: int | None = None) -> bool:
    """Whether another try, with nothing else done, may go well."""
    return mend(cause, status) is not Mend.NOTHING
