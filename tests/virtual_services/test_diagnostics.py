"""com.apple.mobile.diagnostics_relay, used by the library."""

import asyncio

import pytest
from pymobiledevice3.exceptions import DeprecationError, PyMobileDevice3Exception
from pymobiledevice3.services.diagnostics import DiagnosticsService

from station.model.phone import PhoneMode, UsbArrived, UsbGone
from tests.virtual_services.helpers import started


async def event(events):
    async with asyncio.timeout(5):
        return await events.get()


async def test_restarts_when_the_host_has_hung_up(plug, bus):
    phone = plug()
    async with bus.watch() as events:
        assert isinstance(await event(events), UsbArrived)
        async with started(phone, DiagnosticsService) as diagnostics:
            await diagnostics.restart()
            await diagnostics.sleep()
            assert events.empty()
        assert isinstance(await event(events), UsbGone)
        assert isinstance(await event(events), UsbArrived)
    assert phone.mode is PhoneMode.NORMAL
    assert phone.system.canary is not None


async def test_stays_off_until_it_is_plugged_in_again(plug, bus):
    phone = plug()
    socket = phone.socket
    async with bus.watch() as events:
        assert isinstance(await event(events), UsbArrived)
        async with started(phone, DiagnosticsService) as diagnostics:
            await diagnostics.shutdown()
        assert isinstance(await event(events), UsbGone)
        assert phone.running is None
        await bus.unplug(socket)
        bus.plug(phone, socket)
        assert isinstance(await event(events), UsbArrived)


@pytest.mark.parametrize(("find_my", "told"), [(True, b"YES"), (False, b"NO"), (None, None)])
async def test_the_nvram_tells_of_find_my(plug, find_my, told):
    async with started(plug(find_my=find_my), DiagnosticsService) as diagnostics:
        options = await diagnostics.ioregistry(name="options")
    assert options["auto-boot"] == b"true"
    assert options.get("fm-activation-locked") == options.get("fm-spstatus") == told
    assert ("fm-account-masked" in options) == bool(find_my)


async def test_the_battery(plug):
    phone = plug()
    phone.battery = 37
    async with started(phone, DiagnosticsService) as diagnostics:
        battery = await diagnostics.get_battery()
        assert battery == await diagnostics.ioregistry(name="AppleSmartBattery")
        gauge = (await diagnostics.info("GasGauge"))["GasGauge"]
        assert (await diagnostics.get_wifi())["IOInterfaceName"] == "en0"
        assert await diagnostics.ioregistry(name="options", ioclass="IOPMPowerSource") is None
        assert await diagnostics.ioregistry(name="nothing") is None
        assert await diagnostics.ioregistry() is None
        plane = await diagnostics.ioregistry(plane="IOService")
        assert {"options", "AppleSmartBattery"} <= {child["name"] for child in plane["children"]}
    assert battery["CurrentCapacity"] == 37
    assert 0.8 <= battery["NominalChargeCapacity"] / battery["DesignCapacity"] <= 1
    assert gauge["CycleCount"] == battery["CycleCount"]
    assert 80 <= gauge["FullChargeCapacity"] <= 100


@pytest.mark.parametrize("version", ["16.7.10", "17.3.1"])
async def test_what_ios_17_4_gave_up_was_there_before(plug, version):
    phone = plug(version=version, build="21D61")
    async with started(phone, DiagnosticsService) as diagnostics:
        assert await diagnostics.mobilegestalt(["ProductType", "Nothing"]) == {"ProductType": "iPhone13,2"}
        everything = await diagnostics.info()
    assert everything["WiFi"]["Status"] == "Success"
    in_percent = everything["GasGauge"]["FullChargeCapacity"] <= 100
    assert in_percent == version.startswith("17")


async def test_ios_17_4_gave_up_some(plug):
    async with started(plug(), DiagnosticsService) as diagnostics:
        with pytest.raises(DeprecationError):
            await diagnostics.mobilegestalt(["ProductType"])
        everything = await diagnostics.info()
        assert everything["WiFi"] == {"Status": "WifiInfoDeprecated"}
        assert everything["NAND"] == {"Status": "NANDInfoDeprecated"}
        with pytest.raises(PyMobileDevice3Exception, match="UnknownRequest"):
            await diagnostics.action("Dance")
