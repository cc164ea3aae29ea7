"""The cable under USB transfers: cut in the middle of an upload, or wrong in one bit of it."""

import asyncio

import pytest
from pymobiledevice3.irecv import IRecv
from usb.core import USBError

from station.virtual.cable import Mishap
from tests.virtual_usb.helpers import Lab, image, ticket_for


async def connect() -> IRecv:
    async with asyncio.timeout(15):
        return await asyncio.to_thread(lambda: IRecv(ecid=1, timeout=5))


async def send(recv: IRecv, data: bytes, command: str) -> None:
    def work() -> None:
        recv.send_buffer(data)
        recv.send_command(command, b_request=1)

    async with asyncio.timeout(15):
        await asyncio.to_thread(work)


@pytest.mark.parametrize("after", [1, 5000])
async def test_an_upload_is_cut(lab: Lab, after: int):
    phone = lab.plug()
    recv = await connect()
    phone.cable.have(Mishap.CUT, after)
    with pytest.raises(USBError):
        await send(recv, bytes(20_000), "go")
    assert lab.bus.phones == []
    assert phone.cable.into_phone + phone.cable.out_of_phone == after


async def test_a_bit_of_an_upload_is_wrong(lab: Lab):
    phone = lab.plug()
    recv = await connect()
    phone.cable.have(Mishap.CORRUPT, 1500)
    with pytest.raises(USBError):
        await send(recv, image("ibec", ticket_for(phone)), "go")
    assert phone.running is not None
    await send(recv, image("ibec", ticket_for(phone)), "go")
