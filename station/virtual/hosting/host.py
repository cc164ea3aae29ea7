"""The composition root of the virtual side: a bus, all its sockets, Apple's servers, and the phones.

DIR/usbmuxd     phones in normal and restore mode         (`usbmuxd`)
DIR/usbip       every phone, as a USB device              (`usbip`)
DIR/feed        who is plugged in where, instead of udev  (`feed`)
DIR/control     plug, unplug, make things go wrong, look  (`control`, `hands`)
DIR/reach.json  all that a worker must know (`Reach`); written last: once it is there, everything is
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from station.model.base import Udid
from station.model.catalog import FirmwareHosts
from station.model.job import Reach
from station.model.phone import PhoneMode
from station.virtual.apple.servers import LOOPBACK, AppleServers
from station.virtual.boot import dfu, iboot
from station.virtual.bus import Bus
from station.virtual.hosting.control import serve_control
from station.virtual.hosting.feed import serve_feed
from station.virtual.hosting.hands import Hands
from station.virtual.hosting.heap import keep_freed_memory
from station.virtual.phones.phone import Boots, VirtualPhone
from station.virtual.restore import restored
from station.virtual.sockets import Address, TcpAddress
from station.virtual.system import lockdownd
from station.virtual.usb.usbip import serve_usbip
from station.virtual.usb.usbmuxd import serve_usbmuxd

REACH = "reach.json"
FIRMWARE_HOSTS = "firmware-hosts.json"


@dataclass(frozen=True)
class TcpAddresses:
    """Where TCP reaches what the sockets in the directory serve: for a virtual machine's guest."""

    usbmuxd: Address
    usbip: Address
    feed: Address


class VirtualHost:
    """Everything virtual. An async context manager: serves while it is entered.

    Args:
        directory: where the sockets are; made if need be. Its path must be short (sockets: 107 bytes).
        pace: of the phones: 1 takes about half a minute for a restore, 0 as fast as can be.
        tcp: whether the phones and the feed can be reached over TCP on 127.0.0.1 too.
        name: what those who are to reach Apple's servers call this machine's 127.0.0.1.
    """

    def __init__(self, directory: Path, *, pace: float = 0.0, tcp: bool = False, name: str = LOOPBACK) -> None:
        self.directory = directory.absolute()
        self.bus = Bus()
        self.apple = AppleServers(self._find, name=name)
        boots = Boots(
            {
                PhoneMode.NORMAL: partial(lockdownd.boot, apple=self.apple.public_key),
                PhoneMode.RECOVERY: partial(iboot.boot, apple=self.apple.public_key),
                PhoneMode.DFU: partial(dfu.boot, apple=self.apple.public_key),
                PhoneMode.RESTORE: partial(restored.boot, apple=self.apple),
            }
        )
        self.hands = Hands(self.bus, boots, self.apple, pace=pace)
        self.tcp: TcpAddresses | None = None
        """Known once it serves, if it serves TCP."""
        self._more_addresses = (TcpAddress(),) if tcp else ()
        self._stack = AsyncExitStack()

    @property
    def reach(self) -> Reach:
        """How a worker reaches these phones and these servers."""
        return Reach(
            usbmuxd=str(self.directory / "usbmuxd"),
            usbip=str(self.directory / "usbip"),
            signing_url=self.apple.signing_url,
            activation_url=self.apple.activation_url,
            asset_hosts=self.apple.asset_hosts,
            fdr_hosts=(self.apple.fdr_host,),
        )

    @property
    def firmware_hosts(self) -> FirmwareHosts:
        """Where a station finds the firmware that these servers offer."""
        origin = self.apple.origin
        return FirmwareHosts(
            ipsw_me=f"{origin}/v4", appledb=f"{origin}/ios", apple=f"{origin}/version", origins=(origin,)
        )

    @property
    def feed(self) -> Path:
        """Where the daemon reads the hotplug feed."""
        return self.directory / "feed"

    @property
    def environment(self) -> dict[str, str]:
        """What points programs here: pymobiledevice3 and the station's daemon."""
        return {"USBMUXD_SOCKET_ADDRESS": self.reach.usbmuxd, "STATION_VIRTUAL": str(self.directory)}

    async def __aenter__(self) -> Self:
        """Serve. Raises OSError or ValueError: it cannot in this directory."""
        await self._refuse_a_second()
        keep_freed_memory()
        await asyncio.to_thread(self.directory.mkdir, parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.apple)
            more = self._more_addresses
            _, *usbmuxd = await stack.enter_async_context(serve_usbmuxd(self.bus, self.directory / "usbmuxd", *more))
            _, *usbip = await stack.enter_async_context(serve_usbip(self.bus, self.directory / "usbip", *more))
            _, *feed = await stack.enter_async_context(serve_feed(self.bus, self.feed, *more))
            if more:
                self.tcp = TcpAddresses(*usbmuxd, *usbip, *feed)
            stack.push_async_callback(self._unplug_all)  # first of all: a phone that leaves ends its connections itself
            await stack.enter_async_context(serve_control(self.directory / "control", self.hands.carry_out))
            for name, told in ((FIRMWARE_HOSTS, self.firmware_hosts), (REACH, self.reach)):
                file = self.directory / name
                await asyncio.to_thread(file.write_bytes, msgspec.json.encode(told))
                stack.push_async_callback(asyncio.to_thread, file.unlink, missing_ok=True)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Pull every cable and close every socket."""
        await self._stack.aclose()

    async def _refuse_a_second(self) -> None:
        """Raise ValueError when another host serves here: it would lose its sockets to this one."""
        try:
            _, writer = await asyncio.open_unix_connection(self.directory / "control")
        except OSError:
            return  # nobody, or what one left behind that was killed
        writer.close()
        raise ValueError("another virtual host serves there; end it, or take another directory")

    def _find(self, udid: Udid) -> VirtualPhone | None:
        """The phone with this UDID among those that are plugged in."""
        return next((phone for phone in self.bus.phones if phone.identity.udid == udid), None)

    async def _unplug_all(self) -> None:
        for phone in self.bus.phones:
            assert phone.socket is not None
            await self.bus.unplug(phone.socket)
