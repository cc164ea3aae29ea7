"""iBoot, spoken to by the unmodified library's IRecv over USB/IP."""

import asyncio
import errno
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from pymobiledevice3.irecv import IRecv, Mode
from usb.core import USBError, USBTimeoutError

from station.model.base import SocketPath
from station.model.phone import PhoneMode
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.firmware.image4 import SigningKey, Ticket, im4p_header, make_im4p
from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from tests.virtual_usb.helpers import PAYLOADS, Lab, arrival, image, ticket_for

T = TypeVar("T")
STAGE_TWO = [("rlgo", "setpicture 4"), ("aopf", "firmware"), ("rdsk", "ramdisk"), ("rdtr", "devicetree")]
STAGE_TWO += [("rsep", "rsepfirmware")]


async def in_thread(work: Callable[[], T]) -> T:
    async with asyncio.timeout(15):
        return await asyncio.to_thread(work)


async def connect(number: int = 1) -> IRecv:
    return await in_thread(lambda: IRecv(ecid=number, timeout=5))


async def errno_of(work: Callable[[], object]) -> int | None:
    with pytest.raises(USBError) as caught:
        await in_thread(work)
    number: int | None = caught.value.errno
    return number


async def send(recv: IRecv, data: bytes, command: str) -> None:
    def work() -> None:
        recv.send_buffer(data)
        recv.send_command(command, b_request=1)

    await in_thread(work)


async def start_ibec(lab: Lab, phone: VirtualPhone, ticket: bytes) -> IRecv:
    """Take a phone from the iBoot in flash to iBEC."""
    number = int(phone.identity.ecid)
    async with lab.bus.watch() as events:
        await send(await connect(number), image("ibec", ticket), "go")
        await arrival(events)
    return await connect(number)


async def test_finds_its_own_phone_among_two(lab: Lab):
    phones = [lab.plug(1), lab.plug(2)]
    for phone in phones:
        recv = await connect(phone.identity.ecid)
        assert (recv.ecid, recv.mode, recv.product_type) == (phone.identity.ecid, Mode.RECOVERY_MODE_2, "iPhone13,2")
        assert (vars(recv)["ap_nonce"], vars(recv)["sep_nonce"]) == (phone.ap_nonce, phone.sep_nonce)
        assert recv.is_image4_supported
        assert recv.device.port_numbers == (1, phone.identity.ecid)


async def test_environment_and_what_of_it_is_saved(lab: Lab):
    phone = lab.plug()
    recv = await connect()

    def talk() -> list[bytearray | None]:
        seen = [recv.getenv("build-style"), recv.getenv("config_board"), recv.getenv("radio-error")]
        recv.send_command("setenv boot-args rd=md0 -v")
        recv.send_command("setenvnp scratch once")
        seen += [recv.getenv("boot-args"), recv.getenv("scratch")]
        return seen

    assert await in_thread(talk) == [b"RELEASE\0", b"d53g\0", None, b"rd=md0 -v\0", b"once\0"]
    assert phone.nvram == {"auto-boot": "true"}
    await in_thread(lambda: recv.set_autoboot(False))
    assert phone.nvram == {"auto-boot": "false", "boot-args": "rd=md0 -v"}
    await in_thread(lambda: recv.send_command("setenv backlight-level 0"))
    assert "backlight-level" not in phone.nvram
    await in_thread(lambda: [recv.send_command("clearenv"), recv.send_command("saveenv")])
    assert phone.nvram == {"auto-boot": "true"}


async def test_environment_is_bounded(lab: Lab):
    lab.plug()
    recv = await connect()

    def fill() -> None:
        for number in range(200):
            recv.send_command(f"setenv v{number} {number}")

    assert await errno_of(fill) == errno.EPIPE


@pytest.mark.parametrize("command", ["", "nonsense", "setenv", "x" * 600, "ramdisk", "bootx\xff"])
async def test_what_is_no_command_stalls(lab: Lab, command: str):
    lab.plug()
    recv = await connect()
    assert await errno_of(lambda: recv.send_command(command)) == errno.EPIPE


@pytest.mark.parametrize("total", [100, 511, 512, 513, 0x8000 - 512, 0x8000, 0x8000 + 1, 0x10000])
async def test_upload_ends_where_it_ends(lab: Lab, total: int):
    phone = lab.plug()
    recv = await connect()
    size = next(size for size in range(total) if size + len(im4p_header("rdsk", size)) == total)
    await in_thread(lambda: recv.send_buffer(make_im4p("rdsk", b"x" * size)))
    assert phone.history == ["iboot:upload:rdsk"]


