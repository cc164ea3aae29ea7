"""What `station doctor` says of buttons, lamps and the screen: what a person's hands and eyes are at."""

import asyncio
import ctypes
import grp
import importlib.util
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from station.adapters.gpio import Panel
from station.adapters.pins import Pins
from station.cli.finding import Finding
from station.daemon.settings import Gpio, Settings
from station.errors import ConfigError

STATION, SCREEN = "restore-station", "restore-station-screen"
"""The users of the units (sysusers.d)."""
PIN_DRIVERS = ("lgpio", "RPi.GPIO", "pigpio")
"""What gpiozero can reach the pins with, the best first."""
SCREENS_UNIT = "etc/systemd/system/station-screen.service"
SCREENS_GROUPS = {"video": "use the display", "render": "have pictures drawn", "input": "feel touches"}
DRAWING_SECONDS = 20.0
"""How long a slow card may take to load what draws."""

LIBRARIES = {
    "libdrm.so.2": "libdrm2",
    "libgbm.so.1": "libgbm1",
    "libEGL.so.1": "libegl1",
    "libGLESv2.so.2": "libgles2",
    "libGL.so.1": "libgl1",
}
"""What SDL loads for a display without X (kmsdrm), and the Debian package it is in.

Without them it says nothing, draws, and the display stays black.
"""

_DRAWS = """
import ctypes
egl = ctypes.CDLL("libEGL.so.1")
egl.eglGetDisplay.restype, egl.eglGetDisplay.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
raise SystemExit(0 if egl.eglInitialize(egl.eglGetDisplay(None), None, None) else 1)
"""
"""Exits with 0 when EGL finds something to draw with, be it the processor."""


def examine_confirming(settings: Settings) -> Finding:
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


def examine_group(name: str, purpose: str, *, user: str = "") -> Finding:
    """Whether a user is in a group: the one who asks, or for root the station's, or the one that is named."""
    what = f"group {name}"
    if not user and os.getuid() == 0 and is_user(STATION):
        user = STATION
    who = user or "this user"
    try:
        group = grp.getgrnam(name)
    except KeyError:
        remedy = f"Make it: sudo groupadd --system {name}; sudo usermod -aG {name} {user or STATION}; then restart."
        fine = not user and os.getuid() == 0
        return Finding(what, fine=fine, found=f"does not exist, so {who} may not {purpose}", remedy=remedy)
    if user:
        member = user in group.gr_mem or pwd.getpwnam(user).pw_gid == group.gr_gid
    else:
        member = os.getuid() == 0 or group.gr_gid in (*os.getgroups(), os.getgid())
    found = f"allows {who} to {purpose}" if member else f"{who} is not in it, and may not {purpose}"
    remedy = f"Add it: sudo usermod -aG {name} {user or '$USER'}; then restart the machine (or log in again)."
    return Finding(what, fine=member, found=found, remedy=remedy)


def examine_pins(settings: Settings, *, daemon_runs: bool, root: Path = Path("/")) -> Iterator[Finding]:
    """Look at buttons and lamps."""
    if settings.gpio.enabled:
        chips = sorted((root / "dev").glob("gpiochip*"))
        if not chips:
            found = "this machine shows none: no button and no lamp works"
            remedy = (
                "On a Raspberry Pi, use Raspberry Pi OS and its kernel. On a machine without a header: gpio.enabled ="
                " false and touch_confirms = true in station.toml, so that a hold on the screen confirms."
            )
            yield Finding("pins (GPIO)", fine=False, found=found, remedy=remedy)
        else:
            yield examine_group("gpio", "use buttons and lamps")
            driver = _driver()
            yield driver
            if driver.fine:
                yield take_pins(settings.gpio, daemon_runs=daemon_runs)
    yield from pins_of_bays(settings)


def take_pins(gpio: Gpio, *, daemon_runs: bool) -> Finding:
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


