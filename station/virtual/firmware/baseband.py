"""Baseband firmware (.bbfw): a zip file of a few programs for the modem, some of which have a signature at their end.

Which elements a family has, their files and what a manifest says of them follow Apple's manifests (iOS 11 to 26)
and pymobiledevice3 `restore/restore.py` (`sign_bbfw`) and `restore/mbn.py`. What the digests are computed over is
not public, except that a PartialDigest holds the size of the signature, the size of what comes before it, and the
state of a hash over that; here it is that hash. The host asks Apple for the signatures, puts them in ("stitches"),
adds the ticket as `bbticket.der`, and leaves out what is no program.
"""

import hashlib
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from station.virtual.firmware import der
from station.virtual.phones.chips import Baseband

TICKET = "bbticket.der"
"""Where in the zip file the host puts the ticket."""
_SIZE = 8 * 1024
"""Bytes of each element; real ones have up to 60 MiB."""
_V7_TRAILER = 0x1000


class Form(Enum):
    """What an element's file begins with."""

    PLAIN = "plain"
    MBN = "mbn"
    BIN = "bin"
    ELF = "elf"
    """ELF whose last segment holds a signature of MBN version 7: header, metadata, hashes, signature, certificates."""


@dataclass(frozen=True)
class Element:
    """One program."""

    name: str
    file: str
    says: tuple[str, ...]
    """What a manifest says of it: "<name>-<this>"."""
    form: Form = Form.PLAIN
    trailer: int = 0
    """Bytes of signature at its end; 0: it is not signed by itself."""


def _data(name: str, file: str, *, hashed: bool = True) -> Element:
    return Element(name, file, ("DownloadDigest", "HashTableDigest") if hashed else ("DownloadDigest",))


def _boot(name: str, file: str, form: Form, trailer: int, *more: str) -> Element:
    return Element(name, file, ("PartialDigest", *more), form, trailer)


def _maverick(*boot: Element) -> tuple[Element, ...]:
    """A Qualcomm modem's elements: those of its boot loaders, and the rest."""
    return (
        *boot,
        _data("ACDB", "acdb.mbn", hashed=False),
        _data("APPS", "apps.mbn"),
        _data("BBCFG", "bbcfg.mbn", hashed=False),
        _data("MBA", "mba.mbn"),
        _data("QDSP6SW", "qdsp6sw.mbn"),
        _data("RPM", "rpm.mbn"),
        _data("TZ", "tz.mbn"),
    )


def _ice(psi: tuple[Element, ...], *names: str) -> tuple[Element, ...]:
    """An Intel modem's elements."""
    more = (_data("BBCFG", "bbcfg.bin", hashed=False), _data("EBL", "ebl.bin", hashed=False))
    return (*psi, *more, *(_data(name, "SYS_SW.elf" if name == "SystemSW" else f"{name}.elf") for name in names))


def _psi(number: str = "") -> tuple[Element, ...]:
    return (
        _boot(f"PSI{number}", f"psi_ram{number}.bin", Form.BIN, 0x84, "Version"),
        _boot(f"RestorePSI{number}", f"restorepsi{number}.bin", Form.BIN, 0x84, "Version"),
    )


_BODY = ("HashTableBody", "HashTableHeaderDefault")
_MAV_SETTINGS = (_data("ACDB", "acdb.mbn", hashed=False), _data("BBCFG", "bbcfg.mbn", hashed=False))
_MAV20 = (
    _boot("Misc", "multi_image.mbn", Form.MBN, 0x11A0, *_BODY),
    _boot("RestoreSBL1", "restoresbl1.mbn", Form.MBN, 0x1440, *_BODY, "Version"),
    _boot("SBL1", "sbl1.mbn", Form.MBN, 0x1440, *_BODY, "Version"),
    *_MAV_SETTINGS,
)
_ICE17 = _ice(_psi(), "2GFW", "3GFW", "AudioFW", "DebugFW", "LTEFW", "RFFW", "SystemSW", "TDSFW")

FAMILIES: dict[str, tuple[Element, ...]] = {
    "Mav13": _maverick(
        _boot("RestoreSBL1", "restoresbl1.mbn", Form.MBN, 0x58, "Version"),
        _boot("SBL1", "sbl1.mbn", Form.MBN, 0x68, "Version"),
    ),
    **dict.fromkeys(
        ("Mav16", "Mav17"),
        _maverick(
            _boot("RestoreSBL1", "restoresbl1.mbn", Form.MBN, 0x1900, "HashTableDigest", "Version"),
            _boot("SBL1", "sbl1.mbn", Form.MBN, 0x1900, "HashTableDigest", "Version"),
        ),
    ),
    **dict.fromkeys(("Mav20", "Mav21"), _MAV20),
    "Mav25": (
        _boot("Misc", "multi_image.mbn", Form.ELF, _V7_TRAILER, *_BODY),
        _boot("RestoreSBL1", "restorexbl_sc.elf", Form.ELF, _V7_TRAILER, *_BODY, "Version"),
        _boot("SBL1", "xbl_sc.elf", Form.ELF, _V7_TRAILER, *_BODY, "Version"),
        _boot("TME", "signed_firmware_soc_view.elf", Form.ELF, _V7_TRAILER, *_BODY),
        *_MAV_SETTINGS,
    ),
    "ICE16": _ice(_psi(), "LTEFW", "SystemSW", "TDSFW"),
    **dict.fromkeys(("ICE17", "ICE18"), _ICE17),
    "ICE19": (*_psi("2"), *_ICE17),
}


