"""DeviceLink: the phone tells the host what to do with the files of a backup, and the host reports back.

Every message is an array in a framed binary property list, its name first. The bytes of files travel outside of it,
in blocks of their own: a big-endian length, a code, and what the code says it is.
Wire format: libimobiledevice (device_link_service.c, tools/idevicebackup2.c), pymobiledevice3 (device_link.py).
Arguments that neither of them reads: messages of real phones in issues 112, 180 and 1071 of libimobiledevice.
"""

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from station.virtual import framing
from station.virtual.services.service import Call

MAX_MESSAGE = 16 << 20
"""Bytes of one message: a listing of all files of a backup fits in."""
MAX_NAME = 4096
"""Bytes of a file's name."""
BLOCK = 32 * 1024 - 1
"""Bytes of a file in one block: with its code it fills 32 KiB, the default of Apple's DeviceLink."""
PIECE = 1 << 16
"""Bytes that are taken from the connection at a time."""
VERSION = (300, 0)
READY = "DLMessageDeviceReady"
EMPTY = "___EmptyParameterString___"

SUCCESS = 0x00
LOCAL_ERROR = 0x06
"""The host cannot read a file that it was asked for."""
REMOTE_ERROR = 0x0B
"""The phone cannot read a file that it has announced."""
DATA = 0x0C

_LENGTH = struct.Struct(">L")
_BLOCK = struct.Struct(">LB")


class HostGoneError(ConnectionError):
    """The host has had enough: it said DLMessageDisconnect."""


@dataclass(frozen=True)
class Status:
    """How the host got on with something."""

    code: int
    """0: well."""
    text: str
    value: Any
    """What was asked for; or what went wrong, by file."""


@dataclass(frozen=True)
class Upload:
    """A file on its way to the host."""

    source: str
    """Its name on the phone, for the host's log."""
    target: str
    """Where it goes: a path below the directory of backups."""
    data: bytes


