"""Models a virtual phone can be: the facts that decide which firmware fits, and how the phone describes itself.

Sources: the device table that libirecovery and pymobiledevice3 share (types, chips, boards); Apple's public pages of
technical specifications (capacities) and of supported systems; model numbers as shops list them. The model number
and capacities of the iPhone 18 Pro are made up in the same form.
"""

from dataclasses import dataclass
from enum import Enum

from station.model.base import Ecid
from station.virtual.phones.identity import Identity

REGION = "ZD/A"
"""Sold in Austria, Germany, France and others: `RegionInfo`."""
GB = 10**9


class Reader(Enum):
    """What recognizes an owner."""

    FACE = "Face ID"
    HOME = "Touch ID in the home button"
    TOP = "Touch ID in the top button"


@dataclass(frozen=True)
class Model:
    """One model. Chip and board together choose a build identity in a manifest."""

    name: str
    """The name on the box; with more in brackets where that does not say it all."""
    product_type: str
    hardware_model: str
    """As lockdown spells it."""
    chip_id: int
    board_id: int
    first: tuple[int, ...]
    """The first iOS it runs."""
    last: int | None
    """The last iOS that is made for it, by its first number; None: the newest."""
    capacities: tuple[int, ...]
    """The storage it is sold with, in 10⁹ bytes; the first is what one gets if one does not say."""
    model_number: str
    """Of one that has the first capacity."""
    reader: Reader = Reader.FACE
    """What recognizes its owner; with a home button, other buttons lead to recovery and DFU mode."""
    cellular: bool = True
    """Whether it has a baseband."""

    def identity(self, ecid: Ecid, *, gigabytes: int | None = None) -> Identity:
        """A phone of this model. Serial number and IMEI follow from the ECID: invented, and never a real one's.

        Args:
            ecid: its ECID.
            gigabytes: one of the capacities; None: the first. Raises ValueError: it is not sold with that.
        """
        if gigabytes is not None and gigabytes not in self.capacities:
            sold = ", ".join(map(str, self.capacities))
            raise ValueError(f"no {self.name} has {gigabytes} GB; there are {sold}")
        return Identity(
            ecid=ecid,
            product_type=self.product_type,
            hardware_model=self.hardware_model,
            chip_id=self.chip_id,
            board_id=self.board_id,
            serial_number=self._serial_number(ecid),
            imei=_test_imei(ecid) if self.cellular else None,
            capacity=(gigabytes or self.capacities[0]) * GB,
            model_number=self.model_number,
            region=REGION,
        )

    def refuse_version(self, version: str) -> None:
        """Raise ValueError, in plain words, when this iOS was never made for this model."""
        release = tuple(int(part) for part in version.split(".") if part.isdecimal())
        first = ".".join(map(str, self.first))
        if release < self.first:
            raise ValueError(f"there is no iOS {version} for the {self.name}: its first is {first}")
        if self.last is not None and release[0] > self.last:
            raise ValueError(f"there is no iOS {version} for the {self.name}: its last is {self.last}")

    def _serial_number(self, ecid: int) -> str:
        """Twelve characters, or ten as everything new since 2021 has; invented."""
        return f"VR{ecid % 10**8:08d}" if self.first >= (15,) else f"VRT{ecid % 10**9:09d}"


_FACE, _HOME, _TOP = Reader
_NO = False

