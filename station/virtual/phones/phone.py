"""One virtual phone: who it is, what is on it, what it runs now. Protocols live in the modules it boots."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.cable import Cable
from station.virtual.faults.hostile import say
from station.virtual.faults.kinds import Faults, GarbledError, Lies, PhoneGoneError, RefusedError
from station.virtual.faults.strike import strike
from station.virtual.phones.identity import Identity
from station.virtual.phones.installed import Account, System
from station.virtual.phones.soc import SOCS, usb_serial
from station.virtual.system.pairing import Pairings

if TYPE_CHECKING:
    from station.virtual.bus import Bus
    from station.virtual.usb.protocol import UsbDevice

PRODUCT_IDS = {
    PhoneMode.NORMAL: 0x12A8,
    PhoneMode.RESTORE: 0x12A8,  # as real phones do (usbmuxd#147)
    PhoneMode.RECOVERY: 0x1281,
    PhoneMode.DFU: 0x1227,
}

IPAD_PRODUCT_ID = 0x12AB
"""Of iPads, where iPhones have 12A8."""

MAX_STEP, MAX_HISTORY = 200, 10_000
"""Characters of a step's name, and how many steps a phone remembers at least."""

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection to one of the phone's ports, until either side closes it."""


class Running(Protocol):
    """What a phone runs in one mode."""

    listeners: dict[int, Handler]
    """Open ports, as usbmuxd would connect to them."""
    usb: "UsbDevice | None"
    """Its USB side, where it has one of its own (recovery, DFU)."""


Boot = Callable[["VirtualPhone"], Running]
"""Starts what a phone runs."""


@dataclass
class Boots:
    """How to start what a phone runs in each mode; the composition root fills it."""

    by_mode: dict[PhoneMode, Boot] = field(default_factory=dict)


@dataclass
class Pace:
    """How fast the phone is: 1 takes about half a minute for a restore, 0 as fast as it can be."""

    factor: float = 0.0
    least_restart: float = 0.0
    """Seconds for which it is off the bus at least when it restarts, however fast all else is."""

    async def pause(self, seconds: float, *, least: float = 0.0) -> None:
        """Let `seconds` of a default-paced phone's time pass, but `least` seconds of real time."""
        await asyncio.sleep(max(least, seconds * self.factor))