class DeviceLink:
    """The phone's end of one connection."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.progress = 0.0
        """Percent done of what the host has asked for; told with every transfer."""

    async def greet(self) -> bool:
        """Agree on a version. False: there is none that both know."""
        await self._send("DLMessageVersionExchange", *VERSION)
        answer = await self.receive()
        if answer[:2] != ["DLMessageVersionExchange", "DLVersionsOk"]:
            return False
        await self._send(READY)
        return True

    async def receive(self) -> list[Any]:
        """The host's next message. Raises HostGoneError, BadMessageError, asyncio.IncompleteReadError."""
        (length,) = _LENGTH.unpack(await self._call.reader.readexactly(_LENGTH.size))
        if length > MAX_MESSAGE:
            raise framing.BadMessageError(f"a message of {length} bytes")
        message = framing.load(await self._call.reader.readexactly(length))
        if not isinstance(message, list) or not message or not isinstance(message[0], str):
            raise framing.BadMessageError("a plist, but not a message")
        if message[0] == "DLMessageDisconnect":
            raise HostGoneError(*message[1:2])
        return message

    async def request(self) -> dict[str, Any]:
        """What the host asks the service for, until it asks: a DLMessageProcessMessage."""
        while True:
            message = await self.receive()
            if message[0] == "DLMessageProcessMessage" and len(message) == 2 and isinstance(message[1], dict):
                return message[1]

    async def respond(self, code: int = 0, **more: Any) -> None:
        """Answer what the host asked for; with it may go ErrorDescription, Content, ProtocolVersion."""
        await self._send("DLMessageProcessMessage", {"MessageName": "Response", "ErrorCode": code, **more})

    async def upload(self, files: Iterable[Upload], *, size: int) -> Status:
        """Send files, which replace what is there.

        Args:
            files: which.
            size: bytes that they have together, for the host's progress bar.
        """
        await self._send("DLMessageUploadFiles", {}, self.progress, size)
        for file in files:
            self._call.writer.write(_name(file.source) + _name(file.target))
            for offset in range(0, len(file.data), BLOCK):
                block = file.data[offset : offset + BLOCK]
                self._call.writer.write(_BLOCK.pack(len(block) + 1, DATA) + block)
                await self._call.writer.drain()
            self._call.writer.write(_BLOCK.pack(1, SUCCESS))
        self._call.writer.write(_LENGTH.pack(0))
        await self._call.writer.drain()
        return await self._status()

    async def download(self, paths: list[str], *, limit: int) -> tuple[dict[str, bytes], Status]:
        """Fetch files.

        Args:
            paths: which, below the directory of backups.
            limit: bytes that they may have together.

        Returns:
            what is in those that the host has, and how it got on.

        Raises:
            BadMessageError: the host sends something else than was asked for, or too much.
        """
        await self._send("DLMessageDownloadFiles", paths, {}, self.progress, 0)
        files: dict[str, bytes] = {}
        while (name := await self._read_name()) is not None:
            if name not in paths:
                raise framing.BadMessageError(f"a file that nobody asked for: {name}")
            content = await self._read_file(limit=limit)
            if content is not None:
                files[name] = content
                limit -= len(content)
        return files, await self._status()

    async def contents(self, path: str) -> dict[str, dict[str, Any]]:
        """What is in a directory: DLFileType, DLFileSize, DLFileModificationDate by name. Empty where there is none."""
        await self._send("DLContentsOfDirectory", path, {})
        listed = (await self._status()).value
        return (
            {name: about for name, about in listed.items() if isinstance(about, dict)}
            if isinstance(listed, dict)
            else {}
        )

    async def free_space(self) -> int:
        """Bytes that fit on the host's disk; 0 when it does not know."""
        await self._send("DLMessageGetFreeDiskSpace")
        status = await self._status()
        return status.value if status.code == 0 and isinstance(status.value, int) else 0

    async def purge(self, amount: int) -> Status:
        """Ask the host to make room: `amount` bytes."""
        await self._send("DLMessagePurgeDiskSpace", amount, 4)
        return await self._status()

    async def make_directory(self, path: str) -> Status:
        """Make a directory."""
        await self._send("DLMessageCreateDirectory", path, {})
        return await self._status()

    async def move(self, items: dict[str, str]) -> Status:
        """Rename; what has the new name is replaced."""
        await self._send("DLMessageMoveItems", items, {}, self.progress)
        return await self._status()

    async def remove(self, paths: list[str]) -> Status:
        """Remove files and whole directories."""
        await self._send("DLMessageRemoveItems", paths, {}, self.progress)
        return await self._status()

    async def copy(self, source: str, target: str) -> Status:
        """Copy a file or a whole directory."""
        await self._send("DLMessageCopyItem", source, target, {})
        return await self._status()

    async def _send(self, *message: Any) -> None:
        await self._call.send(list(message), binary=True)

    async def _status(self) -> Status:
        message = await self.receive()
        if message[0] != "DLMessageStatusResponse" or len(message) < 3 or not isinstance(message[1], int):
            raise framing.BadMessageError(f"{message[0]} in place of a status")
        signed = (message[1] + (1 << 63)) % (1 << 64) - (1 << 63)  # hosts write -13 as an unsigned number
        return Status(signed, str(message[2]), message[3] if len(message) > 3 else None)

    async def _read_name(self) -> str | None:
        """The name of the next file; None: there is no more."""
        (length,) = _LENGTH.unpack(await self._call.reader.readexactly(_LENGTH.size))
        if length > MAX_NAME:
            raise framing.BadMessageError(f"a name of {length} bytes")
        return (await self._call.reader.readexactly(length)).decode(errors="replace") if length else None

    async def _read_file(self, *, limit: int) -> bytes | None:
        """What a file contains; None: the host has no such file."""
        content = bytearray()
        while True:
            length, code = _BLOCK.unpack(await self._call.reader.readexactly(_BLOCK.size))
            if not length:
                raise framing.BadMessageError("a block without a code")
            if code == SUCCESS:
                return bytes(content)
            left = length - 1
            if code not in (DATA, LOCAL_ERROR) or left > (limit - len(content) if code == DATA else MAX_NAME):
                raise framing.BadMessageError(f"a block of {left} bytes with code {code}")
            while left:
                piece = await self._call.reader.read(min(left, PIECE))
                if not piece:
                    raise ConnectionResetError(errno.ECONNRESET, "the host hung up")
                left -= len(piece)
                if code == DATA:
                    content += piece
            if code == LOCAL_ERROR:
                return None


def _name(text: str) -> bytes:
    name = text.encode()
    return _LENGTH.pack(len(name)) + name
