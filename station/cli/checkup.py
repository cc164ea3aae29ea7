"""What `station doctor` looks at: each thing that a station needs, whether it is there, and what to do when not."""

import asyncio
import grp
import importlib.util
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from station.adapters import clock
from station.adapters.api import connect
from station.adapters.firmware import FirmwareStore
from station.adapters.gpio import Panel
from station.adapters.health import Machine
from station.adapters.pins import Pins
from station.adapters.secrets_in_memory import is_in_memory
from station.cli.supply_checkup import examine_supply
from station.daemon.settings import Gpio, Settings
from station.errors import ConfigError, StationError
from station.model.catalog import Fetching

LOW_DISK = 12 << 30
"""Bytes: one unpacked firmware, or the backup of a phone that is not full, and room to work."""
LOW_STATE = 1 << 30
"""Bytes: records, certificates and what jobs leave, for years."""
TIMEOUT = 2.0
SWAPS = Path("/proc/swaps")
UDEV = Path("/run/udev/control")
MEMORY = Path("/dev/shm")  # noqa: S108 (named to people, not written to)
PIN_DRIVERS = ("lgpio", "RPi.GPIO", "pigpio")
"""What gpiozero can reach the pins with, the best first."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    fine: bool
    found: str
    remedy: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the machine. Whatever it asks is given up after some seconds."""
    daemon = _answers("daemon", settings.socket, "Start it: systemctl start station (by hand: station daemon).")
    yield daemon
    if daemon.fine:
        yield from _what_it_says(settings.socket)
    yield _hands(settings)
    if settings.virtual is None:
        yield from _real_phones(settings, daemon_runs=daemon.fine)
    yield _disk("state", settings.state, LOW_STATE)
    yield _disk("firmware", settings.firmware_store, LOW_DISK)
    yield _vault(settings)
    yield _keys(settings.state / "keys")
    yield _firmware(settings.firmware_store, fetches=settings.supply.fetch is not Fetching.NEVER)
    for seen in examine_supply(settings):
        yield Finding(seen.what, seen.fine, seen.found, seen.remedy)
    yield _memory(settings.runtime)
    yield from _strength(settings)
    trusted = clock.trusted()
    yield Finding(
        "clock",
        trusted,
        "kept right by NTP" if trusted else "not synchronised",
        "Connect the network, or set up NTP: without it no certificate can say when.",
    )


def _real_phones(settings: Settings, *, daemon_runs: bool) -> Iterator[Finding]:
    """What only a station without virtual phones needs."""
    yield Finding(
        "udev",
        UDEV.exists(),
        "runs" if UDEV.exists() else "does not run: no phone is noticed",
        "Start it: systemctl start systemd-udevd. In a container there is none: use virtual phones there.",
    )
    yield _usbmuxd(settings)
    libusb = find_library("usb-1.0")
    yield Finding(
        "libusb",
        libusb is not None,
        libusb or "is not installed: phones in recovery and DFU mode cannot be reached",
        "Install it: apt install libusb-1.0-0",
    )
    yield _group("plugdev", "read phones in recovery mode")
    if settings.gpio.enabled:
        yield _group("gpio", "use buttons and lamps")
        driver = _driver()
        yield driver
        if driver.fine:
            yield _pins(settings.gpio, daemon_runs=daemon_runs)
    yield from _bays_pins(settings)
    yield _signing(settings)


def _what_it_says(path: Path) -> Iterator[Finding]:
    """The daemon's own complaints: records that cannot be written, a stuck button, no room."""

    async def notice() -> str:
        async with asyncio.timeout(TIMEOUT), connect(path) as client:
            return (await client.snapshot()).notice

    try:
        says = asyncio.run(notice())
    except (StationError, TimeoutError):
        says = "It answers nobody."
    yield Finding(
        "daemon's word", not says, says or "nothing is in its way", "Look into its log: journalctl -u station"
    )


def _hands(settings: Settings) -> Finding:
    """A station whose CONFIRM nobody can hold erases nothing, and does not say why."""
    ways = {
        "the CONFIRM button": settings.gpio.enabled,
        "a hold on the screen": settings.touch_confirms,
        "the command line": settings.operator_confirm,
    }
    there = [way for way, can in ways.items() if can]
    found = f"by {', '.join(there)}" if there else "nobody can: no buttons, no touch, no command line"
    remedy = "Set gpio.enabled (buttons), touch_confirms (screen) or operator_confirm (command line) to true."
    return Finding("confirming", bool(there), found, remedy)


