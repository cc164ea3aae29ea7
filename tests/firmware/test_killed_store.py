"""Killed before any change to the disk: the store has what it had or what it was to have, and can go on from there."""

import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from station.adapters.firmware import FirmwareStore
from station.adapters.unpacked import FirmwareDamaged
from tests.firmware.dying import WHAT
from tests.firmware.test_sharing import ONE, OTHER, at, decay, forget, listed, name, objects
from tests.firmware.tiny import digests_of, tiny_ipsw

SEED, SAMPLE = 26, 4
MODELS = ("iPhone13,2", "iPhone14,5")


def run(store: Path, source: Path, what: str, number: int) -> subprocess.CompletedProcess[str]:
    """Change a store in a process of its own that is killed before change `number`."""
    arguments = [sys.executable, "-m", "tests.firmware.dying", str(store), str(source), what, str(number)]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> tuple[Path, Path]:
    """Two IPSWs that share contents."""
    path = tmp_path_factory.mktemp("sources")
    return (
        tiny_ipsw(path / "one", "26.2", "23C55", MODELS[:1], ONE),
        tiny_ipsw(path / "other", "26.2", "23C55", MODELS[1:], OTHER),
    )


def make(path: Path, sources: tuple[Path, Path], what: str) -> FirmwareStore:
    """The store as it is before the change."""
    store = FirmwareStore(path, reserve=0)
    store.import_ipsw(sources[0])
    if what in ("remove", "verify"):
        store.import_ipsw(sources[1])
    if what == "verify":
        one, other = listed(store)
        decay(at(one, "os.dmg"))
        forget(one)
        forget(other)
    return store


def mend(store: FirmwareStore, sources: tuple[Path, Path], what: str) -> None:
    """What has to hold after the end of the process, and after the same was done again."""
    assert what == "verify" or not store.unusable()
    for firmware in store.list():
        if what == "verify":
            with pytest.raises(FirmwareDamaged):
                store.verify(firmware, full=True)
        else:
            store.verify(firmware, full=True)
    if what == "take_in" and len(store.list()) < 2:
        store.take_in(store.path / ".fetch-1", digests_of(sources[1]))  # nothing that was fetched is lost
        assert len(store.list()) == 2
    shutil.rmtree(store.path / ".fetch-1", ignore_errors=True)
    if what == "remove":
        assert MODELS[1:] in {firmware.product_types for firmware in store.list()}
        store.remove([each.name for each in store.kept() if MODELS[0] in each.product_types])
        assert [firmware.product_types for firmware in store.list()] == [MODELS[1:]]
    for source in sources:
        store.import_ipsw(source)
    one, other = listed(store)
    for firmware in (one, other):
        store.verify(firmware, full=True)
    store.remove([])
    assert len(objects(store)) == len({*ONE.values(), *OTHER.values()}) + 2
    assert sorted(path.name for path in store.path.iterdir()) == sorted([".lock", "objects", name(one), name(other)])


def source_of(sources: tuple[Path, Path], what: str) -> Path:
    return sources[what in ("take_in", "import")]


def kill_at(path: Path, sources: tuple[Path, Path], what: str, number: int) -> None:
    store = make(path, sources, what)
    ended = run(store.path, source_of(sources, what), what, number)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    mend(store, sources, what)
    shutil.rmtree(path)


def changes(path: Path, sources: tuple[Path, Path], what: str) -> int:
    """How many there are, when nobody is killed."""
    store = make(path, sources, what)
    ended = run(store.path, source_of(sources, what), what, 0)
    mend(store, sources, what)
    shutil.rmtree(path)
    return int(ended.stdout)


@pytest.mark.system
@pytest.mark.parametrize("what", [*WHAT])
def test_killed_at_a_few_changes(tmp_path, sources, what):
    total = changes(tmp_path / "all", sources, what)
    for number in random.Random(SEED).sample(range(1, total + 1), min(SAMPLE, total)):
        kill_at(tmp_path / str(number), sources, what, number)


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("what", [*WHAT])
def test_killed_at_every_change(tmp_path, sources, what):
    for number in range(1, changes(tmp_path / "all", sources, what) + 1):
        kill_at(tmp_path / str(number), sources, what, number)


@pytest.mark.system
@pytest.mark.timeout(60)
def test_several_processes_at_once(tmp_path, sources):
    store = make(tmp_path / "store", sources, "import")
    everybody = [
        ("import", 0),
        ("import", 1),
        ("remove", 0),
        ("verify", 0),
        ("import", 0),
        ("remove", 0),
        ("import", 1),
    ]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.firmware.dying", str(store.path), str(sources[which]), what, "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for what, which in everybody
    ]
    assert [process.communicate(timeout=50)[1] for process in processes] == [""] * len(processes)
    mend(store, sources, "import")
