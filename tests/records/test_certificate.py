"""Certificates: who gets one, what it says, and the page."""

import asyncio
import csv
import hashlib
import itertools
import re
import zlib

import msgspec
import pytest
import segno

from station.adapters import certificate, certificate_pdf, chain, durable, record_export
from station.adapters.signing import DemonstrationKey, StationKey
from station.core.verification import NOT_SEEN
from station.errors import RecordsBroken, Refused, StorageError
from station.model.certificate import Certificate
from station.model.consent import Hand, Options
from station.model.gates import BackupDecision, Choice, Gate, Overruling
from station.model.phone import ActivationLock, LockReading, PhoneMode
from station.model.record import Check, Observed, Outcome, Record
from station.model.service import Service
from tests.records.samples import AFTER, BEFORE, CHECKS, ECID, failed, record

pytestmark = pytest.mark.system  # draws pages, and makes them durable


@pytest.fixture
def draft(tmp_path):
    """Composes the certificate of a record that need not be stored."""

    def draft(each=None) -> Certificate:
        each = each or record()
        kind = DemonstrationKey if each.emulated else StationKey
        kind.make(tmp_path)
        signer = kind.read(tmp_path)
        return certificate.compose(signer.seal(each, number=1, previous=chain.FIRST), signer.public)

    return draft


def text_of(pdf: bytes) -> str:
    """The page's words, through the tables of the two embedded fonts: what a reader can select and search."""
    tables = re.findall(rb"beginbfchar\n(.*?)endbfchar", pdf, re.DOTALL)
    fonts = [dict(re.findall(rb"<(\w{4})> <(\w{4})>", table)) for table in tables]
    assert len(fonts) == 2
    (page,) = re.findall(rb"/FlateDecode\n/Length \d+\n>>\nstream\n(.*?)\nendstream", pdf, re.DOTALL)[:1]
    letters: dict[bytes, bytes] = {}
    lines = []
    for font, shown in re.findall(rb"/F(\d) [\d.]+ Tf|\((.*?)(?<!\\)\) Tj", zlib.decompress(page), re.DOTALL):
        if font:
            letters = fonts[int(font) - 1]
            continue
        codes = re.sub(
            rb"\\(.)", lambda match: {b"r": b"\r", b"n": b"\n"}.get(match[1], match[1]), shown, flags=re.DOTALL
        )
        code_points = (letters[codes[at : at + 2].hex().upper().encode()] for at in range(0, len(codes), 2))
        lines.append("".join(chr(int(point, 16)) for point in code_points))
    return "\n".join(lines)


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.VERIFIED])
def test_only_what_was_verified_deserves_one(outcome, draft):
    with pytest.raises(Refused, match="verified"):
        draft(record(outcome=outcome))


FAILED_CHECK = Check(what="Installed build", expected="21G80", observed="21F90", passed=False)


@pytest.mark.parametrize("checks", [(), (*CHECKS, FAILED_CHECK)])
def test_verified_without_all_checks_passed_is_a_contradiction(checks, draft):
    with pytest.raises(Refused, match="check"):
        draft(record(checks=checks))


def test_no_certificate_is_final_before_the_clock_is_trusted(draft):
    with pytest.raises(Refused, match="clock"):
        draft(record(clock_trusted=False))
    emulated = draft(record(emulated=True, clock_trusted=False))
    assert not emulated.clock_trusted
    assert "by a clock not known to be right" in " ".join(text_of(certificate_pdf.render(emulated)).split())


async def test_a_certificate_is_issued_once_and_signed(opened, tmp_path):
    async with opened(tmp_path) as store:
        sealed = await store.append(record())
        paths = await certificate.issue(store, sealed)
        written = paths.json.read_bytes(), paths.pdf.read_bytes(), paths.json.stat().st_mtime_ns
        assert await certificate.issue(store, sealed) == paths
        assert (paths.json.read_bytes(), paths.pdf.read_bytes(), paths.json.stat().st_mtime_ns) == written
        key = store.chain_of(sealed).key.public
    held = key.read_document(paths.json, Certificate)
    assert held.pdf_sha256 == hashlib.sha256(paths.pdf.read_bytes()).hexdigest()
    assert (held.record, held.digest, held.certificate) == (1, sealed.digest, f"{key.id}-000001")
    assert held.public_key.encode() == key.pem
    assert paths.code == held.code


async def test_asked_for_many_times_at_once_it_is_one(opened, tmp_path):
    async with opened(tmp_path) as store:
        sealed = await store.append(record())
        paths = await asyncio.gather(*(certificate.issue(store, sealed) for _ in range(4)))
        held = store.chain_of(sealed).key.public.read_document(paths[0].json, Certificate)
    assert len(set(paths)) == 1
    assert held.pdf_sha256 == hashlib.sha256(paths[0].pdf.read_bytes()).hexdigest()


