"""The machine's own health: its disk, its supply, its heat and its clock.

From the kernel's files below `/sys`, as Raspberry Pi OS has them:

    class/thermal/thermal_zone*/{type,temp}       the processor's, in thousandths of a degree Celsius
    class/hwmon/hwmon*/{name,in0_lcrit_alarm}     `rpi_volt`: 1 while the supply gives less than 4.63 volts, or did
                                                  so since the driver looked last (drivers/hwmon/raspberrypi-hwmon.c)

What a machine does not have is None: it is not guessed.
"""

import shutil
from contextlib import suppress
from pathlib import Path

from station.adapters import clock
from station.core.situation import Health

SYS = Path("/sys")

PROCESSOR_ZONES = frozenset({"cpu-thermal", "cpu_thermal"})
"""What a Raspberry Pi calls its processor's zone. Other machines have many, of which some tell fairy tales."""

SUPPLY = "rpi_volt"


class Machine:
    """This machine, or a copy of what its kernel tells."""

    def __init__(self, state: Path, *, sys: Path = SYS) -> None:
        """Look at nothing yet.

        Args:
            state: a directory on the disk that must not be full.
            sys: where the kernel's files are.
        """
        self._state = state
        self._sys = sys

    def look(self) -> Health:
        """How the machine is. Blocks for milliseconds."""
        return Health(
            free=_free(self._state),
            under_voltage=self._under_voltage(),
            temperature=self._temperature(),
            clock_trusted=clock.trusted(),
        )

    def _under_voltage(self) -> bool | None:
        for monitor in sorted(self._sys.glob("class/hwmon/hwmon*")):
            if _word(monitor / "name") == SUPPLY and (alarm := _number(monitor / "in0_lcrit_alarm")) is not None:
                return alarm != 0
        return None

    def _temperature(self) -> int | None:
        zones = self._sys.glob("class/thermal/thermal_zone*")
        told = [_number(zone / "temp") for zone in zones if _word(zone / "type") in PROCESSOR_ZONES]
        return max((round(millidegrees / 1000) for millidegrees in told if millidegrees is not None), default=None)


def _free(path: Path) -> int | None:
    """Bytes; None when nobody can tell, which whoever writes there will find out."""
    with suppress(OSError):
        return shutil.disk_usage(path).free
    return None


def _word(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:  # not there, or its driver does not answer
        return ""


def _number(path: Path) -> int | None:
    word = _word(path)
    return int(word) if word.removeprefix("-").isdecimal() else None
