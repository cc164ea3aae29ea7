"""What is on a phone, as ifuse shows it: Debian's file system for the media directory (AFC)."""

from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.files import CANARY, MEDIA
from tests.vm.guest import Guest

PICTURE = CANARY.removeprefix(MEDIA)
_MOUNTED = "/run/phone"


async def media(guest: Guest, phone: VirtualPhone) -> dict[str, str]:
    """Every file of a phone: its path and the SHA-256 of its content."""
    find = f"find {_MOUNTED} -type f -exec sha256sum {{}} +"
    read = f"mkdir -p {_MOUNTED} && ifuse --udid {phone.identity.udid} {_MOUNTED} && {find} && umount {_MOUNTED}"
    lines = (await guest.check("sh", "-c", read)).splitlines()
    return {path.removeprefix(_MOUNTED): digest for digest, path in (line.split("  ", 1) for line in lines)}


async def lockdown_values(guest: Guest, phone: VirtualPhone, *keys: str) -> list[str]:
    """What ideviceinfo reads of a phone."""
    read = ("ideviceinfo", "--udid", phone.identity.udid, "--key")
    return [(await guest.check(*read, key)).removesuffix("\n") for key in keys]