def pins_of_bays(settings: Settings) -> Iterator[Finding]:
    """A lamp that is wired to a bay that there is not stays dark, and a button does nothing."""
    unknown = settings.gpio.bays.keys() - settings.bays.keys() if settings.bays else set()
    if unknown:
        names = ", ".join(sorted(unknown))
        remedy = f"Name them [gpio.bays.…] as the bays are: {', '.join(settings.bays)}."
        yield Finding("pins of bays", fine=False, found=f"for {names}, and there is no such bay", remedy=remedy)


def examine_screen(root: Path = Path("/")) -> Iterator[Finding]:
    """Look at what the kiosk's screen needs, where one is set up."""
    if not (root / SCREENS_UNIT).exists():
        yield Finding("screen", fine=True, found="none is set up here (deploy/install --kiosk sets one up)")
        return
    yield _display(root)
    yield examine_drawing()
    if is_user(SCREEN):
        for group, purpose in SCREENS_GROUPS.items():
            yield examine_group(group, purpose, user=SCREEN)


def _display(root: Path) -> Finding:
    """Whether the kernel has a driver that draws without X (KMS), and a display to draw on."""
    what = "display (KMS)"
    cards = sorted((root / "dev/dri").glob("card*"))
    if not cards:
        remedy = (
            "On a Raspberry Pi: put dtoverlay=vc4-kms-v3d into /boot/firmware/config.txt, and restart. Elsewhere: take"
            " a kernel with the graphics chip's driver (Debian's linux-image, not its “cloud” one)."
        )
        return Finding(
            what, fine=False, found="the kernel has no driver for one: the screen stays black", remedy=remedy
        )
    connectors = {path.parent.name.partition("-")[2]: path for path in (root / "sys/class/drm").glob("card*-*/status")}
    told = {name: _word(path) for name, path in sorted(connectors.items()) if "Writeback" not in name}
    if not told:
        remedy = "On a Raspberry Pi: put dtoverlay=vc4-kms-v3d into /boot/firmware/config.txt, and restart."
        return Finding(what, fine=False, found="the kernel draws, and knows no socket for a display", remedy=remedy)
    there = [name for name, status in told.items() if status != "disconnected"]
    found = f"on {', '.join(there)}" if there else f"none is connected (looked at: {', '.join(told)})"
    remedy = "Plug its cable in, switch it on, then: sudo systemctl restart station-screen."
    return Finding(what, fine=bool(there), found=found, remedy=remedy)


def examine_drawing() -> Finding:
    """Whether SDL finds what it draws with."""
    what = "drawing (GL, EGL, GBM)"
    missing = [package for name, package in LIBRARIES.items() if not _loads(name)]
    if missing:
        remedy = (
            f"Install it: sudo apt install libgl1-mesa-dri {' '.join(missing)}; sudo systemctl restart station-screen."
        )
        return Finding(what, fine=False, found="not all is installed: the screen stays black", remedy=remedy)
    environment = os.environ | {"EGL_PLATFORM": "surfaceless"}
    try:
        command = (sys.executable, "-I", "-c", _DRAWS)
        done = subprocess.run(command, env=environment, capture_output=True, timeout=DRAWING_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            what, fine=False, found=f"cannot be tried: {error}", remedy="Look again when there is less to do."
        )
    remedy = (
        "Install it: sudo apt install --reinstall libgl1-mesa-dri libegl-mesa0; sudo systemctl restart station-screen."
    )
    found = (
        "is installed, and works"
        if done.returncode == 0
        else "is installed, and finds no driver: the screen stays black"
    )
    return Finding(what, fine=done.returncode == 0, found=found, remedy=remedy)


def _driver() -> Finding:
    """What gpiozero reaches the pins with does not come with it."""
    driver = next((name for name in PIN_DRIVERS if importlib.util.find_spec(name.partition(".")[0])), None)
    return Finding(
        "pin driver",
        driver is not None,
        driver or "none is installed: buttons and lamps do nothing",
        "Install one: .venv/bin/pip install lgpio. A station without buttons: gpio.enabled = false.",
    )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def is_user(name: str) -> bool:
    """Whether this machine has a user of that name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _word(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
