"""Virtual phones as USB devices of a real kernel, with programs that nobody here wrote: udev, usbmuxd, libusb."""

import pytest

from station.model.phone import PhoneMode
from station.virtual.phones.phone import VirtualPhone
from tests.vm.guest import Guest
from tests.vm.program import PYTHON
from tests.vm.sockets import Sockets

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(600)]

NEW = ("iPhone 12", "17.5", "21F79")
OLD = ("iPhone 11", "13.7", "17H35")
"""Of the time of Debian's libimobiledevice 1.3.0."""


async def into_recovery(sockets: Sockets, phone: VirtualPhone) -> dict[str, str]:
    """Have a phone restart into recovery and stay there."""
    phone.nvram["auto-boot"] = "false"
    phone.restart_into()
    return await sockets.enumerated(PhoneMode.RECOVERY)


async def test_udev_knows_a_phone_by_its_socket_whatever_it_becomes(sockets: Sockets):
    phone = await sockets.plug()
    normal = await sockets.enumerated(PhoneMode.NORMAL)
    recovery = await into_recovery(sockets, phone)
    phone.restart_into(PhoneMode.DFU)
    dfu = await sockets.enumerated(PhoneMode.DFU)
    assert normal["ID_PATH"] == recovery["ID_PATH"] == dfu["ID_PATH"]
    assert normal["DEVPATH"] == recovery["DEVPATH"] == dfu["DEVPATH"]
    assert len({one["DEVNUM"] for one in (normal, recovery, dfu)}) == 3  # each time it was enumerated anew


async def test_udev_knows_who_a_phone_is(sockets: Sockets):
    phone = await sockets.plug()
    normal = await sockets.enumerated(PhoneMode.NORMAL)
    assert normal["ID_SERIAL_SHORT"] == phone.identity.udid.replace("-", "")
    assert normal["SYSTEMD_WANTS"] == "usbmuxd.service"
    recovery = await into_recovery(sockets, phone)
    assert f"ECID:{phone.identity.ecid:016X}" in recovery["ID_SERIAL_SHORT"]


async def test_two_phones_have_two_sockets(guest: Guest, sockets: Sockets):
    one = await sockets.plug()
    first = await sockets.enumerated(PhoneMode.NORMAL)
    await into_recovery(sockets, one)
    two = await sockets.plug()
    second = await sockets.enumerated(PhoneMode.NORMAL)
    assert first["ID_PATH"] != second["ID_PATH"]
    assert second["ID_SERIAL_SHORT"] == two.identity.udid.replace("-", "")


@pytest.mark.client("lsusb", "reads all descriptors", phone="iPhone 12, iOS 17.5, in every mode")
@pytest.mark.parametrize(
    ("mode", "words"),
    [
        (PhoneMode.NORMAL, ("bNumConfigurations      4", "Apple USB Multiplexor", "iPod USB Interface")),
        (PhoneMode.RECOVERY, ("Apple Mobile Device (Recovery Mode)",)),
        (PhoneMode.DFU, ("Apple Mobile Device (DFU Mode)", "Device Firmware Update")),
    ],
)
async def test_lsusb(guest: Guest, sockets: Sockets, mode: PhoneMode, words: tuple[str, ...]):
    phone = await sockets.plug()
    if mode is not PhoneMode.NORMAL:
        phone.restart_into(mode)
        await sockets.enumerated(mode)
    output = await guest.check("lsusb", "-v", "-d", "05ac:")
    for word in words:
        assert word in output
    assert "can't get" not in output.split("Device Status:")[0]  # a descriptor that is not there


@pytest.mark.client("usbmuxd", "is started by udev, and ends with the last phone", phone="iPhone 12, iOS 17.5")
async def test_usbmuxd_comes_and_goes_with_the_phones(guest: Guest, sockets: Sockets):
    await sockets.until("systemctl", "is-active", "usbmuxd", says="inactive")
    phone = await sockets.plug_trusting(*NEW)
    assert await guest.check("systemctl", "is-active", "usbmuxd") == "active\n"
    assert phone.identity.udid in await guest.check("ls", "/var/lib/lockdown")  # it paired by itself
    await sockets.clear()
    await sockets.until("systemctl", "is-active", "usbmuxd", says="inactive")


@pytest.mark.client("idevice_id", "lists phones", phone="iPhone 12, iOS 17.5")
async def test_idevice_id(guest: Guest, sockets: Sockets):
    phones = [await sockets.plug_known(*NEW) for _ in range(2)]
    listed = await guest.check("idevice_id", "--list")
    assert sorted(listed.split()) == sorted(phone.identity.udid for phone in phones)


