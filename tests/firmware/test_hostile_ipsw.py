"""Archives that try something: each is refused in words, and nothing of it is left anywhere."""

import json
import os
import plistlib
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.adapters import ipsw as reader
from station.adapters.firmware import FirmwareStore
from station.adapters.ipsw import read_manifest
from station.adapters.unpacked import Digests, FirmwareDamaged
from station.core.versions import build_order, version_order
from station.errors import InputRejected, StationError
from tests.firmware.tiny import digests_of, fetched

MANIFEST: dict[str, Any] = {
    "ProductVersion": "26.2.1",
    "ProductBuildVersion": "23C71",
    "SupportedProductTypes": ["iPhone13,2"],
    "BuildIdentities": [
        {"Info": {"RestoreBehavior": "Erase"}, "Manifest": {"OS": {"Info": {"Path": "os.dmg"}}}},
    ],
}


def manifest(**changes: Any) -> bytes:
    return plistlib.dumps(MANIFEST | changes)


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def zipped(path: Path, *extra: tuple[str | zipfile.ZipInfo, bytes], packed: int = zipfile.ZIP_STORED) -> Path:
    """A good little IPSW with something more in it."""
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr("BuildManifest.plist", manifest())
        archive.writestr("os.dmg", b"image")
        for name, content in extra:
            archive.writestr(name, content)
    return path


def patched(path: Path, change: Callable[[bytearray], None]) -> Path:
    data = bytearray(zipped(path).read_bytes())
    change(data)
    path.write_bytes(data)
    return path


def flip_content(data: bytearray) -> None:
    at = data.index(b"image")
    data[at] ^= 1


def say_encrypted(data: bytearray) -> None:
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1


def say_many(data: bytearray) -> None:
    at = data.rindex(b"PK\x05\x06")
    struct.pack_into("<HH", data, at + 8, 60_000, 60_000)


def say_huge_table(data: bytearray) -> None:
    at = data.rindex(b"PK\x05\x06")
    struct.pack_into("<I", data, at + 12, 1 << 30)


def say_zip64_many(data: bytearray) -> None:
    at = data.rindex(b"PK\x05\x06")
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1 << 40, 1 << 40, 1 << 46, 0)
    data[at:at] = record + b"PK\x06\x07" + struct.pack("<IQI", 0, at, 1)


def say_longer(data: bytearray) -> None:
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, at + 24, 6)


def overlap(data: bytearray) -> None:
    at = data.rindex(b"PK\x01\x02")
    struct.pack_into("<II", data, at + 20, 100_000, 100_000)


def cut(data: bytearray) -> None:
    del data[-30:]


@pytest.fixture
def hostile(tmp_path) -> Path:
    path: Path = tmp_path / "hostile.ipsw"
    return path


def refused(store, source: Path, why: str) -> None:
    with pytest.raises(InputRejected, match=why) as caught:
        store.import_ipsw(source)
    assert caught.value.remedy
    assert {path.name for path in store.path.glob("*")} <= {".lock"}


def test_the_harmless_one_is_accepted(store, hostile):
    assert store.import_ipsw(zipped(hostile)).build == "23C71"


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "a/../../outside",
        "/etc/outside",
        "a//b",
        "./a",
        "a\\b",
        "..",
        "a/./b",
        "bell\x07",
        "new\nline",
        "n" * 300,
        "\u00fc" * 128,
        "/".join("d" * 20),
        "os.dmg/inside",
    ],
)
def test_names_that_lead_elsewhere(store, hostile, name):
    refused(store, zipped(hostile, (name, b"x")), "forbidden name|is a file")
    assert not (store.path.parent / "outside").exists()


def test_a_name_with_nul(store, hostile):
    zipped(hostile, ("BuildManifest.plistXYZ", b"x"))
    hostile.write_bytes(hostile.read_bytes().replace(b"plistXYZ", b"plist\0YZ"))
    refused(store, hostile, "forbidden name")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice(store, hostile):
    refused(store, zipped(hostile, ("os.dmg", b"other")), "same name")


def test_links(store, hostile):
    refused(store, zipped(hostile, (link("shadow"), b"/etc/shadow")), "link or a device")


def test_a_bomb(store, hostile):
    bomb = zipped(hostile, ("zeros", b"\0" * (30 << 20)), packed=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 100_000
    refused(store, bomb, "far more than it is")


def test_unusual_packing(store, hostile):
    refused(store, zipped(hostile, ("fill", b"x" * 100), packed=zipfile.ZIP_LZMA), "unusual way")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (flip_content, "damaged"),
        (say_encrypted, "encrypted"),
        (say_many, "more than"),
        (say_huge_table, "more than"),
        (say_zip64_many, "more than"),
        (say_longer, "damaged|not as long"),
        (overlap, "overlap"),
        (cut, "no zip file|damaged"),
    ],
)
def test_lies_in_the_table(store, hostile, change, why):
    refused(store, patched(hostile, change), why)


