"""What is streamed is, byte for byte, what the library would have sent from memory."""

import asyncio
import hashlib
import os
import plistlib
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymobiledevice3.exceptions import ConnectionTerminatedError
from pymobiledevice3.restore.img4 import stitch_component
from pymobiledevice3.restore.tss import TSSResponse

from station.model.causes import Cause
from station.virtual.firmware.image4 import SigningKey, make_im4p, sign_ticket
from station.worker import plists, pump
from station.worker.connection import PhoneConnection
from station.worker.failures import JobFailed
from station.worker.image4 import FileRange, Parts, personalise, whole_file

TICKET = sign_ticket(
    SigningKey.create(),
    ecid=1,
    chip=0x8101,
    board=0xC,
    nonce=b"n" * 32,
    sep_nonce=b"s" * 20,
    digests={"krnl": b"d" * 48},
)


def joined(blob: plists.Blob) -> bytes:
    return b"".join(bytes(chunk) for chunk in blob.chunks())


def sent(message) -> bytes:
    return b"".join(joined(piece) if isinstance(piece, plists.Blob) else piece for piece in plists.frame(message))


def framed(message) -> bytes:
    body = plistlib.dumps(message, fmt=plistlib.FMT_BINARY)
    return struct.pack(">L", len(body)) + body


@given(st.integers(0, 70_000))
def test_file_data_frame_is_plistlibs(length):
    head, tail = plists.file_data_frame(length)
    assert head + bytes(length) + tail == framed({"FileData": bytes(length)})


def test_message_with_blobs_is_plistlibs(tmp_path):
    file = tmp_path / "component"
    file.write_bytes(os.urandom(600_000))
    same, one, two = b"same" * 10, Parts(b"ab", FileRange(file, 3, 599_000)), Parts(b"ab")
    message = {"LlbImageData": one, "NorImageData": [two, one, Parts(same)], "n": 3, "deep": {"x": same}}
    plain = {"LlbImageData": joined(one), "NorImageData": [b"ab", joined(one), same], "n": 3, "deep": {"x": same}}
    assert plists.has_blob(message)
    assert plistlib.loads(sent(message)[4:]) == plain
    assert sent({"FileData": one}) == framed({"FileData": joined(one)})


def test_a_blob_shows_nothing_of_itself():
    blob = Parts(b"content")
    assert len(blob) == 7
    for look in (lambda: blob[:3], lambda: list(blob), lambda: blob + b"", lambda: 99 in blob):
        with pytest.raises(TypeError, match="streamed"):
            look()


@pytest.mark.parametrize("size", [1, 100, 127, 128, 250, 65_000, 300_000])
@pytest.mark.parametrize("name", ["RestoreRamDisk", "RestoreKernelCache", "SEP", "Unheard,Of"])
def test_personalised_component_is_the_librarys(tmp_path, name, size):
    content = make_im4p("krnl", os.urandom(size))
    file = tmp_path / "component.im4p"
    file.write_bytes(content + b"what follows is not part of it")
    response = TSSResponse({"ApImg4Ticket": TICKET, "RestoreKernelCache-TBM": {"ucon": b"a" * 8}})
    identity = {"Info": {"RequiresNonceSlot": True}}
    blob = personalise(name, file, response, identity, {"SepNonceSlotID": 3})
    expected = stitch_component(name, content, response, identity, {"SepNonceSlotID": 3})
    assert len(blob) == len(expected)
    assert joined(blob) == expected


@pytest.mark.parametrize(
    "content", [b"", b"0", b"0\x84\xff\xff\xff\xff" + bytes(40), make_im4p("krnl", b"x" * 99)[:-1]]
)
def test_a_broken_component_is_noticed(tmp_path: Path, content):
    file = tmp_path / "component.im4p"
    file.write_bytes(content)
    with pytest.raises(JobFailed) as failed:
        personalise("KernelCache", file, TSSResponse({"ApImg4Ticket": TICKET}), {"Info": {}}, {})
    assert failed.value.cause is Cause.FIRMWARE_CORRUPT


def test_a_file_that_shrinks_is_noticed(tmp_path):
    file = tmp_path / "image"
    file.write_bytes(bytes(100))
    with pytest.raises(JobFailed, match="cut short"):
        joined(Parts(FileRange(file, 10, 100)))


async def streamed(fill: pump.Fill, size: int) -> tuple[bytes, int]:
    """What arrives at the other end, and how much was said to be sent."""
    ours, theirs = socket.socketpair()
    counts: list[int] = []
    arrived = bytearray()

    def receive() -> None:
        with theirs:
            while data := theirs.recv(1 << 16):
                arrived.extend(data)

    receiving = asyncio.create_task(asyncio.to_thread(receive))
    connection = PhoneConnection(*await asyncio.open_unix_connection(sock=ours))
    await connection.stream(fill, size, counts.append)
    await connection.close()
    await receiving
    return bytes(arrived), sum(counts)


@pytest.mark.parametrize("length", [1, 8191, 8192, 8193, 5 * 8192, 1_000_001])
async def test_a_component_in_file_data_messages(tmp_path, length):
    content = os.urandom(length)
    file = tmp_path / "component"
    file.write_bytes(content)
    expected = b"".join(framed({"FileData": content[at : at + 8192]}) for at in range(0, length, 8192))
    with whole_file(file).reader() as reader:
        wire = await streamed(pump.file_data(reader, length), pump.file_data_size(3))
    assert wire == (expected, len(expected))


@pytest.mark.parametrize("length", [1, 999, 1000, 1001, 123_456])
async def test_an_image_with_checksums_and_without(tmp_path, length):
    content = os.urandom(length)
    file = tmp_path / "image"
    file.write_bytes(content)
    chunks = [content[at : at + 1000] for at in range(0, length, 1000)]
    expected = b"".join(chunk + hashlib.sha1(chunk).digest() for chunk in chunks)
    with whole_file(file).reader() as reader:
        assert await streamed(pump.checksummed(reader, 1000), pump.checksummed_size(1000, 8)) == (
            expected,
            len(expected),
        )
    with whole_file(file).reader() as reader:
        assert await streamed(pump.plain(reader), 4096) == (content, length)


async def test_a_phone_that_hangs_up_ends_the_stream(tmp_path):
    file = tmp_path / "image"
    file.write_bytes(bytes(1 << 20))
    ours, theirs = socket.socketpair()
    connection = PhoneConnection(*await asyncio.open_unix_connection(sock=ours))
    theirs.close()
    with whole_file(file).reader() as reader, pytest.raises(ConnectionTerminatedError):
        await connection.stream(pump.plain(reader), 4096, lambda _: None)
    await connection.close()
