"""The lamp behind a display, where the kernel has one: /sys/class/backlight/NAME/{brightness,max_brightness}."""

import contextlib
from pathlib import Path

CLASS = Path("/sys/class/backlight")


class Backlight:
    """One backlight. Whether it may be changed is found out by trying."""

    def __init__(self, directory: Path, most: int) -> None:
        self._file = directory / "brightness"
        self._most = most

    def shine(self, percent: int) -> bool:
        """Shine with so many percent, never with none; False: it would not."""
        try:
            self._file.write_text(f"{max(1, round(self._most * percent / 100))}\n", encoding="ascii")
        except OSError:
            return False
        return True


def find_backlight(directory: Path = CLASS) -> Backlight | None:
    """The first that there is; None: this display has none, as all HDMI monitors."""
    for found in sorted(directory.glob("*")):
        with contextlib.suppress(OSError, ValueError):  # it may be gone again, or not be what it looks like
            most = int((found / "max_brightness").read_text(encoding="ascii"))
            if most > 0:
                return Backlight(found, most)
    return None
