"""`station upkeep`: what the timers run (systemd/station-check.timer, station-copy.timer), in quiet hours.

Firmware for the models that a station has seen is fetched at night too, and needs no timer: the daemon does it itself,
where `supply.fetch` is “ahead”, in `supply.hours`. So does it with a night's standing order.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import structlog
import typer

from station.adapters import clock
from station.adapters.firmware import FirmwareStore
from station.adapters.records import chain_files
from station.adapters.signing import key_type
from station.adapters.upkeep import Notes
from station.cli.logs import log_to_stderr
from station.cli.plainly import plain_errors
from station.cli.quiet import Quiet
from station.daemon.settings import Settings, load
from station.errors import StationError
from station.model.upkeep import Chore, ChoreNote

END_SECONDS = 10.0
MAX_WORDS = 500

app = typer.Typer(help="What the station does for itself in quiet hours.", no_args_is_help=True, add_completion=False)
log = structlog.get_logger(__name__)

Hours = Annotated[float, typer.Option("--hours", min=0.001, help="After which it is left for the next time.")]
Lasting = Annotated[float, typer.Option("--quiet", min=0, help="Seconds of quiet before anything begins.")]


@app.command("check")
def check(hours: Hours = 3.0, lasting: Lasting = 60.0) -> None:
    """Read all records and all firmware again while nothing is going on. Exit code 1 when something is not whole."""
    _do(_check, hours, lasting)


@app.command("copy")
def copy(hours: Hours = 3.0, lasting: Lasting = 60.0) -> None:
    """Copy the records to another disk while nothing is going on, as `station records copy` does."""
    _do(_copy, hours, lasting)


def _do(chore: Callable[[Settings, Quiet], Awaitable[bool]], hours: float, lasting: float) -> None:
    log_to_stderr()

    async def within(settings: Settings) -> bool:
        quiet = Quiet(settings, lasting=lasting)
        following = asyncio.create_task(quiet.follow())
        try:
            async with asyncio.timeout(hours * 3600):
                return await chore(settings, quiet)
        except TimeoutError:
            log.warning("not finished: it was not quiet for long enough. It goes on the next time", hours=hours)
            return True
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following

    with plain_errors():
        good = asyncio.run(within(load()))
    if not good:
        raise typer.Exit(1)


async def _copy(settings: Settings, quiet: Quiet) -> bool:
    if settings.records_copies is None:
        Notes(settings.state).forget(Chore.COPY)  # of a place that is set no more
        log.info("no place is set for copies of the records (records_copies)")
        return True
    done = await quiet.run(("records", "copy"))
    (log.info if done.code == 0 else log.error)("copy of the records", says=done.said[-MAX_WORDS:])
    return done.code == 0


async def _check(settings: Settings, quiet: Quiet) -> bool:
    records = await _check_records(settings, quiet)
    return await _check_firmware(settings, quiet) and records


async def _check_records(settings: Settings, quiet: Quiet) -> bool:
    """Verify each chain that there is."""
    wrong: list[str] = []
    checked = 0
    for emulated in (False, True):
        if not chain_files(settings.state, key_type(emulated=emulated)).head.exists():
            continue
        done = await quiet.run(("records", "verify", *(("--emulated",) if emulated else ())))
        checked += 1
        if done.code != 0:
            wrong.append(done.said[-MAX_WORDS:])
    if not checked:
        log.info("there are no records yet")
        return True
    said = " ".join(wrong) or "Everything is as it was written."
    return _keep(settings, ChoreNote(chore=Chore.RECORDS, at=clock.utc_now(), good=not wrong, detail=said))


async def _check_firmware(settings: Settings, quiet: Quiet) -> bool:
    """Read every firmware from the disk, what was read longest ago first.

    Each by itself, so that a busy station, too, gets through them in some nights. After each it is written down how
    all of it is: what was found is told even if the rest has to wait.
    """
    store = FirmwareStore(settings.firmware_store)
    before = Notes(settings.state).of(Chore.FIRMWARE)
    read = {} if before is None else dict(before.read)
    wrong: dict[str, str] = {}
    good = await asyncio.to_thread(_note_firmware, settings, store, read, wrong)
    for name in sorted(await asyncio.to_thread(_names, store), key=lambda name: read.get(name, "")):
        done = await quiet.run(("firmware", "verify", name))
        log.info("firmware read", name=name, good=done.code == 0)
        if done.code == 0:
            read[name] = clock.utc_now()
        else:
            wrong[name] = done.said[-MAX_WORDS:]
        good = await asyncio.to_thread(_note_firmware, settings, store, read, wrong)
    return good


def _note_firmware(settings: Settings, store: FirmwareStore, read: dict[str, str], wrong: dict[str, str]) -> bool:
    """Write down how all of it is; what was removed meanwhile is nobody's trouble any more."""
    damaged, there = [each.name for each in store.unusable()], _names(store)
    if not damaged and not there:
        Notes(settings.state).forget(Chore.FIRMWARE)
        return True
    says = [f"Damaged: {', '.join(damaged)}."] if damaged else []
    says += [words for name, words in wrong.items() if name in there]
    said = " ".join(says) or f"{len(there)} in the store, {len(read.keys() & there)} of them read by now."
    known = {name: at for name, at in read.items() if name in there}
    before, at = Notes(settings.state).of(Chore.FIRMWARE), clock.utc_now()
    if not says:  # as old as what was read longest ago: whoever never gets through all is not up to date
        at = min(known.values()) if known.keys() == there else at if before is None else before.at
    note = ChoreNote(chore=Chore.FIRMWARE, at=at, good=not says, detail=said, read=known)
    return _keep(settings, note)


def _names(store: FirmwareStore) -> set[str]:
    return {Path(firmware.directory).parent.name for firmware in store.list()}


def _keep(settings: Settings, note: ChoreNote) -> bool:
    """Write a note down, and log it; whether it is a good one."""
    (log.info if note.good else log.error)("checked", what=note.chore.value, good=note.good, says=note.detail)
    try:
        Notes(settings.state).keep(note)
    except StationError as error:
        log.error("not written down", what=note.chore.value, error=str(error))  # noqa: TRY400 (a full disk needs no traceback)
        return False
    return note.good
