"""A backup is read from its first byte to its last: whatever is wrong with it is found."""

import hashlib
import plistlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from station.virtual.services.backup import manifest
from station.virtual.services.backup.keybag import KeyBag
from station.virtual.services.backup.records import DIRECTORY, Record
from station.virtual.services.backup.scanning import Sealer
from station.worker.received import Received
from station.worker.reread import Reading, reread

PASSWORD = "correct horse"
FILES = {"empty": b"", "short": b"short", "block": bytes(16), "long": secrets.token_bytes((1 << 20) + 77)}


class Made:
    """A backup as a phone makes it, laid out here."""

    def __init__(self, directory: Path, keybag: KeyBag, *, digests: bool = True) -> None:
        self.place = directory / "data" / "udid"
        self.place.mkdir(parents=True)
        self.directory = directory
        self.files: dict[str, Path] = {}
        sealer, key = Sealer(keybag, encrypted=True), secrets.token_bytes(32)
        records = []
        with Received(self.place.parent) as received:
            for name, content in FILES.items():
                record = Record("HomeDomain", name, 0o100644, len(content), 0, 0, 1, 3)
                sealed, stored = sealer.seal(record, content)
                records.append(sealed if digests else replace(sealed, digest=None))
                path = self.files[name] = self.place / record.stored
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(stored)
                received.note(path.name, hashlib.sha256(stored).digest())
        records.append(Record("HomeDomain", "directory", 0o040755, 0, 0, 0, 2, 3))
        assert records[-1].flags == DIRECTORY
        self.properties = {
            "IsEncrypted": True,
            "BackupKeyBag": keybag.data,
            "ManifestKey": manifest.wrap_key(key, keybag),
            "Lockdown": {"ProductVersion": "26.1"},
        }
        (self.place / "Manifest.db").write_bytes(manifest.seal(manifest.write_database(records), key))
        self.write("Manifest.plist", self.properties)
        self.write("Status.plist", {"SnapshotState": "finished"})
        self.write("Info.plist", {"Device Name": "iPhone"})

    def write(self, name: str, value: dict[str, object]) -> None:
        (self.place / name).write_bytes(plistlib.dumps(value))

    def read(self, password: str = PASSWORD) -> Reading:
        memory = self.directory / "memory"
        with Received(self.place.parent) as received:
            found = reread(self.place, password, received=received, memory=memory, alive=lambda _: None)
        assert not memory.exists()
        return found


@pytest.fixture(scope="module")
def keybag() -> KeyBag:
    return KeyBag.new(PASSWORD)


@pytest.fixture
def made(tmp_path, keybag) -> Made:
    return Made(tmp_path, keybag)


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch):
    """The disk of whoever runs this may be busy with something else."""
    monkeypatch.setattr("os.sync", lambda: None)


def test_a_whole_backup_has_no_fault(made):
    found = made.read()
    assert (found.files, found.faults) == (len(FILES), ())
    assert found.size == sum(path.stat().st_size for path in made.files.values())


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Made], object]] = {
    "is not what came from the phone": lambda made: flip(made.files["long"], 500_000),
    "is missing": lambda made: made.files["short"].unlink(),
    "came from the phone": lambda made: made.files["block"].write_bytes(made.files["block"].read_bytes()[:-16]),
    "is no file": lambda made: to_directory(made.files["short"]),
    "the manifest": lambda made: flip(made.place / "Manifest.db", 0),
    "Manifest.db is cut off": lambda made: (made.place / "Manifest.db").write_bytes(b"12345"),
    "Manifest.db is missing": lambda made: (made.place / "Manifest.db").unlink(),
    "Manifest.plist is missing": lambda made: (made.place / "Manifest.plist").unlink(),
    "Manifest.plist makes no sense": lambda made: (made.place / "Manifest.plist").write_bytes(b"garbage"),
    "Info.plist is missing": lambda made: (made.place / "Info.plist").unlink(),
    "not encrypted": lambda made: made.write("Manifest.plist", made.properties | {"IsEncrypted": False}),
    "not finished": lambda made: made.write("Status.plist", {"SnapshotState": "uploading"}),
    "does not open": lambda made: made.write("Manifest.plist", made.properties | {"ManifestKey": bytes(44)}),
    "no sense": lambda made: made.write("Manifest.plist", made.properties | {"BackupKeyBag": b"CLAS"}),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_every_damage_is_found(made, words):
    DAMAGES[words](made)
    found = made.read()
    assert found.faulty == 1
    assert words in found.faults[0]


def test_another_password_opens_nothing(made):
    assert made.read("wrong").faults == ("its password does not open it",)


def test_many_faults_are_counted(made, monkeypatch):
    monkeypatch.setattr("station.worker.reread.MAX_FAULTS", 2)
    for path in made.files.values():
        path.unlink()
    found = made.read()
    assert (len(found.faults), found.faults[-1]) == (3, "and 2 more")


def test_a_version_without_digests_is_held_to_what_was_received(tmp_path, keybag):
    made = Made(tmp_path, keybag, digests=False)
    assert made.read().faults == ()
    flip(made.files["long"], 500_000)
    assert "not what came" in made.read().faults[0]
    (made.place.parent.parent / "received.db").unlink(missing_ok=True)
    assert all("nobody knows" in fault for fault in made.read().faults)
