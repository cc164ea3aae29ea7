"""`station doctor`: what is wrong with this machine, and how to mend it."""

import grp
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from station.adapters import clock
from station.adapters.secrets_in_memory import is_in_memory
from station.daemon.settings import Settings, load
from station.errors import ConfigError

LOW_DISK = 12 << 30
"""Bytes: one unpacked firmware, and room to work."""
TIMEOUT = 2.0
SWAPS = Path("/proc/swaps")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    found: str
    remedy: str = ""


def doctor(
    config: Annotated[Path | None, typer.Option(help="station.toml.", envvar="STATION_CONFIG")] = None,
) -> None:
    """Look at everything a station needs; say what is wrong and how to mend it."""
    try:
        settings = load(config)
    except ConfigError as error:
        typer.echo(f"✘ settings: {error} {error.remedy}".rstrip(), err=True)
        raise typer.Exit(1) from error
    findings = list(examine(settings))
    for finding in findings:
        typer.echo(f"{'✔' if finding.fine else '✘'} {finding.what}: {finding.found}")
        if not finding.fine:
            typer.echo(f"    {finding.remedy}")
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the machine."""
    yield _answers("daemon", settings.socket, "Start it: systemctl start station.")
    if settings.virtual is None:
        yield _usbmuxd(settings)
        yield _group("plugdev", "read phones in recovery mode")
        if settings.gpio.enabled:
            yield _group("gpio", "use buttons and lamps")
    yield _disk("state", settings.state)
    yield _disk("firmware", settings.firmware_store)
    yield _disk("vault", settings.vault_directory)
    yield _memory(settings.runtime)
    trusted = clock.trusted()
    yield Finding(
        "clock",
        trusted,
        "kept right by NTP" if trusted else "not synchronised",
        "Connect the network, or set up NTP: without it no certificate can say when.",
    )


def _usbmuxd(settings: Settings) -> Finding:
    address = settings.reach().usbmuxd
    remedy = "Install and start usbmuxd."
    if "/" in address:
        return _answers("usbmuxd", Path(address), remedy)
    host, _, port = address.rpartition(":")
    return _probe(
        "usbmuxd", address, lambda: socket.create_connection((host, int(port)), timeout=TIMEOUT).close(), remedy
    )


def _answers(what: str, path: Path, remedy: str) -> Finding:
    def connect() -> None:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(TIMEOUT)
            probe.connect(str(path))

    return _probe(what, str(path), connect, remedy)


def _probe(what: str, where: str, connect: Callable[[], None], remedy: str) -> Finding:
    try:
        connect()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Finding(what, fine=False, found=f"does not answer at {where}: {why}", remedy=remedy)
    return Finding(what, fine=True, found=f"answers at {where}")


def _group(name: str, purpose: str) -> Finding:
    try:
        group = grp.getgrnam(name)
    except KeyError:
        return Finding(f"group {name}", fine=os.getuid() == 0, found="does not exist", remedy=f"groupadd {name}")
    member = os.getuid() == 0 or group.gr_gid in (*os.getgroups(), os.getgid())
    found = f"allows to {purpose}" if member else f"this user is not in it, and may not {purpose}"
    return Finding(f"group {name}", fine=member, found=found, remedy=f"usermod -aG {name} USER, then log in again.")


def _disk(what: str, path: Path) -> Finding:
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    found = f"{path}: {free / 1e9:.1f} GB free" + ("" if writable else ", not writable by this user")
    return Finding(f"disk for {what}", free >= LOW_DISK and writable, found, "Free some space, or use a larger disk.")


def _memory(runtime: Path) -> Finding:
    """Passwords of backups may be in memory only, and memory must stay memory."""
    existing = next(parent for parent in (runtime, *runtime.parents) if parent.exists())
    swaps = [line.split()[0] for line in SWAPS.read_text().splitlines()[1:]]
    on_disk = [swap for swap in swaps if not swap.startswith("/dev/zram")]
    if not is_in_memory(existing):
        return Finding(
            "memory for passwords",
            fine=False,
            found=f"{runtime} is on a disk",
            remedy="Set `runtime` to a directory of a tmpfs, such as /run/restore-station.",
        )
    return Finding(
        "memory for passwords",
        fine=not on_disk,
        found=f"{runtime}: in memory" + (f", which is swapped to {', '.join(on_disk)}" if on_disk else ""),
        remedy="Swap to compressed memory (zram) instead, or not at all: swapoff -a.",
    )