MODELS = (
    Model("iPhone 6s", "iPhone8,1", "N71AP", 0x8000, 0x04, (9, 0), 15, (64, 16, 32, 128), "MKQN2", _HOME),
    Model("iPhone 6s (TSMC)", "iPhone8,1", "N71mAP", 0x8003, 0x04, (9, 0), 15, (64, 16, 32, 128), "MKQN2", _HOME),
    Model("iPhone SE", "iPhone8,4", "N69AP", 0x8003, 0x02, (9, 3), 15, (64, 16, 32, 128), "MLM62", _HOME),
    Model("iPhone 7", "iPhone9,1", "D10AP", 0x8010, 0x08, (10, 0), 15, (128, 32, 256), "MNH12", _HOME),
    Model("iPhone 8", "iPhone10,4", "D201AP", 0x8015, 0x0A, (11, 0), 16, (64, 128, 256), "MQ6G2", _HOME),
    Model("iPhone X", "iPhone10,6", "D221AP", 0x8015, 0x0E, (11, 1), 16, (64, 256), "MQAC2"),
    Model("iPhone XS", "iPhone11,2", "D321AP", 0x8020, 0x0E, (12, 0), 18, (64, 256, 512), "MT9E2"),
    Model("iPhone XR", "iPhone11,8", "N841AP", 0x8020, 0x0C, (12, 0), 18, (64, 128, 256), "MRY42"),
    Model("iPhone 11", "iPhone12,1", "N104AP", 0x8030, 0x04, (13, 0), None, (128, 64, 256), "MWM02"),
    Model("iPhone 11 Pro", "iPhone12,3", "D421AP", 0x8030, 0x06, (13, 0), None, (64, 256, 512), "MWC22"),
    Model("iPhone SE (2nd gen)", "iPhone12,8", "D79AP", 0x8030, 0x10, (13, 4), None, (64, 128, 256), "MX9R2", _HOME),
    Model("iPhone 12 mini", "iPhone13,1", "D52gAP", 0x8101, 0x0A, (14, 1), None, (64, 128, 256), "MGDX3"),
    Model("iPhone 12", "iPhone13,2", "D53gAP", 0x8101, 0x0C, (14, 1), None, (128, 64, 256), "MGJA3"),
    Model("iPhone 12 Pro", "iPhone13,3", "D53pAP", 0x8101, 0x0E, (14, 1), None, (128, 256, 512), "MGMK3"),
    Model("iPhone 13", "iPhone14,5", "D17AP", 0x8110, 0x0A, (15, 0), None, (128, 256, 512), "MLPF3"),
    Model("iPhone SE (3rd gen)", "iPhone14,6", "D49AP", 0x8110, 0x10, (15, 4), None, (64, 128, 256), "MMXF3", _HOME),
    Model("iPhone 14", "iPhone14,7", "D27AP", 0x8110, 0x18, (16, 0), None, (128, 256, 512), "MPUF3"),
    Model("iPhone 14 Pro", "iPhone15,2", "D73AP", 0x8120, 0x0C, (16, 0), None, (128, 256, 512, 1000), "MPXV3"),
    Model("iPhone 15", "iPhone15,4", "D37AP", 0x8120, 0x08, (17, 0), None, (128, 256, 512), "MTP03"),
    Model("iPhone 15 Pro", "iPhone16,1", "D83AP", 0x8130, 0x04, (17, 0), None, (128, 256, 512, 1000), "MTUV3"),
    Model("iPhone 16", "iPhone17,3", "D47AP", 0x8140, 0x08, (18, 0), None, (128, 256, 512), "MYE73"),
    Model("iPhone 16 Plus", "iPhone17,4", "D48AP", 0x8140, 0x0A, (18, 0), None, (128, 256, 512), "MXWN3"),
    Model("iPhone 17", "iPhone18,3", "V57AP", 0x8150, 0x08, (26, 0), None, (256, 512), "MG6J4"),
    Model("iPhone 17 Pro", "iPhone18,1", "V53AP", 0x8150, 0x0C, (26, 0), None, (256, 512, 1000), "MG8G4"),
    Model("iPhone 18 Pro", "iPhone19,2", "V63AP", 0x8160, 0x0A, (27, 0), None, (256, 512, 1000), "MVRT4"),
    Model("iPad (9th gen, cellular)", "iPad12,2", "J182AP", 0x8030, 0x1A, (15, 0), None, (64, 256), "MK473", _HOME),
    Model("iPad (10th generation)", "iPad13,18", "J271AP", 0x8101, 0x14, (16, 1), None, (64, 256), "MPQ03", _TOP, _NO),
    Model("iPad Pro 11-inch (M4)", "iPad16,3", "J717AP", 0x8132, 0x08, (17, 4), None, (256, 512), "MVV83", _FACE, _NO),
)  # fmt: skip


def find_model(text: str) -> Model:
    """The model with this name, product type or hardware model. Raises KeyError with the names there are."""
    for model in MODELS:
        if text.casefold() in (name.casefold() for name in (model.name, model.product_type, model.hardware_model)):
            return model
    raise KeyError(f"no model {text!r}; there are {', '.join(model.name for model in MODELS)}")


def _test_imei(ecid: int) -> str:
    """An IMEI with the reserved test prefix 00 and a true check digit (Luhn, 3GPP TS 23.003 annex B)."""
    digits = f"00{ecid % 10**12:012d}"
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(digits))
    return digits + str(-sum(value // 10 + value % 10 for value in doubled) % 10)
