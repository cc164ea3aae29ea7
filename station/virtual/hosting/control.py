"""The hands at the virtual phones: plug, unplug, make something go wrong, look. For people and tests.

Over a unix socket, one JSON command a line, each answered with one line.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from station.errors import InputRejected, Refused
from station.model.base import Ecid, Message, SocketPath, Udid
from station.model.phone import PhoneMode
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.kinds import Fault
from station.virtual.phones.buttons import Hold
from station.virtual.phones.installed import System
from station.virtual.sockets import listening
from station.virtual.system.files import FileSystem

MAX_LINE = 16 << 20
"""Histories are long."""
ANSWER_SECONDS = 30.0


class Installed(Message, frozen=True, kw_only=True):
    """What is installed on a phone; the fields are `System`'s."""

    version: str
    build: str
    name: str = "Somebody’s iPhone"
    activation_state: str = "Activated"
    passcode: bool = False
    locked: bool = False
    trusted: bool = True
    denied: bool = False
    find_my: bool | None = False
    supervised: bool = False
    managed: bool = False
    developer_mode: bool = False
    backup_password: str | None = None
    data: bool = True
    """Whether the owner has something on it."""

    @classmethod
    def of(cls, system: System) -> Self:
        """Describe a system."""
        return cls(**{name: getattr(system, name) for name in _SHARED}, data=system.canary is not None)

    def system(self) -> System:
        """Make such a system."""
        system = System(**{name: getattr(self, name) for name in _SHARED})
        if not self.data:
            system.files = FileSystem()
        return system


_SHARED = tuple(name for name in Installed.__struct_fields__ if name != "data")


class Plug(Message, frozen=True, kw_only=True, tag="plug"):
    """Make a phone and plug it in."""

    model: str = "iPhone 12"
    """The name on the box, the product type, or the hardware model."""
    gigabytes: int | None = None
    """Its storage; None: what is usual for the model."""
    installed: Installed | None = None
    """None: nothing; it starts in recovery."""
    ecid: Ecid | None = None
    """None: one at random."""
    socket: SocketPath | None = None
    """None: the first free one."""
    clone: bool = False
    """Whether it may have the ECID of another one. It is not remembered: it cannot be plugged in again."""
    people: tuple[str, ...] = ()
    """Whose it is, by the names of `people`: changes what is installed."""
    auto_boot: bool = True
    """False: it stays in recovery though there is something to boot."""
    faults: tuple[Fault, ...] = ()
    pace: float | None = None
    """None: the host's."""


class Replug(Message, frozen=True, kw_only=True, tag="replug"):
    """Plug a phone in again that was unplugged, as it is now."""

    ecid: Ecid
    socket: SocketPath | None = None


class Unplug(Message, frozen=True, kw_only=True, tag="unplug"):
    """Pull a cable."""

    socket: SocketPath


class AddFault(Message, frozen=True, kw_only=True, tag="fault"):
    """Have something go wrong on a phone that is plugged in."""

    socket: SocketPath
    fault: Fault


class Strike(Message, frozen=True, kw_only=True, tag="strike"):
    """Have something happen to a phone that is plugged in, at once; `at` and `times` of the fault mean nothing."""

    socket: SocketPath
    fault: Fault


class DropHub(Message, frozen=True, kw_only=True, tag="drop-hub"):
    """Have a hub lose power: its phones leave at once, and come back one after the other.

    `seconds` are at the default pace: until the first, and from one to the next.
    """

    hub: SocketPath
    """Its socket: "1-1" is the hub of "1-1.1" and "1-1.4.2"."""
    seconds: float = 1.0


class PlugGadget(Message, frozen=True, kw_only=True, tag="plug-gadget"):
    """Plug in a keyboard that says that it is a phone."""

    socket: SocketPath


class Tap(Message, frozen=True, kw_only=True, tag="tap"):
    """Unlock a phone, and tap “Trust” from now on."""

    socket: SocketPath


class Press(Message, frozen=True, kw_only=True, tag="press"):
    """Press a phone's own buttons, one hold after the other, and let go at the end. Answered as the first begins."""

    socket: SocketPath
    holds: tuple[Hold, ...]


class Sign(Message, frozen=True, kw_only=True, tag="sign"):
    """Have Apple sign the builds of an unpacked IPSW."""

    ipsw: str


class Misbehave(Message, frozen=True, kw_only=True, tag="misbehave"):
    """Have one of Apple's servers behave so from now on."""

    service: AppleService
    behaviour: Behaviour


class List(Message, frozen=True, kw_only=True, tag="list"):
    """Show every phone, plugged in or not."""


class Quit(Message, frozen=True, kw_only=True, tag="quit"):
    """End everything."""


Command = (
    Plug | PlugGadget | Replug | Unplug | DropHub | AddFault | Strike | Tap | Press | Sign | Misbehave | List | Quit
)


class PhoneReport(Message, frozen=True, kw_only=True):
    """A phone as it is now. `history` and `destructions` as in `VirtualPhone`."""

    socket: SocketPath | None
    ecid: Ecid
    udid: Udid
    product_type: str
    mode: PhoneMode | None
    """None: not on the bus."""
    installed: Installed | None
    history: tuple[str, ...]
    destructions: tuple[str, ...]


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """Carried out. `phones`: those that the command was about; all for List."""

    phones: tuple[PhoneReport, ...] = ()


class Rejected(Message, frozen=True, kw_only=True, tag="rejected"):
    """Not carried out."""

    reason: str


Answer = Done | Rejected

_command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_answer_decoder: msgspec.json.Decoder[Answer] = msgspec.json.Decoder(Answer)


@asynccontextmanager
async def serve_control(path: Path, carry_out: Callable[[Command], Awaitable[Answer]]) -> AsyncGenerator[None, None]:
    """Have commands from a unix socket carried out while the context is open."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            answer: Answer
            try:
                answer = await carry_out(_command_decoder.decode(line))
            except msgspec.DecodeError as error:
                answer = Rejected(reason=str(error))
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()

    async with listening(path, serve, limit=MAX_LINE):
        yield


class Control:
    """The other end, for tests and the demo. An async context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Self:
        """Connect. Raises OSError when nobody serves there."""
        self._reader, self._writer = await asyncio.open_unix_connection(self._path, limit=MAX_LINE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self._writer.close()

    async def ask(self, command: Command) -> tuple[PhoneReport, ...]:
        """Have a command carried out.

        Raises:
            Refused: it was not; with the reason.
            InputRejected: the answer makes no sense, or the connection broke.
            TimeoutError: no answer came.
        """
        async with asyncio.timeout(ANSWER_SECONDS):
            self._writer.write(msgspec.json.encode(command) + b"\n")
            await self._writer.drain()
            line = await self._reader.readline()
        try:
            answer = _answer_decoder.decode(line)
        except msgspec.DecodeError as error:
            raise InputRejected(f"The virtual host does not answer: {error}") from error
        if isinstance(answer, Rejected):
            raise Refused(answer.reason)
        return answer.phones
