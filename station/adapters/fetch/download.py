"""One download from its start, or from where it was, to its place in the store."""

import errno
import hashlib
import shutil
import threading
from pathlib import Path

import msgspec

from station.adapters import durable, unpacked
from station.adapters.fetch import checkpoint, gather
from station.adapters.fetch.checkpoint import State
from station.adapters.fetch.digests import Algorithm, Digest
from station.adapters.fetch.limits import FetchRules, Limits
from station.adapters.fetch.line import Line
from station.adapters.fetch.nearby import Nearby
from station.adapters.fetch.pipeline import Pipeline
from station.adapters.fetch.plan import Plan
from station.adapters.fetch.progress import Progress
from station.adapters.fetch.remote import AGAIN, Remote
from station.adapters.fetch.sources import FileChanged, Sources
from station.adapters.fetch.unpack import PartDamaged, Position, TailDamaged
from station.adapters.firmware import FirmwareStore
from station.adapters.ipsw import MANIFEST, read_manifest
from station.adapters.origins import Origin, Vouching
from station.adapters.unpacked import FileDigest, FirmwareDamaged
from station.errors import InputRejected, StorageError, Unreachable
from station.model.catalog import ArrivalState, Offer
from station.model.firmware import Firmware

_CHANGES = 3
"""How often a file on a server may turn out to be another than before."""


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
        self._progress = progress
        self._algorithm = Algorithm.SHA256 if offer.sha256 else Algorithm.SHA1
        self._line = Line(rules.bytes_per_second, limits, stop)
        self._sources = Sources(offer, rules, limits)
        self._remote = Remote(self._sources, offer, self._line, limits, progress)
        self._nearby = Nearby(store, directory, offer, rules, limits, progress, self._line, self._require_space)

    def run(self) -> Firmware:
        """Fetch it, or what is missing of it.

        Raises:
            StationError: as `fetch` says.
        """
        try:
            began = checkpoint.began(self._directory)
            if not began and (firmware := self._nearby.fetch()) is not None:
                return firmware
            try:
                return self._fetch_zip()
            except Unreachable as error:
                # What began to come from elsewhere goes on there, as long as that can be reached.
                if began and (firmware := self._nearby.fetch()) is not None:
                    return firmware
                raise Unreachable(" ".join((str(error), *self._nearby.told)), remedy=error.remedy) from error
        except InputRejected:
            self._throw_away()
            raise
        finally:
            self._sources.close()

    def _fetch_zip(self) -> Firmware:
        """From Apple, or a mirror."""
        for _ in range(_CHANGES):
            try:
                return self._fetch()
            except _Anew as reason:
                self._throw_away()
                self._progress.say(ArrivalState.FETCHING, str(reason))
        raise Unreachable("The file on the server changes again and again.", remedy=AGAIN)

    def _fetch(self) -> Firmware:
        plan, manifest = self._remote.look()
        name = f"{self._offer.build}-{hashlib.sha256(manifest).hexdigest()[:12]}"
        if present := self._present(name):
            shutil.rmtree(self._directory, ignore_errors=True)
            return present
        state = checkpoint.load(self._directory, plan) or self._begin(plan)
        self._require_space(plan.unpacked - _here(plan, state))
        self._progress.say(ArrivalState.FETCHING, " ".join(self._nearby.told))
        while state.offset < plan.total or not self._is_right(state):
            state = self._receive(plan, state) if state.offset < plan.total else self._after_wrong_digest(plan, state)
        self._require_manifest(plan, state, manifest)
        return self._hand_over(plan, state, manifest)

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
        gather.forget(self._directory)
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
                    self._remote.insist(lambda: self._stream(pipeline))
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
        with self._remote.open(pipeline.received, None) as answer:
            while answer.offset < answer.end:
                buffer = pipeline.buffer()
                behind = pipeline.received - answer.offset
                try:
                    count = self._line.some(answer, buffer[:behind] if behind > 0 else buffer)
                except BaseException:
                    pipeline.keep()
                    raise
                if behind > 0:  # it sends what is here already
                    pipeline.keep()
                else:
                    pipeline.give(count)
                    self._line.arrived += count
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
        self._remote.turn()
        self._progress.say(ArrivalState.FETCHING, f"{name[:100]!r} arrived damaged. It is fetched again.")
        return state

    def _after_change(self, plan: Plan, state: State) -> State:
        """Another server of many, or another file? Its table of contents tells."""
        self._remote.mistrust_tags()
        if self._remote.read_plan().digest == plan.digest:
            return state
        raise _Anew("The file on the server has changed. The download began anew.")

    def _after_wrong_digest(self, plan: Plan, state: State) -> State:
        if state.again:
            raise InputRejected(
                "The firmware that arrived is not the one in the list: its digest is wrong, twice.",
                remedy="Choose another build, or import the firmware from a USB stick.",
            )
        self._remote.turn()
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
            raise InputRejected("The manifest that arrived is another than the one before.", remedy=AGAIN)

    def _hand_over(self, plan: Plan, state: State, manifest: bytes) -> Firmware:
        self._progress.move(plan.total, plan.total)
        self._progress.say(ArrivalState.CHECKING)
        files = [
            FileDigest(path=part.name, size=part.size, sha256=sha256)
            for part, sha256 in zip(plan.parts, state.digests, strict=True)
        ]
        origin = Origin(host=self._remote.host, vouching=Vouching.DIGEST)
        return self._store.take_in(self._directory, unpacked.describe(read_manifest(manifest), files), origin)

    def _require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._directory).free
        if needed and free < needed + self._store.reserve:
            raise StorageError(
                f"This firmware needs {needed >> 20} MiB more, and the station's disk has {free >> 20} MiB free, "
                f"of which {self._store.reserve >> 20} MiB are kept.",
                remedy="Remove firmware that is no longer needed. The download goes on where it was.",
            )


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
