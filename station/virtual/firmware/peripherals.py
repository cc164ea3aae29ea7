"""What of a firmware is for the other chips of a model: the files, and what a build identity says of them.

Names, paths, flags and ids are those of Apple's manifests (iPhone X of iOS 11.2, iPhone 12 of iOS 26.2.1). Inside,
the files are invented, but for the table of Rose's images (pymobiledevice3 `restore/ftab.py`) and the property list
of Veridian (`get_veridian_firmware_data`). The two parts of the eUICC's file are its halves.
"""

import hashlib
import plistlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.virtual.firmware.baseband import make_bbfw
from station.virtual.firmware.components import FOURCCS, KIB, REQUEST_RULES
from station.virtual.phones.chips import CENTAURI, ROSE, SAVAGE_CHIP, VERIDIAN, YONKERS, Chips, Ids, chips_of

_FLAGS = ("IsFTAB", "IsLoadedByiBoot", "IsLoadedByiBootStage1", "IsiBootEANFirmware", "IsiBootNonEssentialFirmware")
SAVAGE_STEPPINGS = ("B0", "B2", "BA", "BE", "BF")
YONKERS_FABS = (0x1A01, 0x2A01, 0x2201, 0x3201, 0xEA01, 0xF201)
"""Each has a patch for development and one for production: SysTopPatch0, SysTopPatch1, …"""
YONKERS_FAB = 0xEA01
"""What these phones have; the log of an iPhone of 2023 asks for the same patch (idevicerestore#789)."""


@dataclass(frozen=True)
class Part:
    """One component for another chip."""

    name: str
    path: str
    content: bytes
    digested: bytes
    """What of the file its digest is over."""
    says: dict[str, Any]
    """Its entry in the manifest but for the path."""


def _part(name: str, path: str, content: bytes, digested: bytes | None = None, **says: Any) -> Part:
    digested = content if digested is None else digested
    return Part(name, path, content, digested, {"Digest": hashlib.sha256(digested).digest(), **says})


def fourcc(name: str) -> str:
    """The type a ticket names a component by. Most of those for other chips are not public, and invented here."""
    if name in FOURCCS:
        return FOURCCS[name]
    prefix, _, rest = name.partition(",")
    known = {"RTKitOS": "rkos", "RapRTKitOS": "rkos", "SoftwareBinaryDsp1": "sbd1", "RapSwBinDsp": "sbd1"}
    if prefix == "Savage":
        stepping, use, kind = rest.split("-")
        return f"{'v' if kind.endswith('VT') else 's'}{stepping}{use[0]}"
    return known.get(rest) or hashlib.sha256(name.encode()).hexdigest()[:4]


def equip(directory: Path, identity: dict[str, Any], product_type: str, *, build: str) -> None:
    """Write the files for a model's other chips, and say in its build identity what they are."""
    chips = chips_of(product_type)
    manifest = identity["Manifest"]
    identity |= _ids(chips)
    for part in _parts(chips, build):
        target = directory / part.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(part.content)
        info: dict[str, Any] = {"Path": part.path}
        if not part.name.startswith("eUICC,"):
            info |= dict.fromkeys(_FLAGS, False) | {"Personalize": True}
        manifest[part.name] = {**part.says, "Info": info | part.says.get("Info", {})}
    if chips.baseband is not None:
        path = f"Firmware/{chips.baseband.family}-1.00.00.Release.bbfw"
        says = make_bbfw(directory / path, chips.baseband, f"{build}/{path}")
        manifest["BasebandFirmware"] = {**says, "Info": {"Path": path}}


def _ids(chips: Chips) -> Iterator[tuple[str, Any]]:
    """What a build identity says of the chips themselves."""
    if chips.baseband is not None:
        length = 48 if chips.baseband.family in ("Mav20", "Mav21", "Mav25") else 32
        yield "BbChipID", f"0x{chips.baseband.chip_id:08X}"
        yield "BbActivationManifestKeyHash", hashlib.shake_256(b"activation").digest(length)
        yield "BbProvisioningManifestKeyHash", hashlib.shake_256(b"provisioning").digest(length)
        yield "BbFDRSecurityKeyHash", b""
    if chips.secure_element is not None:
        yield "SE,ChipID", f"0x{chips.secure_element:X}"
    if chips.euicc is not None:
        yield "eUICC,ChipID", chips.euicc
    if chips.face_id is not None:
        yield "PearlCertificationRootPub", b"\x04" + hashlib.shake_256(b"pearl").digest(96)
        yield "Savage,ChipID", f"0x{SAVAGE_CHIP:02X}"
        yield "Savage,PatchEpoch", "0x00"
        yield "Yonkers,BoardID", YONKERS.board
        yield "Yonkers,ChipID", f"0x{YONKERS.chip:X}"
        yield "Yonkers,PatchEpoch", 0
    if chips.rose:
        yield from _named("Rap", ROSE)
        yield "Rap,SecurityDomain", 1
    if chips.centauri:
        yield from _named("Wireless1", CENTAURI)
        yield "Wireless1,SecurityDomain", 1
    if chips.veridian:
        yield from _named("BMU", VERIDIAN)


