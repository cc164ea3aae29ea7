"""Which phones usbmuxd shows. Apart from what speaks to them: every worker asks this, and most need nothing heavier."""

from pymobiledevice3.usbmux import select_devices_by_connection_type


async def serials() -> set[str]:
    """Who is on the bus in normal or restore mode, by UDID."""
    return {device.serial for device in await select_devices_by_connection_type("USB")}


async def udid_of(ecid: int | None, udid: str | None) -> str | None:
    """The UDID of the phone that has it, or whose UDID carries the ECID, as usbmuxd writes it; None: not there."""
    for device in await select_devices_by_connection_type("USB"):
        if device.matches_udid(udid) if udid else device.ecid is not None and device.ecid == ecid:
            return device.serial
    return None
