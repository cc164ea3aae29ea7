"""A miniature IPSW: read by the library's own parser, held against Apple's manifests where they are at hand."""

import hashlib
import plistlib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ipsw_parser.ipsw import IPSW
from pymobiledevice3.restore.ftab import Ftab
from pymobiledevice3.restore.img4 import COMPONENT_FOURCC

from station.virtual.firmware.components import COMPONENTS, FOURCCS, VARIANTS
from station.virtual.firmware.image4 import digest, make_im4p, parse_img4
from station.virtual.firmware.ipsw import make_ipsw, zip_ipsw
from station.virtual.firmware.root_hash import root_hash
from station.virtual.phones.models import find_model

REAL = Path(__file__).parents[3] / "shared/facts/real/manifests/23C71-iPhone13,2_iPhone13,3.plist"
ERASE = "Customer Erase Install (IPSW)"


@pytest.fixture(scope="module")
def apples():
    if not REAL.exists():
        pytest.skip("Apple's manifests (../shared/facts/real) are not here")
    return plistlib.loads(REAL.read_bytes())["BuildIdentities"]


@pytest.mark.parametrize("behavior", ["Erase", "Update"])
@pytest.mark.parametrize("board", ["d53gap", "d17ap"])
def test_the_library_finds_each_boards_identity(ipsw, board, behavior):
    manifest = IPSW.create_from_path(str(ipsw)).build_manifest
    variant = {"Erase": "Erase Install (IPSW)", "Update": "Upgrade Install (IPSW)"}[behavior]
    for options in ({"restore_behavior": behavior}, {"variant": variant}):
        identity = manifest.get_build_identity(board, **options)
        assert identity["Info"]["Variant"].startswith("Customer ")
        assert (identity.device_class, identity.restore_behavior) == (board, behavior)
    assert (manifest.product_version, manifest.product_build_version) == ("26.2.1", "23C71")
    assert manifest.supported_product_types == ["iPhone13,2", "iPhone14,5"]


def test_every_identity_has_its_own_name(identities):
    assert len(identities) == 2 * len(VARIANTS) == len({identity["UniqueBuildID"] for identity in identities})


def test_every_digest_is_that_of_what_the_phone_gets(ipsw, identities):
    for identity in identities:
        for component in COMPONENTS:
            entry = identity["Manifest"][component.name]
            if "Digest" not in entry or component.name.startswith(("Rap,", "SE,")):
                continue
            content = (ipsw / entry["Info"]["Path"]).read_bytes()
            if component.image4:
                image, ticket = parse_img4(content)
                assert ticket is None
                assert image.fourcc == (component.file_fourcc or component.fourcc)
                content = make_im4p(component.fourcc or "", image.payload)
            assert entry["Digest"] == digest(content), component.name


def test_root_hashes_are_those_of_the_images(ipsw, identities):
    manifest = identities[0]["Manifest"]
    system = (ipsw / manifest["OS"]["Info"]["Path"]).read_bytes()
    hashes = {
        "SystemVolume": root_hash(system),
        "StaticTrustCache": root_hash(system),
        "Cryptex1,SystemVolume": manifest["Cryptex1,SystemOS"]["Digest"],
    }
    for name, expected in hashes.items():
        carried, _ = parse_img4((ipsw / manifest[name]["Info"]["Path"]).read_bytes())
        assert carried.payload == expected


def test_erase_and_update_differ_in_the_ramdisk_alone(identities):
    erase, update = (identities[at]["Manifest"] for at in (0, 2))
    assert {name for name in erase if erase[name] != update[name]} == {"RestoreRamDisk", "RestoreTrustCache"}


def test_a_table_of_firmwares_is_one(ipsw, identities):
    manifest = identities[0]["Manifest"]
    table = Ftab((ipsw / manifest["Rap,RTKitOS"]["Info"]["Path"]).read_bytes())
    assert table.tag == b"rkos"
    for name, tag in (("Rap,RTKitOS", b"rkos"), ("SE,RapSwBinDsp", b"sbd1")):
        data = table.get_entry_data(tag)
        assert data is not None
        assert hashlib.sha384(data).digest() == manifest[name]["Digest"]


