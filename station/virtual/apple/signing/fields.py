"""The fields of a signing request, and the words in which the server refuses one.

The statuses are those that public tools and logs know (libtatsu `src/tss.c`: 8, 49, 69, 94, 100, 126; tsschecker#14:
128); all but 94 come with one and the same message, so which of them a fault of a request gets is a guess but for
8 and 49, which libtatsu takes for a baseband's.
"""

from collections.abc import Mapping
from typing import Any

from station.virtual import framing

MAX_REQUEST = 1024 * 1024
"""Bytes; real requests have some 50 KiB."""
_INTERNAL = "An internal error occurred."


class NotSignedError(Exception):
    """The answer to a request that gets no ticket, in TSS's own words."""

    def __init__(self, status: int, message: str = _INTERNAL) -> None:
        super().__init__(f"STATUS={status}&MESSAGE={message}")


def not_eligible() -> NotSignedError:
    """This build is not signed, not for this device, or not with these components."""
    return NotSignedError(94, "This device isn't eligible for the requested build.")


def malformed() -> NotSignedError:
    """The request, or a field of it, cannot be understood."""
    return NotSignedError(100)


def incomplete() -> NotSignedError:
    """A field is missing."""
    return NotSignedError(128)


def bad_baseband() -> NotSignedError:
    """What the request says of the baseband is not enough, or cannot be understood."""
    return NotSignedError(8)


def bad_serial() -> NotSignedError:
    """No baseband has such a serial number."""
    return NotSignedError(49)


def parse(body: bytes) -> dict[str, Any]:
    """The property list in a request. Raises NotSignedError."""
    if len(body) > MAX_REQUEST:
        raise malformed()
    try:
        return framing.parse(body)
    except framing.BadMessageError:
        raise malformed() from None


def number(request: Mapping[str, Any], key: str, *, signed: bool = False) -> int:
    """A number of up to 64 bits, `signed` or not. Raises NotSignedError."""
    value = _present(request, key)
    low, high = (-(1 << 63), 1 << 63) if signed else (0, 1 << 64)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value < high:
        raise malformed()
    return value


def octets(request: Mapping[str, Any], key: str, *lengths: int) -> bytes:
    """Bytes of one of these lengths; none given: of up to 64. Raises NotSignedError."""
    value = _present(request, key)
    if not isinstance(value, bytes) or (len(value) not in lengths if lengths else not 1 <= len(value) <= 64):
        raise malformed()
    return value


def truth(request: Mapping[str, Any], key: str) -> bool:
    """Yes or no; a field that is not there is a yes, as for devices that cannot be anything else."""
    value = request.get(key, True)
    if not isinstance(value, bool | int):
        raise malformed()
    return bool(value)


def same(request: Mapping[str, Any], identity: Mapping[str, Any], *keys: str) -> bool:
    """Whether what a request says under these keys is what a build identity says; what it leaves out, it may."""
    return all(request[key] == plain(identity.get(key)) for key in keys if key in request)


def plain(value: object) -> object:
    """A value of a build identity as it stands in a request: "0x8101" is a number there."""
    return int(value, 16) if isinstance(value, str) and value.startswith("0x") else value


def _present(request: Mapping[str, Any], key: str) -> object:
    if key not in request:
        raise incomplete()
    return request[key]
