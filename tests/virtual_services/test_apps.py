"""com.apple.mobile.installation_proxy and com.apple.springboardservices, used by the library."""

import io

import pytest
from PIL import Image
from pymobiledevice3.exceptions import AppInstallError, PasswordRequiredError
from pymobiledevice3.services.afc import AfcService
from pymobiledevice3.services.installation_proxy import InstallationProxyService
from pymobiledevice3.services.mobilebackup2 import Mobilebackup2Service
from pymobiledevice3.services.springboard import InterfaceOrientation, SpringBoardServicesService

from station.virtual.phones.installed import System
from station.virtual.services import apps, installation_proxy
from tests.virtual_services.helpers import started, trusted

DIARY = "org.example.diary"


async def test_lists_what_is_installed(plug, monkeypatch):
    monkeypatch.setattr(installation_proxy, "AT_ONCE", 3)  # more than one answer
    phone = plug()
    async with started(phone, InstallationProxyService) as proxy:
        everything = await proxy.browse()
        assert [app["CFBundleIdentifier"] for app in everything] == [
            *(app.bundle_id for app in apps.SYSTEM_APPS),
            DIARY,
        ]
        assert "ApplicationSINF" not in everything[-1]
        users = await proxy.browse({"ApplicationType": "User"}, ["CFBundleIdentifier", "ApplicationSINF"])
        assert [app.keys() for app in users] == [{"CFBundleIdentifier", "ApplicationSINF"}]
        assert (await proxy.get_apps("System")).keys() == {app.bundle_id for app in apps.SYSTEM_APPS}
        sized = await proxy.get_apps(bundle_identifiers=[DIARY], calculate_sizes=True)
        assert sized[DIARY]["StaticDiskUsage"] > 1000
        assert sized[DIARY]["CFBundleVersion"] == "2.1"


async def test_takes_apps_away_but_not_apples(plug):
    phone = plug()
    async with started(phone, InstallationProxyService) as proxy:
        with phone.system.notifications.observe(None) as observer:
            await proxy.uninstall(DIARY)
        assert observer.waiting.get_nowait() == "com.apple.mobile.application_uninstalled"
        assert DIARY not in await proxy.get_apps()
        await proxy.uninstall(DIARY)  # it is gone, as it was meant to be
        with pytest.raises(AppInstallError, match="UninstallProhibited"):
            await proxy.uninstall("com.apple.mobilesafari")
        with pytest.raises(AppInstallError, match="PackageInspectionFailed"):
            await proxy.send_package("Install", {}, None, "/PublicStaging/x.ipa")
        phone.system.files.write("/var/mobile/Media/x.ipa", b"PK")
        with pytest.raises(AppInstallError, match="ApplicationVerificationFailed"):
            await proxy.send_package("Install", {}, None, "/x.ipa")
        for command, error in [("Dance", "UnknownCommand"), (None, "MissingCommand")]:
            answer = await proxy.service.send_recv_plist({"Command": command} if command else {"x": 1})
            assert answer["Error"] == error


async def test_an_erased_phone_has_apples_apps_only(plug):
    phone = plug()
    phone.system.files = System.new("18.5", "22F76", capacity=phone.identity.capacity).files
    async with started(phone, InstallationProxyService) as proxy:
        assert await proxy.browse({"ApplicationType": "User"}) == []
        assert len(await proxy.browse()) == len(apps.SYSTEM_APPS)


async def test_the_home_screen(plug):
    async with started(plug(), SpringBoardServicesService) as springboard:
        dock, page = await springboard.get_icon_state()
        assert [icon["displayName"] for icon in dock] == ["Phone", "Safari", "Messages", "Photos"]
        assert page[-1]["bundleIdentifier"] == DIARY
        await springboard.set_icon_state([page, dock])
        assert await springboard.get_icon_state("2") == [page, dock]
        await springboard.reload_icon_state()
        assert await springboard.get_icon_state() == [page, dock]
        assert await springboard.get_interface_orientation() is InterfaceOrientation.PORTRAIT
        assert (await springboard.get_homescreen_icon_metrics())["homeScreenIconColumns"] == 4


async def test_pictures_are_pictures(plug):
    async with started(plug(), SpringBoardServicesService) as springboard:
        icon = Image.open(io.BytesIO(await springboard.get_icon_pngdata(DIARY)))
        icon.load()
        assert icon.size == (120, 120)
        assert await springboard.get_icon_pngdata("org.example.nothing") is None
        assert await springboard.get_wallpaper_pngdata() == await springboard.get_wallpaper_preview_image("homescreen")


async def test_a_backup_learns_what_it_writes_into_its_info(plug):
    phone = plug()
    async with trusted(phone) as client, AfcService(client) as afc:
        info = await Mobilebackup2Service(client).init_mobile_backup_factory_info(afc)
    assert info["Installed Applications"] == [DIARY]
    assert info["Applications"][DIARY].keys() == {"ApplicationSINF", "iTunesMetadata", "PlaceholderIcon"}
    assert info["Target Identifier"] == phone.identity.udid


@pytest.mark.parametrize("service", [InstallationProxyService, SpringBoardServicesService])
async def test_a_locked_phone_shows_nothing(plug, service):
    phone = plug(passcode=True)
    async with trusted(phone) as client:
        phone.system.locked = True
        with pytest.raises(PasswordRequiredError):
            async with service(client):
                pass
