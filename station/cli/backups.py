"""`station backups`: the vault by hand."""

from typing import Annotated

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import Progress
from rich.table import Column, Table

from station.adapters.secrets_in_memory import MemoryShelf
from station.adapters.vault import Vault, held
from station.cli.plainly import fail, in_words, plain_errors, require
from station.daemon import settings
from station.daemon.settings import Settings
from station.errors import StationError
from station.model.backup import BackupNote, BackupState
from station.model.base import BackupId, JobId, format_ecid

app = typer.Typer(help="Backups the station keeps.", no_args_is_help=True, add_completion=False)

WORDS = {BackupState.PARTIAL: "broke off", BackupState.VERIFIED: "verified"}

Name = Annotated[str, typer.Argument(help="The backup's name, as `station backups list` shows it.")]


@app.command("list")
def list_backups() -> None:
    """Show every backup, oldest first."""
    _, vault = _open()
    with plain_errors():
        notes, owed = vault.notes(), vault.owed()
    if not notes:
        typer.echo("There are no backups.")
    # What has to be typed again is never cut, however narrow the terminal is.
    named, whose, until = (Column(title, no_wrap=True, overflow="ignore") for title in ("Backup", "ECID", "Kept until"))
    phone, state = Column("Phone", overflow="fold", min_width=9), Column("State", overflow="fold", min_width=8)
    table = Table(named, phone, whose, until, state, box=None, pad_edge=False)
    for note in notes:
        size = f", {decimal(note.size)}" if note.state is BackupState.VERIFIED else ""
        kept = note.keep_until.partition("T")[0] or "no date"
        table.add_row(note.id, note.model, format_ecid(note.ecid), kept, f"{WORDS[note.state]}{size}")
    if notes:
        Console().print(table)
    for ecid, backup in owed.items():
        typer.echo(f"{format_ecid(ecid)} still has the password of backup {backup}: back it up here once more.")


@app.command("delete")
def delete_backup(
    backup: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False
) -> None:
    """Delete a backup for good, unless somebody works with it."""
    _, vault = _open()
    with plain_errors():
        note = vault.note(BackupId(backup))
        if not yes:
            typer.confirm(f"Delete the backup of {_name(note)} for good?", abort=True)
        vault.delete(note.id)
    typer.echo(f"Backup {note.id} is deleted.")


@app.command("verify")
def verify_backups(
    backup: Annotated[str | None, typer.Argument(help="A backup's name; every one that counts by default.")] = None,
) -> None:
    """Read every byte of a backup again, and decrypt it. Faults are told; nothing is changed."""
    chosen, vault = _open()
    with plain_errors():
        notes = [vault.note(BackupId(backup))] if backup else vault.notes()
    if not notes:
        typer.echo("There are no backups.")
    failed = False
    for note in notes:
        if backup is None and note.state is not BackupState.VERIFIED:
            continue
        try:
            faults = _verify(chosen, vault, note)
        except StationError as error:
            faults = (in_words(error),)
        failed |= bool(faults)
        typer.echo(f"{note.id}: {'; '.join(faults) or 'undamaged'}.", err=bool(faults))
    if failed:
        fail("Delete what is damaged (station backups delete), and make the backup again while the phone is there.")


def _verify(chosen: Settings, vault: Vault, note: BackupNote) -> tuple[str, ...]:
    """What is wrong with a backup; nothing: it is as it came from the phone."""
    from station.worker.received import Received  # noqa: PLC0415 (what reads backups is slow to import)
    from station.worker.reread import reread  # noqa: PLC0415 (the same)

    memory = MemoryShelf(chosen.runtime)
    memory.open()
    job = JobId(f"verify-{note.id}")
    data = vault.data(note.id)
    try:
        with held(data), Received(data) as received, _bars() as bars:
            bar = bars.add_task(f"Reading {note.id}", total=1.0)
            reading = reread(
                data / note.udid,
                vault.password(note.id),
                received=received,
                memory=memory.path / f"{job}.manifest",
                alive=lambda done: bars.update(bar, completed=done),
            )
    finally:
        memory.clear(job)
    return reading.faults


def _bars() -> Progress:
    """A bar on a terminal, gone when it is done; nothing where there is none."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def _open() -> tuple[Settings, Vault]:
    """The vault that the daemon uses. Ends when the settings do not tell."""
    with plain_errors():
        chosen = settings.load()
    require(chosen.vault_directory)
    return chosen, Vault(chosen.vault_directory, secret=chosen.vault_secret, days=chosen.vault_days)


def _name(note: BackupNote) -> str:
    return f"{note.model or 'a phone'} ({format_ecid(note.ecid)}), made {note.made}"
