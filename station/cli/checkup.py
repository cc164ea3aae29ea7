"""What `station doctor` looks at: each thing that a station needs, whether it is there, and what to do when not.

Here is the order, and what speaks; the rest is in the modules `…_checkup`, one for each kind of thing.
"""

import asyncio
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from pathlib import Path

import msgspec

from station.adapters.api import connect
from station.adapters.firmware import FirmwareStore
from station.cli.finding import AS_ROOT, Finding
from station.cli.hands_checkup import examine_confirming, examine_group, examine_pins, examine_screen, is_user
from station.cli.machine_checkup import (
    examine_clock,
    examine_disks,
    examine_keys,
    examine_memory,
    examine_strength,
)
from station.cli.places_checkup import examine_places
from station.cli.supply_checkup import examine_supply
from station.cli.upkeep_checkup import examine_upkeep
from station.daemon.settings import Settings
from station.errors import StationError
from station.model.catalog import Fetching
from station.worker.reaper import WORKERS

TIMEOUT = 2.0
"""Seconds that whoever runs on this machine may take to answer."""


def examine(settings: Settings, *, root: Path = Path("/")) -> Iterator[Finding]:
    """Look at the machine. Whatever it asks is given up after some seconds.

    Args:
        settings: what this station is to be.
        root: where the kernel's and the system's files are.
    """
    remedy = "Start it: sudo systemctl start station (by hand: station daemon). Its log: journalctl -u station."
    daemon = _answers("daemon", settings.socket, remedy)
    yield daemon
    if daemon.fine:
        yield from _what_it_says(settings.socket)
    yield from _sockets(settings)
    yield examine_confirming(settings)
    if settings.virtual is None:
        yield from _phones(settings, root)
        yield from examine_pins(settings, daemon_runs=daemon.fine, root=root)
        yield from examine_screen(root)
    yield from examine_disks(settings)
    yield from examine_places(settings, root=root)
    yield examine_keys(settings.state / "keys")
    yield _firmware(settings.firmware_store, fetches=settings.supply.fetch is not Fetching.NEVER)
    yield from examine_upkeep(settings)
    yield examine_clock()
    yield from examine_supply(settings, root=root)
    yield examine_memory(settings.runtime, root=root)
    yield from examine_strength(settings, root=root)


def examine_essentials(settings: Settings, *, root: Path = Path("/")) -> Iterator[Finding]:
    """Look at what another version of the system could have broken, and at nothing that was wrong before it."""
    yield _answers("daemon", settings.socket, "Its log: journalctl -u station.")
    yield from _sockets(settings)
    if settings.virtual is None:
        yield from _phones(settings, root)
    yield examine_keys(settings.state / "keys")
    yield examine_memory(settings.runtime, root=root)


def _sockets(settings: Settings) -> Iterator[Finding]:
    """Where systemd listens for the daemon: who is not there is not started, and jobs fail for no reason that one sees.

    Only looked at, because systemd starts something for each who comes.
    """
    for what, path, unit, without in (
        ("workers", settings.workers, "station-worker.socket", "no job begins"),
        ("end of workers", settings.reaper, "station-reaper.socket", "no deadline is kept"),
        ("downloads", settings.fetcher, "station-fetcher.socket", "no firmware is fetched"),
        ("way out (gateway)", settings.gateway, "station-gateway.socket", "no worker reaches Apple"),
    ):
        if path is not None:
            there = path.is_socket()
            found = f"systemd listens at {path}" if there else f"nobody listens at {path}: {without}"
            remedy = f"Start it: sudo systemctl restart {unit}. (Look as root: others may not see it.)"
            yield Finding(what, fine=there, found=found, remedy=remedy)


def _phones(settings: Settings, root: Path) -> Iterator[Finding]:
    """What real phones are reached by."""
    runs = (root / "run/udev/control").exists()
    yield Finding(
        "udev",
        runs,
        "runs" if runs else "does not run: no phone is noticed",
        "Start it: sudo systemctl start systemd-udevd. In a container there is none: use virtual phones there.",
    )
    yield _usbmuxd(settings, root)
    libusb = find_library("usb-1.0")
    yield Finding(
        "libusb",
        libusb is not None,
        libusb or "is not installed: phones in recovery and DFU mode cannot be reached",
        "Install it: sudo apt install libusb-1.0-0",
    )
    yield examine_group("plugdev", "read phones in recovery mode")
    if is_user(WORKERS):
        yield examine_group("plugdev", "read phones in recovery mode", user=WORKERS)


def _what_it_says(path: Path) -> Iterator[Finding]:
    """The daemon's own complaints: records that cannot be written, a stuck button, no room."""

    async def notice() -> str:
        async with asyncio.timeout(TIMEOUT), connect(path) as client:
            return (await client.snapshot()).notice

    try:
        says = asyncio.run(notice())
    except (StationError, TimeoutError):
        says = "It answers nobody."
    except msgspec.MsgspecError:
        says = "It is of another version than this program: sudo systemctl restart station (no job minds)."
    yield Finding(
        "daemon's word", not says, says or "nothing is in its way", "Look into its log: journalctl -u station."
    )


def _usbmuxd(settings: Settings, root: Path) -> Finding:
    address = settings.reach().usbmuxd
    if not (root / "usr/sbin/usbmuxd").exists() and shutil.which("usbmuxd") is None:
        remedy = "It is not installed: sudo apt install usbmuxd. Without it no phone that has started is seen."
    else:
        remedy = "Start it: sudo systemctl restart usbmuxd. Without it no phone that has started is seen."
    if "/" in address:
        return _answers("usbmuxd", Path(address), remedy)
    host, _, port = address.rpartition(":")
    return _probe("usbmuxd", address, lambda: _dial(host, int(port)), remedy)


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
    except PermissionError:
        who = "root" if os.getuid() == 0 else "this user"
        remedy = "Run this as root: sudo station doctor. If it stays: the user restore-station needs group plugdev."
        return Finding(what, fine=False, found=f"does not let {who} speak with it at {where}", remedy=remedy)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Finding(what, fine=False, found=f"does not answer at {where}: {why}", remedy=remedy)
    return Finding(what, fine=True, found=f"answers at {where}")


def _firmware(store: Path, *, fetches: bool) -> Finding:
    """What START installs."""
    kept = FirmwareStore(store)
    try:
        there, damaged = kept.list(), kept.unusable()
    except (StationError, OSError) as error:
        return Finding("firmware", fine=False, found=f"{store} cannot be read: {error}", remedy=AS_ROOT)
    if damaged:
        remedy = "Bring it anew: station firmware fetch, or station firmware import FILE.ipsw"
        names = ", ".join(each.name for each in damaged)
        return Finding("firmware", fine=False, found=f"damaged: {names}", remedy=remedy)
    found = ", ".join(f"iOS {firmware.version} ({firmware.build})" for firmware in there)
    remedy = "Import some: station firmware import FILE.ipsw. Without it nothing can be installed."
    none = "none yet: it is fetched when a phone needs it" if fetches else "none"
    return Finding("firmware", bool(there) or fetches, found or none, remedy)