@pytest.mark.client("idevicepair", "pair, validate, unpair", phone="iPhone 12, iOS 17.5")
@pytest.mark.client("ideviceinfo", "one value", phone="iPhone 12, iOS 17.5")
async def test_idevicepair(guest: Guest, sockets: Sockets):
    phone = await sockets.plug_trusting(*NEW)
    assert "SUCCESS: Paired" in await guest.check("idevicepair", "pair", seconds=60)
    assert "SUCCESS: Validated" in await guest.check("idevicepair", "validate")
    assert phone.identity.udid in await guest.check("idevicepair", "list")
    assert await guest.check("ideviceinfo", "-k", "ProductType") == f"{phone.identity.product_type}\n"
    assert "SUCCESS: Unpaired" in await guest.check("idevicepair", "unpair")
    assert phone.identity.udid not in await guest.check("idevicepair", "list")


@pytest.mark.client("ideviceenterrecovery", "normal → recovery", phone="iPhone 11, iOS 13.7")
@pytest.mark.client("irecovery", "queries, then recovery → normal", phone="iPhone 11, iOS 13.7")
async def test_into_recovery_and_back(guest: Guest, sockets: Sockets):
    phone = await sockets.plug_known(*OLD)
    output = await guest.check("ideviceenterrecovery", phone.identity.udid)
    assert "successfully switching" in output
    assert "Failed" not in output
    await sockets.enumerated(PhoneMode.RECOVERY)
    answers = dict(line.split(": ", 1) for line in (await guest.check("irecovery", "-q")).splitlines())
    assert answers["MODE"] == "Recovery"
    assert int(answers["ECID"], 16) == phone.identity.ecid
    assert int(answers["CPID"], 16) == phone.identity.chip_id
    assert answers["SRNM"] == phone.identity.serial_number
    assert answers["NONC"] == phone.ap_nonce.hex()
    await guest.check("irecovery", "-n")
    await sockets.enumerated(PhoneMode.NORMAL)
    await sockets.listed(phone)
    assert "SUCCESS: Validated" in await guest.check("idevicepair", "validate")


@pytest.mark.client(
    "ideviceenterrecovery",
    "normal → recovery",
    phone="iPhone 12, iOS 17.5",
    fails="libimobiledevice 1.3.0 asks without a session, which iOS refuses since 14.5 (libimobiledevice#1121)",
    log="Failed to enter recovery mode.\nDevice is successfully switching to recovery mode.",
)
async def test_too_old_to_enter_recovery(guest: Guest, sockets: Sockets):
    phone = await sockets.plug_known(*NEW)
    assert "Failed to enter recovery mode." in await guest.check("ideviceenterrecovery", phone.identity.udid)
    assert phone.mode is PhoneMode.NORMAL


@pytest.mark.client("irecovery", "queries", phone="iPhone 12, DFU")
async def test_irecovery_in_dfu(guest: Guest, sockets: Sockets):
    phone = await sockets.plug()
    phone.restart_into(PhoneMode.DFU)
    await sockets.enumerated(PhoneMode.DFU)
    answers = dict(line.split(": ", 1) for line in (await guest.check("irecovery", "-q")).splitlines())
    assert answers["MODE"] == "DFU"
    assert int(answers["ECID"], 16) == phone.identity.ecid


@pytest.mark.client("pymobiledevice3", "asks lockdown", phone="iPhone 12, iOS 17.5")
async def test_pymobiledevice3_through_the_real_usbmuxd(guest: Guest, sockets: Sockets):
    phone = await sockets.plug_known(*NEW)
    info = await guest.check(str(PYTHON), "-m", "pymobiledevice3", "lockdown", "info", seconds=120)
    assert f'"SerialNumber": "{phone.identity.serial_number}"' in info


@pytest.mark.client("pymobiledevice3", "normal → recovery → normal", phone="iPhone 12, iOS 17.5")
async def test_pymobiledevice3_through_the_real_libusb(guest: Guest, sockets: Sockets):
    phone = await sockets.plug_known(*NEW)
    command = (str(PYTHON), "-m", "pymobiledevice3", "restore")
    await guest.check(*command, "enter", seconds=120)
    await sockets.enumerated(PhoneMode.RECOVERY)
    await guest.check(*command, "exit", seconds=120)
    await sockets.enumerated(PhoneMode.NORMAL)
    await sockets.listed(phone)
