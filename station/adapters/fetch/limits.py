"""What a download may take and how long it waits: one object, so that tests wait less for the same."""

from typing import Annotated

from msgspec import Meta

from station.model.base import Message
from station.model.catalog import FirmwareHosts

_Bytes = Annotated[int, Meta(ge=1)]


class FetchRules(Message, frozen=True, kw_only=True):
    """From where firmware is fetched, and how fast."""

    hosts: FirmwareHosts
    mirrors: tuple[str, ...] = ()
    """Addresses below which it is looked for first, by its file's name."""
    nearby: tuple[str, ...] = ()
    """Addresses of other stations, which are asked before anybody else."""
    bytes_per_second: _Bytes | None = None
    """None: as fast as it comes."""


class Limits(Message, frozen=True, kw_only=True):
    """What holds for every download."""

    connect_seconds: float = 10.0
    stall_seconds: float = 30.0
    """A server that sends less than `least_bytes` in that time is given up."""
    least_bytes: int = 16 << 10
    tries: int = 6
    """Rounds over all servers without anything new before it is given up."""
    first_pause: float = 1.0
    """Seconds between two rounds; doubled from one to the next."""
    longest_pause: float = 60.0
    in_vain_bytes: int = 64 << 20
    """Bytes that a server may send before the part that it was asked for, where another may send just that part."""
    near_seconds: float = 60.0
    """Another station that sends less than `near_bytes` in that time is no help."""
    near_bytes: int = 8 << 20
    checkpoint_bytes: int = 32 << 20
    checkpoint_seconds: float = 5.0
    """After so much it is written down how far it is."""
    ahead: int = 256 << 20
    """Bytes that may arrive while that is being written: what a crash can cost at most, with a very slow disk."""
    buffer: _Bytes = 1 << 20
    """Bytes that are handled at a time."""
    buffers: int = 8


LIMITS = Limits()
