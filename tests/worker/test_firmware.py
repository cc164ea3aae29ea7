"""The one identity that fits, or none; and files that are there, or not sent."""

import gc
import hashlib
import plistlib
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ipsw_parser.exceptions import NoSuchBuildIdentityError

from station.adapters import leases
from station.core.models import model_of_serial
from station.model.causes import Cause
from station.model.firmware import Firmware
from station.worker.failures import JobFailed, explain
from station.worker.firmware import FirmwareDirectory, StrictManifest, check_files, open_firmware

ERASE, RESEARCH, UPDATE = (
    "Customer Erase Install (IPSW)",
    "Research Customer Erase Install (IPSW)",
    "Customer Upgrade Install (IPSW)",
)
LIBRARY_ASKS_FOR = "Erase Install (IPSW)"
LIBRARY_ASKS_FOR_UPDATE = "Upgrade Install (IPSW)"
REAL = Path(__file__).parents[3] / "shared/facts/real/manifests"


def identity(variant: str, behavior: str | None, device: str = "d53gap") -> dict[str, Any]:
    info = {"DeviceClass": device, "Variant": variant} | ({"RestoreBehavior": behavior} if behavior else {})
    return {"Info": info, "Manifest": {}, "UniqueBuildID": variant.encode()}


def manifest(*identities: dict[str, Any]) -> StrictManifest:
    return StrictManifest(None, plistlib.dumps({"BuildIdentities": list(identities), "ProductBuildVersion": "23C71"}))


def test_the_erase_identity_wherever_it_stands():
    identities = [identity(RESEARCH, None), identity(UPDATE, "Update"), identity(ERASE, "Erase")]
    for order in (identities, identities[::-1]):
        found = manifest(*order).get_build_identity("d53gap", "Erase", LIBRARY_ASKS_FOR)
        assert found["Info"]["Variant"] == ERASE
        found = manifest(*order).get_build_identity("d53gap", "Update", LIBRARY_ASKS_FOR_UPDATE)
        assert found["Info"]["Variant"] == UPDATE


@pytest.mark.parametrize(
    "asked",
    [
        ("d53gap", "Erase", ERASE),
        ("d53gap", "Update", LIBRARY_ASKS_FOR),
        ("d53gap", "Erase", LIBRARY_ASKS_FOR_UPDATE),
        ("d53gap", "Update", None),
        ("d53gap", None, "macOS Customer"),
        ("d54pap", "Erase", LIBRARY_ASKS_FOR),
    ],
)
def test_nothing_else_is_served(asked):
    with pytest.raises(NoSuchBuildIdentityError):
        manifest(identity(ERASE, "Erase"), identity(UPDATE, "Update")).get_build_identity(*asked)


@pytest.mark.parametrize(
    "identities",
    [[identity(ERASE, "Update")], [identity(ERASE, None)], [identity(ERASE, "Erase"), identity(ERASE, "Erase")]],
    ids=["updates", "unsaid", "twice"],
)
def test_a_manifest_that_contradicts_itself(identities):
    with pytest.raises(JobFailed) as failed:
        manifest(*identities).get_build_identity("d53gap", "Erase", LIBRARY_ASKS_FOR)
    assert failed.value.cause is Cause.FIRMWARE_CORRUPT


@pytest.mark.skipif(not REAL.is_dir(), reason="real manifests are not at hand")
def test_real_manifests():
    seen = 0
    for path in sorted(REAL.glob("*[0-9].plist")):
        strict = StrictManifest(None, path.read_bytes())
        for device in {each["Info"]["DeviceClass"] for each in strict.build_identities}:
            found = strict.get_build_identity(device, "Erase", LIBRARY_ASKS_FOR)
            assert (found["Info"]["Variant"], found["Info"]["RestoreBehavior"]) == (ERASE, "Erase")
            found = strict.get_build_identity(device, "Update", LIBRARY_ASKS_FOR_UPDATE)
            assert (found["Info"]["Variant"], found["Info"]["RestoreBehavior"]) == (UPDATE, "Update")
            seen += 1
    assert seen > 10


REALLY = pytest.mark.skipif(not REAL.is_dir(), reason="Apple's manifests (../shared/facts/real) are not here")


@REALLY
def test_the_right_one_for_each_model_and_behavior():
    """By chip and board, as a phone in recovery mode says them: what is chosen is for just that model."""
    served = set()
    for path in sorted(REAL.glob("*[0-9].plist")):
        raw = path.read_bytes()
        root, strict = plistlib.loads(raw), StrictManifest(None, raw)
        for device in {each["Info"]["DeviceClass"] for each in root["BuildIdentities"]}:
            for behavior, variant, asked in (
                ("Erase", ERASE, LIBRARY_ASKS_FOR),
                ("Update", UPDATE, LIBRARY_ASKS_FOR_UPDATE),
            ):
                found = strict.get_build_identity(device.upper(), behavior, asked)
                assert found["Info"]["DeviceClass"] == device
                assert [found] == [
                    each
                    for each in root["BuildIdentities"]
                    if (each["Info"]["DeviceClass"], each["Info"]["Variant"]) == (device, variant)
                ]
                chip, board = (int(found[key], 16) for key in ("ApChipID", "ApBoardID"))
                model = model_of_serial(f"CPID:{chip:04X} BDID:{board:02X}")
                assert model is None or model[0] in root["SupportedProductTypes"], device
                if model is not None:
                    served.add((model[0], root["ProductBuildVersion"], behavior))
    newest = {(model, behavior) for model, build, behavior in served if build == "23C71"}
    assert newest == {(f"iPhone13,{number}", behavior) for number in (2, 3) for behavior in ("Erase", "Update")}
    assert len({(model, build) for model, build, _ in served}) * 2 == len(served) >= 18


