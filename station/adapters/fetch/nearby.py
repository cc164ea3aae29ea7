"""Has a firmware from another station in the same network, when one shares it (`station firmware share`).

What a station says is believed as far as it can be compared. From Apple's own host come, over TLS, the zip's table of
contents and its manifest: the files of the other station have to be those, of these lengths and with these CRC-32, its
manifest the same byte for byte. Each file has to have the SHA-256 that the other station said before, and each image
of the boot chain the digest that Apple's manifest has of it (`vouched`).

The digest of the zip, which the lists tell, cannot be compared: what is fetched is no zip. So an error of the network,
a disk or a program does not come through; somebody at the address that the operator named could, with some work, make
a file system with the right CRC-32 that is not Apple's. It does not get onto a phone: what a phone installs it checks
by the ticket that Apple signed for the digests in that manifest, file systems included. It makes a restore fail.

When Apple's host cannot be reached at all there is nothing to compare with. Then a station is believed as a stick is
that firmware is imported from, and the record of where a firmware came from says so (`adapters.origins`).
"""

import hashlib
import random
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from station.adapters import durable, ipsw, unpacked
from station.adapters.fetch import checkpoint
from station.adapters.fetch.gather import Gathering, Lied, Wanted
from station.adapters.fetch.limits import FetchRules, Limits
from station.adapters.fetch.line import Line
from station.adapters.fetch.neighbour import Neighbour
from station.adapters.fetch.plan import Plan, require_manifest
from station.adapters.fetch.progress import Progress
from station.adapters.fetch.remote import Remote
from station.adapters.fetch.sources import Asker, SourceFailed, Sources
from station.adapters.fetch.vouched import digests_in
from station.adapters.firmware import FirmwareStore
from station.adapters.ipsw import MANIFEST, MAX_MANIFEST, Entry
from station.adapters.objects import Objects
from station.adapters.origins import Origin, Vouching
from station.adapters.unpacked import Digests
from station.core.supplying import not_from
from station.errors import InputRejected, StorageError, Unreachable
from station.model.catalog import ArrivalState, Offer
from station.model.firmware import Firmware

ASIDE = "aside.json"
"""In the directory of the download: who is not asked again for it, and why."""

_TRIES_OF_APPLE = 2
"""Rounds without an answer after which Apple's host counts as one that cannot be reached."""
_MOST_OF_A_BUILD = 2
"""Firmware of one build for one model that a station may say it has: there is one, and rarely a second."""

_LOSSES = 2
"""So often it is seen again what the store has, when some of that was removed after it was seen."""
_MAX_RATIO = 3
"""All files to the zip, when nobody but the station says how large they are: images are packed already."""

Compared = tuple[Plan, bytes]
"""What Apple says: the zip's table of contents, and the manifest."""

_aside_decoder = msgspec.json.Decoder(dict[str, str])


