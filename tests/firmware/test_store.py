"""The firmware store: whole or not at all, newest by number, and every flipped byte is found."""

import errno
import json
import os
from pathlib import Path

import msgspec
import pytest

from station.adapters import unpacked
from station.adapters.firmware import FirmwareStore
from station.adapters.ipsw import read_manifest
from station.adapters.unpacked import FirmwareDamaged
from station.errors import StorageError
from station.model.firmware import Firmware
from station.virtual.firmware.ipsw import zip_ipsw
from tests.firmware.tiny import tiny_ipsw

REAL = Path(__file__).parents[3] / "shared/facts/real/manifests"


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def a_file(firmware: Firmware) -> Path:
    return Path(firmware.directory) / "kernelcache.release.iphone13"


def flip(path: Path) -> None:
    """Change one bit and leave size and mtime as they were."""
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("packed", [False, True])
def test_an_import_is_an_exact_copy(store, like_apples, tmp_path, packed):
    firmware = store.import_ipsw(zip_ipsw(like_apples, tmp_path / "f.ipsw") if packed else like_apples)
    assert (firmware.version, firmware.build, firmware.product_types) == ("26.2.1", "23C71", ("iPhone13,2",))
    assert files(Path(firmware.directory)) == files(like_apples)
    assert store.list() == [firmware] == store.every_for("iPhone13,2")
    store.verify(firmware, full=True)


def test_digests_name_every_file_in_order(store, ipsw):
    firmware = store.import_ipsw(ipsw)
    digests = json.loads((Path(firmware.directory).parent / "digests.json").read_bytes())
    names = [file["path"] for file in digests["files"]]
    assert names == sorted(files(ipsw))
    assert digests["manifest_sha256"] == firmware.manifest_sha256


def test_the_newest_is_the_newest_by_number(store, tmp_path):
    for version, build in (("9.3.6", "13G37"), ("26.2", "23C55"), ("10.0", "14A345")):
        store.import_ipsw(tiny_ipsw(tmp_path / build, version, build, ("iPhone13,2",), {"os.dmg": b"image"}))
    assert [firmware.version for firmware in store.list()] == ["9.3.6", "10.0", "26.2"]
    assert store.every_for("iPhone13,2")[-1].build == "23C55"
    assert store.every_for("iPhone1,1") == []


