"""ASR: the system image, streamed from the disk, with what the phone asks for in between bounded."""

import asyncio
import plistlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from pymobiledevice3.exceptions import ConnectionTerminatedError
from pymobiledevice3.restore.asr import ASR_PAYLOAD_CHUNK_SIZE, ASRClient

from station.errors import InputRejected
from station.worker import plists
from station.worker.connection import PhoneConnection, connect
from station.worker.image4 import whole_file
from station.worker.pump import checksummed, checksummed_size, plain

_END = b"</plist>\n"
_MAX_OUT_OF_BAND = 16 << 20
"""Bytes a phone may ask for at once while it looks at the image; real ones ask for some kilobytes."""
_CHUNKS = 8


class ImageClient(ASRClient):
    """The library's ASR client, with limits, and without copies."""

    def __init__(self, udid: str, patience: float, sent: Callable[[int], None]) -> None:
        """Send to the phone with `udid`; `sent` is called with the number of bytes of image that went out."""
        super().__init__(udid)
        self._patience = patience
        self._progress = sent

    async def send(self, port: int, image: Path) -> None:
        """Have the phone check the image and take it."""
        await self.connect(port)
        try:
            with image.open("rb") as file:
                await self.perform_validation(file)
            await self._send_image(image)
        finally:
            await self.close()

    async def connect(self, port: int = 0) -> None:
        """Connect, and hear what ASR wants."""
        self._service = await connect(self._udid, port, self._patience)
        greeting = await self.recv_plist()
        if greeting.get("Command") != "Initiate":
            raise InputRejected("ASR does not begin with Initiate.")
        self.checksum_chunks = greeting.get("Checksum Chunks") is True

    async def recv_plist(self) -> dict[str, Any]:
        """Receive a message: XML, up to its closing tag."""
        try:
            return plists.parse(await self.service.reader.readuntil(_END))
        except asyncio.LimitOverrunError as error:
            raise InputRejected("ASR sends a message without end.") from error
        except (EOFError, OSError) as error:
            raise ConnectionTerminatedError from error

    async def send_plist(self, plist: dict[str, Any]) -> None:
        """Send a message."""
        await self.send_buffer(plistlib.dumps(plist))

    async def handle_oob_data_request(self, packet: dict[str, Any], filesystem: IO[bytes]) -> None:
        """Send a part of the image that ASR asks for."""
        length, offset = packet.get("OOB Length"), packet.get("OOB Offset")
        if not isinstance(length, int) or not isinstance(offset, int) or offset < 0:
            raise InputRejected("ASR asks for a part of the image that makes no sense.")
        if not 0 <= length <= _MAX_OUT_OF_BAND:
            raise InputRejected("ASR asks for too large a part of the image.")
        filesystem.seek(offset)
        data = filesystem.read(length)
        if len(data) != length:
            raise InputRejected("ASR asks for a part behind the image's end.")
        await self.send_buffer(data)

    async def _send_image(self, image: Path) -> None:
        assert isinstance(self.service, PhoneConnection)
        with whole_file(image).reader() as reader:
            fill = checksummed(reader, ASR_PAYLOAD_CHUNK_SIZE) if self.checksum_chunks else plain(reader)
            await self.service.stream(fill, checksummed_size(ASR_PAYLOAD_CHUNK_SIZE, _CHUNKS), self._progress)
