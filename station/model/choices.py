"""What an operator chose at the station: kept in one small file, above the settings and below the environment."""

from collections.abc import Mapping

from station.model.base import BayId, Message, SocketPath
from station.model.face import Face


class PinHash(Message, frozen=True, kw_only=True):
    """What is kept of a PIN (scrypt, RFC 7914). One that matches no PIN at all: both empty."""

    salt: bytes
    digest: bytes


LOST_PIN = PinHash(salt=b"", digest=b"")
"""There was a PIN, and nobody can tell any more which: a file that broke must not open the door."""


class Choices(Message, frozen=True, kw_only=True):
    """Everything that was chosen. What is None or empty was not."""

    pin: PinHash | None = None
    wrong: int = 0
    """How many PINs were wrong in a row. Kept, so that pulling the plug does not make guessing quicker."""
    face: Face = Face()
    policy: str = ""
    """A preset's name, as in the settings."""
    bays: Mapping[BayId, SocketPath] | None = None
    """Every bay and its socket. Empty: sockets become bays as phones appear in them."""
