"""ASR, served to the library's own client: what arrives is checked, and nothing of it is kept."""

import asyncio
import hashlib
import io
import socket

import pytest
from pymobiledevice3.restore.asr import ASR_PAYLOAD_CHUNK_SIZE, ASRClient
from pymobiledevice3.service_connection import ServiceConnection

from station.virtual.faults.kinds import StatusError
from station.virtual.firmware.root_hash import CHUNK, root_hash
from station.virtual.restore import asr

IMAGE = hashlib.shake_256(b"image").digest(65 * CHUNK + 12345)


class Host(ASRClient):
    """The library's client, on a socket that is there already."""

    spoil = -1
    """The send that one bit is flipped in."""

    def __init__(self, service: ServiceConnection) -> None:
        super().__init__("udid")
        self._service = service
        self._sent = 0

    async def send_buffer(self, buf: bytes) -> None:
        if self._sent == self.spoil:
            buf = buf[:-1] + bytes([buf[-1] ^ 1])
        self._sent += 1
        await super().send_buffer(buf)

    async def run(self, image: bytes, later: bytes | None = None) -> None:
        command = await self.recv_plist()
        self.checksum_chunks = command["Checksum Chunks"]
        await self.perform_validation(io.BytesIO(image))
        await self.send_payload(io.BytesIO(image if later is None else later))


@pytest.fixture
async def ends():
    """The phone's streams and the host's client, connected."""
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
    host = Host(await ServiceConnection.from_socket(theirs))
    yield reader, writer, host
    writer.close()
    await host.service.close()
    await writer.wait_closed()


async def receive(reader, writer, told: list[int]) -> asr.Received:
    async def progress(arrived: int) -> None:
        told.append(arrived)

    size = await asr.initiate(reader, writer)
    return await asr.payload(writer, size, await asr.sample(reader, writer, size), progress)


async def both(ends, image: bytes, later: bytes | None = None) -> tuple[asr.Received, list[int]]:
    reader, writer, host = ends
    sending = asyncio.create_task(host.run(image, later))
    told: list[int] = []
    try:
        async with asyncio.timeout(10):
            return await receive(reader, writer, told), told
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize("size", [1, 511, CHUNK, CHUNK + 1, 32 * CHUNK, len(IMAGE)])
async def test_an_image_arrives(ends, size):
    image = IMAGE[:size]
    received, told = await both(ends, image)
    assert received == asr.Received(length=size, digest=root_hash(image))
    assert told == sorted(told)
    assert told[-1] == size


@pytest.mark.parametrize("chunk", [0, 7, 8, 24])
async def test_a_wrong_sum_is_noticed(ends, chunk):
    *_, host = ends
    host.spoil = 5 + chunk  # after the packet information and four samples
    with pytest.raises(StatusError, match="1100") as failure:
        await both(ends, IMAGE)
    assert f"chunk at {chunk * ASR_PAYLOAD_CHUNK_SIZE} is wrong" in failure.value.log


@pytest.mark.parametrize("place", [0, len(IMAGE) // 3 + 1000, len(IMAGE) // 2 + 1, len(IMAGE) - 1])
async def test_an_image_that_is_not_the_one_sampled(ends, place):
    later = bytearray(IMAGE)
    later[place] ^= 1
    with pytest.raises(StatusError) as failure:
        await both(ends, IMAGE, bytes(later))
    assert "not what was read out of band" in failure.value.log


async def test_an_image_that_ends_early(ends):
    reader, writer, host = ends

    async def hang_up() -> None:
        await host.run(IMAGE, IMAGE[: CHUNK * 2])
        await host.service.close()

    sending = asyncio.create_task(hang_up())
    with pytest.raises(StatusError) as failure:
        await receive(reader, writer, [])
    assert "ended early" in failure.value.log
    await sending


async def test_a_host_without_sums(ends):
    reader, writer, host = ends
    await host.service.sendall(
        b"<plist><dict><key>Payload</key><dict><key>Size</key><integer>5</integer></dict></dict></plist>\n"
    )
    with pytest.raises(StatusError):
        await asr.initiate(reader, writer)
