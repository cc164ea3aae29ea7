"""Contents are there once: what is shared is shared, what is damaged is gone for all, what nobody has is deleted."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from station.adapters import unpacked
from station.adapters.firmware import FirmwareStore
from station.adapters.objects import Look, Objects, link_to
from station.adapters.unpacked import FirmwareDamaged
from station.errors import InputRejected, Refused, StorageError
from station.model.firmware import Firmware
from tests.firmware.tiny import digests_of, fetched, tiny_ipsw

OS, RADIO, EMPTY = b"the system" * 99, b"the radio", b""
NOTHING = hashlib.sha256(EMPTY).hexdigest()
ONE = {"os.dmg": OS, "Firmware/radio": RADIO, "Firmware/empty": EMPTY, "only/one": b"1"}
OTHER = {"038.dmg": OS, "Firmware/all/radio": RADIO, "only/other": b"22"}


@pytest.fixture
def both(store, tmp_path) -> tuple[Firmware, Firmware]:
    """Two families' firmware of one build, imported one after the other."""
    one = tiny_ipsw(tmp_path / "one", "26.2", "23C55", ("iPhone13,2",), ONE)
    other = tiny_ipsw(tmp_path / "other", "26.2", "23C55", ("iPhone14,5",), OTHER)
    return store.import_ipsw(one), store.import_ipsw(other)


def listed(store: FirmwareStore) -> list[Firmware]:
    """All that can be used, for the smaller model first."""
    return sorted(store.list(), key=lambda firmware: firmware.product_types)


def objects(store: FirmwareStore) -> list[bytes]:
    return sorted(path.read_bytes() for path in store.path.glob("objects/*/*"))


def at(firmware: Firmware, path: str) -> Path:
    return Path(firmware.directory) / path


def name(firmware: Firmware) -> str:
    return Path(firmware.directory).parent.name


def decay(path: Path) -> None:
    """Change a bit as a disk does it: so that the file looks as before."""
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)


def forget(firmware: Firmware) -> None:
    """Have the store take what there is for what it was."""
    directory = Path(firmware.directory).parent
    unpacked.seal(directory, unpacked.read(directory))


def test_every_content_is_there_once(store, both, tmp_path):
    manifests = [at(each, "BuildManifest.plist").read_bytes() for each in both]
    assert objects(store) == sorted([*{*ONE.values(), *OTHER.values()}, *manifests])
    for firmware, files in zip(both, (ONE, OTHER), strict=True):
        assert {path: at(firmware, path).read_bytes() for path in files} == files
        store.verify(firmware, full=True)
    assert at(both[0], "os.dmg").samefile(at(both[1], "038.dmg"))


def test_another_that_shares_does_not_make_the_first_be_read_again(store, both):
    directory = Path(both[0].directory).parent
    assert unpacked.unchanged(directory, unpacked.read(directory))


@pytest.mark.parametrize("full", [False, True])
def test_what_is_damaged_is_gone_for_all_that_have_it(store, both, full, tmp_path):
    decay(at(both[0], "os.dmg"))
    if full:
        forget(both[0])
        store.verify(both[0])
    with pytest.raises(FirmwareDamaged, match=r"'038\.dmg' differs"):
        store.verify(both[1], full=full)
    assert store.list() == []
    assert {each.firmware for each in store.unusable()} == {*both}
    assert all("differs" in each.why for each in store.unusable())
    assert not Objects(store.path).place(hashlib.sha256(OS).hexdigest()).exists()
    assert RADIO in objects(store)
    with pytest.raises(FirmwareDamaged):
        store.verify(both[0])


def test_an_import_repairs_only_what_was_damaged(store, both, tmp_path, monkeypatch):
    decay(at(both[0], "os.dmg"))
    with pytest.raises(FirmwareDamaged):
        store.verify(both[0])
    inode = at(both[0], "Firmware/radio").stat().st_ino
    copied: list[str] = []
    fill = unpacked.fill

    def spy(directory, found, advance):
        copied.extend(entry.name for entry in found)
        return fill(directory, found, advance)

    monkeypatch.setattr(unpacked, "fill", spy)
    assert store.import_ipsw(tmp_path / "one") == both[0]
    assert copied == ["os.dmg"]
    assert at(both[0], "Firmware/radio").stat().st_ino == inode
    assert at(both[0], "os.dmg").read_bytes() == OS
    store.verify(both[0], full=True)
    assert store.list() == [both[0]]  # of the other nobody has said that it is repaired
    assert store.import_ipsw(tmp_path / "other") == both[1]
    assert listed(store) == [*both]


def test_one_that_looks_otherwise_is_not_trusted_when_it_is_brought_again(store, both, tmp_path):
    store.remove([name(both[1])])
    decay(at(both[0], "os.dmg"))
    again = store.import_ipsw(tmp_path / "other")
    assert at(again, "038.dmg").read_bytes() == OS
    store.verify(both[0])
    store.verify(again, full=True)


