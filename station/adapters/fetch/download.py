"""One download from its start, or from where it was, to its place in the store."""

import errno
import hashlib
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from station.adapters import durable, unpacked
from station.adapters.fetch import checkpoint
from station.adapters.fetch.checkpoint import State
from station.adapters.fetch.digests import Algorithm, Digest
from station.adapters.fetch.limits import FetchRules, Limits
from station.adapters.fetch.pace import Throttle
from station.adapters.fetch.pipeline import Pipeline
from station.adapters.fetch.plan import Plan, check_manifest, read_plan
from station.adapters.fetch.progress import Progress
from station.adapters.fetch.sources import Answer, FileChanged, SourceFailed, Sources
from station.adapters.fetch.unpack import PartDamaged, Position, TailDamaged
from station.adapters.firmware import FirmwareStore
from station.adapters.ipsw import MANIFEST, read_manifest
from station.adapters.unpacked import FileDigest, FirmwareDamaged
from station.errors import InputRejected, Refused, StorageError, Unreachable
from station.model.catalog import ArrivalState, Offer
from station.model.firmware import Firmware

_LITTLE = 64 << 10
"""Bytes: a server that hangs up or drips after fewer is not asked again at once, and another one first."""
_POLL = 1.0
"""Seconds: how long it can take until a download that waits for the network notices that it is to stop."""
_CHANGES = 3
"""How often a file on a server may turn out to be another than before."""
_AGAIN = "Try again later, or import the firmware from a USB stick."

T = TypeVar("T")


class _Anew(Exception):
    """What is here is worth nothing; the message says why."""


