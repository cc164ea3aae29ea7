"""Where the picture goes: a window, or the whole of a display without any desktop (KMSDRM)."""

import os

import pygame

from station.errors import StationError

DESKTOPS = ("DISPLAY", "WAYLAND_DISPLAY")
WINDOW_SIZE = (800, 480)


def owns_display() -> bool:
    """Whether the display is this program's alone. On a desktop others set its brightness."""
    return not _on_desktop() and os.environ.get("SDL_VIDEODRIVER", "kmsdrm") == "kmsdrm"


def _on_desktop() -> bool:
    return any(os.environ.get(name) for name in DESKTOPS)


def open_window(*, size: tuple[int, int] | None = None, fullscreen: bool | None = None) -> None:
    """Open pygame's display.

    Args:
        size: In pixels; None: all there is, or WINDOW_SIZE in a window.
        fullscreen: None: exactly where there is no desktop.

    Raises:
        StationError: there is nothing to draw on.
    """
    desktop = _on_desktop()
    headless = "SDL_VIDEODRIVER" in os.environ
    if not desktop and not headless:
        os.environ["SDL_VIDEODRIVER"] = "kmsdrm"
    if fullscreen is None:
        fullscreen = not desktop and not headless
    try:
        pygame.display.init()
        if fullscreen:
            pygame.display.set_mode(size or (0, 0), pygame.FULLSCREEN)
        else:
            pygame.display.set_mode(size or WINDOW_SIZE, pygame.RESIZABLE)
    except pygame.error as error:
        raise StationError(
            f"There is no display to draw on: {error}.",
            remedy="Connect a display, or set SDL_VIDEODRIVER=dummy to only save pictures.",
        ) from error
    pygame.display.set_caption("Restore Station")
    pygame.display.set_allow_screensaver(False)
    pygame.mouse.set_visible(not fullscreen)