def test_a_link_says_exactly_where_its_content_is(store, both):
    path = at(both[0], "Firmware/radio")
    said = os.readlink(path)  # noqa: PTH115 (a path would tidy up what the link says)
    for wrong in (
        f"../{said}",
        said.replace("objects", "./objects"),
        str(path.resolve()),
        os.fspath(at(both[1], "only/other")),
    ):
        path.unlink()
        path.symlink_to(wrong)
        with pytest.raises(FirmwareDamaged, match="differs"):
            store.verify(both[0])
        (Path(both[0].directory).parent / "damaged.json").unlink()
    path.unlink()
    path.symlink_to(said)
    store.verify(both[0])


def test_a_link_to_a_directory_is_found(store, both):
    at(both[0], "more").symlink_to("Firmware")
    with pytest.raises(FirmwareDamaged, match="'more' is missing or was added"):
        store.verify(both[0])


@pytest.mark.parametrize("path", ["a", "a/b", "a/b/c d"])
def test_links_are_relative(path, tmp_path):
    place = tmp_path / "BUILD" / "ipsw" / path
    digest = "ab" * 32
    assert (place.parent / link_to(path, digest)).resolve() == tmp_path / "objects" / "ab" / digest


def test_removing_leaves_what_others_have(store, both):
    manifest = at(both[0], "BuildManifest.plist").stat().st_size
    removed = store.remove([name(both[0]), "23C55-nothing"])
    assert (removed.names, removed.in_use) == ((name(both[0]),), ())
    assert b"1" not in objects(store)
    assert removed.freed == len(b"1") + manifest
    store.verify(both[1], full=True)
    store.remove([name(both[1])])
    assert [path.name for path in store.path.iterdir()] == [".lock"]


def test_what_several_share_is_read_once(store, both):
    done: dict[Look, str] = {}
    told: list[tuple[int, int]] = []
    store.verify(both[0], full=True, done=done)
    before = len(done)
    store.verify(both[1], lambda *how_far: told.append(how_far), full=True, done=done)
    assert len(done) == before + 2  # its manifest, and what it has alone
    assert told[-1][0] == told[-1][1] == len(b"22") + at(both[1], "BuildManifest.plist").stat().st_size


