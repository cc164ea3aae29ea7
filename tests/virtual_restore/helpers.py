"""The library's restore, from the point where the restore system has booted."""

from typing import Any

from ipsw_parser.ipsw import IPSW
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.restore import Restore

from station.model.phone import PhoneMode
from station.virtual.phone import VirtualPhone


class Device:
    """What the library asks of a device that has left recovery: facts, nothing over the wire."""

    lockdown = None
    irecv = None

    def __init__(self, phone: VirtualPhone) -> None:
        self._phone = phone

    def get_hardware_model_value(self) -> str:
        return self._phone.identity.hardware_model.lower()

    async def get_hardware_model(self) -> str:
        return self.get_hardware_model_value()

    async def get_ecid(self) -> int:
        return self._phone.identity.ecid

    async def get_ap_nonce(self) -> bytes:
        return self._phone.ap_nonce

    async def get_sep_nonce(self) -> bytes:
        return self._phone.sep_nonce

    async def get_is_image4_supported(self) -> bool:
        return True

    async def get_ap_parameters(self) -> dict[str, Any]:
        return {}


async def in_restore_mode(phone: VirtualPhone, ipsw, behavior: Behavior = Behavior.Erase) -> Restore:
    """The library's `Restore`, with a ticket; and the phone as iBoot leaves it that took that ticket."""
    restore = Restore(IPSW.create_from_path(str(ipsw)), Device(phone), behavior=behavior)  # type: ignore[arg-type] # a stand-in
    restore.recovery.tss = await restore.recovery.get_tss_response()
    phone.restore_ticket = restore.recovery.tss.ap_img4_ticket
    await phone.disappear()
    phone.appear(PhoneMode.RESTORE)
    return restore
