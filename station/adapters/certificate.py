"""Certificates: who gets one, what it says, and the two files it is.

The rule is here and nowhere else: `issue` refuses what does not deserve one, whoever asks.
"""

import asyncio
import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path

import msgspec

from station.adapters import chain, durable
from station.adapters.chain import ChainFiles
from station.adapters.records import RecordStore
from station.adapters.signing import PublicKey, SigningKey
from station.core.verification import NOT_SEEN
from station.errors import Refused
from station.model.base import format_ecid
from station.model.certificate import Certificate
from station.model.consent import Hand
from station.model.phone import PhoneFacts
from station.model.record import Check, Outcome, Record, SealedRecord
from station.model.service import SERVICES, Service

NOT_KNOWN = "not known"

EMULATED = "EMULATED — NOT A PROOF. No real phone was erased: this is a demonstration."

METHODS = {
    Service.ERASE: "Erase of all content and settings; cryptographic erase by device firmware",
    Service.RESTORE: "Erase and reinstall of the firmware; cryptographic erase by device firmware",
}
"""Of the services that end data: the others earn no certificate of sanitization."""

HANDS = {
    Hand.BUTTONS: "A person at the station: START pressed, then CONFIRM held",
    Hand.SCREEN: "A person at the station: START touched, then a hold on the screen",
    Hand.OPERATOR: "An operator, who typed the phone's ECID",
    Hand.ORDER: "An operator's standing order, given beforehand",
}

SUMMARIES = {
    Service.ERASE: "This phone erased all content and settings, and the result was observed.",
    Service.RESTORE: "This phone was erased, its firmware installed anew, and the result observed.",
}

NONE_INSTALLED = "no firmware was installed"

CLASSIFICATION = (
    "This states the method and what was verified. "
    "Its NIST SP 800-88 category (Clear, Purge) is for the data’s owner to assign."
)


@dataclass(frozen=True, slots=True)
class CertificatePaths:
    """Where a certificate lies, and what its QR code says."""

    json: Path
    pdf: Path
    code: str


async def issue(store: RecordStore, sealed: SealedRecord) -> CertificatePaths:
    """Write the certificate of a record; when it is there already, say where. Takes about half a second, off the loop.

    Raises:
        Refused: the record does not deserve one; the message is the reason, in words.
        RecordsBroken: the record is not one of this station's.
        StorageError: it could not be written; ask again.
    """
    home = store.chain_of(sealed)
    return await asyncio.to_thread(_issue, home.files, home.key, home.writing, sealed)


def refusal(record: Record) -> str:
    """Why a record gets no certificate, in words; empty when it deserves one."""
    if record.outcome is not Outcome.VERIFIED:
        return "Only a job whose result was verified gets a certificate."
    if record.service not in METHODS:
        return "Only what erases a phone gets a certificate of sanitization."
    if not record.checks or not all(check.passed for check in record.checks):
        return "Not every check of the phone was passed."
    if not record.clock_trusted and not record.emulated:
        return "The station's clock was not known to be right, so the certificate could not say when."
    return ""


def compose(sealed: SealedRecord, key: PublicKey) -> Certificate:
    """What a record's certificate says, yet without its PDF and unsigned. Raises Refused when it deserves none."""
    record = chain.record_of(sealed)
    if reason := refusal(record):
        raise Refused(reason)
    phone = record.before or record.observed.facts
    return Certificate(
        certificate=f"{key.id}-{sealed.number:06d}",
        emulated=record.emulated,
        notice=EMULATED if record.emulated else "",
        station=record.station,
        bay=record.bay,
        model=phone.model_name if phone else NOT_KNOWN,
        product_type=phone.product_type if phone else NOT_KNOWN,
        serial_number=phone.serial_number if phone else NOT_KNOWN,
        imei=(phone and phone.imei) or NOT_KNOWN,
        ecid=format_ecid(record.ecid),
        method=METHODS[record.service],
        firmware_before=_version(record.before),
        firmware_after=_version(record.observed.facts),
        manifest_sha256=_manifest(record),
        started=record.started,
        ended=record.ended,
        duration_seconds=record.duration_seconds,
        clock_trusted=record.clock_trusted,
        confirmed_by=HANDS[record.consent.by],
        confirmed_at=record.consent.at,
        verified=tuple(check for check in record.checks if not check.by_phone and check.observed != NOT_SEEN),
        reported=_reported(record),
        not_verified=_not_verified(record),
        classification=CLASSIFICATION,
        software=record.software,
        record=sealed.number,
        digest=sealed.digest,
        pdf_sha256="",
        public_key=key.pem.decode(),
        key_id=key.id,
        signature="",
        summary=SUMMARIES[record.service],
        activation_lock=lock_before(record),
        backup=backup_decision(record),
        overruled=overrulings(record),
    )