def _usbmuxd(settings: Settings) -> Finding:
    address = settings.reach().usbmuxd
    remedy = "Install and start it: apt install usbmuxd; systemctl start usbmuxd"
    if "/" in address:
        return _answers("usbmuxd", Path(address), remedy)
    host, _, port = address.rpartition(":")
    return _probe("usbmuxd", address, lambda: _dial(host, int(port)), remedy)


def _signing(settings: Settings) -> Finding:
    """Without Apple's word nothing can be installed."""
    parts = urlsplit(settings.reach().signing_url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    remedy = (
        "Connect the network, and let this host through: without it nothing can be installed. (Erasing needs none.)"
    )
    return _probe("Apple's signing server", f"{host}:{port}", lambda: _dial(host, port), remedy)


def _dial(host: str, port: int) -> None:
    socket.create_connection((host, port), timeout=TIMEOUT).close()


def _answers(what: str, path: Path, remedy: str) -> Finding:
    def connect_to() -> None:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(TIMEOUT)
            probe.connect(str(path))

    return _probe(what, str(path), connect_to, remedy)


def _probe(what: str, where: str, connect_to: Callable[[], None], remedy: str) -> Finding:
    try:
        connect_to()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Finding(what, fine=False, found=f"does not answer at {where}: {why}", remedy=remedy)
    return Finding(what, fine=True, found=f"answers at {where}")


def _group(name: str, purpose: str) -> Finding:
    try:
        group = grp.getgrnam(name)
    except KeyError:
        found, remedy = "does not exist", f"Make it: groupadd {name}"
        return Finding(f"group {name}", fine=os.getuid() == 0, found=found, remedy=remedy)
    member = os.getuid() == 0 or group.gr_gid in (*os.getgroups(), os.getgid())
    found = f"allows to {purpose}" if member else f"this user is not in it, and may not {purpose}"
    return Finding(f"group {name}", fine=member, found=found, remedy=f"usermod -aG {name} USER, then log in again.")


def _driver() -> Finding:
    """What gpiozero reaches the pins with does not come with it."""
    driver = next((name for name in PIN_DRIVERS if importlib.util.find_spec(name.partition(".")[0])), None)
    return Finding(
        "pin driver",
        driver is not None,
        driver or "none is installed: buttons and lamps do nothing",
        "Install one: .venv/bin/pip install lgpio. A station without buttons: gpio.enabled = false.",
    )


def _pins(gpio: Gpio, *, daemon_runs: bool) -> Finding:
    """Take each pin as the daemon would, and give it back: which cannot be had, and why."""
    if daemon_runs:
        return Finding("pins", fine=True, found="the daemon has them. To try each: the operator's page on the screen")

    async def take() -> None:
        Panel(buttons=gpio.buttons, lamps=gpio.lamps, buzzer=gpio.buzzer, report=lambda *_: None, pins=Pins()).close()

    try:
        asyncio.run(take())
    except ConfigError as error:
        remedy = "Wire it otherwise, or name other pins in station.toml; README.md, Wiring, has a drawing."
        return Finding("pins", fine=False, found=str(error), remedy=remedy)
    return Finding("pins", fine=True, found=f"all {len(gpio.buttons) + len(gpio.lamps)} can be used")


def _bays_pins(settings: Settings) -> Iterator[Finding]:
    """A lamp that is wired to a bay that there is not stays dark, and a button does nothing."""
    unknown = settings.gpio.bays.keys() - settings.bays.keys() if settings.bays else set()
    if unknown:
        names = ", ".join(sorted(unknown))
        remedy = f"Name them [gpio.bays.…] as the bays are: {', '.join(settings.bays)}."
        yield Finding("pins of bays", fine=False, found=f"for {names}, and there is no such bay", remedy=remedy)


def _disk(what: str, path: Path, needed: int) -> Finding:
    try:
        existing = _existing(path)
        free = shutil.disk_usage(existing).free
        writable = os.access(existing, os.W_OK)
    except OSError as error:
        return Finding(f"disk for {what}", fine=False, found=f"{path}: {error.strerror}", remedy=_AS_ROOT)
    found = f"{path}: {free / 1e9:.1f} GB free" + ("" if writable else ", not writable by this user")
    remedy = f"It needs {needed / 1e9:.0f} GB: free some space, or use a larger disk." if free < needed else _AS_ROOT
    return Finding(f"disk for {what}", free >= needed and writable, found, remedy)


def _vault(settings: Settings) -> Finding:
    """A disk of its own that is not there must not be mistaken for a directory on the card."""
    if settings.vault is not None and not settings.vault.exists():
        found = f"{settings.vault} is not there"
        return Finding("disk for vault", fine=False, found=found, remedy="Mount its disk, or make the directory.")
    return _disk("vault", settings.vault_directory, LOW_DISK)


def _keys(directory: Path) -> Finding:
    """Keys sign records and open backups: they are for one user."""
    try:
        open_to_others = [
            path.name for path in sorted(directory.iterdir()) if stat.S_IMODE(path.stat().st_mode) & 0o077
        ]
    except FileNotFoundError:
        return Finding("keys", fine=True, found="none yet: the daemon makes them")
    except OSError as error:
        return Finding("keys", fine=False, found=f"{directory}: {error.strerror}", remedy=_AS_ROOT)
    found = f"others may read {', '.join(open_to_others)}" if open_to_others else f"{directory}: for the station alone"
    secret = f"Others may have them: chmod -R go= {directory}, and think of who could have read them."
    return Finding("keys", not open_to_others, found, secret)


def _firmware(store: Path, *, fetches: bool) -> Finding:
    """What START installs."""
    kept = FirmwareStore(store)
    try:
        there, damaged = kept.list(), kept.unusable()
    except (StationError, OSError) as error:
        return Finding("firmware", fine=False, found=f"{store} cannot be read: {error}", remedy=_AS_ROOT)
    if damaged:
        remedy = "Import it again: station firmware import FILE.ipsw"
        names = ", ".join(each.name for each in damaged)
        return Finding("firmware", fine=False, found=f"damaged: {names}", remedy=remedy)
    found = ", ".join(f"iOS {firmware.version} ({firmware.build})" for firmware in there)
    remedy = "Import some: station firmware import FILE.ipsw. Without it nothing can be installed."
    none = "none yet: it is fetched when a phone needs it" if fetches else "none"
    return Finding("firmware", bool(there) or fetches, found or none, remedy)


def _memory(runtime: Path) -> Finding:
    """Passwords of backups may be in memory only, and memory must stay memory."""
    what = "memory for passwords"
    try:
        in_memory = is_in_memory(_existing(runtime))
    except OSError as error:
        return Finding(what, fine=False, found=f"{runtime}: {error.strerror}", remedy=_AS_ROOT)
    if not in_memory:
        example = MEMORY if MEMORY.is_dir() else Path("/run")
        remedy = f"Set `runtime` to a directory in memory (a tmpfs), such as {example / 'restore-station'}."
        return Finding(what, fine=False, found=f"{runtime} is on a disk: no backup is made", remedy=remedy)
    swaps = [line.split()[0] for line in SWAPS.read_text().splitlines()[1:]]
    on_disk = [swap for swap in swaps if not swap.startswith("/dev/zram")]
    return Finding(
        what,
        fine=not on_disk,
        found=f"{runtime}: in memory" + (f", which is swapped to {', '.join(on_disk)}" if on_disk else ""),
        remedy="Swap to compressed memory (zram) instead, or not at all: swapoff -a.",
    )


def _strength(settings: Settings) -> Iterator[Finding]:
    """The supply and the heat, on machines that tell."""
    health = Machine(settings.state).look()
    if health.under_voltage is not None:
        found = "gives too little" if health.under_voltage else "gives enough"
        remedy = "Use the supply made for this Raspberry Pi, and a hub with one of its own for the phones."
        yield Finding("power supply", not health.under_voltage, found, remedy)
    if health.temperature is not None:
        cool = health.temperature < settings.max_temperature
        remedy = "Give it air: nothing heavy begins while it is this hot."
        yield Finding("heat", cool, f"{health.temperature} °C of {settings.max_temperature} °C", remedy)


def _existing(path: Path) -> Path:
    """The directory, or the nearest above it that is there. Raises OSError."""
    return next(parent for parent in (path, *path.absolute().parents) if parent.exists())


_AS_ROOT = "Run this as root or as the station's user; if it stays, give that user the directory (chown)."
