"""The way into a kernel: vhci-hcd's sysfs files are played by a directory, its work by a reader of the socket."""

import asyncio
import os
import socket
import struct
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from station.model.base import SocketPath
from station.model.phone import PhoneMode
from station.virtual.hosting.feed import serve_feed
from station.virtual.sockets import Address, TcpAddress, parse_address
from station.virtual.usb import vhci
from station.virtual.usb.usbip import serve_usbip
from station.virtual.usb.usbip_messages import UsbIpError
from tests.virtual_usb.helpers import Lab

HEADER = "hub port sta spd dev      sockfd local_busid\n"
HERE, THERE = SocketPath("1-1.1"), SocketPath("1-1.2")
GET_DEVICE_DESCRIPTOR = bytes.fromhex("80 06 0001 0000 1200")


@dataclass
class Kernel(vhci.Attacher):
    """An attacher whose kernel is played: what is written to `attach` has the socket taken, as sockfd_lookup does."""

    usbip: Address
    sysfs: Path
    taken: dict[int, socket.socket] = field(default_factory=dict)
    """The sockets that the kernel has, by port."""
    written: list[str] = field(default_factory=list)
    news: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def __post_init__(self) -> None:
        super().__init__(self.usbip, sysfs=self.sysfs)
        self.show()

    def show(self, *busy: int) -> None:
        """Write `status`, as drivers/usb/usbip/vhci_sysfs.c does."""
        lines = [
            f"{'hs' if port < 3 else 'ss'}  {port:04d} {'006' if port in {*self.taken, *busy} else '004'} "
            "003 00010001 000007 1-1\n"
            for port in range(6)
        ]
        (self.sysfs / "status").write_text(HEADER + "".join(lines))

    def _write(self, name: str, text: str) -> None:
        super()._write(name, text)
        assert (self.sysfs / name).read_text() == text
        self.written.append(f"{name} {text}")
        if name == "attach":
            port, fd, devid, speed = map(int, text.split())
            assert speed == 3
            self.taken[port] = socket.socket(fileno=os.dup(fd))
            assert self.taken[port].gettimeout() is None
            self._ask(self.taken[port], devid)
        elif int(text) in self.taken:
            self.taken.pop(int(text)).close()
        else:
            raise OSError(22, "nothing is there")
        self.show()
        self.news.release()

    def _ask(self, connection: socket.socket, devid: int) -> None:
        """Use the connection as the kernel would: the import's answer must have been read, and no byte more."""
        connection.sendall(struct.pack(">10I", 1, 7, devid, 1, 0, 0, 18, 0, 0, 0) + GET_DEVICE_DESCRIPTOR)
        answer = b""
        while len(answer) < 48 + 18:
            answer += connection.recv(48 + 18 - len(answer))
        self.product = int.from_bytes(answer[58:60], "little")