class Nearby:
    """All other stations, asked for one firmware. For one thread."""

    def __init__(
        self,
        store: FirmwareStore,
        directory: Path,
        offer: Offer,
        rules: FetchRules,
        limits: Limits,
        progress: Progress,
        line: Line,
        require_space: Callable[[int], None],
    ) -> None:
        self._store, self._directory, self._offer, self._rules = store, directory, offer, rules
        self._limits, self._progress, self._line = limits, progress, line
        self._require_space = require_space
        self.told: list[str] = []
        """Why it did not come from whom, each in a sentence."""

    def fetch(self) -> Firmware | None:
        """Have it from one of them; None: none of them gives it. What is here of it then stays for the next time.

        Raises:
            Refused: the download is to end.
            StorageError: the disk is full or fails.
            ConfigError: the file with authorities cannot be read.
        """
        aside = self._aside()
        asker = Asker(self._limits, self._rules.hosts.authorities)
        try:
            neighbours = [Neighbour(address, asker, self._line) for address in self._rules.nearby]
            for neighbour in neighbours:
                if why := aside.get(neighbour.host):
                    self._tell(neighbour, why)
            offers = [
                (neighbour, digests)
                for neighbour in neighbours
                if neighbour.host not in aside
                for digests in self._said(neighbour)
            ]
            compared = self._ask_apple() if offers else None
            for neighbour, digests in offers:
                if (firmware := self._have(neighbour, digests, compared)) is not None:
                    return firmware
        except (_AppleTellsNothing, InputRejected):
            pass  # whoever fetches it from Apple says what is wrong
        finally:
            asker.close()
        return None

    def _said(self, neighbour: Neighbour) -> Iterator[Digests]:
        """What a station says it has of what is wanted; nothing, when it does not say so."""
        offer = self._offer
        self._progress.comes_from(neighbour.host, nearby=True)
        try:
            fitting = [
                shared
                for shared in neighbour.shared()
                if (shared.build, shared.version) == (offer.build, offer.version)
                and set(offer.product_types) <= set(shared.product_types)
            ]
            for shared in fitting[:_MOST_OF_A_BUILD]:
                yield neighbour.digests(shared.name)
        except SourceFailed as error:
            self._tell(neighbour, str(error))

    def _ask_apple(self) -> Compared | None:
        """What Apple says of it; None: Apple cannot be reached.

        Raises:
            InputRejected: Apple has something else.
            _AppleTellsNothing: Apple can be reached, and does not tell.
        """
        rules = msgspec.structs.replace(self._rules, mirrors=())
        limits = msgspec.structs.replace(self._limits, tries=_TRIES_OF_APPLE)
        sources = Sources(self._offer, rules, limits)
        try:
            return Remote(sources, self._offer, self._line, limits, self._progress).look()
        except Unreachable as error:
            if isinstance(error.__cause__, SourceFailed) and not error.__cause__.reached:
                return None
            raise _AppleTellsNothing from error
        finally:
            sources.close()

    def _have(self, neighbour: Neighbour, digests: Digests, compared: Compared | None) -> Firmware | None:
        """Have it from one of them; None: it does not give it, or lies."""
        self._progress.comes_from(neighbour.host, nearby=True)
        self._progress.say(ArrivalState.FETCHING)
        try:
            if compared is None:
                manifest = self._manifest(neighbour, digests)
                crcs = {}
            else:
                plan, manifest = compared
                _require_the_same(digests, plan, manifest)
                crcs = {part.name: part.crc for part in plan.parts}
            self._make_way()
            wanted = [Wanted(file, crcs.get(file.path)) for file in digests.files]
            vouching = Vouching.NOBODY if compared is None else Vouching.TABLE
            origin = Origin(host=neighbour.host, vouching=vouching)
            for _ in range(_LOSSES):
                self._gather(neighbour, wanted, manifest)
                if (firmware := self._take_in(digests, manifest, origin)) is not None:
                    return firmware
        except (Lied, InputRejected) as error:
            self._set_aside(neighbour, str(error))
        except SourceFailed as error:
            self._tell(neighbour, str(error))
        return None

    def _manifest(self, neighbour: Neighbour, digests: Digests) -> bytes:
        """The manifest as the station has it, when nothing else is to be had.

        Raises:
            Lied: it is none, or not that of what is wanted; InputRejected is the same.
            SourceFailed: the station does not give it.
        """
        unpacked.require_sound(digests)
        ipsw.checked([Entry(file.path, file.size, _nothing) for file in digests.files])
        if self._offer.size and sum(file.size for file in digests.files) > _MAX_RATIO * self._offer.size:
            raise Lied("it says that it is far larger than it can be")
        file = next(file for file in digests.files if file.path == MANIFEST)
        if file.size > MAX_MANIFEST:
            raise Lied("its manifest is too long")
        data = neighbour.short(file.sha256, file.size)
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise Lied("its manifest is not what it says")
        require_manifest(data, self._offer, {file.path for file in digests.files})
        return data

    def _make_way(self) -> None:
        """What there is of the zip is of no use here."""
        if checkpoint.began(self._directory):
            checkpoint.forget(self._directory)
            shutil.rmtree(self._directory / "ipsw", ignore_errors=True)

    def _gather(self, neighbour: Neighbour, wanted: Sequence[Wanted], manifest: bytes) -> None:
        total = sum(each.file.size for each in wanted)
        objects, vouched = Objects(self._store.path), digests_in(manifest)
        pace: _Pace | None = None

        def moved(done: int) -> None:
            self._progress.move(done, total)
            if pace is not None:
                pace.require()

        with Gathering(
            self._directory,
            objects,
            self._line,
            self._limits,
            moved=moved,
            vouched=vouched,
            require_space=self._require_space,
        ) as gathering:
            gathering.look(wanted)
            pace = _Pace(self._limits, self._rules.bytes_per_second, self._line)
            failures = 0
            while True:
                before = self._line.arrived
                self._line.require_going_on()
                try:
                    return gathering.gather(neighbour, wanted)
                except _TooSlow:
                    raise
                except SourceFailed as error:
                    failures = 1 if self._line.arrived > before else failures + 1
                    if failures >= self._limits.tries:
                        raise
                    self._progress.say(ArrivalState.WAITING, f"{neighbour.host}: {error}. It is tried again.")
                    pause = min(self._limits.longest_pause, self._limits.first_pause * 2 ** (failures - 1))
                    self._line.pause(pause * random.uniform(0.75, 1.25))  # noqa: S311 - so that not all come at once
                    self._progress.say(ArrivalState.FETCHING)

    def _take_in(self, digests: Digests, manifest: bytes, origin: Origin) -> Firmware | None:
        """Put it in the store; None: a content that the store had was removed meanwhile."""
        self._progress.say(ArrivalState.CHECKING)
        whole = unpacked.describe(ipsw.read_manifest(manifest), digests.files)
        try:
            return self._store.take_in(self._directory, whole, origin)
        except InputRejected:
            self._progress.say(ArrivalState.FETCHING)
            return None

    def _aside(self) -> dict[str, str]:
        try:
            return _aside_decoder.decode((self._directory / ASIDE).read_bytes())
        except (OSError, ValueError):
            return {}

    def _set_aside(self, neighbour: Neighbour, why: str) -> None:
        """Ask it no more for this firmware."""
        self._tell(neighbour, why)
        with suppress(StorageError):  # it is asked once more then, no harm done
            durable.write(self._directory / ASIDE, msgspec.json.encode(self._aside() | {neighbour.host: why}))

    def _tell(self, neighbour: Neighbour, why: str) -> None:
        self.told.append(not_from(neighbour.host, why.removesuffix(".")))


