"""The whole virtual side, handled through its control socket and reached as a worker reaches it."""

import asyncio
import plistlib
from contextlib import aclosing

import msgspec
import pytest
import requests
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.services.mobile_activation import MobileActivationService

from station.errors import InputRejected, Refused
from station.model.base import Ecid, SocketPath
from station.model.job import Reach
from station.model.phone import PhoneMode, UsbArrived
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.hosting.control import (
    AddFault,
    Control,
    Installed,
    List,
    Misbehave,
    Plug,
    Quit,
    Replug,
    Sign,
    Tap,
    Unplug,
)
from station.virtual.hosting.feed import usb_events
from station.virtual.hosting.host import VirtualHost

HERE, FIVE = SocketPath("1-1.1"), Ecid(5)
IOS = Installed(version="18.5", build="22F76")


@pytest.fixture
async def host(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    async with VirtualHost(tmp_path / "v") as host:
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", host.reach.usbmuxd)
        yield host


@pytest.fixture
async def control(host):
    async with Control(host.directory / "control") as control:
        yield control


async def test_a_phone_is_plugged_reached_and_pulled(host, control):
    (plugged,) = await control.ask(Plug(model="iPhone 13", installed=IOS, ecid=FIVE))
    assert (plugged.socket, plugged.mode, plugged.installed) == ("1-1.1", PhoneMode.NORMAL, IOS)
    async with aclosing(usb_events(host.feed)) as events:
        arrived = await anext(events)
        assert isinstance(arrived, UsbArrived)
        assert (arrived.socket, arrived.emulated) == ("1-1.1", True)
    async with await create_using_usbmux(autopair=False) as lockdown:
        assert (lockdown.ecid, lockdown.product_type) == (5, "iPhone14,5")
    (unplugged,) = await control.ask(Unplug(socket=HERE))
    assert (unplugged.socket, unplugged.mode) == (None, None)
    assert "lockdown:QueryType" in unplugged.history
    (again,) = await control.ask(Replug(ecid=FIVE, socket=SocketPath("1-1.7")))
    assert (again.socket, again.mode, again.history) == ("1-1.7", PhoneMode.NORMAL, unplugged.history)


async def test_phones_get_sockets_and_names_of_their_own(control):
    reports = [*await control.ask(Plug(installed=IOS)), *await control.ask(Plug(installed=IOS))]
    assert [report.socket for report in reports] == ["1-1.1", "1-1.2"]
    assert len({report.ecid for report in reports}) == 2
    assert list(await control.ask(List())) == reports


async def test_says_where_everything_is(host):
    reach = msgspec.json.decode((host.directory / "reach.json").read_bytes(), type=Reach)
    assert reach == host.reach
    assert reach.signing_url == host.apple.signing_url


async def test_things_are_made_to_go_wrong(host, control):
    await control.ask(Plug(installed=Installed(version="18.5", build="22F76", trusted=False, locked=True), ecid=FIVE))
    await control.ask(AddFault(socket=HERE, fault=Fault(at="lockdown:*", kind=FaultKind.UNPLUG)))
    await control.ask(Tap(socket=HERE))
    await control.ask(Misbehave(service=AppleService.SIGNING, behaviour=Behaviour.PORTAL))
    assert host.apple.behaviours[AppleService.SIGNING] is Behaviour.PORTAL
    phone = host.bus.at("1-1.1")
    assert (phone.system.trusted, phone.system.locked) == (True, False)
    assert phone.faults.due("lockdown:Pair").kind is FaultKind.UNPLUG
    await control.ask(Quit())
    assert host.hands.quit.is_set()


async def test_a_phone_without_data_or_without_the_will_to_boot(host, control):
    await control.ask(Plug(installed=Installed(version="18.5", build="22F76", data=False)))
    phone = host.bus.at("1-1.1")
    assert phone.system.canary is None
    (listed,) = await control.ask(List())
    assert not listed.installed.data


async def test_a_phone_comes_from_its_owner(host, control):
    order = Plug(model="iPhone 16", gigabytes=256, people=("locked", "find-my-on", "storage-full"), installed=IOS)
    (plugged,) = await control.ask(order)
    assert (plugged.installed.locked, plugged.installed.passcode, plugged.installed.find_my) == (True, True, True)
    phone = host.bus.at("1-1.1")
    assert phone.identity.capacity == phone.system.files.capacity == 256 * 10**9
    assert phone.system.files.free < 4_000_000
    assert phone.system.canary is not None


async def test_apple_knows_the_phones_that_are_plugged_in(host, control):
    await control.ask(Plug(people=("not-activated",), installed=IOS))
    async with await create_using_usbmux(pair_timeout=0) as lockdown:
        asked = await MobileActivationService(lockdown).send_command("CreateActivationInfoRequest")
    form = {"activation-info": plistlib.dumps(asked["Value"])}
    url = f"{host.apple.origin}/deviceservices/deviceActivation"
    answer = await asyncio.to_thread(requests.post, url, data=form, timeout=10)
    assert plistlib.loads(answer.content)["ActivationRecord"]["unbrick"] is True
    await control.ask(Unplug(socket=HERE))
    assert (await asyncio.to_thread(requests.post, url, data=form, timeout=10)).status_code == 400


async def test_refuses_what_cannot_be(control):
    before = await control.ask(Plug(installed=IOS, ecid=FIVE))
    for command, reason in [
        (Plug(model="Nokia"), "no model 'Nokia'"),
        (Plug(ecid=FIVE), "ECID"),
        (Plug(model="iPhone 8", installed=IOS), "no iOS 18.5 for the iPhone 8: its last is 16"),
        (Plug(gigabytes=7, installed=IOS), "no iPhone 12 has 7 GB"),
        (Plug(people=("nobody",), installed=IOS), "no state 'nobody'"),
        (Plug(people=("find-my-on", "find-my-off"), installed=IOS), "cannot be both"),
        (Plug(people=("locked",)), "nothing is installed"),
        (Plug(socket=HERE, installed=IOS), "taken"),
        (Replug(ecid=FIVE), "plugged in elsewhere"),
        (Replug(ecid=Ecid(6)), "never"),
        (Unplug(socket=SocketPath("9-9")), "nothing is plugged in at 9-9"),
        (Sign(ipsw="/nowhere"), "No such file"),
    ]:
        with pytest.raises(Refused, match=reason):
            await control.ask(command)
    assert await control.ask(List()) == before


async def test_refuses_what_is_no_command_and_goes_on(control):
    control._writer.write(b'{"type": "explode"}\n')
    with pytest.raises(Refused, match="explode"):
        await control.ask(List())
    assert control._reader is not None


async def test_says_so_when_the_host_is_gone(tmp_path):
    async with VirtualHost(tmp_path / "v") as host:
        control = Control(host.directory / "control")
        await control.__aenter__()
    with pytest.raises((InputRejected, ConnectionError)):
        await control.ask(List())
    assert not host.feed.exists()
