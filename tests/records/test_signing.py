"""Two keys, and what each refuses to sign."""

import math
import stat
import subprocess

import msgspec
import pytest

from station.adapters import certificate, chain
from station.adapters.signing import DemonstrationKey, PublicKey, SigningKey, StationKey, key_type
from station.errors import InputRejected, RecordsBroken, Refused, StorageError
from station.model.record import ChainHead
from tests.records.samples import record


@pytest.fixture(params=[StationKey, DemonstrationKey])
def signer(request, tmp_path) -> SigningKey:
    kind: type[SigningKey] = request.param
    kind.make(tmp_path)
    return kind.read(tmp_path)


def test_a_key_seals_its_own_kind_only(signer):
    sealed = signer.seal(record(emulated=signer.emulated), number=1, previous=chain.FIRST)
    signer.public.require_sealed(sealed)
    with pytest.raises(Refused):
        signer.seal(record(emulated=not signer.emulated), number=1, previous=chain.FIRST)


def test_a_key_signs_certificates_of_its_own_kind_only(signer):
    sealed = signer.seal(record(emulated=signer.emulated), number=1, previous=chain.FIRST)
    draft = certificate.compose(sealed, signer.public)
    assert signer.sign_certificate(draft).signature
    with pytest.raises(Refused):
        signer.sign_certificate(msgspec.structs.replace(draft, emulated=not signer.emulated))


def test_the_kind_of_phone_names_the_kind_of_key():
    assert key_type(emulated=True) is DemonstrationKey
    assert key_type(emulated=False) is StationKey


def test_a_key_is_for_its_owner_only_and_named_after_its_digest(signer, tmp_path):
    assert stat.S_IMODE(signer.path(tmp_path).stat().st_mode) == 0o600
    raw = subprocess.run(
        ["openssl", "pkey", "-pubin", "-outform", "DER"], input=signer.public.pem, capture_output=True, check=True
    ).stdout[-32:]
    digest = subprocess.run(["sha256sum"], input=raw, capture_output=True, check=True).stdout.decode()
    assert signer.public.id == digest[:16]


def test_openssl_alone_can_verify_a_seal(signer, tmp_path):
    sealed = signer.seal(record(emulated=signer.emulated), number=7, previous="ab" * 32)
    (tmp_path / "digest").write_bytes(bytes.fromhex(sealed.digest))
    (tmp_path / "signature").write_bytes(bytes.fromhex(sealed.signature))
    (tmp_path / "public.pem").write_bytes(signer.public.pem)
    command = "openssl pkeyutl -verify -rawin -pubin -inkey public.pem -in digest -sigfile signature"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)


def test_every_letter_of_a_record_counts(signer):
    sealed = signer.seal(record(emulated=signer.emulated), number=1, previous=chain.FIRST)
    for name in ("payload", "previous", "digest", "key_id", "signature"):
        text = getattr(sealed, name)
        for at, letter in enumerate(text):
            other = letter.swapcase() if letter.swapcase() != letter else chr(ord(letter) ^ 1)
            changed = msgspec.structs.replace(sealed, **{name: f"{text[:at]}{other}{text[at + 1 :]}"})
            with pytest.raises(RecordsBroken):
                signer.public.require_sealed(changed)
    with pytest.raises(RecordsBroken):
        signer.public.require_sealed(msgspec.structs.replace(sealed, number=2))
    with pytest.raises(RecordsBroken):
        signer.public.require_sealed(msgspec.structs.replace(sealed, number=-1))


@pytest.mark.parametrize("changes", [{"duration_seconds": math.nan}, {"status": "0"}, {"detail": "\ud800"}])
def test_what_could_not_be_read_again_is_not_sealed(signer, changes):
    with pytest.raises(InputRejected):
        signer.seal(record(emulated=signer.emulated, **changes), number=1, previous=chain.FIRST)


@pytest.mark.parametrize(
    "bad",
    [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b"1" * (chain.MAX_SIZE + 1), b"-----BEGIN PUBLIC KEY-----\n"],
)
def test_a_hostile_document_is_refused_in_words(signer, tmp_path, bad):
    path = tmp_path / "head.json"
    path.write_bytes(bad)
    with pytest.raises((InputRejected, RecordsBroken)):
        signer.public.read_document(path, ChainHead)
    with pytest.raises(InputRejected):
        PublicKey.read(path)


def test_the_same_document_written_otherwise_is_refused(signer, tmp_path):
    path = tmp_path / "head.json"
    head = signer.sign_head(station="S", count=1, digest="ab" * 32)
    path.write_bytes(chain.to_file(head))
    assert signer.public.read_document(path, ChainHead) == head
    for other in (chain.canonical(head), b" " + chain.to_file(head), chain.to_file(head).replace(b'"S"', b'"\\u0053"')):
        path.write_bytes(other)
        with pytest.raises(RecordsBroken):
            signer.public.read_document(path, ChainHead)


def test_a_document_that_names_another_key_is_refused(signer, tmp_path):
    path = tmp_path / "head.json"
    head = ChainHead(station="S", count=1, digest="ab" * 32, key_id="0" * 16, signature="")
    path.write_bytes(chain.to_file(signer._signed(head)))
    with pytest.raises(RecordsBroken, match="another key"):
        signer.public.read_document(path, ChainHead)


def test_a_key_that_is_gone_or_no_key_is_told(tmp_path):
    with pytest.raises(StorageError):
        StationKey.read(tmp_path)
    StationKey.path(tmp_path).write_bytes(b"no key")
    with pytest.raises(RecordsBroken):
        StationKey.read(tmp_path)