@pytest.fixture(params=["unix", "tcp"])
async def addresses(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[list[Address]]:
    """Where feed and USB/IP of the lab's bus are."""
    at: list[Address] = [TcpAddress(), TcpAddress()]
    if request.param == "unix":
        at = [tmp_path / "feed", tmp_path / "usbip2"]
    async with serve_feed(lab.bus, at[0]) as feed, serve_usbip(lab.bus, at[1]) as usbip:
        yield [*feed, *usbip]


@asynccontextmanager
async def following(feed: Address, kernel: Kernel) -> AsyncIterator[None]:
    work = asyncio.ensure_future(vhci.follow(feed, kernel))
    try:
        yield
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def news(kernel: Kernel, count: int = 1) -> None:
    for _ in range(count):
        assert await asyncio.to_thread(kernel.news.acquire, timeout=10)


async def test_phones_are_in_the_kernel_as_long_as_they_are_on_the_bus(
    lab: Lab, tmp_path: Path, addresses: list[Address]
):
    lab.plug(1)
    feed, usbip = addresses
    kernel = Kernel(usbip, tmp_path)
    async with following(feed, kernel):
        await news(kernel)
        lab.plug(2)
        await news(kernel)
        assert sorted(kernel.taken) == [0, 1]
        await lab.bus.unplug(HERE)
        await news(kernel)
        assert list(kernel.taken) == [1]
    assert kernel.taken == {}


async def test_a_socket_keeps_its_port(lab: Lab, tmp_path: Path, addresses: list[Address]):
    phone, other = lab.plug(1), lab.plug(2)
    feed, usbip = addresses
    kernel = Kernel(usbip, tmp_path)
    async with following(feed, kernel):
        await news(kernel, 2)
        assert kernel.product == 0x1281
        for mode, product in ((PhoneMode.DFU, 0x1227), (PhoneMode.RECOVERY, 0x1281)):
            phone.restart_into(mode)
            await news(kernel, 2)
            assert kernel.product == product
        await lab.bus.unplug(HERE)
        await lab.bus.unplug(THERE)
        await news(kernel, 2)
        lab.bus.plug(other, THERE)
        await news(kernel)
        assert list(kernel.taken) == [1]
    ports = [line.split()[1] for line in kernel.written if line.startswith("attach")]
    assert ports == ["0", "1", "0", "0", "1"]


async def test_only_free_high_speed_ports_are_used(lab: Lab, tmp_path: Path):
    for number in (1, 2, 3):
        lab.plug(number)
    kernel = Kernel(lab.path, tmp_path)
    kernel.show(0)
    assert await asyncio.to_thread(kernel.attach, HERE) == 1
    assert await asyncio.to_thread(kernel.attach, THERE) == 0  # 0 is free again
    await asyncio.to_thread(kernel.attach, SocketPath("1-1.3"))
    with pytest.raises(OSError, match="no free port"):
        await asyncio.to_thread(kernel.attach, SocketPath("1-1.4"))
    kernel.close()


async def test_waits_until_the_kernel_is_done_with_what_was_there(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lab.plug(1)
    kernel = Kernel(lab.path, tmp_path)
    await asyncio.to_thread(kernel.attach, HERE)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            kernel.detach(HERE)

    monkeypatch.setattr("station.virtual.usb.vhci.time.sleep", pause)
    assert await asyncio.to_thread(kernel.attach, HERE) == 0
    assert len(pauses) == 3
    monkeypatch.setattr(vhci, "FREE_SECONDS", 0.0)
    monkeypatch.setattr("station.virtual.usb.vhci.time.sleep", lambda _: None)
    with pytest.raises(TimeoutError, match="port 0"):
        await asyncio.to_thread(kernel.attach, HERE)
    kernel.close()


async def test_a_phone_that_has_left_is_not_attached(lab: Lab, tmp_path: Path):
    kernel = Kernel(lab.path, tmp_path)
    with pytest.raises(UsbIpError, match=r"nothing to import from 1-1\.1"):
        await asyncio.to_thread(kernel.attach, HERE)
    assert kernel.written == []


async def test_one_that_cannot_be_attached_hinders_no_other(lab: Lab, tmp_path: Path, addresses: list[Address]):
    for number in (1, 2, 3, 4, 5):
        lab.plug(number)
    feed, usbip = addresses
    kernel = Kernel(usbip, tmp_path)
    async with following(feed, kernel):
        await news(kernel, 3)  # 4 and 5 find no port
        await lab.bus.unplug(THERE)
        await news(kernel)
        lab.plug(2)
        await news(kernel)
        assert sorted(kernel.taken) == [0, 1, 2]


@pytest.mark.parametrize("answer", [b"", bytes.fromhex("0111 0005 00000000"), b"HTTP/1.1 400 Bad Request"])
async def test_a_server_that_is_none(tmp_path: Path, answer: bytes):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(40)
        writer.write(answer)
        writer.close()

    kernel = Kernel(tmp_path / "usbip", tmp_path)
    async with await asyncio.start_unix_server(serve, tmp_path / "usbip"):
        with pytest.raises(UsbIpError):
            await asyncio.to_thread(kernel.attach, HERE)
    assert kernel.written == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.2.2:4000", TcpAddress("10.0.2.2", 4000)),
        ("/run/x/feed", Path("/run/x/feed")),
        ("/run/x:7/feed", Path("/run/x:7/feed")),
        ("/run/x:7", Path("/run/x:7")),
        ("feed", Path("feed")),
    ],
)
def test_addresses(text: str, address: Address):
    assert parse_address(text) == address
    assert str(address) == text