@REALLY
def test_a_manifest_in_which_everything_erases_is_refused_for_what_keeps_data():
    for path in (REAL / "tampered").glob("*.plist"):
        strict = StrictManifest(None, path.read_bytes())
        devices = {each["Info"]["DeviceClass"] for each in strict.build_identities}
        assert devices
        for device in devices:
            with pytest.raises(JobFailed) as failed:
                strict.get_build_identity(device, "Update", LIBRARY_ASKS_FOR_UPDATE)
            assert failed.value.cause is Cause.FIRMWARE_CORRUPT
            with pytest.raises(NoSuchBuildIdentityError):
                strict.get_build_identity(device, "Erase", LIBRARY_ASKS_FOR_UPDATE)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A firmware as the store has it: links to contents."""
    root, contents = tmp_path / "BUILD" / "ipsw", tmp_path / "objects" / "ab"
    (root / "Firmware").mkdir(parents=True)
    contents.mkdir(parents=True)
    (contents / "abcd").write_bytes(b"content")
    (tmp_path / "secret").write_bytes(b"secret")
    return root


def test_a_link_to_a_content_is_followed(stored):
    (stored / "Firmware" / "file").symlink_to("../../../objects/ab/abcd")
    assert FirmwareDirectory(stored).read("Firmware/file") == b"content"


@pytest.mark.parametrize(
    "target",
    [
        "../../../secret",
        "../../../objects/../secret",
        "../../../objects/ab/../../secret",
        "../../../objects/ab",
        "../../../objects/ab/none",
        "/etc/hostname",
        "file",
    ],
)
def test_no_other_link_is_followed(stored, target):
    (stored / "Firmware" / "file").symlink_to(target)
    with pytest.raises(FileNotFoundError):
        FirmwareDirectory(stored).read("Firmware/file")


@pytest.mark.parametrize("path", ["../../objects/ab/abcd", "Firmware/../../../objects/ab/abcd", "/etc/hostname"])
def test_contents_are_reached_by_links_only(stored, path):
    with pytest.raises(FileNotFoundError):
        FirmwareDirectory(stored).locate(path)


def test_a_content_that_is_a_link_is_none(stored):
    (stored.parents[1] / "objects" / "ab" / "link").symlink_to("../../secret")
    (stored / "file").symlink_to("../../objects/ab/link")
    with pytest.raises(FileNotFoundError):
        FirmwareDirectory(stored).locate("file")


@pytest.fixture
def copy(firmware: Firmware, tmp_path: Path) -> Firmware:
    """A firmware that may be damaged."""
    directory = shutil.copytree(firmware.directory, tmp_path / "copy")
    return msgspec.structs.replace(firmware, directory=str(directory))


def test_what_a_job_has_open_is_in_use(copy):
    ipsw = open_firmware(copy)
    assert leases.taken(Path(copy.directory).parent)
    open_firmware(copy)
    del ipsw
    gc.collect()
    assert not leases.taken(Path(copy.directory).parent)


def test_what_is_being_removed_is_missing(copy, monkeypatch):
    monkeypatch.setattr("station.adapters.leases._PATIENCE", 0)
    with leases.take_alone(Path(copy.directory).parent), pytest.raises(JobFailed) as failed:
        open_firmware(copy)
    assert failed.value.cause is Cause.FIRMWARE_MISSING


def erase_identity(firmware: Firmware) -> tuple[Any, Any]:
    ipsw = open_firmware(firmware)
    return ipsw, ipsw.build_manifest.get_build_identity("d53gap", "Erase", LIBRARY_ASKS_FOR)


def test_whole(firmware):
    check_files(*erase_identity(firmware))


def test_damaged_files_are_noticed(copy):
    ipsw, found = erase_identity(copy)
    ramdisk = Path(copy.directory) / found.get_component_path("RestoreRamDisk")
    ramdisk.write_bytes(b"")
    with pytest.raises(FileNotFoundError) as empty:
        check_files(ipsw, found)
    ramdisk.unlink()
    with pytest.raises(FileNotFoundError):
        check_files(ipsw, found)
    assert explain(empty.value).cause is Cause.FIRMWARE_CORRUPT


def test_another_manifest_is_noticed(copy):
    path = Path(copy.directory) / "BuildManifest.plist"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(JobFailed, match="not the one") as failed:
        open_firmware(copy)
    assert failed.value.cause is Cause.FIRMWARE_CORRUPT


def test_another_build_is_noticed(copy):
    with pytest.raises(JobFailed, match="another build"):
        open_firmware(msgspec.structs.replace(copy, build="23C72"))


def test_no_directory(firmware, tmp_path):
    with pytest.raises(JobFailed) as failed:
        open_firmware(msgspec.structs.replace(firmware, directory=str(tmp_path / "nowhere")))
    assert failed.value.cause is Cause.FIRMWARE_MISSING


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "inside/../../secret", "link", "a\0b", ".", ""])
def test_nothing_outside_is_read(tmp_path, path):
    root = tmp_path / "firmware"
    root.mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (root / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(FileNotFoundError):
        FirmwareDirectory(root).read(path)


def test_digest_of_the_manifest_names_the_firmware(firmware):
    raw = (Path(firmware.directory) / "BuildManifest.plist").read_bytes()
    assert hashlib.sha256(raw).hexdigest() == firmware.manifest_sha256