async def test_full_packets_wait_for_an_empty_one(lab: Lab):
    phone = lab.plug()
    recv = await connect()
    await in_thread(lambda: [recv.ctrl_transfer(0x41, 0), recv.device.write(0x04, bytes(1024))])
    assert phone.history == []
    await in_thread(lambda: recv.device.write(0x04, b""))
    assert phone.history == ["iboot:upload:????"]
    assert await errno_of(lambda: recv.device.write(0x04, b"not begun")) == errno.EPIPE


async def test_uploads_are_bounded(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    lab.plug()
    recv = await connect()
    monkeypatch.setattr("station.virtual.boot.iboot.MAX_UPLOAD", 100_000)
    assert await errno_of(lambda: recv.send_buffer(bytes(100_001))) == errno.EPIPE
    await in_thread(lambda: recv.send_buffer(bytes(100_000)))


async def test_boots_the_restore_system(lab: Lab):
    phone = lab.plug()
    ticket = ticket_for(phone)
    recv = await start_ibec(lab, phone, ticket)
    for fourcc, command in STAGE_TWO:
        await send(recv, image(fourcc, ticket), command)
    async with lab.bus.watch() as events:
        await send(recv, image("rkrn", ticket), "bootx")
        await arrival(events)
    assert phone.mode is PhoneMode.RESTORE
    assert phone.restore_ticket is not None
    assert Ticket.parse(phone.restore_ticket).ecid == phone.identity.ecid
    assert phone.ramdisk == PAYLOADS["rdsk"]


@pytest.mark.parametrize(
    "changes",
    [{"key": SigningKey.create()}, {"ecid": 2}, {"nonce": bytes(32)}, {"chip": 1}, {"board": 1}, {"fourccs": ["rdsk"]}],
)
async def test_starts_nothing_that_is_not_signed_for_it(lab: Lab, changes: dict[str, Any]):
    phone = lab.plug()
    recv = await connect()
    running = phone.running
    await in_thread(lambda: recv.send_buffer(image("ibec", ticket_for(phone, **changes))))
    assert await errno_of(lambda: recv.send_command("go", b_request=1)) == errno.EPIPE
    assert phone.running is running


@pytest.mark.parametrize("data", [b"", b"garbage", make_im4p("ibec", PAYLOADS["ibec"])])
async def test_starts_nothing_without_a_ticket(lab: Lab, data: bytes):
    lab.plug()
    recv = await connect()
    await in_thread(lambda: recv.send_buffer(data))
    assert await errno_of(lambda: recv.send_command("go", b_request=1)) == errno.EPIPE


async def test_starts_nothing_that_was_altered(lab: Lab):
    phone = lab.plug()
    recv = await connect()
    await in_thread(lambda: recv.send_buffer(image("ibec", ticket_for(phone), b"i" * 1999 + b"j")))
    assert await errno_of(lambda: recv.send_command("go")) == errno.EPIPE


async def test_the_iboot_in_flash_loads_nothing_but_ibec(lab: Lab):
    phone = lab.plug()
    recv = await connect()
    await in_thread(lambda: recv.send_buffer(image("rdsk", ticket_for(phone))))
    assert await errno_of(lambda: recv.send_command("ramdisk")) == errno.EPIPE


async def test_ibec_loads_nothing_with_another_ticket(lab: Lab):
    phone = lab.plug()
    recv = await start_ibec(lab, phone, ticket_for(phone))
    await in_thread(lambda: recv.send_buffer(image("rdsk", ticket_for(phone))))
    assert await errno_of(lambda: recv.send_command("ramdisk")) == errno.EPIPE


@pytest.mark.parametrize("missing", ["rdsk", "rdtr", "rsep", "rkrn"])
async def test_falls_back_to_recovery_when_something_is_missing(lab: Lab, missing: str):
    phone = lab.plug()
    ticket = ticket_for(phone)
    recv = await start_ibec(lab, phone, ticket)
    for fourcc, command in STAGE_TWO:
        if fourcc != missing:
            await send(recv, image(fourcc, ticket), command)
    async with lab.bus.watch() as events:
        await send(recv, image("rlgo" if missing == "rkrn" else "rkrn", ticket), "bootx")
        await arrival(events)
    assert phone.mode is PhoneMode.RECOVERY
    assert phone.restore_ticket is None


async def test_reboot_boots_what_there_is(lab: Lab):
    phone = lab.plug(system=System("18.5", "22F76"))
    phone.nvram["auto-boot"] = "false"
    async with lab.bus.watch() as events:
        phone.restart_into()
        await arrival(events)
        recv = await connect()
        await in_thread(lambda: [recv.set_autoboot(True), recv.reboot()])
        await arrival(events)
    assert phone.mode is PhoneMode.NORMAL


async def test_unplugged_in_the_middle_of_an_upload(lab: Lab):
    lab.plug()
    recv = await connect()
    await in_thread(lambda: [recv.ctrl_transfer(0x41, 0), recv.device.write(0x04, bytes(0x8000))])
    await lab.bus.unplug(SocketPath("1-1.1"))
    assert await errno_of(lambda: recv.device.write(0x04, bytes(0x8000))) == errno.ENODEV
    assert await errno_of(lambda: recv.send_command("reboot")) == errno.ENODEV


@pytest.mark.parametrize("at", ["iboot:upload:rdsk", "iboot:getenv"])
async def test_unplugged_at_a_step(lab: Lab, at: str):
    phone = lab.plug(1, Fault(at=at, kind=FaultKind.UNPLUG))
    recv = await connect()

    def talk() -> None:
        recv.send_buffer(make_im4p("rdsk", b"x" * 100))
        recv.send_command("getenv auto-boot")

    assert await errno_of(talk) == errno.ENODEV
    assert phone.running is None
    assert lab.bus.phones == []


async def test_silence_lasts(lab: Lab):
    lab.plug(1, Fault(at="iboot:getenv", kind=FaultKind.SILENCE))
    recv = await connect()

    def talk(command: str) -> None:
        with pytest.raises(USBTimeoutError) as caught:
            recv.send_command(command, timeout=50)
        assert caught.value.errno == errno.ETIMEDOUT

    await in_thread(lambda: talk("getenv auto-boot"))
    await in_thread(lambda: talk("saveenv"))
    assert (await connect()).ecid == 1


async def test_refusal_stalls(lab: Lab):
    lab.plug(1, Fault(at="iboot:saveenv", kind=FaultKind.REFUSE))
    recv = await connect()
    assert await errno_of(lambda: recv.send_command("saveenv")) == errno.EPIPE
    await in_thread(lambda: recv.send_command("saveenv"))


@pytest.mark.parametrize("at", ["iboot:go", "iboot:bootx", "iboot:upload:rdsk"])
async def test_stays_in_recovery_when_told_to(lab: Lab, at: str):
    phone = lab.plug(1, Fault(at=at, kind=FaultKind.STAY))
    ticket = ticket_for(phone)
    async with lab.bus.watch() as events:
        if at == "iboot:go":
            recv = await connect()
            assert await errno_of(lambda: [recv.send_buffer(image("ibec", ticket)), recv.send_command("go")])
        else:
            recv = await start_ibec(lab, phone, ticket)
            await arrival(events)
            assert await errno_of(lambda: [recv.send_buffer(image("rdsk", ticket)), recv.send_command("bootx")])
        await arrival(events)
    recv = await connect()
    await in_thread(lambda: recv.send_buffer(image("rdsk", ticket)))
    assert await errno_of(lambda: recv.send_command("ramdisk")) == errno.EPIPE


async def test_old_iboot_lingers_deaf(lab: Lab):
    phone = lab.plug(pace=3600.0)
    recv = await connect()
    phone.pace.factor = 0.0
    await in_thread(lambda: recv.send_buffer(image("ibec", ticket_for(phone))))
    phone.pace.factor = 3600.0
    await in_thread(lambda: recv.send_command("go", b_request=1))
    assert await errno_of(lambda: recv.ctrl_transfer(0x21, 1)) == errno.EPIPE
    again = await connect()
    assert await in_thread(lambda: again.getenv("build-version")) is None


async def test_the_console_greets_and_says_why_nothing_starts(lab: Lab):
    phone = lab.plug()
    recv = await connect()

    def talk() -> tuple[str, str]:
        recv.set_interface_altsetting(1, 1)
        greeting = bytes(recv.device.read(0x81, 4096)).decode()
        with pytest.raises(USBTimeoutError):
            recv.device.read(0x81, 4096, timeout=50)
        with pytest.raises(USBError):
            recv.send_command("go", b_request=1)
        return greeting, bytes(recv.device.read(0x81, 4096)).decode()

    greeting, refusal = await in_thread(talk)
    assert ":: iBoot for d53gap, Copyright" in greeting
    assert f"::\tUSB_SERIAL_NUMBER: {phone.usb_serial}\n::\n===" in greeting
    assert greeting.endswith("\n\nEntering recovery mode, starting command prompt\n")
    assert refusal.endswith("\nMemory image not valid\n")
