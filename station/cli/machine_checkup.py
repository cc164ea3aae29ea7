"""What `station doctor` says of the machine: its disks, its keys, its memory, its supply, its heat and its clock."""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from station.adapters import clock
from station.adapters.health import Machine
from station.adapters.secrets_in_memory import is_in_memory
from station.cli.finding import AS_ROOT, Finding
from station.daemon.settings import Settings

LOW_DISK = 12 << 30
"""Bytes: one unpacked firmware, or the backup of a phone that is not full, and room to work."""
LOW_STATE = 1 << 30
"""Bytes: records, certificates and what jobs leave, for years."""
FULL = 1 << 20
"""Bytes below which a disk is called full."""
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
"""This program is not older: whatever clock says less was never set."""
MEMORY = Path("/dev/shm")  # noqa: S108 (named to people, not written to)
FIRMWARE_SECONDS = 3.0
"""How long the Raspberry Pi's firmware may take to say how its supply was."""
_TOO_LITTLE = {0x1: "gives too little now", 0x10000: "gave too little since the machine was switched on"}
"""What the bits of `vcgencmd get_throttled` say of the supply."""


def examine_disks(settings: Settings) -> Iterator[Finding]:
    """Look at the places that must take more."""
    yield examine_disk("state", settings.state, LOW_STATE)
    yield examine_disk("firmware", settings.firmware_store, LOW_DISK)
    if settings.vault is not None and not settings.vault.exists():
        # A disk of its own that is not there must not be mistaken for a directory on the card.
        found = f"{settings.vault} is not there"
        yield Finding("disk for vault", fine=False, found=found, remedy="Plug in its disk, or make the directory.")
    else:
        yield examine_disk("vault", settings.vault_directory, LOW_DISK)


def examine_disk(what: str, path: Path, needed: int) -> Finding:
    """Look at one place."""
    what = f"disk for {what}"
    try:
        existing = _existing(path)
        free = shutil.disk_usage(existing).free
        writable = os.access(existing, os.W_OK)
    except OSError as error:
        return Finding(what, fine=False, found=f"{path}: {error.strerror}", remedy=AS_ROOT)
    found = f"{path}: " + ("full" if free < FULL else f"{free / 1e9:.1f} GB free")
    if free < needed:
        remedy = f"It needs {needed / 1e9:.0f} GB: station firmware prune frees some; or use a larger disk."
        return Finding(what, fine=False, found=found, remedy=remedy)
    return Finding(what, writable, found + ("" if writable else ", not writable by this user"), AS_ROOT)


def examine_keys(directory: Path) -> Finding:
    """Keys sign records and open backups: they are for one user."""
    try:
        open_to_others = [
            path.name for path in sorted(directory.iterdir()) if stat.S_IMODE(path.stat().st_mode) & 0o077
        ]
    except FileNotFoundError:
        return Finding("keys", fine=True, found="none yet: the daemon makes them")
    except OSError as error:
        return Finding("keys", fine=False, found=f"{directory}: {error.strerror}", remedy=AS_ROOT)
    found = f"others may read {', '.join(open_to_others)}" if open_to_others else f"{directory}: for the station alone"
    secret = f"Others may have them: chmod -R go= {directory}, and think of who could have read them."
    return Finding("keys", not open_to_others, found, secret)


def examine_memory(runtime: Path, *, root: Path = Path("/")) -> Finding:
    """Passwords of backups may be in memory only, and memory must stay memory."""
    what = "memory for passwords"
    try:
        in_memory = is_in_memory(_existing(runtime))
    except OSError as error:
        return Finding(what, fine=False, found=f"{runtime}: {error.strerror}", remedy=AS_ROOT)
    if not in_memory:
        example = MEMORY if MEMORY.is_dir() else Path("/run")
        remedy = f"Set `runtime` to a directory in memory (a tmpfs), such as {example / 'restore-station'}."
        return Finding(what, fine=False, found=f"{runtime} is on a disk: no backup is made", remedy=remedy)
    swaps: list[str] = []
    with suppress(OSError):
        swaps = [line.split()[0] for line in (root / "proc/swaps").read_text().splitlines()[1:]]
    on_disk = [swap for swap in swaps if not swap.startswith("/dev/zram")]
    return Finding(
        what,
        fine=not on_disk,
        found=f"{runtime}: in memory" + (f", which is swapped to {', '.join(on_disk)}" if on_disk else ""),
        remedy="Swap to compressed memory (zram) instead, or not at all: swapoff -a.",
    )


def examine_strength(settings: Settings, *, root: Path = Path("/")) -> Iterator[Finding]:
    """The supply and the heat, on machines that tell.

    The kernel tells what is now (`adapters.health`). The Raspberry Pi's firmware remembers it since it was switched on,
    and tells whoever may ask it (group video) through `vcgencmd`; the file below /sys that did the same is gone from
    the kernel since 2025 (raspberrypi/linux, pull request 6697).
    """
    health = Machine(settings.state, sys=root / "sys").look()
    remembered = _throttled()
    ills = [words for bit, words in _TOO_LITTLE.items() if (remembered or 0) & bit]
    if health.under_voltage and _TOO_LITTLE[1] not in ills:
        ills.insert(0, _TOO_LITTLE[1])
    if remembered is not None or health.under_voltage is not None:
        remedy = (
            "Use the supply made for this Raspberry Pi, on its own short cable, and a hub with a supply of its own for"
            " the phones: with too little, phones drop out in the middle of a restore."
        )
        yield Finding("power supply", not ills, " and ".join(ills) or "gives enough", remedy)
    if health.temperature is not None:
        cool = health.temperature < settings.max_temperature
        remedy = "Give it air: nothing heavy begins while it is this hot."
        yield Finding("heat", cool, f"{health.temperature} °C of {settings.max_temperature} °C", remedy)


def examine_clock() -> Finding:
    """Whether the clock can be believed: certificates have its time in them."""
    now = datetime.now(UTC)
    if now < EARLIEST:
        found = f"it says {now:%d %B %Y}: it was never set"
        remedy = "Connect the network: it is set over it (NTP). Where there is none, add a clock with a battery (RTC)."
        return Finding("clock", fine=False, found=found, remedy=f"{remedy} Until then nothing is certified.")
    trusted = clock.trusted()
    found = "kept right by NTP" if trusted else f"it says {now:%d %B %Y, %H:%M} UTC, and nobody keeps it right"
    remedy = (
        "Connect the network, and see what timedatectl says: NTP must be on (sudo timedatectl set-ntp true). Without"
        " it no certificate can say when."
    )
    return Finding("clock", trusted, found, remedy)


def _throttled() -> int | None:
    """What the Raspberry Pi's firmware says of its supply and heat; None: it says nothing to this user, or is none."""
    program = shutil.which("vcgencmd")
    if program is None:
        return None
    with suppress(OSError, subprocess.TimeoutExpired, ValueError):
        done = subprocess.run((program, "get_throttled"), capture_output=True, timeout=FIRMWARE_SECONDS, check=False)
        name, _, value = done.stdout.decode(errors="replace").strip().partition("=")
        return int(value, 16) if name == "throttled" else None
    return None


def _existing(path: Path) -> Path:
    """The directory, or the nearest above it that is there. Raises OSError."""
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())
