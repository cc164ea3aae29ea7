"""Unpacking while it arrives, and from where it was: the same files as zipfile finds, wherever it is interrupted."""

import hashlib
import io
import os
import random
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.adapters.fetch.digests import Algorithm, Digest
from station.adapters.fetch.plan import read_plan
from station.adapters.fetch.unpack import PartDamaged, Position, TailDamaged, Unpacker
from station.adapters.ipsw import MANIFEST
from tests.firmware.fetch.zips import Made, make_zip, text

LONG = os.environ.get("TESTS_EVERY_STEP") == "1"

contents_ = st.builds(text, st.integers(0, 1000), st.one_of(st.just(0), st.integers(1, 60), st.integers(1, 90_000)))
entries_ = st.builds(
    Made,
    name=st.just(""),
    content=contents_,
    ends=st.none() | st.lists(st.integers(0, 90_000), max_size=12).map(tuple),
    descriptor=st.booleans(),
    far=st.booleans(),
    gap=st.sampled_from([0, 0, 0, 1, 29, 5000]),
)


def named(entries: list[Made]) -> list[Made]:
    names = [MANIFEST, *(f"part{number}" for number in range(len(entries)))]
    return [Made(**(vars(entry) | {"name": name})) for entry, name in zip(entries, names, strict=False)]


class Interrupted:
    """Unpacks with any number of ends that nobody was told of, each of which loses all but what was said last.

    What comes then begins some bytes before that: the digest of the whole may have been behind.
    """

    def __init__(self, data: bytes, root: Path, grain: int, before: int) -> None:
        self.data, self.root, self.grain, self.before = data, root, grain, before
        self.plan = read_plan(len(data), lambda start, end: data[start:end])
        self.position = Position(offset=0, index=0)
        self.digests: list[str] = []
        self.begin()

    def begin(self) -> None:
        for part in self.plan.parts[self.position.index :]:
            spoil(self.root / part.name, self.position.written if part is self.plan.parts[self.position.index] else 0)
        self.unpacker = Unpacker(self.plan, self.root, self.position, self.note, grain=self.grain)
        self.at = max(0, self.position.offset - self.before)

    def note(self, position: Position) -> None:
        self.digests += [self.unpacker.digests[index] for index in range(len(self.digests), position.index)]
        assert position.offset >= self.position.offset
        self.position = position

    def feed(self, count: int) -> None:
        self.unpacker.feed(self.at, memoryview(bytearray(self.data[self.at : self.at + count])))
        self.at = min(len(self.data), self.at + count)

    def interrupt(self) -> None:
        self.unpacker.close()
        self.begin()


def spoil(path: Path, right: int) -> None:
    """Leave of a file only what was said to be right; the rest may be anything after a crash."""
    if path.exists():
        with path.open("r+b") as file:
            size = file.seek(0, 2)
            file.seek(right)
            file.write(b"\xff" * (size - right))


@pytest.mark.system
@settings(max_examples=500 if LONG else 40)
@given(
    entries=st.lists(entries_, min_size=1, max_size=5),
    far=st.booleans(),
    comment=st.sampled_from([b"", b"what it is" * 9]),
    seed=st.integers(0, 10_000),
    grain=st.sampled_from([1, 100, 5000, 200_000]),
    piece=st.sampled_from([1000, 30_000, 10**6]),
    before=st.sampled_from([0, 0, 7, 50_000]),
)
def test_wherever_it_is_interrupted(entries, far, comment, seed, grain, piece, before):
    data = make_zip(named(entries), comment=comment, far=far)
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(io.BytesIO(data)) as archive:
        work = Interrupted(data, Path(directory), grain, before)
        ends = sorted(rng.randrange(len(data)) for _ in range(rng.randrange(6)))
        while work.at < len(data):
            work.feed(rng.randrange(1, piece))
            if ends and work.at >= ends[0]:
                ends.pop(0)
                work.interrupt()
        assert (work.position.offset, work.position.index) == (len(data), len(entries))
        for part, sha256 in zip(work.plan.parts, work.digests, strict=True):
            assert (Path(directory) / part.name).read_bytes() == archive.read(part.name)
            assert sha256 == hashlib.sha256(archive.read(part.name)).hexdigest()
        assert len(list(Path(directory).iterdir())) == len(entries)


def test_within_an_entry(tmp_path):
    content = text(7, 200_000)
    packed = Made(MANIFEST, content, ends=tuple(range(0, 200_000, 1500)), descriptor=False, far=False, gap=0)
    work, went_on = Interrupted(make_zip([packed]), tmp_path, 2000, 0), set()
    while work.at < len(work.data):
        work.feed(700 if work.position.written else 3000)
        if work.at < len(work.data):
            work.interrupt()
            went_on.add((work.position.bits, work.position.written > 40_000))
    assert len([bits for bits, far in went_on if far]) > 4
    assert (tmp_path / MANIFEST).read_bytes() == content


def whole(tmp_path: Path, data: bytes, planned: bytes | None = None) -> None:
    plan = read_plan(len(data), lambda start, end: (planned or data)[start:end])
    Unpacker(plan, tmp_path, Position(offset=0, index=0), lambda _: None).feed(0, memoryview(bytearray(data)))


PLAIN = [
    Made(MANIFEST, text(1, 900), ends=None, descriptor=False, far=False, gap=0),
    Made("packed", text(2, 9000), ends=(5000,), descriptor=False, far=False, gap=0),
]


@pytest.mark.parametrize(("at", "index"), [(0, 0), (500, 0), (1000, 1), (2000, 1)])
def test_a_wrong_bit_is_found_and_whose_it_is(tmp_path, at, index):
    data = bytearray(make_zip(PLAIN))
    whole(tmp_path, bytes(data))
    data[at] ^= 4
    with pytest.raises(PartDamaged) as caught:
        whole(tmp_path, bytes(data))
    assert caught.value.index == index


def test_another_table_of_contents_than_the_one_that_was_read(tmp_path):
    data = make_zip(PLAIN)
    other = data.replace(b"packed", b"pAcked")
    with pytest.raises(TailDamaged):
        whole(tmp_path, data, planned=other)


def test_what_comes_out_is_no_more_than_was_said(tmp_path):
    longer = make_zip([PLAIN[0], Made("packed", bytes(10**6), ends=(), descriptor=False, far=False, gap=0)])
    lie = longer.replace((10**6).to_bytes(4, "little"), (5000).to_bytes(4, "little"))
    with pytest.raises(PartDamaged, match="longer than it says"):
        whole(tmp_path, lie)
    assert (tmp_path / "packed").stat().st_size <= 5000


@given(st.lists(st.binary(max_size=200), max_size=8), st.sampled_from(Algorithm))
def test_a_digest_that_is_laid_down_after_each_piece(pieces, algorithm):
    digest = Digest(algorithm)
    for piece in pieces:
        digest.update(memoryview(bytearray(piece)))
        digest = Digest(algorithm, digest.state())
    assert digest.hexdigest() == hashlib.new(algorithm.value, b"".join(pieces)).hexdigest()
