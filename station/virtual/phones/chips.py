"""The other chips of each model: what has firmware of its own that a restore brings along.

Sources: Apple's build manifests (iOS 11 to 26: chip and board ids of iPhone 6s, 7, 8, X, 12), the table of baseband
certificates that public signing tools share (pytatsu, tsschecker), restore logs (idevicerestore #196 #347 #370 #492
#552 #658 #764 #789), a public `ideviceinfo` of an iPhone 13, and pymobiledevice3 `restore/tss.py` (Mav25, A19).
Of the basebands of iPhone 14 to 16 no source at hand has the ids: those phones are given the one of iPhone 13 here.
"""

import hashlib
from dataclasses import dataclass
from enum import Enum

QUALCOMM, INTEL = 3, 2
"""VendorID, as the phone says it of its baseband."""


@dataclass(frozen=True)
class Baseband:
    """A modem."""

    family: str
    """The name its firmware goes by: "Mav20" (Qualcomm), "ICE18" (Intel)."""
    chip_id: int
    cert_id: int
    """Which of Apple's certificates it trusts: `BbGoldCertId`."""
    vendor_id: int

    @property
    def serial_length(self) -> int:
        """Bytes of its serial number."""
        return 12 if self.vendor_id == INTEL else 4


@dataclass(frozen=True)
class Ids:
    """What Apple's manifests, and the chips themselves, call a kind of chip."""

    chip: int
    board: int


ROSE = Ids(8198, 264)
CENTAURI = Ids(0x7C00, 2)
VERIDIAN = Ids(57601, 5715)
YONKERS = Ids(0x414, 0)
SAVAGE_CHIP = 0x01


class FaceId(Enum):
    """The kind of camera chip; both are updated by the updater "Savage"."""

    SAVAGE = "Savage"
    YONKERS = "Yonkers"


@dataclass(frozen=True, kw_only=True)
class Chips:
    """What a model has beside its application processor. None or False: it does not have it."""

    baseband: Baseband | None = None
    secure_element: int | None = None
    """`SE,ChipID`: the chip for payments."""
    euicc: int | None = None
    """`eUICC,ChipID`: the chip for electronic SIM cards."""
    face_id: FaceId | None = None
    savage_revision: int = 0xA0
    """The first byte of Savage's revision: 0x3n is a B2, 0xAn a BA."""
    rose: bool = False
    """Ultra-wideband."""
    veridian: bool = False
    """The battery's gas gauge ("T200")."""
    centauri: bool = False
    """Wi-Fi, Bluetooth and ultra-wideband in one."""


MAV13 = Baseband("Mav13", 0x9210E1, 3840149528, QUALCOMM)
MAV16 = Baseband("Mav16", 0x9540E1, 2315222105, QUALCOMM)
MAV17 = Baseband("Mav17", 0x3B0E1, 2315222105, QUALCOMM)
MAV20 = Baseband("Mav20", 0xE50E1, 3095201109, QUALCOMM)
MAV21 = Baseband("Mav21", 0x1440E1, 495958265, QUALCOMM)
MAV25 = Baseband("Mav25", 0x1F30E1, 495958265, QUALCOMM)
ICE16 = Baseband("ICE16", 0x60, 1421084145, INTEL)
ICE17 = Baseband("ICE17", 0x65, 524245983, INTEL)
ICE18 = Baseband("ICE18", 0x67, 165673526, INTEL)
ICE19 = Baseband("ICE19", 0x68, 524245983, INTEL)

_SAVAGE, _YONKERS = FaceId.SAVAGE, FaceId.YONKERS
_IPHONE_7 = Chips(baseband=MAV16, secure_element=0x73)
_IPHONE_7_GSM = Chips(baseband=ICE16)
_IPHONE_8 = Chips(baseband=MAV17, secure_element=0x73)
_IPHONE_8_GSM = Chips(baseband=ICE17, secure_element=0x73)
_IPHONE_X = Chips(baseband=MAV17, secure_element=0x73, face_id=_SAVAGE, savage_revision=0x30)
_IPHONE_X_GSM = Chips(baseband=ICE17, secure_element=0x73, face_id=_SAVAGE, savage_revision=0x30)
_A12 = Chips(baseband=ICE18, secure_element=0xC8, euicc=5, face_id=_YONKERS)
_A13 = Chips(baseband=ICE19, secure_element=0xC8, euicc=5, face_id=_SAVAGE, rose=True, veridian=True)
_A14 = Chips(baseband=MAV20, secure_element=0xD2, euicc=6, face_id=_SAVAGE, rose=True, veridian=True)
_A15 = Chips(baseband=MAV21, secure_element=0xD2, euicc=6, face_id=_YONKERS, rose=True, veridian=True)
_A19 = Chips(baseband=MAV25, secure_element=0x37, euicc=6, face_id=_YONKERS, centauri=True, veridian=True)

_BY_PRODUCT_TYPE: dict[Chips, tuple[str, ...]] = {
    Chips(baseband=MAV13): ("iPhone8,1", "iPhone8,2", "iPhone8,4"),
    _IPHONE_7: ("iPhone9,1", "iPhone9,2"),
    _IPHONE_7_GSM: ("iPhone9,3", "iPhone9,4"),
    _IPHONE_8: ("iPhone10,1", "iPhone10,2"),
    _IPHONE_8_GSM: ("iPhone10,4", "iPhone10,5"),
    _IPHONE_X: ("iPhone10,3",),
    _IPHONE_X_GSM: ("iPhone10,6",),
    _A12: ("iPhone11,2", "iPhone11,4", "iPhone11,6", "iPhone11,8"),
    _A13: ("iPhone12,1", "iPhone12,3", "iPhone12,5"),
    Chips(baseband=ICE19, secure_element=0xC8, euicc=5): ("iPhone12,8",),
    _A14: ("iPhone13,1", "iPhone13,2", "iPhone13,3", "iPhone13,4"),
    _A15: (
        *(f"iPhone14,{number}" for number in (2, 3, 4, 5, 7, 8)),
        *(f"iPhone15,{number}" for number in (2, 3, 4, 5)),
        *(f"iPhone16,{number}" for number in (1, 2)),
        *(f"iPhone17,{number}" for number in (1, 2, 3, 4)),
    ),
    Chips(baseband=MAV21, secure_element=0xD2, euicc=6): ("iPhone14,6",),
    _A19: (*(f"iPhone18,{number}" for number in (1, 2, 3)), *(f"iPhone19,{number}" for number in (1, 2))),
    Chips(baseband=ICE19, euicc=5): ("iPad12,2",),
}
_CHIPS = {product_type: chips for chips, product_types in _BY_PRODUCT_TYPE.items() for product_type in product_types}


def burnt_in(ecid: int, what: str, length: int) -> bytes:
    """What makes one chip differ from all others of its kind, as a serial number: the same for the same phone.

    Args:
        ecid: the phone's.
        what: which chip, and what of it.
        length: bytes.
    """
    return hashlib.shake_256(f"{what} {ecid}".encode()).digest(length)


def chips_of(product_type: str) -> Chips:
    """The other chips of a model. One that is not in the table has none: an iPad without a SIM card."""
    return _CHIPS.get(product_type, Chips())
