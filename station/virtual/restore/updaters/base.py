"""What all updaters share: how they ask, and how they hold a ticket against what they asked for.

FirmwareUpdaterData as pymobiledevice3 `restore/restore.py` answers it. With a DeviceGeneratedRequest (from iOS 18
on) the phone makes the request up itself, from firmware it had sent before (SourceBootObjectV4); the host adds what
DeviceGeneratedTags names of its build identity, has it signed, and returns the ticket. Without one the host makes
the request up from the build identity and what the phone says in MessageArgInfo, and sends the firmware along.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from station.virtual.faults.kinds import StatusError
from station.virtual.firmware.image4 import Ticket
from station.virtual.firmware.peripherals import fourcc
from station.virtual.restore.installation import INCOMPLETE, Installation

Receive = Callable[[], Awaitable[dict[str, Any]]]


class Updater(Protocol):
    """One updater, for one restore."""

    @property
    def sources(self) -> tuple[str, ...]:
        """The components it wants to see before it asks."""
        ...

    @property
    def firmware(self) -> tuple[str, ...]:
        """The components it wants after it has its ticket."""
        ...

    def arguments(self) -> dict[str, Any]:
        """What its request says beside its name."""
        ...

    def measure(self, name: str, data: bytes) -> None:
        """Take one of `sources`."""
        ...

    async def take(self, receive: Receive) -> None:
        """Take the host's answer, message by message. Raises StatusError."""
        ...

    def install(self, name: str, data: bytes) -> None:
        """Take one of `firmware`. Raises StatusError."""
        ...


@dataclass(frozen=True)
class Asked:
    """What a ticket must say to be the one that was asked for."""

    ticket: str
    """What it is called: "Rap,Ticket"."""
    chip: int
    subject: int | bytes
    """What names the very chip."""
    nonce: bytes

    def take(self, installation: Installation, response: Mapping[str, Any], digests: Mapping[str, bytes]) -> Ticket:
        """The ticket in a response, which must cover these components and no other. Raises StatusError."""
        ticket = installation.take_ticket(response.get(self.ticket), nonce=self.nonce)
        if ticket.chip != self.chip:
            raise StatusError(INCOMPLETE, f"{self.ticket} is for chip {ticket.chip}")
        if ticket.properties.get("SUBJ") != self.subject:
            raise StatusError(INCOMPLETE, f"{self.ticket} is for another chip of the kind")
        if differing := [name for name, digest in digests.items() if ticket.digests.get(fourcc(name)) != digest]:
            raise StatusError(INCOMPLETE, f"{self.ticket} does not cover {', '.join(differing)}")
        return ticket


class OneAnswer:
    """An updater that has all it wants with the host's answer, and so asks for no component by itself."""

    sources: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()

    def measure(self, name: str, data: bytes) -> None:
        """It has no sources."""

    def install(self, name: str, data: bytes) -> None:
        """It has no firmware left to take."""


class DeviceGenerated(OneAnswer):
    """An updater that makes its request up itself."""

    def __init__(
        self,
        installation: Installation,
        asked: Asked,
        *,
        fields: Mapping[str, Any],
        tags: tuple[str, ...],
        info: Mapping[str, Any],
        sources: tuple[str, ...] = (),
        named: tuple[str, ...] = (),
    ) -> None:
        """Prepare.

        Args:
            installation: where what was received is kept.
            asked: what the ticket must say.
            fields: what the request holds beside components.
            tags: what the host is to add of its build identity.
            info: MessageArgInfo.
            sources: the components it is sent before it asks, and takes the digests of.
            named: the components it asks for with the digests of the build identity.
        """
        self.sources = sources
        self._installation = installation
        self._asked = asked
        self._fields = fields
        self._tags = tags
        self._info = info
        self._named = named
        self._digests: dict[str, bytes] = {}

    def arguments(self) -> dict[str, Any]:
        """The request."""
        entries = {name: self._installation.entry(name).get("Digest") for name in self._named}
        self._digests |= {name: digest for name, digest in entries.items() if isinstance(digest, bytes)}
        return device_generated(
            self._asked.ticket,
            tags=(*self._tags, *self.sources),
            info=self._info,
            request={**self._fields, **{name: self._component(name) for name in self._digests}},
        )

    def measure(self, name: str, data: bytes) -> None:
        """Take the digest of a component."""
        self._digests[name] = hashlib.sha256(data).digest()

    async def take(self, receive: Receive) -> None:
        """Take the ticket."""
        self.accept(self._asked.take(self._installation, response_of(await receive()), self._covered()))

    def accept(self, _ticket: Ticket) -> None:
        """What is done with the ticket: by itself, nothing more."""

    def _component(self, name: str) -> dict[str, Any]:
        return {"Digest": self._digests[name]}

    def _covered(self) -> dict[str, bytes]:
        return self._digests


def device_generated(
    ticket: str, *, tags: tuple[str, ...], info: Mapping[str, Any], request: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a request that the phone made up."""
    return {
        "MessageArgInfo": dict(info),
        "DeviceGeneratedRequest": {f"@{ticket}": True, **request},
        "DeviceGeneratedTags": {"ResponseTags": [ticket], "BuildIdentityTags": list(tags)},
    }


def response_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the host answered. Raises StatusError."""
    response = message.get("FirmwareResponseData")
    if not isinstance(response, Mapping):
        raise StatusError(INCOMPLETE, "no FirmwareResponseData")
    return response