async def test_a_record_that_deserves_none_gets_none(opened, tmp_path):
    async with opened(tmp_path) as store:
        sealed = await store.append(failed("a"))
        with pytest.raises(Refused):
            await certificate.issue(store, sealed)
        forged = msgspec.structs.replace(sealed, payload=sealed.payload.replace("failed_erased", "verified"))
        with pytest.raises(RecordsBroken):
            await certificate.issue(store, forged)
    assert not list((tmp_path / "proof" / "station" / "certificates").iterdir())


@pytest.mark.parametrize("name", ["certificate-000001.pdf", "certificate-000001.json"])
async def test_what_a_full_disk_kept_away_is_issued_later(opened, tmp_path, monkeypatch, name):
    write = durable.write

    def full(path, data, **options):
        if path.name == name:
            raise StorageError("No space left on device.")
        write(path, data, **options)

    async with opened(tmp_path) as store:
        sealed = await store.append(record())
        with monkeypatch.context() as broken:
            broken.setattr(durable, "write", full)
            with pytest.raises(StorageError):
                await certificate.issue(store, sealed)
        assert not (tmp_path / "proof/station/certificates/certificate-000001.json").exists()
        paths = await certificate.issue(store, sealed)
        held = store.chain_of(sealed).key.public.read_document(paths.json, Certificate)
    assert held.pdf_sha256 == hashlib.sha256(paths.pdf.read_bytes()).hexdigest()


def test_the_page_says_what_the_certificate_says(draft):
    content = draft()
    words = " ".join(text_of(certificate_pdf.render(content)).split())
    for value in (
        "Certificate of Sanitization",
        "Werkstatt Größenwahn · bay 1",
        "iPhone 12 (iPhone13,2)",
        content.serial_number,
        content.imei,
        content.ecid,
        content.method,
        "iOS 17.5.1 (21F90)",
        "iOS 17.6 (21G80)",
        "21 November 2026, 06:24 UTC (12 min 42 s)",
        "START pressed, then CONFIRM held",
        "Activation Lock not assessed",
        "Storage wiped reported reported",
        "Same phone (ECID) 0x000A1B2C3D4E5F60 0x000A1B2C3D4E5F60",
        content.certificate,
        content.digest,
        content.key_id,
        content.manifest_sha256,
        content.classification,
        content.software,
    ):
        assert value in words
    assert "EMULATED" not in words
    assert "Anna" not in words


def erased() -> Record:
    """An erase without firmware, of a locked phone, which somebody wanted all the same."""
    lock = LockReading(state=ActivationLock.LOCKED, at="2026-11-21T06:11:58Z", signs=("NVRAM fm-spstatus: YES",))
    consent = msgspec.structs.replace(record().consent, service=Service.ERASE, options=Options(keep_esim=False))
    return record(
        service=Service.ERASE,
        consent=consent,
        firmware=None,
        status=None,
        operations=(),
        before=msgspec.structs.replace(BEFORE, lock=lock),
        observed=Observed(mode=PhoneMode.NORMAL, facts=msgspec.structs.replace(AFTER, version="17.5.1", build="21F90")),
        checks=(*CHECKS[:-1], Check(what="pictures", expected=NOT_SEEN, observed=NOT_SEEN, passed=True)),
        decision=BackupDecision(choice=Choice.MADE_ELSEWHERE, at="2026-11-21T06:11:59Z"),
        overruled=(Overruling(gate=Gate.ACTIVATION_LOCK, reason="the owner signed", at="2026-11-21T06:12:00Z"),),
    )


def test_an_erase_without_firmware_speaks_of_none(draft):
    content = draft(erased())
    assert content.reported == ()
    assert content.manifest_sha256 == certificate.NONE_INSTALLED
    assert content.not_verified[:3] == (
        "Pictures: not seen",
        "Activation Lock afterwards: not assessed",
        "eSIM profiles (asked to be removed), and cards in the phone: not assessed",
    )
    assert not any(check.what == "pictures" for check in content.verified)
    words = " ".join(text_of(certificate_pdf.render(content)).split())
    for value in (
        "This phone erased all content and settings",
        "iOS 17.5.1 (21F90), iOS 17.5.1 (21F90)",
        "locked, read 21 November 2026, 06:11 UTC",
        "activation lock: the owner signed (21 November 2026, 06:12 UTC)",
        "made elsewhere, 21 November 2026, 06:11 UTC",
        "no firmware was installed",
    ):
        assert value in words
    for value in ("restore system", "installed anew", "status 0"):
        assert value not in words


def test_what_was_known_and_decided_before_is_exported(tmp_path):
    StationKey.make(tmp_path)
    key = StationKey.read(tmp_path)

    def exported(each: Record) -> dict[str, str]:
        return next(csv.DictReader(record_export.csv_lines([key.seal(each, number=1, previous=chain.FIRST)])))

    row = exported(erased())
    assert row["activation_lock_before"] == "locked, read 2026-11-21T06:11:58Z"
    assert row["backup_decision"] == "made elsewhere, 2026-11-21T06:11:59Z"
    assert row["overruled"] == "activation lock: the owner signed (2026-11-21T06:12:00Z)"
    row = exported(record())
    assert (row["activation_lock_before"], row["backup_decision"], row["overruled"]) == ("not read", "none", "")