def test_an_empty_store(store):
    assert (store.list(), store.unusable(), store.every_for("iPhone13,2")) == ([], (), [])


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of the files that are read whole."""
    names = []
    real = unpacked._read

    def spy(path, meter, *, full):
        names.append(path.name)
        return real(path, meter, full=full)

    monkeypatch.setattr(unpacked, "_read", spy)
    return names


def test_a_flipped_bit_is_found_without_reading_the_rest(store, ipsw, read):
    firmware = store.import_ipsw(ipsw)
    flip(a_file(firmware))
    with pytest.raises(FirmwareDamaged, match=r"kernelcache\.release\.iphone13' differs"):
        store.verify(firmware)
    assert read == [a_file(firmware).name]


def test_nothing_is_read_again_unless_asked_for(store, ipsw, read):
    firmware = store.import_ipsw(ipsw)
    store.verify(firmware)
    assert read == []
    store.verify(firmware, full=True)
    assert len(read) == len(set(files(ipsw).values()))


def test_a_touched_but_equal_file_is_read_once(store, ipsw, read):
    firmware = store.import_ipsw(ipsw)
    a_file(firmware).touch()
    store.verify(firmware)
    store.verify(firmware)
    assert read == [a_file(firmware).name]


def test_a_lost_look_means_reading_everything(store, ipsw):
    firmware = store.import_ipsw(ipsw)
    (Path(firmware.directory).parent / "checked.json").write_bytes(b"[]")
    flip(a_file(firmware))
    with pytest.raises(FirmwareDamaged, match="differs"):
        store.verify(firmware)


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def link(path: Path) -> None:
    content = path.with_name("elsewhere")
    path.rename(path.parents[2] / "elsewhere")
    path.symlink_to(content)


@pytest.mark.parametrize(
    "spoil",
    [flip, grow, link, Path.unlink, lambda path: path.with_name("more").touch()],
    ids=["flip", "grow", "link", "unlink", "add"],
)
def test_whatever_changed_is_found(store, ipsw, spoil):
    firmware = store.import_ipsw(ipsw)
    spoil(a_file(firmware))
    with pytest.raises(FirmwareDamaged) as caught:
        store.verify(firmware)
    assert caught.value.remedy


def test_another_manifest_than_the_jobs(store, ipsw):
    firmware = store.import_ipsw(ipsw)
    with pytest.raises(FirmwareDamaged, match="replaced"):
        store.verify(msgspec.structs.replace(firmware, manifest_sha256="0" * 64))


def test_importing_again_changes_nothing_or_repairs(store, ipsw):
    firmware = store.import_ipsw(ipsw)
    inode = a_file(firmware).stat().st_ino
    assert store.import_ipsw(ipsw) == firmware
    assert a_file(firmware).stat().st_ino == inode
    flip(a_file(firmware))
    assert store.import_ipsw(ipsw) == firmware
    assert files(Path(firmware.directory)) == files(ipsw)
    store.verify(firmware, full=True)


def test_what_a_crash_left_is_not_listed_and_cleared_away(store, ipsw):
    leftover = store.path / ".incoming-crash"
    leftover.mkdir(parents=True)
    (leftover / "digests.json").write_text("{}")
    assert store.list() == []
    store.import_ipsw(ipsw)
    assert not leftover.exists()


def test_a_directory_without_digests_is_named(store, ipsw):
    firmware = store.import_ipsw(ipsw)
    (Path(firmware.directory).parent / "digests.json").write_text("{}")
    assert store.list() == []
    assert [each.name for each in store.unusable()] == [Path(firmware.directory).parent.name]
    assert [store.import_ipsw(ipsw)] == store.list()


def test_two_import_the_same_at_once(store, ipsw):
    inner: list[Firmware] = []

    def meanwhile(_done, _total):
        if not inner:
            inner.append(FirmwareStore(store.path, reserve=0).import_ipsw(ipsw))

    assert store.import_ipsw(ipsw, meanwhile) == inner[0]
    store.verify(inner[0], full=True)
    assert sorted(path.name for path in store.path.iterdir() if path.name.startswith(".")) == [".lock"]


def test_progress_reaches_the_end(store, ipsw):
    told = []
    store.import_ipsw(ipsw, lambda done, total: told.append((done, total)))
    total = sum(len(content) for content in files(ipsw).values())
    assert told == sorted(told)
    assert told[-1] == (total, total)


def test_without_room_nothing_is_begun(tmp_path, ipsw):
    store = FirmwareStore(tmp_path / "store", reserve=1 << 60)
    with pytest.raises(StorageError, match="free"):
        store.import_ipsw(ipsw)
    assert [path.name for path in store.path.iterdir()] == [".lock"]


def test_a_disk_that_fills_up_leaves_nothing(store, ipsw, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        store.import_ipsw(ipsw)
    assert [path.name for path in store.path.iterdir()] == [".lock"]


def test_removing(store, ipsw):
    firmware = store.import_ipsw(ipsw)
    name = Path(firmware.directory).parent.name
    assert store.remove([name]).names == (name,)
    assert [path.name for path in store.path.iterdir()] == [".lock"]
    with pytest.raises(FirmwareDamaged):
        store.verify(firmware)


@pytest.mark.skipif(not REAL.exists(), reason="Apple's manifests (../shared/facts/real) are not here")
def test_apples_manifests_are_read():
    paths = [path for path in REAL.glob("*-iPhone*.plist") if not path.name.endswith(".Restore.plist")]
    assert len(paths) >= 5
    for path in paths:
        manifest = read_manifest(path.read_bytes())
        assert path.name.startswith(f"{manifest.build}-iPhone")
        assert all(product.removeprefix("iPhone") in path.name for product in manifest.product_types)
        assert any(name.startswith("Firmware/all_flash/") for name in manifest.paths)