def _named(prefix: str, ids: Ids) -> Iterator[tuple[str, Any]]:
    yield f"{prefix},BoardID", ids.board
    yield f"{prefix},ChipID", ids.chip


def _parts(chips: Chips, build: str) -> Iterator[Part]:
    if chips.secure_element is not None:
        content = _content(f"{build}/sefw", 64 * KIB)
        digest = hashlib.sha256(content).digest()
        hashes = {"DevelopmentUpdatePayloadHash": digest, "ProductionUpdatePayloadHash": digest}
        yield Part("SE,UpdatePayload", "Firmware/SE/Stockholm7.RELEASE.sefw", content, content, hashes)
    if chips.euicc is not None:
        content = _content(f"{build}/vinyl", 16 * KIB)
        gold, main = content[: 8 * KIB], content[8 * KIB :]
        yield _part("eUICC,Gold", "Firmware/vinyl_06.vnlfw", content, gold)
        yield _part("eUICC,Main", "Firmware/vinyl_06.vnlfw", content, main)
    if chips.face_id is not None:
        yield from _face_id(build)
    if chips.veridian:
        firmware = {"FirmwareImage": _content(f"{build}/veridian", 4 * KIB)}
        yield _part("BMU,DigestMap", "Firmware/Veridian/X1653/DigestMap.der", _content(f"{build}/map", KIB))
        yield _part("BMU,FirmwareMap", "Firmware/Veridian/X1653/FirmwareMap.plist", plistlib.dumps(firmware))
    if chips.rose:
        yield from _images("Rap", "Firmware/Rose/r1p1/ftab.bin", build, "SoftwareBinaryDsp1")
        for part in _images("SE", "Firmware/Rose/r1p1/ftab.bin", build, "RapSwBinDsp", system="RapRTKitOS"):
            kind = {"Img4PayloadType": fourcc(part.name), "IsFTAB": True, "Personalize": False}
            yield Part(part.name, part.path, part.content, part.digested, {"Digest": part.says["Digest"], "Info": kind})
    if chips.centauri:
        yield from _images("Wireless1", "Firmware/Centauri/ftab.bin", build, "SoftwareBinaryDsp1")


def _face_id(build: str) -> Iterator[Part]:
    for stepping in SAVAGE_STEPPINGS:
        for use in ("Dev", "Prod"):
            path = f"Firmware/Savage/Savage.{stepping}-{use}"
            yield _part(f"Savage,{stepping}-{use}-Patch", f"{path}.fw", _content(f"{build}/{path}", 114))
            if stepping in ("B0", "B2"):
                yield _part(f"Savage,{stepping}-{use}-PatchVT", f"{path}.vt.fw", b"")
    for number in range(2 * len(YONKERS_FABS)):
        fab, use = YONKERS_FABS[number // 2], ("Dev", "Prod")[number % 2]
        path = f"Firmware/Yonkers/Yonkers.{fab:04X}_{use}.fw"
        content = _content(f"{build}/{path}", 776)
        yield _part(f"Yonkers,SysTopPatch{number:X}", path, content, EPRO=use == "Prod", FabRevision=fab)


def _images(prefix: str, path: str, build: str, dsp: str, *, system: str = "RTKitOS") -> Iterator[Part]:
    """A table of images and the components in it, which are digested one by one."""
    contents = {tag: _content(f"{build}/{path}/{tag}", 16 * KIB) for tag in ("rkos", "sbd1")}
    table = make_ftab(contents)
    for name, tag in ((system, "rkos"), (dsp, "sbd1")):
        says = {
            "Digest": hashlib.sha384(contents[tag]).digest(),
            "Info": {"IsFTAB": True, "RestoreRequestRules": REQUEST_RULES},
            "Trusted": True,
        }
        yield Part(f"{prefix},{name}", path, table, contents[tag], says)


def make_ftab(contents: dict[str, bytes]) -> bytes:
    """A table of images, each by its type (four letters)."""
    offset = 48 + 16 * len(contents)
    table = struct.pack("<II24x4s4sII", 1, 0xFFFFFFFF, b"rkos", b"ftab", len(contents), 0)
    for tag, content in contents.items():
        table += struct.pack("<4sIII", tag.encode(), offset, len(content), 0)
        offset += len(content)
    return table + b"".join(contents.values())


def _content(seed: str, size: int) -> bytes:
    return hashlib.shake_256(seed.encode()).digest(size)