def test_an_emulated_phone_is_marked_wherever_one_looks(draft):
    content = draft(record(emulated=True))
    words = text_of(certificate_pdf.render(content)).splitlines()
    assert {"EMULATED", "NOT A PROOF", certificate.EMULATED} <= set(words)
    assert content.emulated
    assert content.notice == certificate.EMULATED


def test_what_only_the_phone_says_is_told_apart(draft):
    content = draft()
    assert [check.what for check in content.reported] == ["restore finished", "Storage wiped"]
    assert all(check.by_phone for check in content.reported)
    assert content.verified == tuple(check for check in CHECKS if not check.by_phone)


@pytest.mark.parametrize(("status", "words"), [(None, "not reported"), (4, "status 4")])
def test_what_the_phone_did_not_say_is_not_passed(draft, status, words):
    finished = draft(record(status=status)).reported[0]
    assert (finished.observed, finished.passed) == (words, False)


def test_a_phone_that_could_not_be_asked_before_is_described_by_what_came_back(draft):
    content = draft(record(before=None))
    assert content.firmware_before == certificate.NOT_KNOWN
    assert content.serial_number == "F17FX0AB0D8Q"
    content = draft(record(before=None, firmware=None, observed=Observed(mode=None)))
    assert (content.model, content.imei, content.manifest_sha256) == ("not known",) * 3


@pytest.mark.parametrize("hand", Hand)
def test_every_hand_has_words(draft, hand):
    each = record()
    content = draft(msgspec.structs.replace(each, consent=msgspec.structs.replace(each.consent, by=hand)))
    assert content.confirmed_by == certificate.HANDS[hand]


def test_the_same_certificate_makes_the_same_bytes(draft):
    content = draft()
    pdf = certificate_pdf.render(content)
    assert pdf == certificate_pdf.render(content)
    assert b"/CreationDate (D:20261121062447" in pdf  # of the record, not of the drawing


HOSTILE = "\x00\x1b[31m\u202e\u200bevil 日本 😀 " + "W" * 70_000


@pytest.mark.parametrize(("checks", "words"), [(9, "ordinary"), (10, "ordinary"), (5, HOSTILE), (60, HOSTILE)])
def test_it_is_one_page_and_nothing_overlaps(draft, monkeypatch, checks, words):
    boxes = []
    text = certificate_pdf._Page._text

    def remember(self, x, y, shown, **options):
        end = text(self, x, y, shown, **options)
        width = options.get("width", certificate_pdf.RIGHT - certificate_pdf.LEFT)
        ink = min(width, self.get_string_width(self._clean(shown)))
        left = x + width - ink if "align" in options else x
        if shown:
            boxes.append((left, y, left + ink, end, shown))
        return end

    monkeypatch.setattr(certificate_pdf._Page, "_text", remember)
    each = Check(what=words, expected=words, observed=words, passed=True)
    phone = record().before
    assert phone is not None
    phone = msgspec.structs.replace(
        phone, model_name=words, serial_number=words, imei=words, version=words, build=words
    )
    content = draft(
        record(
            station=words,
            software=words,
            before=phone,
            observed=Observed(mode=None, facts=phone),
            checks=(each,) * checks,
            started=words,
            ended=words,
            duration_seconds=1e9,
        )
    )
    pdf = certificate_pdf.render(content)
    assert b"/Count 1\n" in pdf
    assert len(pdf) < 40_000
    for (left, top, right, bottom, one), (x, y, other, end, two) in itertools.combinations(boxes, 2):
        assert bottom <= y + 0.01 or end <= top + 0.01 or x >= right or left >= other, (one[:40], two[:40])
    assert max(bottom for *_, bottom, _ in boxes) <= 290
    shown = text_of(pdf)
    assert "\x00" not in shown
    assert "\u202e" not in shown
    assert "\u200b" not in shown


def test_letters_of_european_names_are_kept(draft):
    name = "Żabka Łódź, Ελλάδα, Київ, Đà Nẵng, Ünal & Šípková"
    assert name in text_of(certificate_pdf.render(draft(record(station=name))))


def test_the_qr_code_holds_id_digest_and_key(draft, monkeypatch):
    seen = []
    make = segno.make_qr

    def remember(words, **options):
        seen.append(words)
        return make(words, **options)

    monkeypatch.setattr(segno, "make_qr", remember)
    content = draft()
    certificate_pdf.render(content)
    assert seen == [f"RESTORE-STATION {content.certificate} {content.digest} {content.key_id}".upper()]


def test_an_ecid_is_text(draft):
    assert draft().ecid == f"0x{ECID:016X}"
