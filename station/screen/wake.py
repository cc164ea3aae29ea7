"""Sleep until something happens. pygame.event.wait() looks a thousand times a second; this looks when told.

SDL reads touchscreens, X11, Wayland and udev through file descriptors of its own, which the kernel can watch
for us. They are found in /proc/self/fd; watching one more than needed (the daemon's socket, say) only costs a
needless look at an empty queue. Edge triggered: data that SDL leaves lying (D-Bus) wakes once, not for ever.
"""

import contextlib
import os
import select
import signal
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

INPUT_MAJOR = 13
"""The device number of /dev/input/*."""
HEARTBEAT = 1.0
"""Seconds after which to look anyhow, should a descriptor have been missed."""


class Alarm:
    """What the screen's loop sleeps on."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._ear, self._mouth = socket.socketpair()
        self._ear.setblocking(False)
        self._mouth.setblocking(False)
        self._epoll.register(self._ear, select.EPOLLIN)

    def __enter__(self) -> Self:
        """Let signals ring too; only in the main thread."""
        signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(-1)
        self.close()

    def close(self) -> None:
        """Give the descriptors back."""
        self._epoll.close()
        self._ear.close()
        self._mouth.close()

    def ring(self) -> None:
        """End the sleep, from any thread. A full pipe has rung already."""
        with contextlib.suppress(BlockingIOError):
            self._mouth.send(b"!")

    def sleep(self, longest: float | None) -> None:
        """Return when something may have happened, or after `longest` seconds."""
        self._watch_new()
        self._epoll.poll(HEARTBEAT if longest is None else max(0.0, min(longest, HEARTBEAT)))
        with contextlib.suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass

    def _watch_new(self) -> None:
        """Watch what SDL may have opened since: a touchscreen can be plugged in at any time."""
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile, watched already, or not of a kind to watch
                kind = os.fstat(int(link.name))
                if stat.S_ISSOCK(kind.st_mode) or os.major(kind.st_rdev) == INPUT_MAJOR:
                    self._epoll.register(int(link.name), select.EPOLLIN | select.EPOLLET)
