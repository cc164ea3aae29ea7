"""pymobiledevice3's own command line, on phones of its time and on the oldest that Debian's programs are held to."""

import asyncio
import json
import plistlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from station.model.base import SocketPath
from station.model.phone import PhoneMode, UsbArrived, UsbGone
from station.virtual.hosting.control import Tap
from station.virtual.services.crash_reports import PENDING
from station.virtual.system.files import CRASH_REPORTS
from tests.clients.kinds import NEW, OLD, RECENT, on
from tests.clients.programs import library, line, reaching, running, said
from tests.virtual_services.albert import albert
from tests.virtual_services.backups import restarting
from tests.virtual_services.helpers import introduce

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

DIARY = "org.example.diary"


async def answered(*arguments):
    """What it answers, which is JSON."""
    return json.loads(await said(*arguments))


async def answers(group, *commands):
    """What it answers to several commands of a group, asked at once: each of them takes a second to start."""
    return await asyncio.gather(*(answered(group, *command.split()) for command in commands))


@pytest.mark.client("pymobiledevice3", "usbmux list")
@pytest.mark.client("pymobiledevice3", "lockdown: pair, info, get, save-pair-record, unpair")
@on(OLD, NEW)
async def test_lockdown(phone, tmp_path):
    (listed,) = await answered("usbmux", "list")
    assert (listed["Identifier"], listed["ProductVersion"]) == (phone.identity.udid, phone.system.version)
    await said("lockdown", "pair")
    (host,) = phone.system.pairings.hosts
    info, battery = await answers("lockdown", "info", "get com.apple.mobile.battery")
    assert (info["UniqueChipID"], info["ProductType"]) == (1, phone.identity.product_type)
    assert battery["BatteryCurrentCapacity"] == 82
    await said("lockdown", "save-pair-record", str(tmp_path / "record"))
    assert plistlib.loads((tmp_path / "record").read_bytes())["HostID"] == host
    await said("lockdown", "unpair")
    assert phone.system.pairings.hosts == {}


@pytest.mark.client("pymobiledevice3", "lockdown: device-name, date, language, locale, wifi-connections, set, remove")
@pytest.mark.long
@on(NEW)
async def test_settings(phone):
    await introduce(phone)
    for command in ("device-name Bench4", "wifi-connections on", "set 7 org.example seven"):
        await said("lockdown", *command.split())
    name, date = await asyncio.gather(said("lockdown", "device-name"), said("lockdown", "date"))
    assert name == "Bench4"
    assert date.startswith("20")
    questions = ("language", "locale", "wifi-connections", "assistive-touch", "get org.example seven")
    assert await answers("lockdown", *questions) == [
        "de-AT",
        "de_AT",
        {"EnableWifiConnections": True},
        {"AssistiveTouchEnabledByiTunes": False},
        7,
    ]
    await said("lockdown", "remove", "org.example", "seven")
    assert phone.system.settings["org.example"] == {}


@pytest.mark.client("pymobiledevice3", "lockdown pair, while nobody answers the dialog, and when somebody does")
@on(NEW)
async def test_pairing_waits_for_the_dialog(host, plug, kind):
    phone = plug(kind, "trust-pending")
    with reaching(phone, "lockdown:Pair") as asked:
        async with running("pymobiledevice3", "lockdown", "pair") as pairing:
            await asked.wait()
            assert phone.system.pairings.hosts == {}
            await host.hands.obey(Tap(socket=SocketPath("1-1.1")))
            assert await pairing.wait() == 0
    assert len(phone.system.pairings.hosts) == 1


@pytest.mark.client("pymobiledevice3", "lockdown pair, when the owner refuses it, or an organisation does")
@pytest.mark.parametrize(
    ("person", "error"),
    [("trust-refused", "refused to trust"), ("pairing-forbidden", "configuration profile")],
)
@on(NEW)
async def test_pairing_is_refused(plug, kind, person, error):
    phone = plug(kind, person)
    ran = await library("lockdown", "pair")
    assert ran.code == 1
    assert error in ran.err, ran
    assert phone.system.pairings.hosts == {}


@pytest.mark.client("pymobiledevice3", "diagnostics: info, ioregistry, battery, sleep, shutdown")
@pytest.mark.long
@on(RECENT)
async def test_diagnostics(phone, host):
    await introduce(phone)
    info, options, battery = await answers("diagnostics", "info", "ioregistry --name options", "battery single")
    assert info.keys() >= {"GasGauge", "NAND", "WiFi"}
    assert bytes.fromhex(options["auto-boot"]["$hex"]) == b"true"
    assert battery["CurrentCapacity"] == 82
    await said("diagnostics", "sleep")
    async with host.bus.watch() as events:
        assert isinstance(await events.get(), UsbArrived)
        await said("diagnostics", "shutdown")
        assert isinstance(await events.get(), UsbGone)
    assert phone.running is None