def make_bbfw(path: Path, baseband: Baseband, seed: str) -> dict[str, bytes | int]:
    """Write a baseband firmware, and return what a manifest says of it."""
    says: dict[str, bytes | int] = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo("Info.plist"), b"")  # what the host is to leave out
        for element in FAMILIES[baseband.family]:
            content = _content(element, f"{seed}/{element.file}")
            archive.writestr(zipfile.ZipInfo(element.file), content)
            says |= measure(baseband, element, content)
            if "Version" in element.says:
                says[f"{element.name}-Version"] = -int.from_bytes(content[-4:]) >> 1
    return says


def measure(baseband: Baseband, element: Element, content: bytes) -> dict[str, bytes]:
    """What is to be said of an element with this content; a version does not follow from it."""
    covered = content[: len(content) - element.trailer]
    modern = int(baseband.family[3:]) >= 20
    digest = hashlib.sha384 if modern else hashlib.sha256
    state = hashlib.sha512 if modern else hashlib.sha256
    body = b"".join(digest(covered[at : at + 4096]).digest() for at in range(0, len(covered), 4096))
    values = {
        "DownloadDigest": lambda: digest(content).digest(),
        "HashTableBody": lambda: body,
        "HashTableDigest": lambda: digest(body).digest(),
        "HashTableHeaderDefault": lambda: struct.pack("<5I", 0, 6, 0, 0, len(body)).ljust(168, b"\0"),
        "PartialDigest": lambda: struct.pack("<II", element.trailer, len(covered)) + state(covered).digest(),
    }
    return {f"{element.name}-{said}": values[said]() for said in element.says if said in values}


def signature_sizes(firmware: Mapping[str, object]) -> dict[str, int]:
    """For each element that wants a signature, how many bytes of it: what the request of a ticket says of them."""
    sizes = {}
    for name, value in firmware.items():
        element, _, said = name.partition("-")
        if said == "PartialDigest" and isinstance(value, bytes) and len(value) > 8:
            sizes[element] = int.from_bytes(value[:4], "little")
    return sizes


def encode_elements(elements: Mapping[str, bytes]) -> bytes:
    """Elements and what is signed of them, as a ticket holds it (DER)."""
    pairs = (der.encode(der.SEQUENCE, der.text(name), der.encode(der.OCTETS, said)) for name, said in elements.items())
    return der.encode(der.SEQUENCE, *pairs)


def decode_elements(data: bytes) -> dict[str, bytes]:
    """What `encode_elements` wrote. Raises DerError."""
    (outer,) = der.only(memoryview(data), der.SEQUENCE)
    pairs = (der.only(pair.content, der.IA5, der.OCTETS) for pair in der.elements(outer.content))
    return {name.text(): bytes(said.content) for name, said in pairs}


def v7_signature(size: int, content: bytes) -> bytes:
    """A signature of MBN version 7: its header, then `content` as metadata, hashes, signature and certificates."""
    signature, chain, metadata = 0x68, 0xD20, 0xE0
    hashes = size - 40 - metadata - signature - chain
    return (struct.pack("<10I", 0, 7, 0, 0, metadata, hashes, 0, 0, signature, chain) + content)[:size]


def _content(element: Element, seed: str) -> bytes:
    body = hashlib.shake_256(seed.encode()).digest(_SIZE)
    trailer = hashlib.shake_256(f"{seed}/unsigned".encode()).digest(element.trailer)
    size = _SIZE + element.trailer
    match element.form:
        case Form.MBN:
            head = struct.pack("<10I", 0x0A, 3, 0, 0, size - 40, _SIZE, 0, 0, 0, 0)
        case Form.BIN:
            head = struct.pack("<8sIIII", b"\0\x04\x00\xea\x6c\x69\x48\x55", 0, 1, size, 0)
        case Form.ELF:
            head = _elf_head(_SIZE, element.trailer)
            trailer = v7_signature(element.trailer, trailer)
        case Form.PLAIN:
            head = b""
    return head + body[len(head) :] + trailer


def _elf_head(covered: int, trailer: int) -> bytes:
    """The headers of a 64-bit ELF file with two segments: everything, and the signature after it."""
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, 2, 164, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = ((0, covered), (covered, trailer))
    return header + b"".join(struct.pack("<IIQQQQQQ", 1, 0, at, 0, 0, size, size, 1) for at, size in segments)
