"""What happens to bytes once they are here, each in a thread of its own, so that none of it keeps the network waiting.

The digest of the whole zip is one, unpacking (with each file's digest and checksum) the other: both read the same few
buffers, and each says from where it could go on, which need not be the same place. A third writes that down now and
then, after it has made durable what is before it. zlib, OpenSSL and the kernel work without Python's lock.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Self

import msgspec

from station.adapters.fetch import checkpoint
from station.adapters.fetch.checkpoint import State
from station.adapters.fetch.digests import Algorithm, Digest, DigestState
from station.adapters.fetch.limits import Limits
from station.adapters.fetch.plan import Plan
from station.adapters.fetch.unpack import Position, Unpacker


class _Block:
    """A buffer, and how many still read it."""

    def __init__(self, size: int) -> None:
        self.data = memoryview(bytearray(size))
        self.offset, self.count, self.readers = 0, 0, 0


class _Hasher:
    """The digest of the whole zip, and what it was where each entry begins."""

    def __init__(self, plan: Plan, state: State, algorithm: Algorithm) -> None:
        self._digest = Digest(algorithm, state.hashed)
        self._lock = threading.Lock()
        self._now = state.hashed
        self._offsets = [part.offset for part in plan.parts]
        self._next = sum(offset < self._now.count for offset in self._offsets)
        self._started = {state.position.index: state.started}

    def feed(self, offset: int, data: memoryview) -> None:
        """Take in what stands at `offset`; what was taken in before is left out."""
        data = data[max(0, self._now.count - offset) :]
        while len(data):
            count = len(data)
            starts = self._next < len(self._offsets)
            if starts:
                count = min(count, self._offsets[self._next] - self._now.count)
            self._digest.update(data[:count])
            now = self._digest.state()
            with self._lock:
                self._now = now
                if starts and now.count == self._offsets[self._next]:
                    self._started[self._next] = now
                    self._next += 1
            data = data[count:]

    def at(self, index: int) -> tuple[DigestState, DigestState]:
        """What it is now, and what it was where an entry begins, or before that; earlier entries are done."""
        with self._lock:
            for done in [each for each in self._started if each < index]:
                del self._started[done]
            return self._now, self._started.get(index, self._now)


class Pipeline:
    """Takes the bytes of a zip in their order until all are there. A context manager: leaving it ends its threads."""

    def __init__(
        self,
        plan: Plan,
        directory: Path,
        state: State,
        *,
        algorithm: Algorithm,
        limits: Limits,
        require_space: Callable[[int], None],
    ) -> None:
        """One that goes on.

        Args:
            plan: what is in the zip.
            directory: of the download; its `ipsw/` has the plan's directories.
            state: where it goes on.
            algorithm: of the whole zip's digest.
            limits: how much it holds, and how often it is written down where it is.
            require_space: raises StorageError unless so many bytes more fit on the disk.
        """
        self.received = state.offset
        """Bytes of the zip that were given to it."""
        self.saved = state
        """Where it would go on after a crash."""
        self._plan, self._directory, self._limits = plan, directory, limits
        self._require_space = require_space
        self._position = state.position
        self._hasher = _Hasher(plan, state, algorithm)
        self._unpacker = Unpacker(plan, directory / "ipsw", state.position, self._note, grain=limits.buffer)
        self._digests = list(state.digests)
        self._free: SimpleQueue[_Block] = SimpleQueue()
        for _ in range(limits.buffers):
            self._free.put(_Block(limits.buffer))
        self._inboxes: list[SimpleQueue[_Block | None]] = [SimpleQueue(), SimpleQueue()]
        self._threads = [
            threading.Thread(target=self._work, args=(inbox, feed), daemon=True)
            for inbox, feed in zip(self._inboxes, (self._hasher.feed, self._unpacker.feed), strict=True)
        ]
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._changed = threading.Condition()
        self._over = self._saving = False
        self._block: _Block | None = None
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        for thread in (*self._threads, self._keeper):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def buffer(self) -> memoryview:
        """Where the next bytes go. Waits for room.

        Raises:
            Exception: whatever went wrong with those before.
        """
        with self._changed:
            # Also while its keeper was woken and does not run yet: on a busy machine that can take long.
            while self._is_far_ahead() and (self._saving or self._is_due()) and not self._failure:
                self._changed.wait()
        self._block = self._free.get()
        self._require_sound()
        return self._block.data

    def give(self, count: int) -> None:
        """So many bytes are in the buffer now."""
        block = self._block
        assert block is not None
        self._block = None
        block.offset, block.count, block.readers = self.received, count, len(self._inboxes)
        self.received += count
        for inbox in self._inboxes:
            inbox.put(block)

    def keep(self) -> None:
        """Give the buffer back unused."""
        if self._block is not None:
            self._free.put(self._block)
            self._block = None

    def finish(self) -> None:
        """Everything was given: wait until it is all there, and durable.

        Raises:
            Exception: whatever went wrong.
        """
        self._end()
        self._require_sound()

    def before(self, index: int) -> State:
        """From where to go on so that an entry comes once more. After it has ended."""
        _, started = self._hasher.at(index)
        finished = [self._unpacker.digests[done] for done in range(len(self._digests), index)]
        return msgspec.structs.replace(
            self.saved,
            position=Position(offset=self._plan.parts[index].offset, index=index),
            hashed=started,
            started=started,
            digests=(*self._digests[:index], *finished),
        )

    def _end(self) -> None:
        if self._over:
            return
        self.keep()
        for inbox in self._inboxes:
            inbox.put(None)
        for thread in self._threads:
            thread.join()
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._keeper.join()
        self._unpacker.close()

    def _require_sound(self) -> None:
        if self._failure is not None:
            self.keep()
            raise self._failure

    def _work(self, inbox: "SimpleQueue[_Block | None]", feed: Callable[[int, memoryview], None]) -> None:
        while (block := inbox.get()) is not None:
            if self._failure is None:
                try:
                    feed(block.offset, block.data[: block.count])
                except BaseException as error:  # noqa: BLE001 - the thread that receives raises it
                    self._fail(error)
            with self._changed:
                block.readers -= 1
                if block.readers == 0:
                    self._free.put(block)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._changed.notify_all()

    def _note(self, position: Position) -> None:
        with self._changed:
            done = self._position.index
            self._digests += (self._unpacker.digests[index] for index in range(done, position.index))
            self._position = position
            if position.offset - self.saved.offset >= self._limits.checkpoint_bytes:
                self._changed.notify_all()

    def _keep(self) -> None:
        """Write down where it is, now and then and at the end."""
        while True:
            with self._changed:
                self._changed.wait_for(self._is_due, self._limits.checkpoint_seconds)
                over, self._saving = self._over, True
                position, digests = self._position, tuple(self._digests)
            try:
                self._save(position, digests)
            except BaseException as error:  # noqa: BLE001 - the thread that receives raises it
                self._fail(error)
            with self._changed:
                self._saving = False
                self._changed.notify_all()
                if over or self._failure is not None:
                    return

    def _is_far_ahead(self) -> bool:
        return self.received - self.saved.offset > self._limits.ahead

    def _is_due(self) -> bool:
        return self._over or self._position.offset - self.saved.offset >= self._limits.checkpoint_bytes

    def _save(self, position: Position, digests: tuple[str, ...]) -> None:
        hashed, started = self._hasher.at(position.index)
        state = msgspec.structs.replace(
            self.saved, position=position, hashed=hashed, started=started, digests=digests[: position.index]
        )
        if state == self.saved:
            return
        checkpoint.save(self._directory, self._plan, state, self.saved.position.index)
        self.saved = state
        self._require_space(sum(part.size for part in self._plan.parts[position.index + position.inside :]))
