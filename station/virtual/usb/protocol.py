"""A USB device as the bus sees it: descriptors, control transfers, bulk endpoints."""

from typing import Protocol


class StallError(Exception):
    """The device does not know the request, or refuses it."""


class UsbDevice(Protocol):
    """What a transport (USB/IP) needs of a device. Standard requests included: the device answers all of them.

    Transfers may be cancelled, which is how a host gives one up. Endpoints are given by their address, as in
    the endpoint descriptor: 0x81 is IN endpoint 1.
    """

    descriptor: bytes
    """The 18-byte device descriptor (USB 2.0, 9.6.1)."""

    async def control(self, request_type: int, request: int, value: int, index: int, length: int, data: bytes) -> bytes:
        """One control transfer; `data` for OUT, at most `length` bytes returned for IN. Raises StallError."""
        ...

    async def bulk_out(self, endpoint: int, data: bytes, /) -> None:
        """Data to an OUT endpoint; b"" is a zero-length packet. Raises StallError."""
        ...

    async def bulk_in(self, endpoint: int, length: int, /) -> bytes:
        """Data from an IN endpoint, at most `length` bytes; waits until there is some. Raises StallError."""
        ...

    async def settle(self) -> None:
        """Wait, for a bounded time, until the host has everything it was told: what restarts answers first."""
        ...