def test_too_many_files(store, hostile, monkeypatch):
    monkeypatch.setattr(reader, "MAX_ENTRIES", 5)
    refused(store, zipped(hostile, *((f"f{number}", b"") for number in range(9))), "more than 5 files")


def other_end(data: bytes, table: bytes, at: int) -> bytes:
    """An end record in whose middle another seems to begin, which says less."""
    return data + table + struct.pack("<4s4s2H2IH", b"PK\5\6", b"PK\5\6", 1, 1, len(table), at, 0)


def other_far_end(data: bytes, table: bytes, at: int) -> bytes:
    """A zip64 record where zipfile looks for it, and one that says less where it is said to be."""
    there = len(data) + len(table)
    less, all_of_it = (
        struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, at) for size in (50, len(table))
    )
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, there, 1)
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(table), at, 0)
    return data + table + less + all_of_it + locator + end


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (other_end, "more than 500 files"),
        # Newer versions of zipfile see by themselves that there are two, and so read neither.
        (other_far_end, "more than 500 files|damaged .Corrupt zip64 end of central directory record"),
    ],
)
@pytest.mark.parametrize("filling", [b"", b"n" * 30_000])
def test_two_ideas_of_where_the_table_is(store, hostile, monkeypatch, end, why, filling):
    """What is seen to be short is what is read."""
    monkeypatch.setattr(reader, "MAX_ENTRIES", 500)
    monkeypatch.setattr(reader, "_MAX_TABLE", 1 << 20)
    monkeypatch.setattr(reader, "checked", lambda _: pytest.fail("all of it was read"))
    whole = zipped(hostile).read_bytes()
    at = whole.index(b"PK\1\2")
    table = whole[at : whole.index(b"PK\5\6")]
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, *(0,) * 7, 8 + len(filling), *(0,) * 6)
    table += b"".join(entry + b"%08d" % number + filling for number in range(100 if filling else 900))
    hostile.write_bytes(end(whole[:at], table, at))
    refused(store, hostile, why)


def test_too_large(store, hostile, monkeypatch):
    monkeypatch.setattr(reader, "MAX_TOTAL", 1000)
    refused(store, zipped(hostile, ("large", b"x" * 1000)), "too large")


def test_no_zip_at_all(store, hostile):
    hostile.write_bytes(b"<html>Please log in</html>")
    refused(store, hostile, "no zip file")


def unpacked(directory: Path) -> Path:
    directory.mkdir()
    (directory / "BuildManifest.plist").write_bytes(manifest())
    (directory / "os.dmg").write_bytes(b"image")
    return directory


@pytest.mark.parametrize("spoil", [lambda path: path.symlink_to("/etc/shadow"), os.mkfifo])
def test_links_and_pipes_in_a_directory(store, tmp_path, spoil):
    source = unpacked(tmp_path / "source")
    spoil(source / "spoilt")
    refused(store, source, "link or a device")


def test_a_link_to_a_directory_is_not_followed(store, tmp_path):
    source = unpacked(tmp_path / "source")
    (source / "up").symlink_to(tmp_path)
    refused(store, source, "link or a device")


def test_what_leads_into_a_store_is_not_followed(store, tmp_path):
    """A store's own directory is no IPSW: on a stick its links could lead anywhere. An export is one."""
    firmware = store.import_ipsw(unpacked(tmp_path / "source"))
    elsewhere = FirmwareStore(tmp_path / "elsewhere", reserve=0)
    refused(elsewhere, Path(firmware.directory), "link or a device")


SHA = "ab" * 32


