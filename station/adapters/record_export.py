"""Records for other programs: JSON lines that still verify, and CSV for a spreadsheet or an ERP system."""

import csv
import io
from collections.abc import Iterable, Iterator

import msgspec

from station.adapters import chain
from station.adapters.certificate import backup_decision, lock_before, overrulings
from station.model.base import format_ecid
from station.model.record import SealedRecord

COLUMNS = (
    "number",
    "job",
    "started",
    "ended",
    "duration_seconds",
    "clock_trusted",
    "station",
    "bay",
    "service",
    "emulated",
    "outcome",
    "cause",
    "status",
    "title",
    "detail",
    "model",
    "product_type",
    "serial_number",
    "imei",
    "ecid",
    "build_before",
    "build_after",
    "confirmed_by",
    "confirmed_at",
    "activation_lock_before",
    "backup_decision",
    "overruled",
    "software",
    "digest",
)


def json_lines(records: Iterable[SealedRecord]) -> Iterator[str]:
    """One object a record: its seal, and as `record` the very text that was sealed, unquoted."""
    for sealed in records:
        fields = msgspec.to_builtins(sealed)
        payload = msgspec.Raw(fields.pop("payload").encode())
        yield chain.canonical({**fields, "record": payload}).decode() + "\n"


def csv_lines(records: Iterable[SealedRecord]) -> Iterator[str]:
    """A heading, then one row a record (RFC 4180)."""
    yield _csv(COLUMNS)
    for sealed in records:
        row = _row(sealed)
        yield _csv([row[column] for column in COLUMNS])


def _row(sealed: SealedRecord) -> dict[str, object]:
    record = chain.record_of(sealed)
    phone, after = record.before or record.observed.facts, record.observed.facts
    return {
        "number": sealed.number,
        "job": record.job,
        "started": record.started,
        "ended": record.ended,
        "duration_seconds": record.duration_seconds,
        "clock_trusted": record.clock_trusted,
        "station": record.station,
        "bay": record.bay,
        "service": record.service.value,
        "emulated": record.emulated,
        "outcome": record.outcome.value,
        "cause": record.cause and record.cause.value,
        "status": record.status,
        "title": record.title,
        "detail": record.detail,
        "model": phone and phone.model_name,
        "product_type": phone and phone.product_type,
        "serial_number": phone and phone.serial_number,
        "imei": phone and phone.imei,
        "ecid": format_ecid(record.ecid),
        "build_before": record.before and record.before.build,
        "build_after": after and after.build,
        "confirmed_by": record.consent.by.value,
        "confirmed_at": record.consent.at,
        "activation_lock_before": lock_before(record),
        "backup_decision": backup_decision(record),
        "overruled": "; ".join(overrulings(record)),
        "software": record.software,
        "digest": sealed.digest,
    }


def _csv(values: Iterable[object]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(_harmless(value) for value in values)
    return line.getvalue()


def _harmless(value: object) -> object:
    """A spreadsheet runs a text that begins like a formula, and some of these texts come from a phone."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
