"""Miniature firmware for the whole session: made and imported once, copied for a test that spoils it."""

import shutil
import tempfile
from pathlib import Path

import msgspec

from station.adapters import unpacked
from station.adapters.firmware import FirmwareStore
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.phones.models import find_model

KIB = 1024
VERSION, BUILD = "26.2", "23C55"

FAMILIES = (
    # Each is one IPSW, as Apple's are: what is spoilt in one leaves the others good.
    ("iPhone 12", "iPhone 8"),
    ("iPhone 11",),
    ("iPhone 13",),
    ("iPhone 14",),
    ("iPhone 15",),
)


def make_store(path: Path) -> FirmwareStore:
    """A store with one small firmware for each family."""
    store = FirmwareStore(path, reserve=0)
    for family in FAMILIES:
        with tempfile.TemporaryDirectory() as directory:
            ipsw = make_ipsw(
                Path(directory) / "ipsw",
                version=VERSION,
                build=BUILD,
                models=[find_model(name) for name in family],
                os_bytes=600 * KIB + 77,
                cryptex_bytes=200 * KIB + 5,
                ramdisk_bytes=100 * KIB,
            )
            store.import_ipsw(ipsw)
    return store


def copy_store(store: FirmwareStore, path: Path) -> FirmwareStore:
    """The same firmware elsewhere, as if it had been imported there."""
    shutil.copytree(store.path, path, symlinks=True)
    copied = FirmwareStore(path, reserve=0)
    for firmware in copied.list():
        copied.verify(firmware)  # reads all of it once, so that no job has to
    return copied


def spoil(store: FirmwareStore, product_type: str, file: str, *, unseen: bool = False) -> None:
    """Change one byte in the middle of a file of the newest firmware for a model.

    Args:
        store: where.
        product_type: whose firmware.
        file: a glob for its name; all that match are changed.
        unseen: as a disk that decays does it, without anything to be seen from outside the file.
    """
    firmware = store.every_for(product_type)[-1]
    found = list(Path(firmware.directory).rglob(file))
    assert found, file
    directory = Path(firmware.directory).parent
    digests = unpacked.read(directory)
    for path in found:
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.unlink()  # its content may be that of another firmware too
        path.write_bytes(data)
    if unseen:
        looks = unpacked._looks(directory, digests)
        (directory / "checked.json").write_bytes(msgspec.json.encode(looks))