@pytest.mark.parametrize(
    "changes",
    [
        {"manifest_sha256": "../../../outside"},
        {"manifest_sha256": SHA + "/x"},
        {"build": "../outside"},
        {"version": "26/.."},
        {"files": [{"path": "os.dmg", "size": 5, "sha256": "../../outside"}]},
        {"files": [{"path": "os.dmg", "size": 5, "sha256": SHA.upper()}]},
        {"files": [{"path": "os.dmg", "size": 5, "sha256": f"{SHA}\n"}]},
        {"files": [{"path": "os.dmg", "size": "5", "sha256": SHA}]},
        {"files": [{"path": "../outside", "size": 5, "sha256": SHA}]},
        {"files": [{"path": "/outside", "size": 5, "sha256": SHA}]},
        {"files": [{"path": "os.dmg", "size": 5, "sha256": SHA}] * 2},
    ],
)
def test_lists_of_files_that_lead_elsewhere(store, tmp_path, changes):
    """Whoever can write into the store can do much; a spoilt list leads nowhere, and is no reason to fail."""
    source = unpacked(tmp_path / "source")
    good = json.loads(msgspec.json.encode(digests_of(source)))
    listed = json.dumps({**good, **changes, "files": good["files"] + changes.get("files", [])})
    directory = store.path / f"23C71-{good['manifest_sha256'][:12]}"
    (directory / "ipsw").mkdir(parents=True)
    (directory / "digests.json").write_text(listed)
    before = sorted(tmp_path.rglob("*"))
    for firmware in store.list():
        with pytest.raises(FirmwareDamaged):
            store.verify(firmware)
    filled = fetched(store.path, source)
    with pytest.raises((InputRejected, msgspec.ValidationError)):
        store.take_in(filled, msgspec.json.decode(listed, type=Digests, strict=False))
    made = {path for path in tmp_path.rglob("*") if path not in before and not path.is_relative_to(filled)}
    assert {path.name for path in made} <= {".lock", "damaged.json"}
    store.remove([each.name for each in store.kept()])
    assert store.import_ipsw(source).build == "23C71"


def test_a_file_that_grows_while_it_is_copied(store, tmp_path, monkeypatch):
    source = unpacked(tmp_path / "source")
    walk = reader._walk

    def grown(root):
        yield from list(walk(root))
        (source / "os.dmg").write_bytes(b"a longer image")

    monkeypatch.setattr(reader, "_walk", grown)
    refused(store, source, "not as long")


@pytest.mark.parametrize(
    "changes",
    [
        {"ProductVersion": "../../26"},
        {"ProductVersion": 26},
        {"ProductBuildVersion": "23C71/.."},
        {"ProductBuildVersion": "١٢A1"},
        {"SupportedProductTypes": []},
        {"SupportedProductTypes": ["iPhone13,2\n"]},
        {"SupportedProductTypes": "iPhone13,2"},
        {"BuildIdentities": []},
        {"BuildIdentities": [{}]},
        {"BuildIdentities": {"a": 1}},
        {"BuildIdentities": MANIFEST["BuildIdentities"] * 2001},
        {"BuildIdentities": [{"Info": {"RestoreBehavior": "Erase"}, "Manifest": {"OS": {"Info": {"Path": 5}}}}]},
    ],
)
def test_manifests_that_make_no_sense(changes):
    with pytest.raises(InputRejected):
        read_manifest(manifest(**changes))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 100,
        plistlib.dumps(MANIFEST, fmt=plistlib.FMT_BINARY),
        b"<plist>" + b"<array>" * 100_000,
        b'<!DOCTYPE p [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><plist><string>&b;</string></plist>',
        b" " * (33 << 20),
    ],
)
def test_what_is_no_manifest(data):
    with pytest.raises(InputRejected):
        read_manifest(data)


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda tail: manifest()[:200] + tail))
def test_any_manifest_is_read_or_refused(data):
    try:
        read_manifest(data)
    except StationError:
        return


@pytest.fixture(scope="module")
def small_zip(tmp_path_factory) -> Path:
    return zipped(tmp_path_factory.mktemp("fuzz") / "small.ipsw", packed=zipfile.ZIP_DEFLATED)


@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), min_size=1, max_size=4))
def test_any_changed_zip_is_read_or_refused(small_zip, changes):
    data = bytearray(small_zip.read_bytes())
    for at, mask in changes:
        data[at % len(data)] ^= mask
    changed = small_zip.with_name("changed.ipsw")
    changed.write_bytes(data)
    try:
        with reader.entries(changed) as found:
            for entry in found:
                with entry.open() as file:
                    file.read(1 << 20)
    except StationError:
        return


def test_an_incomplete_ipsw(store, hostile):
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr("BuildManifest.plist", manifest())
    refused(store, hostile, "'os.dmg' is missing")


def test_versions_are_ordered_as_numbers():
    assert sorted(["10.0", "9.3.6", "26.2.1", "26.2", "9.10"], key=version_order) == [
        "9.3.6",
        "9.10",
        "10.0",
        "26.2",
        "26.2.1",
    ]
    assert sorted(["23C71", "9B206", "23C100", "23B85", "22F76a", "22F76"], key=build_order) == [
        "9B206",
        "22F76",
        "22F76a",
        "23B85",
        "23C71",
        "23C100",
    ]