@pytest.mark.client("pymobiledevice3", "diagnostics mg")
@pytest.mark.long
@on(OLD)
async def test_mobilegestalt(phone):
    assert (await answered("diagnostics", "mg", "ProductVersion"))["ProductVersion"] == OLD.version


@pytest.mark.client(
    "pymobiledevice3",
    "diagnostics mg",
    fails="iOS gave it up in 17.4, and the library says so",
    log="ERROR Failed to query MobileGestalt: it is deprecated on iOS 17.4 and later.",
)
@on(NEW)
async def test_mobilegestalt_is_no_more(phone):
    assert "MobileGestalt: it is deprecated on iOS 17.4" in (await library("diagnostics", "mg", "ProductVersion")).err


@pytest.mark.client("pymobiledevice3", "diagnostics restart --reconnect")
@pytest.mark.long
@on(NEW)
async def test_restart(plug, kind):
    phone = plug(kind, pace=0.5)  # as on a real phone, it takes a moment
    assert await said("diagnostics", "restart", "--reconnect") == f"Device Reconnected ({phone.identity.udid})."
    assert phone.mode is PhoneMode.NORMAL


@pytest.mark.client("pymobiledevice3", "restore: preflight, restart, enter")
@pytest.mark.long
@on(NEW)
async def test_restore_commands_in_normal_mode(phone, host):
    preflight = await answered("restore", "preflight")
    assert bytes.fromhex(preflight["ApParameters"]["ApNonce"]["$hex"]) == phone.ap_nonce
    async with restarting(host.bus):
        await said("restore", "restart")
    async with restarting(host.bus):
        await said("restore", "enter")
    assert phone.mode is PhoneMode.RECOVERY


@pytest.mark.client("pymobiledevice3", "lockdown recovery")
@pytest.mark.long
@on(OLD)
async def test_enters_recovery(phone, host):
    async with restarting(host.bus):
        assert await answered("lockdown", "recovery") == {"Request": "EnterRecovery"}
    assert phone.mode is PhoneMode.RECOVERY


@pytest.mark.client(
    "pymobiledevice3",
    "backup2: list, unback, extract",
    fails="phones with iOS 10 or later do not do it: libimobiledevice#422, #517; backup --unback unpacks on the host",
    log="ERROR The device reported an error: {'ErrorCode': 205, 'ErrorDescription': 'Error reading backup database …'}",
)
@pytest.mark.long
@on(NEW)
async def test_the_phone_reads_no_backup(phone, tmp_path):
    await said("backup2", "backup", "--full", str(tmp_path))
    assert "'ErrorCode': 205" in (await library("backup2", "list", str(tmp_path))).err
    for command in (["unback"], ["extract", "CameraRollDomain", "Media/DCIM/100APPLE/IMG_0001.JPG"]):
        assert "Connection was terminated" in (await library("backup2", *command, str(tmp_path))).err


@pytest.mark.client("pymobiledevice3", "afc: ls, push, pull, rm")
@on(NEW)
async def test_afc(phone, tmp_path):
    content = bytes(range(256)) * 5000
    (tmp_path / "sent").write_bytes(content)
    await said("afc", "push", str(tmp_path / "sent"), "/DCIM/new")
    assert "/DCIM/new" in (await said("afc", "ls", "/", "--recursive")).splitlines()
    await said("afc", "pull", "/DCIM", str(tmp_path))
    assert (tmp_path / "DCIM" / "new").read_bytes() == content
    assert (tmp_path / "DCIM/100APPLE/IMG_0001.JPG").read_bytes() == phone.system.canary
    await said("afc", "rm", "/DCIM/new")
    assert phone.system.files.names("/var/mobile/Media/DCIM") == ["100APPLE"]


@pytest.mark.client("pymobiledevice3", "crash: flush, ls, parse-latest, pull, clear")
@pytest.mark.long
@on(NEW)
async def test_crash(phone, tmp_path):
    phone.system.files.make_directories(PENDING)
    phone.system.files.write(f"{PENDING}/panic.ips", b"panic")
    await said("crash", "flush")
    listed = (await said("crash", "ls")).splitlines()
    assert listed == ["/JetsamEvent-2026-11-02-081500.ips", "/panic.ips"]
    assert "2026-11-02 08:15:00" in await said("crash", "parse-latest", "--match", "Jetsam")
    await said("crash", "pull", str(tmp_path / "reports"))
    assert (tmp_path / "reports/panic.ips").read_bytes() == b"panic"
    await said("crash", "clear")
    assert phone.system.files.names(CRASH_REPORTS) == []