class VirtualPhone:
    """A phone with a memory. What it was sent decides what it becomes."""

    def __init__(
        self,
        identity: Identity,
        system: System | None,
        boots: Boots,
        *,
        faults: Faults | None = None,
        pace: Pace | None = None,
    ) -> None:
        self.identity = identity
        self.system = system
        """None: erased, nothing to boot."""
        if system is not None:
            system.files.capacity = identity.capacity
        self.faults = faults or Faults()
        self.pace = pace or Pace()
        self.nvram: dict[str, str] = {"auto-boot": "true"}
        self.battery = 82
        """Percent."""
        self.charging = True
        """Whether the battery takes the current that the host gives."""
        self.activation_lock = False
        """Whether Apple holds it for its owner: it was erased while Find My was on."""
        self.owner = Account()
        """Who can end that."""
        self.mode = PhoneMode.NORMAL
        self.starts = 0
        """How often it was started anew since it was first plugged in."""
        self.off = False
        """Whether it is turned off, and not only leaving the bus for a moment."""
        self.frozen = False
        """Whether what it runs answers nothing any more, until it is turned off."""
        self.running: Running | None = None
        """None while it is not on the bus."""
        self.cable = Cable(self.pull)
        """To its host; another one each time it is plugged in."""
        self.lies = Lies()
        """What it says that is not true."""
        self.asset_url: str | None = None
        """What it has its host fetch in place of the key of an encrypted image."""
        self.bus: Bus | None = None
        self.socket: SocketPath | None = None
        self.ap_nonce = os.urandom(SOCS[identity.chip_id].nonce_size)
        self.sep_nonce = os.urandom(20)
        self.restore_ticket: bytes | None = None
        """The verified IM4M that iBoot booted the restore system with; restored insists on the same."""
        self.ramdisk: bytes = b""
        """The payload of the verified RestoreRamDisk that iBoot booted; it says how this restore behaves."""
        self.history: list[str] = []
        """The last steps it has been through, by name: what faults can be aimed at, and what tests read."""
        self.passers_by: set[Callable[[str], None]] = set()
        """See `tell`."""
        self.destructions: list[str] = []
        """Every time somebody's data ended, with the reason. Tests hold this against the consents."""
        self._boots = boots
        self._times_off = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def product_id(self) -> int:
        """The USB product id in the present mode."""
        muxed = self.mode in (PhoneMode.NORMAL, PhoneMode.RESTORE)
        return IPAD_PRODUCT_ID if muxed and self.identity.is_ipad else PRODUCT_IDS[self.mode]

    @property
    def usb_serial(self) -> str:
        """The USB serial string of the present mode (formats: real iPhones' descriptors, publicly listed)."""
        me = self.identity
        if self.lies.serial is not None:
            return self.lies.serial
        if self.mode in (PhoneMode.NORMAL, PhoneMode.RESTORE):
            return me.udid.replace("-", "")
        serial = usb_serial(
            chip_id=me.chip_id,
            board_id=me.board_id,
            ecid=me.ecid,
            serial_number=me.serial_number,
            dfu=self.mode is PhoneMode.DFU,
        )
        return serial.replace(f"ECID:{me.ecid:016X} ", "") if "UniqueChipID" in self.lies.withheld else serial

    async def step(self, name: str, *, seconds: float = 0.0) -> None:
        """Be at the step `name` for `seconds` (of default pace); whatever fault is due there, strikes.

        Raises:
            PhoneGoneError, StatusError, RefusedError, StayError, GarbledError: as the fault asks.
        """
        name = name[:MAX_STEP]  # some are named by what a host asked for
        self.note(name)
        if self.frozen:
            await asyncio.Event().wait()
        if seconds:
            await self.pace.pause(seconds)
        if (fault := self.faults.due(name)) is not None:
            await strike(self, fault, name)

    def note(self, name: str) -> None:
        """Remember that something happened, and tell who looks on."""
        if len(self.history) >= 2 * MAX_HISTORY:
            del self.history[:-MAX_HISTORY]
        self.history.append(name)
        self.tell(name)

    def tell(self, name: str) -> None:
        """Tell who looks on what happens: each step as it is begun, and "unplugged"."""
        for passer_by in tuple(self.passers_by):
            passer_by(name)

    def pull(self) -> None:
        """Have the cable pulled, in the background: what calls this may be waited for by tasks that it ends."""
        bus, socket = self.bus, self.socket
        assert bus is not None
        assert socket is not None

        async def unplug() -> None:
            if bus.at(socket) is self:
                await bus.unplug(socket)

        bus.spawn(unplug())

    def twin(self, ecid: Ecid) -> "VirtualPhone":
        """Another phone like it, with the same on it; not plugged in."""
        identity = replace(self.identity, ecid=ecid)
        system = None if self.system is None else replace(self.system, pairings=Pairings())
        return VirtualPhone(identity, system, self._boots, pace=self.pace)

    def erase(self, why: str) -> None:
        """End everything the owner has on it."""
        if self.system is not None:
            self.destructions.append(why)
            self.activation_lock |= bool(self.system.find_my)
        self.system = None

    def erase_content(self, why: str) -> None:
        """End everything the owner has on it and keep the system: “Erase All Content and Settings”. It restarts."""
        system = self.system
        assert system is not None
        self.erase(why)
        self.system = System.new(system.version, system.build, capacity=self.identity.capacity)
        self.nvram = {"auto-boot": "true"}
        self.restart_into()

    def boot_mode(self) -> PhoneMode:
        """The mode it starts in by itself: recovery when told not to boot, or when there is nothing to boot."""
        if self.system is None or self.nvram.get("auto-boot") == "false":
            return PhoneMode.RECOVERY
        return PhoneMode.NORMAL

    def appear(self, mode: PhoneMode, boot: Boot | None = None) -> None:
        """Enumerate on the bus in `mode`. `boot` runs something it was sent, in place of what that mode boots."""
        assert self.bus is not None
        self.mode, self.off = mode, False
        if mode is not PhoneMode.RESTORE:
            self.restore_ticket = None if mode is PhoneMode.NORMAL else self.restore_ticket
        self.running = (boot or self._boots.by_mode[mode])(self)
        self.bus.announce(self)

    async def disappear(self) -> None:
        """Leave the bus: every connection breaks at once."""
        if self.running is None:
            return
        self.running = None
        assert self.bus is not None
        self.bus.announce_gone(self)
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)

    def restart_into(self, mode: PhoneMode | None = None, *, seconds: float = 1.0, boot: Boot | None = None) -> None:
        """Restart in the background; None: whatever it boots by itself. Returns at once. `boot`: see `appear`.

        The caller is usually one of the connections that the restart breaks.
        """
        bus, socket, cable, times_off = self.bus, self.socket, self.cable, self._times_off
        assert bus is not None

        async def restart() -> None:
            if self.running is not None and self.running.usb is not None:
                await self.running.usb.settle()  # the caller's answer still has to get to the host
            await self.disappear()
            self.starts += 1
            await self.pace.pause(seconds, least=self.pace.least_restart)
            # Still plugged in, and not anew: whoever is just pulling the cable waits for this phone to leave.
            here = socket is not None and bus.at(socket) is self and self.cable is cable
            if here and self._times_off == times_off:
                self.appear(mode or self.boot_mode(), boot)

        bus.spawn(restart())

    async def power_off(self) -> None:
        """Turn off at once, whatever it is doing: also a restart that is under way, and a system that hangs."""
        self.off, self.frozen = True, False
        self._times_off += 1
        await self.disappear()

    def shut_down(self) -> None:
        """Turn off, in the background; it stays off until somebody plugs it in again, or turns it on."""

        async def turn_off() -> None:
            if self.running is not None and self.running.usb is not None:
                await self.running.usb.settle()
            await self.disappear()
            self.starts += 1

        assert self.bus is not None
        self.bus.spawn(turn_off())

    async def serve(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to `port`, until it ends or the phone leaves. Raises RefusedError: nothing listens."""
        if self.running is None or port not in self.running.listeners:
            raise RefusedError(str(port))
        handler = self.running.listeners[port]
        if self.faults.concern_cable:
            self.cable.metered = True
        async with self.cable.between(port, reader, writer) as streams:
            task = asyncio.ensure_future(_answer(handler, *streams))
            self.keep(task)
            await asyncio.wait({task})
        writer.transport.abort()
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, PhoneGoneError | OSError | EOFError):
                return
            raise error

    def keep(self, task: "asyncio.Future[None]") -> None:
        """Tie a task's life to the phone's presence on the bus."""
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _answer(handler: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serve a connection; one that is to be garbled where its handler does not do it itself, ends so."""
    try:
        await handler(reader, writer)
    except GarbledError as garbled:
        await say(garbled.garble, reader, writer)
