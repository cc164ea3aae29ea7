"""Debian's programs (libimobiledevice 1.3.0, ideviceinstaller 1.1.1) on phones of their time and on new ones."""

import plistlib
import zipfile

import pytest

from station.model.phone import UsbArrived, UsbGone
from station.virtual.services.crash_reports import PENDING
from station.virtual.system.files import CRASH_REPORTS
from tests.clients.kinds import NEW, OLD, on
from tests.clients.programs import debian, line, reaching, running
from tests.virtual_services.backups import restarting
from tests.virtual_services.helpers import introduce

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

DIARY = "org.example.diary"
UNSIGNED = 'ERROR: Install failed. Got error "ApplicationVerificationFailed" with code 0xe800801c'
REPORT = "JetsamEvent-2026-11-02-081500.ips"


@pytest.mark.client("idevice_id", "lists phones, asks one for its name")
@on(OLD, NEW)
async def test_idevice_id(phone):
    assert (await debian("idevice_id", "--list")).out == f"{phone.identity.udid}\n"
    assert (await debian("idevice_id", phone.identity.udid)).out == f"{phone.system.name}\n"


@pytest.mark.client("idevicepair", "systembuid, hostid")
@on(OLD, NEW)
async def test_idevicepair_tells_who_the_host_is(phone):
    assert (await debian("idevicepair", "pair")).code == 0
    (host,) = phone.system.pairings.hosts
    assert (await debian("idevicepair", "hostid")).out == f"{host}\n"
    first, second = [await debian("idevicepair", "systembuid") for _ in range(2)]
    assert first == second
    assert len(first.out) == len("00000000-0000-0000-0000-000000000000\n")


@pytest.mark.client("idevicedate", "reads the clock")
@on(OLD, NEW)
async def test_idevicedate(phone):
    await introduce(phone)
    ran = await debian("idevicedate")
    assert ran.code == 0, ran
    assert " 20" in ran.out


@pytest.mark.client(
    "idevicedate",
    "sets the clock",
    fails="since iOS 6 a phone lets nobody but the setup assistant do that, as its manual says",
    log="ERROR: Failed to set date on device.",
)
@on(OLD, NEW)
async def test_idevicedate_sets_nothing(phone):
    await introduce(phone)
    assert "ERROR: Failed to set date on device." in (await debian("idevicedate", "--sync")).all


async def diagnosed(*arguments):
    ran = await debian("idevicediagnostics", *arguments)
    assert ran.code == 0, ran
    return plistlib.loads(ran.out.encode())


@pytest.mark.client("idevicediagnostics", "diagnostics All, GasGauge; ioreg, ioregentry; sleep")
@on(OLD, NEW)
async def test_idevicediagnostics(phone):
    await introduce(phone)
    phone.system.locked = phone.system.passcode = True
    assert (await diagnosed("diagnostics", "All")).keys() == {"GasGauge", "NAND", "WiFi"}
    gauge = (await diagnosed("diagnostics", "GasGauge"))["GasGauge"]
    battery = (await diagnosed("ioregentry", "AppleSmartBattery"))["IORegistry"]
    assert gauge["CycleCount"] == battery["CycleCount"]
    assert (await diagnosed("ioregentry", "options"))["IORegistry"]["auto-boot"] == b"true"
    assert (await diagnosed("ioreg", "IOService"))["IORegistry"]["name"] == "Root"
    assert (await debian("idevicediagnostics", "sleep")).out == "Putting device into deep sleep mode.\n"


@pytest.mark.client("idevicediagnostics", "mobilegestalt")
@on(OLD)
async def test_idevicediagnostics_asks_mobilegestalt(phone):
    await introduce(phone)
    assert (await diagnosed("mobilegestalt", "ProductVersion"))["MobileGestalt"]["ProductVersion"] == OLD.version


@pytest.mark.client(
    "idevicediagnostics",
    "mobilegestalt",
    fails="iOS gave it up in 17.4",
    log="<key>Status</key>\n<string>MobileGestaltDeprecated</string>",
)
@on(NEW)
async def test_idevicediagnostics_asks_what_is_no_more(phone):
    await introduce(phone)
    answer = await diagnosed("mobilegestalt", "ProductVersion")
    assert answer == {"MobileGestalt": {"Status": "MobileGestaltDeprecated"}}


@pytest.mark.client("idevicediagnostics", "restart, shutdown")
@on(OLD, NEW)
async def test_idevicediagnostics_restarts(phone, host):
    await introduce(phone)
    async with restarting(host.bus):
        assert (await debian("idevicediagnostics", "restart")).out == "Restarting device.\n"
    async with host.bus.watch() as events:
        assert isinstance(await events.get(), UsbArrived)
        assert (await debian("idevicediagnostics", "shutdown")).out == "Shutting down device.\n"
        assert isinstance(await events.get(), UsbGone)
    assert phone.running is None