@pytest.mark.client("pymobiledevice3", "apps: list, query, uninstall")
@pytest.mark.long
@on(NEW)
async def test_apps(phone):
    await introduce(phone)
    listed, found = await answers("apps", "list", f"query {DIARY}")
    assert "com.apple.Preferences" in listed
    assert found[DIARY]["CFBundleVersion"] == "2.1"
    await said("apps", "uninstall", DIARY)
    assert DIARY not in await answered("apps", "list")


@pytest.mark.client("pymobiledevice3", "springboard: state get, icon, orientation, wallpaper, metrics")
@pytest.mark.long
@on(NEW)
async def test_springboard(phone, tmp_path):
    await introduce(phone)
    (dock, *_), metrics, orientation = await answers(
        "springboard", "state get", "homescreen-icon-metrics", "orientation"
    )
    assert dock[0]["displayName"] == "Phone"
    assert metrics["homeScreenIconColumns"] == 4
    assert orientation == 1
    pictures = {
        "icon com.apple.camera": tmp_path / "icon.png",
        "wallpaper-preview-image homescreen": tmp_path / "w.png",
    }
    await asyncio.gather(*(said("springboard", *what.split(), str(path)) for what, path in pictures.items()))
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures.values())


@pytest.mark.client("pymobiledevice3", "notification: post, observe")
@pytest.mark.client("pymobiledevice3", "syslog live-old")
@pytest.mark.long
@on(NEW)
async def test_notification(phone):
    await introduce(phone)
    with reaching(phone, "notification_proxy:ObserveNotification") as observed:
        async with (
            running("pymobiledevice3", "notification", "observe", "org.example.one") as observer,
            running("pymobiledevice3", "syslog", "live-old") as log,
        ):
            await observed.wait()
            await line(log, "relaying")
            await said("notification", "post", "org.example.other", "org.example.one")
            assert json.loads(await line(observer, "Name"))["Name"] == "org.example.one"
            await line(log, "posted org.example.one")


@pytest.mark.client(
    "pymobiledevice3",
    "activation: itunes, state, deactivate, activate (led to our servers by HTTPS_PROXY and a certificate)",
)
@on(NEW)
async def test_activation(phone, host, tmp_path, monkeypatch):
    await said("activation", "itunes")
    await said("activation", "deactivate")
    assert await said("activation", "state") == "Unactivated"
    async with albert(tmp_path, host.apple.host) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        await said("activation", "activate")
    assert await said("activation", "state") == "Activated"


@pytest.mark.client("pymobiledevice3", "profile: create-keybag, erase-device, supervise, cloud-configuration, list")
@pytest.mark.client("pymobiledevice3", "profile install-wifi-profile, silently, as supervisor")
@pytest.mark.long
@on(NEW)
async def test_profile(phone, host, tmp_path, monkeypatch):
    keybag = str(tmp_path / "keybag.pem")
    await said("profile", "create-keybag", keybag, "Workshop")
    async with restarting(host.bus):
        await said("profile", "erase-device")
    assert await said("activation", "state") == "Unactivated"
    assert await answered("profile", "cloud-configuration") == {}
    async with albert(tmp_path, host.apple.host) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        await said("profile", "supervise", "Workshop", "--keybag", keybag)
    assert (await answered("profile", "cloud-configuration"))["OrganizationName"] == "Workshop"
    await said("profile", "install-wifi-profile", "WPA2", "net", "pass", "--keybag", keybag)
    assert len((await answered("profile", "list"))["OrderedIdentifiers"]) == 1


@pytest.mark.client("pymobiledevice3", "lockdown pair-supervised")
@pytest.mark.long
@on(NEW)
async def test_pairs_as_supervisor(plug, kind, tmp_path):
    keybag = tmp_path / "keybag.pem"
    await said("profile", "create-keybag", str(keybag), "Workshop")
    phone = plug(kind, "pairing-forbidden")
    phone.system.organisation.supervisors = [load_pem_x509_certificate(keybag.read_bytes()).public_bytes(Encoding.DER)]
    await said("lockdown", "pair-supervised", str(keybag))
    assert len(phone.system.pairings.hosts) == 1


@pytest.mark.client("pymobiledevice3", "amfi developer-mode-status")
@pytest.mark.long
@pytest.mark.parametrize("on_", [True, False])
@on(NEW)
async def test_developer_mode(plug, kind, on_):
    plug(kind, developer_mode=on_)
    assert await answered("amfi", "developer-mode-status") is on_