def manifest_of(ipsw: Path) -> dict[str, Any]:
    found: dict[str, Any] = plistlib.loads((ipsw / "BuildManifest.plist").read_bytes())["BuildIdentities"][0][
        "Manifest"
    ]
    return found


def test_no_two_chunks_of_an_image_are_alike(tmp_path):
    ipsw = make_ipsw(tmp_path / "ipsw", version="18.0", build="22A1", models=[find_model("iPhone 8")], os_bytes=5 << 20)
    image = (ipsw / manifest_of(ipsw)["OS"]["Info"]["Path"]).read_bytes()
    assert len(image) == 5 << 20
    chunks = [image[at : at + (128 << 10)] for at in range(0, len(image), 128 << 10)]
    assert len(set(chunks)) == len(chunks)


def test_the_same_arguments_make_the_same_files(tmp_path):
    options: dict[str, Any] = {
        "version": "18.0",
        "build": "22A1",
        "models": [find_model("iPhone 8")],
        "os_bytes": 100_000,
    }
    one, two = (make_ipsw(tmp_path / name, **options) for name in ("one", "two"))
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    assert all((one / file).read_bytes() == (two / file).read_bytes() for file in files)


def test_encrypted_archives_look_like_it(tmp_path):
    ipsw = make_ipsw(
        tmp_path / "i", version="18.0", build="22A1", models=[find_model("iPhone 8")], os_bytes=100_000, aea=True
    )
    manifest = manifest_of(ipsw)
    for name in ("OS", "Cryptex1,SystemOS"):
        assert manifest[name]["Info"]["Path"].endswith(".dmg.aea")
        assert (ipsw / manifest[name]["Info"]["Path"]).read_bytes().startswith(b"AEA1")


def test_a_directory_in_use_is_left_alone(tmp_path):
    (tmp_path / "somebody's").touch()
    with pytest.raises(FileExistsError):
        make_ipsw(tmp_path, version="18.0", build="22A1", models=[find_model("iPhone 8")])


def test_zipped_it_is_the_same_and_stored(ipsw, tmp_path):
    with zipfile.ZipFile(zip_ipsw(ipsw, tmp_path / "f.ipsw")) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert sorted(archive.namelist()) == sorted(
            path.relative_to(ipsw).as_posix() for path in ipsw.rglob("*") if path.is_file()
        )
        assert archive.read("BuildManifest.plist") == (ipsw / "BuildManifest.plist").read_bytes()


def test_image_types_are_the_librarys():
    shared = FOURCCS.keys() & COMPONENT_FOURCC.keys()
    assert {name: FOURCCS[name] for name in shared} == {name: COMPONENT_FOURCC[name] for name in shared}


def test_flags_are_apples(apples):
    theirs = apples[0]["Manifest"]
    for component in COMPONENTS:
        info = theirs[component.name]["Info"]
        assert {key for key, value in info.items() if value is True} - {"Personalize"} == set(component.flags)
        assert info["Personalize"] if component.personalized else not info.get("Personalize")
        assert theirs[component.name].get("Trusted") == component.trusted, component.name
        assert ("RestoreRequestRules" in info) == component.rules


def test_manifest_has_apples_shape(identities, apples):
    """Everything ours says, Apple's says too, of the same type; what ours leaves out is not asked for."""
    for ours, theirs in zip(identities[:2], apples, strict=False):
        # Found in other manifests, not in this one.
        extra = {"Cryptex1,UseProductClass"}
        assert {key: type(value) for key, value in ours.items() if key not in extra}.items() <= {
            key: type(value) for key, value in theirs.items()
        }.items()
        assert set(ours["Info"]) - {"RequiresUIDMode"} <= set(theirs["Info"])
        for name, entry in ours["Manifest"].items():
            assert set(entry) <= set(theirs["Manifest"][name]), name
            assert set(entry["Info"]) <= set(theirs["Manifest"][name]["Info"]), name
    assert [identity["Info"]["Variant"] for identity in identities[::2]] == list(
        dict.fromkeys(identity["Info"]["Variant"] for identity in apples)
    )
    assert identities[0]["Ap,OSLongVersion"] == apples[0]["Ap,OSLongVersion"]
