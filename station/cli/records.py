"""`station records`: the records and certificates, and whether they are what was once written."""

from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table
from rich.text import Text

from station.adapters import audit, chain, clock, record_export
from station.adapters.audit import Anchor, Report
from station.adapters.chain import ChainFiles
from station.adapters.records import chain_files
from station.adapters.records_copy import copy_records
from station.adapters.signing import PublicKey, key_type
from station.adapters.upkeep import Notes
from station.cli.plainly import fail, in_words, plain_errors
from station.daemon import settings
from station.errors import InputRejected, StationError
from station.model.base import format_ecid
from station.model.certificate import Certificate
from station.model.upkeep import Chore, ChoreNote

MAX_FINDINGS = 20

LIMIT_OF_PROOF = (
    "This cannot show whether the whole directory was put back to an earlier day: compare the last record with\n"
    "what was noted elsewhere (--expect-head), or with a certificate that somebody holds (--certificate)."
)

app = typer.Typer(help="Records and certificates.", no_args_is_help=True, add_completion=False)

State = Annotated[Path | None, typer.Option("--state", help="The station's state directory, if not as set.")]
Emulated = Annotated[bool, typer.Option("--emulated", help="The records of virtual phones instead.")]


class Format(Enum):
    """What an export can be."""

    CSV = "csv"
    JSONL = "jsonl"


@app.command("list")
def list_records(
    state: State = None,
    emulated: Emulated = False,
    newest: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
) -> None:
    """Show the newest records; times are in UTC."""
    fixed = [Column(name, no_wrap=True, overflow="ignore") for name in ("Number", "Ended", "ECID", "Bay", "Service")]
    folded = [Column(name, overflow="fold") for name in ("Phone", "Outcome")]
    table = Table(*fixed[:2], folded[0], *fixed[2:], folded[1], box=None, pad_edge=False)
    with plain_errors():
        for sealed in chain.read(_files(state, emulated), newest=newest):
            record = chain.record_of(sealed)
            phone = record.before or record.observed.facts
            name = phone.model_name if phone else "not known"
            outcome = record.outcome.value.replace("_", " ")
            ended, service = record.ended[:16].replace("T", " "), record.service.value
            cells = (str(sealed.number), ended, name, format_ecid(record.ecid), record.bay, service, outcome)
            table.add_row(*(Text(_printable(cell)) for cell in cells))  # as Text: a phone's words are no markup
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("There are no records yet." + ("" if emulated else " Those of virtual phones: --emulated"))


@app.command("show")
def show_record(
    number: Annotated[int, typer.Argument(help="As `station records list` shows it.")],
    state: State = None,
    emulated: Emulated = False,
) -> None:
    """Show one record whole, as JSON."""
    with plain_errors():
        found = next(chain.read(_files(state, emulated), number=number), None)
    if found is None:
        fail(f"There is no record {number}.")
    else:
        typer.echo(msgspec.json.format(next(record_export.json_lines([found])), indent=2))


@app.command("export")
def export_records(
    state: State = None,
    emulated: Emulated = False,
    form: Annotated[
        Format, typer.Option("--format", help="JSON lines keep the seals, CSV suits a table.")
    ] = Format.CSV,
) -> None:
    """Write every record to standard output."""
    lines = record_export.csv_lines if form is Format.CSV else record_export.json_lines
    with plain_errors():
        for line in lines(chain.read(_files(state, emulated))):
            typer.echo(line, nl=False)


@app.command("verify")
def verify_records(
    directory: Annotated[Path | None, typer.Argument(help="A chain's directory; by default the station's.")] = None,
    state: State = None,
    emulated: Emulated = False,
    key: Annotated[
        Path | None, typer.Option(help="The public key you trust; by default the one that lies there.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="A certificate (JSON or PDF) that must be in the chain.")
    ] = None,
    expect_head: Annotated[
        tuple[int, str] | None, typer.Option(metavar="NUMBER DIGEST", help="A record that must be in the chain.")
    ] = None,
) -> None:
    """Find out whether anything was changed, left out, added or cut off. Exit code 1 when it was."""
    with plain_errors():
        if directory is None and key is not None and certificate is not None:
            held = PublicKey.read(key).read_document(certificate, Certificate)
            typer.echo(f"{held.notice}\n" if held.notice else "", nl=False)
            typer.echo(f"{certificate.name} is signed with the key {held.key_id}, and unchanged.")
            return
        files = ChainFiles(directory) if directory else _files(state, emulated)
        if not files.path.is_dir():
            raise InputRejected(f"There are no records to read in {files.path}.", remedy=chain.ELSEWHERE)
        trusted = PublicKey.read(key or files.public_key)
        anchors = [Anchor(*expect_head)] if expect_head else []
        if certificate is not None:
            anchors.append(audit.anchor_of(certificate, trusted, files))
        report = audit.verify(files.path, trusted, anchors=tuple(anchors))
    _print(report, key_is_given=key is not None, anchored=bool(anchors))
    if certificate is not None and report.good:
        typer.echo(f"{certificate.name} is the certificate of record {anchors[-1].number}.")
    if not report.good:
        raise typer.Exit(1)


@app.command("copy")
def copy_the_records() -> None:
    """Copy all records to the disk that the settings name (records_copies), and read the copy back."""
    with plain_errors():
        ours = settings.load()
        if ours.records_copies is None:
            typer.echo("No place is set for copies: records_copies in station.toml, a directory on another disk.")
            return
        notes = Notes(ours.state)
        try:
            copied = copy_records(ours.state, ours.records_copies, keep=ours.records_copies_kept, at=clock.utc_now())
        except StationError as error:
            with suppress(StationError):  # on a full disk there is no room for that either
                notes.keep(ChoreNote(chore=Chore.COPY, at=clock.utc_now(), good=False, detail=in_words(error)))
            raise
        if copied is None:
            typer.echo("There are no records yet.")
            return
        older = f" {copied.removed} older ones were removed." if copied.removed else ""
        said = f"{copied.records} records are in {copied.path} ({decimal(copied.size)}), and were read back.{older}"
        notes.keep(ChoreNote(chore=Chore.COPY, at=clock.utc_now(), good=True, detail=said))
    typer.echo(said)


def _print(report: Report, *, key_is_given: bool, anchored: bool) -> None:
    if report.emulated:
        typer.echo("EMULATED: these records are from a demonstration and prove nothing.")
    typer.echo(f"Records: {report.records}. Certificates: {report.certificates}. Key: {report.key_id}.")
    if not key_is_given:
        typer.echo("That key lay beside the records: compare its id with one that you know from elsewhere.")
    if report.last:
        typer.echo(f"The last is record {report.last.number}, {report.last.digest}.")
    if report.good:
        typer.echo("Everything is as it was written." + ("" if anchored else f"\n{LIMIT_OF_PROOF}"))
        return
    typer.echo("These are NOT the records as they were written:", err=True)
    for finding in report.findings[:MAX_FINDINGS]:
        typer.echo(f"- {_printable(finding)}", err=True)
    if more := len(report.findings[MAX_FINDINGS:]):
        typer.echo(f"- and {more} more.", err=True)


def _printable(words: str) -> str:
    """Words from a phone, or from a forged database, must not command the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in words)


def _files(state: Path | None, emulated: bool) -> ChainFiles:
    """The station's own chain. Raises ConfigError when the settings do not tell where it is."""
    return chain_files(state or settings.load().state, key_type(emulated=emulated))
