"""What is burnt into a phone."""

import hashlib
from dataclasses import dataclass

from station.model.base import Ecid, Udid
from station.virtual.phones.soc import SOCS
from station.virtual.system.files import CAPACITY


@dataclass(frozen=True)
class Identity:
    """What is burnt into a phone."""

    ecid: Ecid
    product_type: str = "iPhone13,2"
    hardware_model: str = "D53gAP"
    chip_id: int = 0x8101
    board_id: int = 0x0C
    serial_number: str = "VIRTUAL00001"
    imei: str | None = "350000000000006"
    capacity: int = CAPACITY
    """Bytes of storage, as on the box."""
    model_number: str = "MGJA3"
    """Of this colour and capacity; with the region behind it, as on the box."""
    region: str = "ZD/A"
    """Where it was sold."""

    @property
    def is_ipad(self) -> bool:
        """Whether it is an iPad."""
        return self.product_type.startswith("iPad")

    @property
    def device_class(self) -> str:
        """What it calls itself to hosts: "iPad" or "iPhone"."""
        return "iPad" if self.is_ipad else "iPhone"

    @property
    def udid(self) -> Udid:
        """From A12 on chip and ECID with a dash; before, a 40-digit SHA-1."""
        if SOCS[self.chip_id].dashed:
            return Udid(f"{self.chip_id:08X}-{self.ecid:016X}")
        text = f"{self.serial_number}{self.imei or ''}{self.ecid}"
        return Udid(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
