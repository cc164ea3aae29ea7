"""What comes over the network, as one who waits for it sees it: not faster than allowed, and not for ever."""

import threading
import time
from contextlib import suppress

from station.adapters.fetch.limits import Limits
from station.adapters.fetch.pace import Throttle
from station.adapters.fetch.sources import Answer, SourceFailed
from station.errors import Refused

_POLL = 1.0
"""Seconds: how long it can take until a download that waits for the network notices that it is to stop."""


class Line:
    """All that one download receives, from whomever. For one thread."""

    def __init__(self, rate: int | None, limits: Limits, stop: threading.Event) -> None:
        """Nothing came yet.

        Args:
            rate: bytes that may come in a second; None: all that do.
            limits: how long it waits for what.
            stop: set when the download is to end.
        """
        self.arrived = 0
        """Bytes that were new, of whatever; those who receive them count."""
        self._throttle = Throttle(rate, stop)
        self._limits, self._stop = limits, stop
        self._waited, self._came = 0.0, 0
        """Seconds that were waited for the network, and what came of it, since enough came."""

    def some(self, answer: Answer, buffer: memoryview) -> int:
        """Some bytes of an answer.

        Raises:
            SourceFailed: the server hung up, or keeps the network idle.
            Refused: the download is to end.
        """
        count = 0
        while not count:
            self.require_going_on()
            began = time.monotonic()
            with suppress(TimeoutError):
                wait = min(_POLL, self._limits.stall_seconds)
                count = answer.read_into(buffer[: self._throttle.most(len(buffer))], wait)
            self._note_wait(time.monotonic() - began, count)
        self._throttle.spend(count)
        return count

    def whole(self, answer: Answer, *, most: int, seconds: float) -> bytes:
        """All of an answer, which has to be short, and soon here.

        Raises:
            SourceFailed: it is not, or as `some`.
            Refused: the download is to end.
        """
        size, give_up = answer.end - answer.offset, time.monotonic() + seconds
        if size > most:
            raise SourceFailed("its list is too long")
        data = bytearray(size)
        done = 0
        while done < size:
            if time.monotonic() > give_up:
                raise SourceFailed("it is too slow")
            count = self.some(answer, memoryview(data)[done:])
            done += count
            self.arrived += count
        return bytes(data)

    def pause(self, seconds: float) -> None:
        """Wait; not when it is to end."""
        self._stop.wait(seconds)

    def require_going_on(self) -> None:
        """Raise Refused when the download is to end."""
        if self._stop.is_set():
            raise Refused("The download was stopped.", remedy="It goes on where it was when it is started again.")

    def _note_wait(self, seconds: float, count: int) -> None:
        self._waited += seconds
        self._came += count
        if self._came >= self._limits.least_bytes:
            self._waited, self._came = 0.0, 0
        elif self._waited >= self._limits.stall_seconds:
            self._waited, self._came = 0.0, 0
            raise SourceFailed("it stopped sending")
