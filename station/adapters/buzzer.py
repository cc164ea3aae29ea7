"""A piezo disc that says in two notes or less what the lamps say."""

import asyncio
from typing import Any

import structlog
from gpiozero.tones import Tone

from station.core.sounds import Sound

NOTES: dict[Sound, tuple[tuple[str | None, float], ...]] = {
    # A tone, or silence, and seconds. All lie within an octave of A4, as gpiozero's TonalBuzzer has it.
    Sound.PERSON: (("E5", 0.15),),
    Sound.DONE: (("A4", 0.15), (None, 0.05), ("E5", 0.25)),
    Sound.FAILED: (("A3", 0.6),),
}

log = structlog.get_logger(__name__)


class Buzzer:
    """Plays a sound to its end; what comes meanwhile is not heard, or a busy bench would never be quiet."""

    def __init__(self, device: Any) -> None:
        """Begin silent. To be made on the running loop. `device`: a gpiozero.TonalBuzzer."""
        self._device = device
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def play(self, sound: Sound) -> None:
        """Play a sound, unless one is being played."""
        if self._timer is None:
            self._go_on(NOTES[sound])

    def close(self) -> None:
        """Be silent, and give the pin back."""
        if self._timer is not None:
            self._timer.cancel()
        self._sound(None)
        self._device.close()

    def _go_on(self, notes: tuple[tuple[str | None, float], ...]) -> None:
        if not notes:
            self._timer = None
            self._sound(None)
            return
        (tone, seconds), *rest = notes
        self._sound(tone)
        self._timer = self._loop.call_later(seconds, self._go_on, tuple(rest))

    def _sound(self, tone: str | None) -> None:
        try:
            self._device.play(None if tone is None else Tone(tone))
        except Exception as error:  # noqa: BLE001 lgpio's own error is a bare Exception
            log.warning("buzzer cannot be used", error=str(error))
