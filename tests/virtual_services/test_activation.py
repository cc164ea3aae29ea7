"""Activation, carried out by the unmodified library between the phone and Apple's server at its true address."""

import asyncio
import base64
import plistlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from pymobiledevice3.exceptions import MobileActivationException
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.services import mobile_activation
from pymobiledevice3.services.mobile_activation import MobileActivationService
from requests.structures import CaseInsensitiveDict

from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.servers import AppleServers
from station.virtual.phones.phone import VirtualPhone
from tests.virtual_services.albert import albert
from tests.virtual_services.helpers import trusted

NEW: dict[str, Any] = {"activation_state": "Unactivated", "set_up": False}
SERVER = "/deviceservices/deviceActivation"


@pytest.fixture
async def servers(bus, tmp_path, monkeypatch) -> AsyncIterator[AppleServers]:
    """Apple's servers, where the library looks for them."""

    def find(udid: str) -> VirtualPhone | None:
        return next((phone for phone in bus.phones if phone.identity.udid == udid), None)

    async with AppleServers(find) as servers, albert(tmp_path, servers.host) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield servers


@pytest.fixture
def apple(servers: AppleServers) -> SimpleNamespace:
    """Whom these phones believe."""
    return SimpleNamespace(public_key=lambda: servers.public_key)


async def activate(phone: VirtualPhone, **options: Any) -> None:
    """Have the library activate it. It blocks its event loop while it asks Apple: so it gets one of its own."""

    async def work() -> None:
        async with await create_using_usbmux(phone.identity.udid, pair_timeout=0) as lockdown:
            await MobileActivationService(lockdown).activate(**options)

    async with asyncio.timeout(15):
        await asyncio.to_thread(asyncio.run, work())


async def state(phone: VirtualPhone) -> object:
    async with trusted(phone) as lockdown:
        return await MobileActivationService(lockdown).state()


async def test_a_new_phone_is_activated(plug, servers):
    phone = plug(**NEW)
    assert await state(phone) == "Unactivated"
    await activate(phone, skip_apple_id_query=True)
    assert await state(phone) == "Activated"
    async with trusted(phone) as lockdown:
        assert await lockdown.get_value(key="ActivationState") == "Activated"
        assert await lockdown.get_value(key="BrickState") is False
        assert await lockdown.get_value(key="ActivationStateAcknowledged") is True
    assert [seen.path for seen in servers.requests] == ["/deviceservices/drmHandshake", SERVER]


async def test_a_phone_from_before_sessions_is_activated_through_lockdown(plug, servers):
    phone = plug(model="iPhone SE", version="9.3.5", build="13G36", **NEW)
    await activate(phone, skip_apple_id_query=True)
    assert await state(phone) == "Activated"
    assert "lockdown:Activate" in phone.history
    assert [seen.path for seen in servers.requests] == [SERVER]


async def test_a_phone_that_is_held_for_its_owner_is_not(plug, bus, servers):
    phone = plug(find_my=True)
    async with bus.watch() as events, asyncio.timeout(5):
        phone.erase_content("somebody wiped it")
        for _ in ("here", "gone", "back"):
            await events.get()
    with pytest.raises(MobileActivationException, match="iCloud locked"):
        await activate(phone, skip_apple_id_query=True)
    assert await state(phone) == "Unactivated"
    assert phone.activation_lock


@pytest.mark.parametrize(("password", "activated"), [("open sesame", True), ("guessed", False)])
async def test_its_owner_unlocks_it(plug, servers, monkeypatch, password, activated):
    phone = plug(**NEW)
    phone.activation_lock = True
    asked = []

    def fill_in(row: str) -> object:
        asked.append(row)
        return {"Apple Account": phone.owner.name, "Password": password}[row]

    monkeypatch.setattr(mobile_activation, "ask_prompt", fill_in)  # a person at the terminal
    monkeypatch.setattr(mobile_activation, "questionary", SimpleNamespace(text=str, password=str))
    if activated:
        await activate(phone)
    else:
        with pytest.raises(AssertionError):  # the library gives up on the page that comes back
            await activate(phone)
    assert asked == ["Apple Account", "Password"]
    assert (await state(phone) == "Activated") is activated
    assert phone.activation_lock is not activated


