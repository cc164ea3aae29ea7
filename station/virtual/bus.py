"""A USB bus with sockets: phones are plugged in and out, and everybody who watches is told."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager

from station.model.base import SocketPath
from station.model.phone import UsbArrived, UsbEvent, UsbGone
from station.virtual.cable import Cable
from station.virtual.faults.strike import arrive
from station.virtual.phones.phone import VirtualPhone


class Bus:
    """Sockets by path, the phones in them, and the watchers."""

    def __init__(self) -> None:
        self._phones: dict[SocketPath, VirtualPhone] = {}
        self._watchers: set[asyncio.Queue[UsbEvent]] = set()
        self._background: set[asyncio.Task[None]] = set()

    @property
    def phones(self) -> list[VirtualPhone]:
        """Every phone that is plugged in, on the bus at this moment or not."""
        return list(self._phones.values())

    def at(self, socket: SocketPath) -> VirtualPhone | None:
        """The phone in a socket."""
        return self._phones.get(socket)

    def plug(self, phone: VirtualPhone, socket: SocketPath) -> None:
        """Put a phone into a free socket; it starts in the mode it boots by itself."""
        if socket in self._phones or phone.socket is not None:
            raise ValueError(f"{socket} is taken, or the phone is plugged in elsewhere")
        self._phones[socket] = phone
        phone.bus, phone.socket, phone.cable = self, socket, Cable(phone.pull)
        arrive(phone)
        phone.appear(phone.boot_mode())

    async def unplug(self, socket: SocketPath) -> VirtualPhone:
        """Pull a phone's cable."""
        phone = self._phones.pop(socket)
        await phone.disappear()
        phone.socket = None
        phone.tell("unplugged")
        return phone

    def announce(self, phone: VirtualPhone) -> None:
        """Tell the watchers that a phone enumerated."""
        self._tell(self._arrival(phone))

    def announce_gone(self, phone: VirtualPhone) -> None:
        """Tell the watchers that a phone left."""
        assert phone.socket is not None
        self._tell(UsbGone(socket=phone.socket))

    @asynccontextmanager
    async def watch(self) -> AsyncIterator["asyncio.Queue[UsbEvent]"]:
        """A queue of events; what is plugged in already comes first."""
        queue: asyncio.Queue[UsbEvent] = asyncio.Queue()
        for phone in self.phones:
            if phone.running is not None:
                queue.put_nowait(self._arrival(phone))
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something that outlives the connection it came from."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _tell(self, event: UsbEvent) -> None:
        for queue in self._watchers:
            queue.put_nowait(event)

    @staticmethod
    def _arrival(phone: VirtualPhone) -> UsbArrived:
        assert phone.socket is not None
        return UsbArrived(socket=phone.socket, product_id=phone.product_id, serial=phone.usb_serial, emulated=True)
