"""Where gpiozero finds a pin: on the Raspberry Pi's own header, or on any chip that the kernel drives.

An expander such as the MCP23017 needs no library of its own: with its device-tree overlay the kernel drives it, and it
is a gpiochip like the header's. gpiozero reaches a chip by a factory, one for each.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from gpiozero.pins import BoardInfo, HeaderInfo, PinInfo
from gpiozero.pins.mock import MockFactory, MockPWMPin

from station.model.panel import Pin, chip_line

HEADER = "the header"
MOCK_LINES = 16
"""As many as an MCP23017 has."""


class Pins:
    """The machine's own pins."""

    def __init__(self, header: Any = None, chip: Callable[[int], Any] | None = None) -> None:
        """Find pins; nothing is opened before it is asked for.

        Args:
            header: gpiozero's factory for the header's pins; None lets gpiozero find the machine's own.
            chip: makes one for a chip, by its number; None: the kernel's.
        """
        self._header = header
        self._open_chip = _kernels if chip is None else chip
        self._chips: dict[int, Any] = {}

    def find(self, pin: Pin) -> tuple[Any, Pin]:
        """The factory for a pin, and what it calls it. Raises whatever the chip's driver raises."""
        named = chip_line(pin)
        if named is None:
            return self._header, pin
        chip, line = named
        if chip not in self._chips:
            self._chips[chip] = self._open_chip(chip)
        return self._chips[chip], line

    @staticmethod
    def place(pin: Pin) -> str:
        """What a pin is on: what fails there fails for all of them."""
        named = chip_line(pin)
        return HEADER if named is None else f"gpiochip{named[0]}"

    def close(self) -> None:
        """Give the chips back."""
        for factory in self._chips.values():
            factory.close()
        self._chips.clear()


class MockPins(Pins):
    """Pins that are none, of a Raspberry Pi and of as many expanders as are asked for, with gpiozero's own rules."""

    def __init__(self) -> None:
        super().__init__(MockFactory(pin_class=MockPWMPin), _MockChip)

    def pin(self, pin: Pin) -> Any:
        """A pin, to be pressed and to be looked at."""
        factory, name = self.find(pin)
        return factory.pin(name)

    def close(self) -> None:
        """Let go of everything."""
        super().close()
        self._header.close()


def chip_board(lines: int) -> BoardInfo:
    """What gpiozero must know of a chip: that it has these lines, and nothing of a Raspberry Pi's header."""
    pins = {
        line + 1: PinInfo(
            number=line + 1,
            name=f"GPIO{line}",
            names=frozenset({f"GPIO{line}", line}),
            pull="",
            row=line + 1,
            col=1,
            interfaces=frozenset({"gpio"}),
        )
        for line in range(lines)
    }
    unknown = dict.fromkeys(BoardInfo._fields)
    return BoardInfo(**unknown | {"headers": {"chip": HeaderInfo("chip", lines, 1, pins)}})


class _MockChip(MockFactory):  # type: ignore[misc]  # gpiozero has no types
    def __init__(self, number: int) -> None:
        del number
        super().__init__(pin_class=MockPWMPin)

    def _get_board_info(self) -> BoardInfo:
        return chip_board(MOCK_LINES)


def _kernels(number: int) -> Any:
    """One of the kernel's chips. Raises lgpio.error when it is not there, ImportError without that library."""
    import lgpio  # noqa: PLC0415 (only a machine with such a chip has the library)
    from gpiozero.pins.lgpio import LGPIOFactory  # noqa: PLC0415 (it needs that one)

    class Chip(LGPIOFactory):  # type: ignore[misc]  # gpiozero has no types
        def __init__(self) -> None:
            super().__init__(chip=number)
            # gpiozero keeps the pins of all its local factories in one table, by their names on the header: line 5 of
            # an expander would be the header's GPIO5.
            self.pins: dict[PinInfo, Any] = {}
            self._reservations: defaultdict[PinInfo, list[Any]] = defaultdict(list)
            self._board = chip_board(lgpio.gpio_get_chip_info(self._handle)[1])

        def _get_board_info(self) -> BoardInfo:
            return self._board

    return Chip()
