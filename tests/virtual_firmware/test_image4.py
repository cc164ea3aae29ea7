"""Image4: written here, read by pyimg4 and stitched by the library; hostile input has one way to fail."""

import hashlib
from typing import Any

import pyimg4
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from pymobiledevice3.restore.img4 import stitch_component
from pymobiledevice3.restore.tss import TSSResponse

from station.virtual.firmware.image4 import (
    Image4Error,
    SigningKey,
    Ticket,
    im4p_header,
    make_im4p,
    parse_img4,
    sign_ticket,
)

KEY = SigningKey.create()
KERNEL = make_im4p("krnl", b"kernel" * 50)
FACTS: dict[str, Any] = {
    "ecid": 0xFEDCBA9876543210,
    "chip": 0x8101,
    "board": 0x0C,
    "nonce": b"\x80" * 32,
    "sep_nonce": b"\x81" * 20,
}


def ticket_for(**changes: Any) -> bytes:
    digests = {"rkrn": hashlib.sha384(make_im4p("rkrn", b"kernel" * 50)).digest(), "rdsk": b"\x7f" * 48}
    return sign_ticket(KEY, **{**FACTS, "digests": digests, **changes})


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 255, 256, 65535, 65536])
def test_payload_is_what_pyimg4_writes(size):
    payload = b"\x5a" * size
    assert make_im4p("rdsk", payload) == pyimg4.IM4P(fourcc="rdsk", description="", payload=payload).output()
    assert make_im4p("rdsk", payload).startswith(im4p_header("rdsk", size))


def test_ticket_reads_the_same_in_pyimg4():
    theirs = pyimg4.IM4M(ticket_for())
    assert (theirs.ecid, theirs.chip_id, theirs.board_id) == (FACTS["ecid"], FACTS["chip"], FACTS["board"])
    assert (theirs.apnonce, theirs.sepnonce) == (FACTS["nonce"], FACTS["sep_nonce"])
    assert {image.fourcc: image.digest for image in theirs.images} == dict(Ticket.parse(ticket_for()).digests)


def test_ticket_says_what_was_signed():
    ticket = Ticket.parse(ticket_for())
    ticket.verify(KEY.public_key)
    assert (ticket.ecid, ticket.chip, ticket.board) == (FACTS["ecid"], FACTS["chip"], FACTS["board"])
    assert (ticket.nonce_digest, ticket.sep_nonce) == (FACTS["nonce"], FACTS["sep_nonce"])


def test_the_library_stitches_what_the_phone_accepts():
    tss = TSSResponse({"ApImg4Ticket": ticket_for(), "RestoreKernelCache-TBM": {"ucon": b"a" * 8}})
    stitched = stitch_component("RestoreKernelCache", KERNEL, tss, {"Info": {}}, {})
    image, ticket = parse_img4(stitched)
    assert ticket is not None
    assert (image.fourcc, image.payload) == ("rkrn", b"kernel" * 50)
    assert image.digest == ticket.digests["rkrn"]
    ticket.verify(KEY.public_key)


def test_a_bare_payload_has_no_ticket():
    image, ticket = parse_img4(KERNEL)
    assert (image.fourcc, image.payload, ticket) == ("krnl", b"kernel" * 50, None)
    assert image.digest == hashlib.sha384(KERNEL).digest()


def test_another_authority_is_refused():
    with pytest.raises(Image4Error, match="expected authority"):
        Ticket.parse(ticket_for()).verify(ec.generate_private_key(ec.SECP384R1()).public_key())


def test_a_ticket_signed_by_the_wrong_leaf_is_refused():
    stranger = SigningKey.create()
    forged = SigningKey(stranger.leaf, KEY.certificate, KEY.public_key)
    with pytest.raises(Image4Error, match="not signed"):
        Ticket.parse(sign_ticket(forged, **FACTS, digests={})).verify(KEY.public_key)


SIGNED = ticket_for()


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_no_changed_byte_verifies(at, mask):
    changed = bytearray(SIGNED)
    changed[at] ^= mask
    try:
        ticket = Ticket.parse(bytes(changed))
        ticket.verify(KEY.public_key)
    except Image4Error:
        return
    # The bytes outside body, signature and certificate carry nothing: only the version number may differ.
    assert (ticket.properties, ticket.digests) == (Ticket.parse(SIGNED).properties, Ticket.parse(SIGNED).digests)


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: KERNEL[:40] + tail))
def test_hostile_bytes_fail_in_one_way(data):
    for parse in (parse_img4, Ticket.parse):
        try:
            parse(data)
        except Image4Error:
            continue


@given(st.integers(0, len(SIGNED) - 1))
def test_a_cut_ticket_is_refused(length):
    with pytest.raises(Image4Error):
        Ticket.parse(SIGNED[:length])


def test_an_overlong_ticket_is_refused_unread():
    with pytest.raises(Image4Error, match="too long"):
        Ticket.parse(b"\x30" * (300 * 1024))