class Download:
    """Fetches one firmware. For one thread."""

    def __init__(
        self,
        store: FirmwareStore,
        directory: Path,
        offer: Offer,
        rules: FetchRules,
        limits: Limits,
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self._store, self._directory, self._offer, self._limits = store, directory, offer, limits
        self._progress, self._stop = progress, stop
        self._algorithm = Algorithm.SHA256 if offer.sha256 else Algorithm.SHA1
        self._throttle = Throttle(rules.bytes_per_second, stop)
        self._sources = Sources(offer, rules, limits)
        self._tags: dict[str, str] = {}
        """ETag of the file at each address, as far as that means anything."""
        self._tags_differ = False
        """Whether one and the same file was seen with two."""
        self._total = offer.size
        self._waited, self._came = 0.0, 0
        """Seconds that were waited for the network, and what came of it, since enough came."""
        self._arrived = 0
        """Bytes that were new, of whatever."""
        self._fruitless = 0
        """How often in a row nothing new came."""

    def run(self) -> Firmware:
        """Fetch it, or what is missing of it.

        Raises:
            StationError: as `fetch` says.
        """
        try:
            for _ in range(_CHANGES):
                try:
                    return self._fetch()
                except _Anew as reason:
                    self._throw_away()
                    self._progress.say(ArrivalState.FETCHING, str(reason))
            raise Unreachable("The file on the server changes again and again.", remedy=_AGAIN)
        except InputRejected:
            self._throw_away()
            raise
        finally:
            self._sources.close()

    def _fetch(self) -> Firmware:
        plan, manifest = self._look()
        name = f"{self._offer.build}-{hashlib.sha256(manifest).hexdigest()[:12]}"
        if present := self._present(name):
            shutil.rmtree(self._directory, ignore_errors=True)
            return present
        state = checkpoint.load(self._directory, plan) or self._begin(plan)
        self._require_space(plan.unpacked - _here(plan, state))
        self._progress.say(ArrivalState.FETCHING)
        while state.offset < plan.total or not self._is_right(state):
            state = self._receive(plan, state) if state.offset < plan.total else self._after_wrong_digest(plan, state)
        self._require_manifest(plan, state, manifest)
        return self._hand_over(plan, state, manifest)

    # What there is to fetch

    def _look(self) -> tuple[Plan, bytes]:
        """Read the table of contents and the manifest, from whichever server has the right ones."""
        for _ in range(len(self._sources)):
            try:
                plan = self._insist(self._read_plan)
                return plan, check_manifest(plan, self._offer, self._read)
            except InputRejected as error:
                refused = error
                self._sources.turn()
        raise refused

    def _read_plan(self) -> Plan:
        if not self._total:
            with self._open(None, 1) as answer:
                self._total = answer.total
        return read_plan(self._total, self._read)

    def _read(self, start: int, end: int) -> bytes:
        """Some bytes of the file, however often that takes."""
        data = bytearray()

        def go_on() -> None:
            buffer = memoryview(bytearray(min(self._limits.buffer, end - start)))
            with self._open(start + len(data), end) as answer:
                while (wanted := end - start - len(data)) > 0:
                    skip = start + len(data) - answer.offset
                    count = self._some(answer, buffer[: min(skip, len(buffer)) if skip > 0 else wanted])
                    if skip <= 0:
                        data.extend(buffer[:count])
                        self._arrived += count

        while len(data) < end - start:
            self._insist(go_on)
        return bytes(data)

    def _present(self, name: str) -> Firmware | None:
        """The same firmware, if the store has it."""
        for firmware in self._store.list():
            if Path(firmware.directory).parent.name == name:
                try:
                    self._store.verify(firmware)
                except FirmwareDamaged:
                    return None
                return firmware
        return None

    def _begin(self, plan: Plan, *, again: bool = False) -> State:
        """Make room for a download that begins."""
        self._throw_away()
        root = self._directory / "ipsw"
        root.mkdir()
        made = {root}
        for part in plan.parts:
            (root / part.name).parent.mkdir(parents=True, exist_ok=True)
            made.update(root / above for above in Path(part.name).parents)
        checkpoint.sync_directories((*made, self._directory))
        durable.sync_directory(self._directory.parent)
        nothing = Digest(self._algorithm).state()
        start = Position(offset=0, index=0)
        return State(total=plan.total, table=plan.digest, position=start, hashed=nothing, started=nothing, again=again)

    def _throw_away(self) -> None:
        checkpoint.forget(self._directory)
        shutil.rmtree(self._directory / "ipsw", ignore_errors=True)

    # All of it

    def _receive(self, plan: Plan, state: State) -> State:
        """Fetch and unpack, until all is here or something has to come again; where it is then."""
        with Pipeline(
            plan,
            self._directory,
            state,
            algorithm=self._algorithm,
            limits=self._limits,
            require_space=self._require_space,
        ) as pipeline:
            try:
                while pipeline.received < plan.total:
                    self._insist(lambda: self._stream(pipeline))
                pipeline.finish()
                if (index := pipeline.saved.position.index) < len(plan.parts):
                    raise PartDamaged(index, "it is cut off")  # noqa: TRY301 - found by nobody else
            except PartDamaged as damage:
                pipeline.__exit__()
                return self._after_damage(plan, pipeline.before(damage.index), damage)
            except TailDamaged:
                pipeline.__exit__()
                return self._after_wrong_digest(plan, pipeline.saved)
            except FileChanged:
                pipeline.__exit__()
                return self._after_change(plan, pipeline.saved)
        return pipeline.saved

    def _stream(self, pipeline: Pipeline) -> None:
        """Take what one answer has."""
        with self._open(pipeline.received, None) as answer:
            while answer.offset < answer.end:
                buffer = pipeline.buffer()
                behind = pipeline.received - answer.offset
                try:
                    count = self._some(answer, buffer[:behind] if behind > 0 else buffer)
                except BaseException:
                    pipeline.keep()
                    raise
                if behind > 0:  # it sends what is here already
                    pipeline.keep()
                else:
                    pipeline.give(count)
                    self._arrived += count
                self._progress.move(pipeline.saved.offset, answer.total)

    def _after_damage(self, plan: Plan, state: State, damage: PartDamaged) -> State:
        name = plan.parts[damage.index].name
        if damage.index in state.damaged:
            raise InputRejected(
                f"{name[:100]!r} arrived damaged twice: {damage}.",
                remedy="Try again later from another network, or import the firmware from a USB stick.",
            )
        state = msgspec.structs.replace(state, damaged=(*state.damaged, damage.index))
        checkpoint.save(self._directory, plan, state, damage.index)
        self._sources.turn()
        self._progress.say(ArrivalState.FETCHING, f"{name[:100]!r} arrived damaged. It is fetched again.")
        return state

    def _after_change(self, plan: Plan, state: State) -> State:
        """Another server of many, or another file? Its table of contents tells."""
        self._tags.clear()
        self._tags_differ = True
        if self._insist(self._read_plan).digest == plan.digest:
            return state
        raise _Anew("The file on the server has changed. The download began anew.")

    def _after_wrong_digest(self, plan: Plan, state: State) -> State:
        if state.again:
            raise InputRejected(
                "The firmware that arrived is not the one in the list: its digest is wrong, twice.",
                remedy="Choose another build, or import the firmware from a USB stick.",
            )
        self._sources.turn()
        state = self._begin(plan, again=True)
        checkpoint.write(self._directory, state)
        self._progress.say(ArrivalState.FETCHING, "What arrived was not right. All of it is fetched again.")
        return state

    # When it is here

    def _is_right(self, state: State) -> bool:
        """Whether all that arrived is what was offered."""
        return Digest(self._algorithm, state.hashed).hexdigest() == (self._offer.sha256 or self._offer.sha1)

    def _require_manifest(self, plan: Plan, state: State, manifest: bytes) -> None:
        """See that the manifest in its place is the one that was looked at before."""
        index = next(index for index, part in enumerate(plan.parts) if part.name == MANIFEST)
        if state.digests[index] != hashlib.sha256(manifest).hexdigest():
            raise InputRejected("The manifest that arrived is another than the one before.", remedy=_AGAIN)

    def _hand_over(self, plan: Plan, state: State, manifest: bytes) -> Firmware:
        self._progress.move(plan.total, plan.total)
        self._progress.say(ArrivalState.CHECKING)
        files = [
            FileDigest(path=part.name, size=part.size, sha256=sha256)
            for part, sha256 in zip(plan.parts, state.digests, strict=True)
        ]
        return self._store.take_in(self._directory, unpacked.describe(read_manifest(manifest), files))

    def _require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._directory).free
        if needed and free < needed + self._store.reserve:
            raise StorageError(
                f"This firmware needs {needed >> 20} MiB more, and the station's disk has {free >> 20} MiB free, "
                f"of which {self._store.reserve >> 20} MiB are kept.",
                remedy="Remove firmware that is no longer needed. The download goes on where it was.",
            )

    # The network

    @contextmanager
    def _open(self, start: int | None, end: int | None) -> Iterator[Answer]:
        url = self._sources.current
        # Only what takes long is held to what was said before: the rest is small enough to be read anew.
        tag = self._tags.get(url, "") if end is None and not self._tags_differ else ""
        with self._sources.open(start, end, total=self._total, tag=tag) as answer:
            if answer.tag:
                self._tags[url] = answer.tag
            yield answer

    def _some(self, answer: Answer, buffer: memoryview) -> int:
        """Some bytes of an answer, not faster than allowed."""
        count = 0
        while not count:
            self._require_going_on()
            began = time.monotonic()
            with suppress(TimeoutError):
                wait = min(_POLL, self._limits.stall_seconds)
                count = answer.read_into(buffer[: self._throttle.most(len(buffer))], wait)
            self._note_wait(time.monotonic() - began, count)
        self._throttle.spend(count)
        return count

    def _note_wait(self, seconds: float, count: int) -> None:
        """Give a server up that keeps the network idle. Raises SourceFailed."""
        self._waited += seconds
        self._came += count
        if self._came >= self._limits.least_bytes:
            self._waited, self._came = 0.0, 0
        elif self._waited >= self._limits.stall_seconds:
            self._waited, self._came = 0.0, 0
            raise SourceFailed("it stopped sending")

    def _insist(self, act: Callable[[], T]) -> T:
        """Do something that needs a server, with one after the other until one gives what is wanted."""
        while True:
            before = self._arrived
            self._require_going_on()
            try:
                return act()
            except SourceFailed as error:
                self._after_failure(error, self._arrived - before)

    def _after_failure(self, error: SourceFailed, fresh: int) -> None:
        if fresh:
            self._fruitless = 0
            if fresh < _LITTLE:
                self._sources.turn()
                self._stop.wait(self._limits.first_pause)
            return
        where = _host(self._sources.current)
        self._fruitless += 1
        self._sources.turn()
        rounds, within = divmod(self._fruitless, len(self._sources))
        if rounds >= self._limits.tries:
            raise Unreachable(f"Firmware cannot be downloaded from {where}: {error}.", remedy=_AGAIN) from error
        if within == 0:
            pause = min(self._limits.longest_pause, self._limits.first_pause * 2 ** (rounds - 1))
            self._progress.say(ArrivalState.WAITING, f"{where}: {error}. It is tried again.")
            self._stop.wait(pause * random.uniform(0.75, 1.25))  # noqa: S311 - so that stations do not come at once
            self._progress.say(ArrivalState.FETCHING)

    def _require_going_on(self) -> None:
        if self._stop.is_set():
            raise Refused("The download was stopped.", remedy="It goes on where it was when it is started again.")


def _host(url: str) -> str:
    return url.split("/")[2]


def _here(plan: Plan, state: State) -> int:
    """Bytes of the disk that the files have already: an entry that was begun has all of its room."""
    return sum(part.size for part in plan.parts[: state.position.index + state.position.inside])


def in_words(error: OSError) -> StorageError:
    """What the disk complains about."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            "The station's disk is full.",
            remedy="Remove firmware that is no longer needed. The download goes on where it was.",
        )
    return StorageError(
        f"The firmware could not be written: {error.strerror or error}.", remedy="Check the station's disk."
    )
