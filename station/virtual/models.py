"""Models a virtual phone can be: the facts that decide which firmware fits (public device tables)."""

from dataclasses import dataclass

from station.model.base import Ecid
from station.virtual.phone import Identity


@dataclass(frozen=True)
class Model:
    """One model. Chip and board together choose a build identity in a manifest."""

    name: str
    """The name on the box."""
    product_type: str
    hardware_model: str
    """As lockdown spells it."""
    chip_id: int
    board_id: int
    cellular: bool = True

    def identity(self, ecid: Ecid) -> Identity:
        """A phone of this model. Serial number and IMEI follow from the ECID: invented, and never a real one's."""
        return Identity(
            ecid=ecid,
            product_type=self.product_type,
            hardware_model=self.hardware_model,
            chip_id=self.chip_id,
            board_id=self.board_id,
            serial_number=f"VRT{ecid % 10**9:09d}",
            imei=_test_imei(ecid) if self.cellular else None,
        )


MODELS = (
    Model("iPhone 8", "iPhone10,4", "D201AP", 0x8015, 0x0A),
    Model("iPhone 11", "iPhone12,1", "N104AP", 0x8030, 0x04),
    Model("iPhone 12", "iPhone13,2", "D53gAP", 0x8101, 0x0C),
    Model("iPhone 13", "iPhone14,5", "D17AP", 0x8110, 0x0A),
    Model("iPhone 14", "iPhone14,7", "D27AP", 0x8110, 0x18),
    Model("iPhone 15", "iPhone15,4", "D37AP", 0x8120, 0x08),
    Model("iPad (10th generation)", "iPad13,18", "J271AP", 0x8101, 0x14, cellular=False),
)


def find_model(text: str) -> Model:
    """The model with this name or product type. Raises KeyError with the names there are."""
    for model in MODELS:
        if text.casefold() in (model.name.casefold(), model.product_type.casefold()):
            return model
    raise KeyError(f"no model {text!r}; there are {', '.join(model.name for model in MODELS)}")


def _test_imei(ecid: int) -> str:
    """An IMEI with the reserved test prefix 00 and a true check digit (Luhn, 3GPP TS 23.003 annex B)."""
    digits = f"00{ecid % 10**12:012d}"
    doubled = (int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(digits))
    return digits + str(-sum(value // 10 + value % 10 for value in doubled) % 10)
