"""The boot ROM, sent an iBSS by the unmodified library's IRecv."""

import asyncio
import errno

import pytest
from pymobiledevice3.irecv import IRecv, Mode
from usb.core import USBError

from station.model.phone import PhoneMode, UsbGone
from station.virtual.boot.dfu import BLOCK, SUFFIX_SIZE
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.firmware.image4 import SigningKey
from station.virtual.phones.phone import Pace, VirtualPhone
from tests.virtual_usb.helpers import PAYLOADS, Lab, arrival, image, ticket_for


@pytest.fixture
async def phone(lab: Lab) -> VirtualPhone:
    """A phone in DFU mode."""
    async with lab.bus.watch() as events:
        phone = lab.plug()
        phone.restart_into(PhoneMode.DFU)
        await arrival(events)
    return phone


async def connect() -> IRecv:
    return await asyncio.to_thread(lambda: IRecv(ecid=1, timeout=5))


async def upload(data: bytes) -> IRecv:
    """Send an image; the library then resets the phone and finds it again, whatever it is by then."""
    recv = await connect()
    async with asyncio.timeout(15):
        await asyncio.to_thread(lambda: recv.send_buffer(data))
    return recv


async def test_shows_an_iphone_in_dfu(phone: VirtualPhone):
    recv = await connect()
    assert (recv.mode, recv.ecid, recv.iboot_version) == (Mode.DFU_MODE, 1, "iBoot-5281.0.0.100.45")
    assert vars(recv)["ap_nonce"] == phone.ap_nonce
    assert recv.device[0].wTotalLength == 25
    assert await asyncio.to_thread(lambda: recv.device.product) == "Apple Mobile Device (DFU Mode)"


@pytest.mark.parametrize(("total", "alone"), [(0x1000 - 8, True), (0x1000 - 200, False)])
async def test_starts_ibss_wherever_the_suffix_comes(
    phone: VirtualPhone, total: int, alone: bool, monkeypatch: pytest.MonkeyPatch
):
    # The suffix gets a block of its own when the last one has no room for it. Signatures vary by a few bytes.
    def made(size: int) -> bytes:
        monkeypatch.setitem(PAYLOADS, "ibss", b"b" * size)
        return image("ibss", ticket_for(phone))

    data = made(2000 + total - len(made(2000)))
    assert (len(data) % BLOCK + SUFFIX_SIZE > BLOCK) is alone
    recv = await upload(data)
    assert recv.mode is Mode.RECOVERY_MODE_2
    assert phone.history == ["dfu:upload:ibss"]


class Unhurried(Pace):
    """Waits long for whatever may happen, and restarts at once."""

    async def pause(self, seconds: float, *, least: float = 0.0) -> None:
        await asyncio.sleep(least)


async def test_starts_at_the_reset(phone: VirtualPhone):
    phone.pace = Unhurried(3600.0)
    recv = await upload(image("ibss", ticket_for(phone)))
    assert recv.mode is Mode.RECOVERY_MODE_2


@pytest.mark.parametrize("what", ["another key", "another image", "no image"])
async def test_starts_nothing_else(lab: Lab, phone: VirtualPhone, what: str):
    data = {
        "another key": image("ibss", ticket_for(phone, key=SigningKey.create())),
        "another image": image("ibec", ticket_for(phone)),
        "no image": b"nonsense",
    }[what]
    async with lab.bus.watch() as events:
        recv = await upload(data)
        await arrival(events)
    assert recv.mode is Mode.DFU_MODE
    assert phone.mode is PhoneMode.DFU


async def test_refusal_starts_it_anew(lab: Lab, phone: VirtualPhone):
    phone.faults.add(Fault(at="dfu:upload:ibss", kind=FaultKind.REFUSE))
    recv = await upload(image("ibss", ticket_for(phone)))
    assert recv.mode is Mode.DFU_MODE


async def test_unplugged_while_it_starts(lab: Lab, phone: VirtualPhone):
    phone.faults.add(Fault(at="dfu:upload:ibss", kind=FaultKind.UNPLUG))
    recv = await connect()

    def talk() -> None:
        recv._reinit = lambda **_: None  # type: ignore[method-assign]  # it would search for the phone for ever
        recv.send_buffer(image("ibss", ticket_for(phone)))

    async with lab.bus.watch() as events:
        await asyncio.to_thread(talk)
        async with asyncio.timeout(5):
            while not isinstance(await events.get(), UsbGone):
                pass
    assert lab.bus.phones == []


async def test_an_empty_upload_is_an_error_until_it_is_cleared(phone: VirtualPhone):
    recv = await connect()

    def talk() -> list[int]:
        with pytest.raises(USBError) as caught:
            recv.ctrl_transfer(0x21, 1, wValue=0, wIndex=0)
        assert caught.value.errno == errno.EPIPE
        seen = [recv.status]
        recv.ctrl_transfer(0x21, 4)
        return [*seen, recv.status]

    assert await asyncio.to_thread(talk) == [10, 2]