@pytest.mark.client("idevicecrashreport", "copies reports, then moves them")
@on(OLD, NEW)
async def test_idevicecrashreport(phone, tmp_path):
    await introduce(phone)
    files = phone.system.files
    files.make_directories(PENDING)
    files.write(f"{PENDING}/panic.ips", b"panic")
    content = files.read(f"{CRASH_REPORTS}/{REPORT}")
    for directory, options in (tmp_path / "copies", ["--keep"]), (tmp_path / "moved", []):
        directory.mkdir()
        ran = await debian("idevicecrashreport", *options, str(directory))
        assert ran.code == 0, ran
        assert (directory / REPORT).read_bytes() == content
        assert (directory / "panic.ips").read_bytes() == b"panic"
        assert bool(files.names(CRASH_REPORTS)) is bool(options)


@pytest.mark.client("idevicenotificationproxy", "posts, observes")
@on(OLD, NEW)
async def test_idevicenotificationproxy(phone):
    await introduce(phone)
    one, other = "org.example.one", "org.example.other"
    with reaching(phone, "notification_proxy:ObserveNotification") as observed:
        # As on a terminal, where it does not keep to itself for long what it hears.
        async with running("stdbuf", "-oL", "idevicenotificationproxy", "observe", one) as observer:
            await observed.wait()
            assert (await debian("idevicenotificationproxy", "post", other, one)).code == 0
            assert await line(observer, "> ") == f"> {one}\n"


@pytest.mark.client("idevicesyslog", "shows what is logged")
@pytest.mark.client("idevicename", "sets the name, and others hear of it")
@on(OLD, NEW)
async def test_idevicesyslog(phone):
    await introduce(phone)
    async with running("idevicesyslog", "--no-colors") as log:
        await line(log, "syslog_relay[")
        assert (await debian("idevicename", "Bench 4")).code == 0
        assert (await debian("idevicename")).out == "Bench 4\n"
        assert "<Notice>: posted " in await line(log, "device_name_changed")


@pytest.mark.client("ideviceinstaller", "lists apps, uninstalls one")
@on(OLD, NEW)
async def test_ideviceinstaller(phone):
    await introduce(phone)
    listed = await debian("ideviceinstaller", "--list-apps")
    assert listed.out.splitlines()[1:] == [f'{DIARY}, "2.1", "Diary"'], listed
    assert "com.apple.Preferences" in (await debian("ideviceinstaller", "-l", "-o", "list_all")).out
    removed = await debian("ideviceinstaller", "--uninstall", DIARY)
    assert "Uninstall: Complete" in removed.out, removed
    assert DIARY not in (await debian("ideviceinstaller", "-l")).out


@pytest.mark.client(
    "ideviceinstaller",
    "installs an app",
    fails="nobody signed it for this phone, and a virtual phone has no App Store that would",
    log=f"{UNSIGNED}: Failed to verify code signature of /private/var/mobile/Media/…",
)
@on(OLD, NEW)
async def test_ideviceinstaller_installs_nothing_unsigned(phone, tmp_path):
    await introduce(phone)
    info = {"CFBundleIdentifier": "org.example.game", "CFBundleExecutable": "Game", "CFBundleName": "Game"}
    with zipfile.ZipFile(tmp_path / "game.ipa", "w") as archive:
        archive.writestr("iTunesMetadata.plist", plistlib.dumps({"itemId": 2}))
        archive.writestr("Payload/Game.app/Info.plist", plistlib.dumps(info))
        archive.writestr("Payload/Game.app/Game", b"\xcf\xfa\xed\xfe")
    ran = await debian("ideviceinstaller", "--install", str(tmp_path / "game.ipa"))
    assert f"{UNSIGNED}: Failed to verify code signature of /private/var/mobile/Media/" in ran.all, ran


NO_DISK = "there is none without a developer disk image, on real phones neither"
NO_SERVICE = [
    ("idevicescreenshot", "picture.tiff", NO_DISK, "Could not start screenshotr service!"),
    ("idevicesetlocation", "reset", NO_DISK, "ERROR: Could not start the simulatelocation service."),
    (
        "idevicebackup",
        "backup .",
        "that is for iOS 3 and older",
        "ERROR: This tool is only compatible with iOS 3 or below.",
    ),
]


@pytest.mark.parametrize(
    ("program", "arguments", "log"),
    [
        pytest.param(program, arguments, log, marks=pytest.mark.client(program, "its service", fails=why, log=log))
        for program, arguments, why, log in NO_SERVICE
    ],
)
@on(OLD, NEW)
async def test_what_a_phone_has_no_service_for(phone, program, arguments, log):
    await introduce(phone)
    assert log in (await debian(program, *arguments.split())).all