def _issue(files: ChainFiles, key: SigningKey, writing: threading.Lock, sealed: SealedRecord) -> CertificatePaths:
    certificate = compose(sealed, key.public)
    paths = CertificatePaths(json=files.certificate(sealed.number), pdf=files.pdf(sealed.number), code=certificate.code)
    with writing:
        if not paths.json.exists():
            # Only now: importing it costs a quarter of a second and 50 MB, which a station at rest need not carry.
            from station.adapters.certificate_pdf import render  # noqa: PLC0415 - see above

            pdf = render(certificate)
            certificate = msgspec.structs.replace(certificate, pdf_sha256=hashlib.sha256(pdf).hexdigest())
            durable.write(paths.pdf, pdf)
            durable.write(paths.json, chain.to_file(key.sign_certificate(certificate)))  # last: with it, both are there
    return paths


def _version(facts: PhoneFacts | None) -> str:
    return f"iOS {facts.version} ({facts.build})" if facts else NOT_KNOWN


def lock_before(record: Record) -> str:
    """What was found of Activation Lock before the job, and when."""
    if record.before is None or not record.before.lock.at:
        return "not read"
    return f"{record.before.lock.state.value}, read {record.before.lock.at}"


def backup_decision(record: Record) -> str:
    """What was decided about a backup, and when."""
    return "none" if record.decision is None else f"{record.decision.choice.value}, {record.decision.at}"


def overrulings(record: Record) -> tuple[str, ...]:
    """The gates that somebody opened, with their reasons."""
    return tuple(f"{each.gate.value.replace('_', ' ')}: {each.reason} ({each.at})" for each in record.overruled)


def _manifest(record: Record) -> str:
    if record.firmware is not None:
        return record.firmware.manifest_sha256
    return NOT_KNOWN if SERVICES[record.service].firmware else NONE_INSTALLED


def _not_verified(record: Record) -> tuple[str, ...]:
    """What a reader might expect to be covered, and is not. An erased phone tells nothing of its lock."""
    read = record.before is not None and bool(record.before.lock.at)
    kept = "asked to be kept" if record.consent.options.keep_esim else "asked to be removed"
    plans = f"eSIM profiles ({kept})" if record.service is Service.ERASE else "eSIM profiles"
    return (
        *(f"{check.what.capitalize()}: {NOT_SEEN}" for check in record.checks if check.observed == NOT_SEEN),
        f"Activation Lock{' afterwards' if read else ''}: not assessed",
        f"{plans}, and cards in the phone: not assessed",
        "Copies elsewhere, such as backups and cloud accounts: not assessed",
    )


def _reported(record: Record) -> tuple[Check, ...]:
    """The phone's own words about its work; where no firmware was installed, no restore system spoke."""
    said = tuple(check for check in record.checks if check.by_phone and check.observed != NOT_SEEN)
    if not SERVICES[record.service].firmware:
        return said
    finished = Check(
        what="restore finished",
        expected="status 0",
        observed="not reported" if record.status is None else f"status {record.status}",
        passed=record.status == 0,
        by_phone=True,
    )
    return (finished, *said)
