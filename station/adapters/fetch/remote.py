"""One file on servers, any part of which is had for as long as one of them gives it."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from station.adapters.fetch.limits import Limits
from station.adapters.fetch.line import Line
from station.adapters.fetch.plan import Plan, check_manifest, read_plan
from station.adapters.fetch.progress import Progress
from station.adapters.fetch.sources import Answer, SourceFailed, Sources
from station.errors import InputRejected, Unreachable
from station.model.catalog import ArrivalState, Offer

AGAIN = "Try again later, or import the firmware from a USB stick."

_LITTLE = 64 << 10
"""Bytes: a server that hangs up or drips after fewer is not asked again at once, and another one first."""

T = TypeVar("T")


class Remote:
    """A zipped firmware that is not here. For one thread."""

    def __init__(self, sources: Sources, offer: Offer, line: Line, limits: Limits, progress: Progress) -> None:
        self._sources, self._offer, self._line = sources, offer, line
        self._limits, self._progress = limits, progress
        self._tags: dict[str, str] = {}
        """ETag of the file at each address, as far as that means anything."""
        self._tags_differ = False
        """Whether one and the same file was seen with two."""
        self._whole: list[str] = []
        """Addresses that send all of a file, whatever part they are asked for (python3 -m http.server does)."""
        self._total = offer.size
        self._fruitless = 0
        """How often in a row nothing new came."""

    @property
    def host(self) -> str:
        """HOST[:PORT] of who is asked now."""
        return host_of(self._sources.current)

    def look(self) -> tuple[Plan, bytes]:
        """Read the table of contents and the manifest, from whichever server has the right ones.

        One that sends no parts is good for all of the file, and is gone back to for that.

        Raises:
            InputRejected: none has.
            Unreachable: no server gives it; the cause is a SourceFailed.
            Refused: the download is to end.
        """
        for _ in range(len(self._sources)):
            try:
                plan = self.read_plan()
                manifest = check_manifest(plan, self._offer, self.read)
            except InputRejected as error:
                refused = error
                self.turn()
            else:
                if self._whole:
                    self._sources.use(self._whole[0])
                return plan, manifest
        raise refused

    def read_plan(self) -> Plan:
        """Read the table of contents. Raises as `look`."""
        return self.insist(self._read_plan)

    def _read_plan(self) -> Plan:
        if not self._total:
            with self.open(None, 1) as answer:
                self._total = answer.total
        return read_plan(self._total, self.read)

    def read(self, start: int, end: int) -> bytes:
        """Some bytes of the file, however often that takes. Raises as `look`."""
        data = bytearray()

        def go_on() -> None:
            buffer = memoryview(bytearray(min(self._limits.buffer, end - start)))
            with self.open(start + len(data), end) as answer:
                self._require_part(start + len(data) - answer.offset)
                while (wanted := end - start - len(data)) > 0:
                    skip = start + len(data) - answer.offset
                    count = self._line.some(answer, buffer[: min(skip, len(buffer)) if skip > 0 else wanted])
                    if skip <= 0:
                        data.extend(buffer[:count])
                        self._line.arrived += count

        while len(data) < end - start:
            self.insist(go_on)
        return bytes(data)

    def _require_part(self, before: int) -> None:
        """Raise SourceFailed when gigabytes come first that nobody wants. The second time nobody else has it."""
        if before > self._limits.in_vain_bytes and self._sources.current not in self._whole:
            self._whole.append(self._sources.current)
            raise SourceFailed("it does not send parts of a file")

    @contextmanager
    def open(self, start: int | None, end: int | None) -> Iterator[Answer]:
        """Ask for a part once. Raises as `Sources.open`."""
        url = self._sources.current
        # Only what takes long is held to what was said before: the rest is small enough to be read anew.
        tag = self._tags.get(url, "") if end is None and not self._tags_differ else ""
        with self._sources.open(start, end, total=self._total, tag=tag) as answer:
            if answer.tag:
                self._tags[url] = answer.tag
            yield answer

    def turn(self) -> None:
        """Ask the next server from now on."""
        self._sources.turn()

    def mistrust_tags(self) -> None:
        """One and the same file was seen with two: they mean nothing."""
        self._tags.clear()
        self._tags_differ = True

    def insist(self, act: Callable[[], T]) -> T:
        """Do something that needs a server, with one after the other until one gives what is wanted."""
        while True:
            before = self._line.arrived
            self._line.require_going_on()
            self._progress.comes_from(self.host)
            try:
                return act()
            except SourceFailed as error:
                self._after_failure(error, self._line.arrived - before)

    def _after_failure(self, error: SourceFailed, fresh: int) -> None:
        if fresh:
            self._fruitless = 0
            if fresh < _LITTLE:
                self.turn()
                self._line.pause(self._limits.first_pause)
            return
        where = self.host
        self._fruitless += 1
        self.turn()
        rounds, within = divmod(self._fruitless, len(self._sources))
        if rounds >= self._limits.tries:
            raise Unreachable(f"Firmware cannot be downloaded from {where}: {error}.", remedy=AGAIN) from error
        if within == 0:
            pause = min(self._limits.longest_pause, self._limits.first_pause * 2 ** (rounds - 1))
            self._progress.say(ArrivalState.WAITING, f"{where}: {error}. It is tried again.")
            self._line.pause(pause * random.uniform(0.75, 1.25))  # noqa: S311 - so that stations do not come at once
            self._progress.say(ArrivalState.FETCHING)


def host_of(url: str) -> str:
    """HOST[:PORT] of an address."""
    return url.split("/")[2]