async def test_the_library_is_told_when_the_server_is_down(plug, servers):
    phone = plug(**NEW)
    servers.behaviours[AppleService.ACTIVATION] = Behaviour.UNAVAILABLE
    with pytest.raises((MobileActivationException, AssertionError, KeyError)):
        await activate(phone, skip_apple_id_query=True)
    assert await state(phone) == "Unactivated"


async def record_for(phone: VirtualPhone, address: str) -> bytes:
    """What the server answers to a request of the phone's, without a session."""
    async with trusted(phone) as lockdown:
        answer = await MobileActivationService(lockdown).send_command("CreateActivationInfoRequest")
    form = {"activation-info": plistlib.dumps(answer["Value"])}
    answer = await asyncio.to_thread(lambda: requests.post(f"http://{address}{SERVER}", data=form, timeout=10))
    assert answer.headers["Content-Type"] == "text/xml"
    return bytes(answer.content)


async def handed(phone: VirtualPhone, record: bytes) -> dict[str, Any]:
    async with trusted(phone) as lockdown:
        return dict(await MobileActivationService(lockdown).activate_with_session(record, CaseInsensitiveDict()))


async def test_accepts_only_what_apple_signed_for_it_and_only_once(plug, servers):
    phone, other = plug(1, **NEW), plug(2, **NEW)
    record = await record_for(phone, servers.host)
    plist = plistlib.loads(record)
    tampered = plistlib.loads(record)
    tampered["ActivationRecord"]["AccountToken"] += b" "
    await record_for(other, servers.host)
    for who, what in [(other, record), (phone, plistlib.dumps(tampered)), (phone, b"?"), (phone, plistlib.dumps({}))]:
        assert "Error" in await handed(who, what)
    assert await handed(phone, plistlib.dumps(plist)) == {}
    assert "Error" in await handed(phone, record)
    assert [await state(phone), await state(other)] == ["Activated", "Unactivated"]


async def test_accepts_nothing_of_somebody_who_says_that_he_is_apple(plug, bus, servers):
    phone = plug(**NEW)
    async with AppleServers(lambda _: phone) as impostor:
        record = await record_for(phone, impostor.host)
    assert "Error" in await handed(phone, record)
    assert await state(phone) == "Unactivated"


async def test_a_session_is_begun_anew_each_time(plug, servers):
    phone = plug(**NEW)
    async with trusted(phone) as lockdown:
        service: Any = MobileActivationService(lockdown)  # it says that bytes are text
        first = await service.create_activation_session_info()
        second = await service.create_activation_session_info()
        url = f"http://{servers.host}/deviceservices/drmHandshake"
        old, new = [
            (await asyncio.to_thread(requests.post, url, data=plistlib.dumps(blob), timeout=10)).content
            for blob in (first, second)
        ]
        for answer in (old, b"noise", new):
            told = await service.send_command("CreateTunnel1ActivationInfoRequest", answer)
            assert ("Error" in told) is (answer != new)
        assert "Error" in await service.send_command("CreateTunnel1ActivationInfoRequest", new)


async def test_is_deactivated(plug, servers):
    phone = plug()
    async with trusted(phone) as lockdown:
        service = MobileActivationService(lockdown)
        await service.deactivate()
        assert await service.state() == "Unactivated"
        assert "Error" in await service.send_command("Dance")
        assert "Error" in await service.send_command("CreateTunnel1ActivationInfoRequest", plistlib.dumps({}))  # type: ignore[arg-type]  # as it does itself


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"activation-info": "?"},
        {"activation-info": plistlib.dumps({"ActivationInfoXML": 3})},
        {"activation-info-base64": "?"},
        {"activation-info-base64": base64.b64encode(plistlib.dumps([]))},
    ],
)
async def test_the_server_refuses_noise(servers, form):
    for path in (SERVER, "/deviceservices/drmHandshake"):
        answer = await asyncio.to_thread(requests.post, f"http://{servers.host}{path}", data=form, timeout=10)
        assert answer.status_code == 400
