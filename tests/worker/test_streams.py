"""What is streamed is, byte for byte, what the library would have sent from memory."""

import os
import plistlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymobiledevice3.restore.img4 import stitch_component
from pymobiledevice3.restore.tss import TSSResponse

from station.model.causes import Cause
from station.virtual.image4 import SigningKey, make_im4p, sign_ticket
from station.worker import plists
from station.worker.failures import JobFailed
from station.worker.image4 import FileRange, Parts, personalise

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
