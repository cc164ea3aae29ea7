"""com.apple.springboardservices: how the home screen looks.

Commands as libimobiledevice (`src/sbservices.c`) and pymobiledevice3 (`services/springboard.py`) send them. The
pictures are of one colour.
"""

import hashlib
import plistlib
import struct
import zlib
from typing import Any

from station.virtual.services.apps import App, installed
from station.virtual.services.service import Call, Service
from station.virtual.system.files import FileSystem

ICON_STATE = "/var/mobile/Library/SpringBoard/IconState.plist"
"""Where a layout is kept that somebody made."""
PORTRAIT = 1
DOCK = 4
"""Icons in the dock."""
PAGE = 24
"""Icons on a page."""
ICON = 120
"""Pixels of an icon's side."""
WALLPAPER = (117, 253)
"""Pixels of the wallpaper: a tenth of a screen's."""
METRICS = {
    "homeScreenHeight": 844.0,
    "homeScreenWidth": 390.0,
    "homeScreenIconColumns": 4.0,
    "homeScreenIconRows": 6.0,
    "homeScreenIconDockMaxCount": float(DOCK),
    "homeScreenIconFolderColumns": 3.0,
    "homeScreenIconFolderRows": 3.0,
    "homeScreenIconFolderMaxPages": 15.0,
    "homeScreenIconMaxPages": 15.0,
    "homeScreenIconHeight": 60.0,
    "homeScreenIconWidth": 60.0,
}


async def serve(call: Call) -> None:
    """Answer command by command, until the host hangs up."""
    while True:
        message = await call.receive()
        await call.phone.step(f"springboard:{message.get('command')}")
        match message.get("command"):
            case "getIconState":
                await call.send(_icon_state(call.system.files), binary=True)
            case "setIconState":
                _set_icon_state(call.system.files, message.get("iconState"))
                call.writer.write(struct.pack(">L", 0))  # an empty frame is all that clients wait for
                await call.writer.drain()
            case "getIconPNGData":
                bundle = message.get("bundleId")
                known = any(app.bundle_id == bundle for app in installed(call.system.files))
                await call.send({"pngData": _picture(str(bundle), ICON, ICON)} if known else {}, binary=True)
            case "getInterfaceOrientation":
                await call.send({"interfaceOrientation": PORTRAIT}, binary=True)
            case "getHomeScreenWallpaperPNGData" | "getWallpaperPreviewImage":
                await call.send({"pngData": _picture("wallpaper", *WALLPAPER)}, binary=True)
            case "getHomeScreenIconMetrics":
                await call.send(METRICS, binary=True)
            case _:
                return


def _icon_state(files: FileSystem) -> list[Any]:
    """The dock, then page by page."""
    if files.exists(ICON_STATE):
        state = plistlib.loads(files.read(ICON_STATE))
        assert isinstance(state, list)
        return state
    icons = [_icon(app) for app in installed(files)]
    rest = icons[DOCK:]
    return [icons[:DOCK], *(rest[start : start + PAGE] for start in range(0, len(rest), PAGE))]


def _icon(app: App) -> dict[str, Any]:
    return {
        "bundleIdentifier": app.bundle_id,
        "bundleVersion": app.version,
        "displayIdentifier": app.bundle_id,
        "displayName": app.name,
    }


def _set_icon_state(files: FileSystem, state: object) -> None:
    """Keep a layout; what is none is ignored."""
    if isinstance(state, list) and all(isinstance(page, list) for page in state):
        files.make_directories(ICON_STATE.rpartition("/")[0])
        files.write(ICON_STATE, plistlib.dumps(state, fmt=plistlib.FMT_BINARY))


def _picture(name: str, width: int, height: int) -> bytes:
    """A PNG of one colour, which follows from the name (PNG: RFC 2083)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    colour = hashlib.sha256(name.encode()).digest()[:3]
    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + colour * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


SERVICE = Service("com.apple.springboardservices", serve)
