"""Where a firmware in the store came from, written down beside it: DIRECTORY/origin.json."""

import time
from enum import Enum
from pathlib import Path

import msgspec

from station.adapters import durable
from station.model.base import Message

NAME = "origin.json"


class Vouching(Enum):
    """What it was compared with on its way in."""

    DIGEST = "digest"
    """All of the zip with the digest that the lists of firmware tell."""
    TABLE = "table"
    """Each file with Apple's own table of contents and manifest (`fetch.nearby`)."""
    NOBODY = "nobody"
    """With nothing: Apple could not be reached. As with an import, only the phone will know."""


class Origin(Message, frozen=True, kw_only=True):
    """Where it came from."""

    host: str
    """HOST[:PORT] of who sent (the end of) it."""
    vouching: Vouching
    at: float = msgspec.field(default_factory=time.time)
    """When it was here, in seconds since 1970 by the station's clock."""


_decoder = msgspec.json.Decoder(Origin)


def write(directory: Path, origin: Origin) -> None:
    """Write it down. Raises StorageError."""
    durable.write(directory / NAME, msgspec.json.encode(origin))


def read(directory: Path) -> Origin | None:
    """Where it came from; None: it was imported, or nobody knows."""
    try:
        return _decoder.decode((directory / NAME).read_bytes())
    except (OSError, ValueError):
        return None