class _AppleTellsNothing(Exception):
    """Apple's host is there, and does not say what firmware it has."""


class _TooSlow(SourceFailed):
    """It would take longer than from Apple."""


class _Pace:
    """Sees to it that another station is not waited for when it drips."""

    def __init__(self, limits: Limits, rate: int | None, line: Line) -> None:
        self._seconds, self._line = limits.near_seconds, line
        allowed = limits.near_bytes if rate is None else int(rate * limits.near_seconds / 4)
        self._least = min(limits.near_bytes, allowed)
        self._begin()

    def _begin(self) -> None:
        self._began, self._then = time.monotonic(), self._line.arrived

    def require(self) -> None:
        """Raise _TooSlow when too little came lately."""
        if self._line.arrived - self._then >= self._least:
            self._begin()
        elif time.monotonic() - self._began >= self._seconds:
            raise _TooSlow("it is too slow")


def _require_the_same(digests: Digests, plan: Plan, manifest: bytes) -> None:
    """Raise Lied, or InputRejected, unless what a station says it has can be what Apple has."""
    unpacked.require_sound(digests)
    ours, theirs = {part.name: part.size for part in plan.parts}, {file.path: file.size for file in digests.files}
    if digests.manifest_sha256 != hashlib.sha256(manifest).hexdigest():
        raise Lied("its manifest is not Apple's")
    if differing := {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}:
        raise Lied(f"its {min(differing)[:100]!r} is not Apple's")


def _nothing() -> IO[bytes]:
    raise NotImplementedError
