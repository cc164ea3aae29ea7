"""Debian's programs (libimobiledevice 1.3.0), unmodified, against lockdownd."""

import pytest

from station.model.phone import PhoneMode, UsbArrived, UsbGone
from tests.virtual_services.helpers import introduce, run

pytestmark = pytest.mark.system  # Debian's programs


def table(text: str) -> dict[str, str]:
    """The lines that begin with a key."""
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and not line.startswith(" "))


@pytest.mark.client(
    "ideviceinfo",
    "without a session and with one; domains",
    phone="iPhone 6s, iOS 13.7; iPhone 8, iOS 16.7.11; iPhone 17, iOS 26.1; iPad (10th generation), iOS 18.5",
)
@pytest.mark.parametrize(
    ("model", "version"),
    [("iPhone 6s", "13.7"), ("iPhone 8", "16.7.11"), ("iPhone 17", "26.1"), ("iPad (10th generation)", "18.5")],
)
async def test_ideviceinfo_tells_what_the_phone_tells(plug, model, version):
    phone = plug(model=model, version=version, find_my=True)
    udid = phone.identity.udid
    stranger = await run("ideviceinfo", "-s", "-u", udid)
    assert stranger.code == 0, stranger.err
    assert table(stranger.out)["UniqueDeviceID"] == udid
    assert "SerialNumber" not in table(stranger.out)
    paired = await run("idevicepair", "-u", udid, "pair")
    assert (paired.code, paired.out) == (0, f"SUCCESS: Paired with device {udid}\n"), paired
    friend = await run("ideviceinfo", "-u", udid)
    assert friend.code == 0, friend.err
    told = table(friend.out)
    assert (told["ProductVersion"], told["SerialNumber"]) == (version, phone.identity.serial_number)
    assert told["UniqueChipID"] == "1"
    assert ("InternationalMobileEquipmentIdentity" in told) is (phone.identity.imei is not None)
    for domain, key, value in [
        ("com.apple.fmip", "IsAssociated", "true"),
        ("com.apple.mobile.battery", "BatteryCurrentCapacity", "82"),
        ("com.apple.disk_usage", "TotalDiskCapacity", str(phone.identity.capacity)),
        ("com.apple.mobile.backup", "WillEncrypt", "false"),
    ]:
        asked = await run("ideviceinfo", "-u", udid, "-q", domain, "-k", key)
        assert (asked.code, asked.out.strip()) == (0, value), asked


async def test_ideviceinfo_pairs_by_itself(plug):
    phone = plug()
    ran = await run("ideviceinfo", "-k", "DeviceName")
    assert (ran.code, ran.out.strip()) == (0, "Somebody’s iPhone"), ran
    assert len(phone.system.pairings.hosts) == 1


@pytest.mark.client("idevicepair", "pair, validate, unpair", phone="iPhone 12, iOS 18.5")
async def test_idevicepair_comes_and_goes(plug):
    phone = plug()
    udid = phone.identity.udid
    for command, said in [
        ("pair", f"SUCCESS: Paired with device {udid}"),
        ("validate", f"SUCCESS: Validated pairing with device {udid}"),
        ("unpair", f"SUCCESS: Unpaired with device {udid}"),
    ]:
        ran = await run("idevicepair", command)
        assert (ran.code, ran.out.strip()) == (0, said), ran
    assert phone.system.pairings.hosts == {}


@pytest.mark.client(
    "idevicepair",
    "pair, while it is locked, nobody answers the dialog, the owner or an organisation refuses",
    phone="iPhone 12, iOS 18.5",
)
@pytest.mark.parametrize(
    ("people", "said"),
    [
        (("locked",), "Could not validate with device {} because a passcode is set"),
        (("trust-pending",), "Please accept the trust dialog on the screen of device {}, then attempt to pair again."),
        (("trust-refused",), "Device {} said that the user denied the trust dialog."),
        (("pairing-forbidden",), "Device {} returned unhandled error code -38"),  # LOCKDOWN_E_MC_PROTECTED
    ],
)
async def test_idevicepair_says_why_not(plug, people, said):
    phone = plug(people=people)
    ran = await run("idevicepair", "pair")
    assert ran.code != 0
    assert said.format(phone.identity.udid) in ran.out + ran.err
    assert phone.system.pairings.hosts == {}


@pytest.mark.client("idevicename", "reads and sets the name", phone="iPhone 12, iOS 18.5")
async def test_idevicename_names_it(plug):
    phone = plug()
    await introduce(phone)
    assert (await run("idevicename")).out.strip() == "Somebody’s iPhone"
    assert (await run("idevicename", "Bench 4")).code == 0
    assert phone.system.name == "Bench 4"
    assert (await run("idevicename")).out.strip() == "Bench 4"


ENTERS, REFUSED = (
    pytest.mark.client("ideviceenterrecovery", "normal → recovery", phone="iPhone 12, iOS 14.4.2"),
    pytest.mark.client(
        "ideviceenterrecovery",
        "normal → recovery",
        phone="iPhone 12, iOS 18.5",
        fails="libimobiledevice 1.3.0 asks without a session, which iOS refuses since 14.5 (libimobiledevice#1121)",
        log="Failed to enter recovery mode.",
    ),
)


@pytest.mark.parametrize(("version", "introduced", "enters"), [
    pytest.param("14.4.2", False, True, marks=ENTERS),
    pytest.param("18.5", False, False, marks=REFUSED),
    pytest.param("18.5", True, False, marks=REFUSED),  # newer ones refuse that even to hosts they trust
])  # fmt: skip
async def test_ideviceenterrecovery_is_a_program_of_its_time(plug, bus, version, introduced, enters):
    phone = plug(version=version)
    if introduced:
        await introduce(phone)
    async with bus.watch() as events:
        assert isinstance(await events.get(), UsbArrived)
        ran = await run("ideviceenterrecovery", phone.identity.udid)
        assert ("Failed to enter recovery mode" in ran.out) is not enters, ran
        if enters:
            assert isinstance(await events.get(), UsbGone)
            assert isinstance(await events.get(), UsbArrived)
    assert (phone.mode is PhoneMode.RECOVERY) is enters