def test_a_content_that_the_disk_cannot_read_is_damaged(store, both, monkeypatch):
    class Unreadable:
        def update(self, _chunk: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        def hexdigest(self) -> str:
            return NOTHING

    with monkeypatch.context() as patch:
        patch.setattr("hashlib.sha256", Unreadable)
        with pytest.raises(FirmwareDamaged, match="differs"):
            store.verify(both[0], full=True)
    assert store.list() == []
    assert {each.firmware for each in store.unusable()} == {*both}


def test_what_is_damaged_stays_so_when_the_disk_is_full(store, both, monkeypatch):
    decay(at(both[0], "os.dmg"))
    forget(both[0])  # to the file system it looks as it did
    with monkeypatch.context() as patch:

        def full(*_: object) -> None:
            raise StorageError("No space left on device")

        patch.setattr("station.adapters.durable.write", full)
        with pytest.raises(FirmwareDamaged, match="differs"):
            store.verify(both[0], full=True)
    with pytest.raises(FirmwareDamaged, match="differs"):
        store.verify(both[0])
    assert store.list() == []


def test_only_firmware_is_removed(store, both):
    removed = store.remove(["../one", "objects", ".lock", str(store.path / name(both[0]))])
    assert removed.names == removed.in_use == ()
    store.verify(both[0], full=True)


def test_what_each_takes_is_told(store, both):
    one, other = (each.bytes_of for each in sorted(store.kept(), key=lambda each: each.product_types))
    shared = one.keys() & other.keys()
    assert sorted(one[key] for key in shared) == sorted([len(OS), len(RADIO)])


def test_what_is_in_use_stays(store, both):
    with store.lease(both[0]):
        assert [each.in_use for each in sorted(store.kept(), key=lambda each: each.product_types)] == [True, False]
        removed = store.remove([name(both[0]), name(both[1])])
        assert (removed.names, removed.in_use) == ((name(both[1]),), (name(both[0]),))
        store.verify(both[0], full=True)
    assert store.remove([name(both[0])]).names == (name(both[0]),)
    with pytest.raises(FirmwareDamaged):
        store.lease(both[0])


def test_what_was_replaced_between_opening_and_locking_is_not_leased(store, both, monkeypatch):
    directory = Path(both[0].directory).parent
    real = os.open

    def replaced(path, *rest, **more):
        held = real(path, *rest, **more)
        if Path(path) == directory:
            directory.rename(store.path / ".gone")
            directory.mkdir()
        return held

    monkeypatch.setattr(os, "open", replaced)
    monkeypatch.setattr("station.adapters.leases._PATIENCE", 0)
    with pytest.raises(Refused, match="removed"):
        store.lease(both[0])


def plain(store: FirmwareStore, firmware: Firmware) -> None:
    """Make a firmware as earlier versions left it: with its contents in it."""
    directory = Path(firmware.directory).parent
    for path in list(Path(firmware.directory).rglob("*")):
        if path.is_symlink():
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
    (directory / "checked.json").unlink()
    store.verify(firmware)


def test_a_store_of_an_earlier_version_is_used_as_it_is(store, both, tmp_path):
    plain(store, both[0])
    assert listed(store) == [*both]
    store.verify(both[0], full=True)
    assert store.import_ipsw(tmp_path / "one") == both[0]
    assert not at(both[0], "os.dmg").is_symlink()
    store.remove([name(both[1])])
    assert objects(store) == []
    store.verify(both[0], full=True)
    decay(at(both[0], "os.dmg"))
    with pytest.raises(FirmwareDamaged):
        store.verify(both[0])
    assert store.import_ipsw(tmp_path / "one") == both[0]
    assert at(both[0], "os.dmg").is_symlink()
    store.verify(both[0], full=True)


def test_what_was_fetched_is_taken_in(store, tmp_path):
    source = tiny_ipsw(tmp_path / "one", "26.2", "23C55", ("iPhone13,2",), ONE)
    directory, digests = fetched(store.path, source), digests_of(source)
    firmware = store.take_in(directory, digests)
    assert not directory.exists()
    assert store.list() == [firmware]
    assert unpacked.unchanged(Path(firmware.directory).parent, digests)
    store.verify(firmware, full=True)


def test_what_is_there_already_is_taken_in_again(store, both, tmp_path):
    directory, digests = fetched(store.path, tmp_path / "one"), digests_of(tmp_path / "one")
    inode = at(both[0], "os.dmg").stat().st_ino
    with store.lease(both[0]):
        assert store.take_in(directory, digests) == both[0]
    assert not directory.exists()
    assert at(both[0], "os.dmg").stat().st_ino == inode


def test_what_a_crash_left_unsaid_is_read_before_it_is_used(store, tmp_path):
    """The process ended when the firmware was in its place, and before it was written down how it looks."""
    source = tiny_ipsw(tmp_path / "one", "26.2", "23C55", ("iPhone13,2",), ONE)
    firmware = store.take_in(fetched(store.path, source), digests_of(source))
    (Path(firmware.directory).parent / "checked.json").unlink()
    decay(at(firmware, "os.dmg"))
    left = fetched(store.path, source)
    (left / "ipsw" / "os.dmg").unlink()
    assert store.take_in(left, digests_of(source)) == firmware
    with pytest.raises(FirmwareDamaged, match=r"'os\.dmg' differs"):
        store.verify(firmware)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda root: (root / "os.dmg").unlink(), "os.dmg' is missing"),
        (lambda root: (root / "os.dmg").write_bytes(b"short"), "os.dmg' is missing"),
        (
            lambda root: ((root / "os.dmg").unlink(), (root / "os.dmg").symlink_to("/etc/hostname")),
            "os.dmg' is missing",
        ),
        (lambda root: (root / "more").touch(), "more in this firmware"),
        (lambda root: (root / "more").symlink_to("/etc"), "more in this firmware"),
        (lambda root: (root.rename(root.parent / "x"), root.symlink_to("x")), "more in this firmware"),
    ],
)
def test_what_is_not_as_it_says_is_not_taken_in(store, tmp_path, spoil, why):
    source = tiny_ipsw(tmp_path / "one", "26.2", "23C55", ("iPhone13,2",), ONE)
    directory, digests = fetched(store.path, source), digests_of(source)
    spoil(directory / "ipsw")
    with pytest.raises(InputRejected, match=why):
        store.take_in(directory, digests)
    assert store.list() == []
    assert directory.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another")
def test_what_root_imports_belongs_to_the_station(store, both, tmp_path):
    os.chown(store.path, 12345, 12345)
    new = tiny_ipsw(tmp_path / "new", "26.2.1", "23C71", ("iPhone13,2",), {"os.dmg": b"new"})
    firmware = store.import_ipsw(new)
    directory = Path(firmware.directory).parent
    made = [store.path / "objects", *(store.path / "objects").rglob("*"), directory, *directory.rglob("*")]
    assert {path.lstat().st_uid for path in made if path.name != "checked.json"} == {12345}
    assert unpacked.unchanged(directory, unpacked.read(directory))


def test_downloads_are_nobody_elses(store, both):
    kept = store.path / ".fetch-2" / "ipsw"
    kept.mkdir(parents=True)
    stale = store.path / ".incoming-crash"
    stale.mkdir()
    store.remove([])
    assert kept.exists()
    assert not stale.exists()
