"""lockdownd: what runs in normal mode. It serves its own protocol (`conversation`) and starts all other services."""

import asyncio
from itertools import cycle
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec

from station.virtual.phones.installed import System
from station.virtual.phones.phone import Handler, VirtualPhone
from station.virtual.services.backup.placing import put_in_place
from station.virtual.services.service import Call, Service
from station.virtual.system.conversation import HANDSHAKE_SECONDS, Conversation
from station.virtual.system.errors import LockdownError
from station.virtual.system.pairing import Host
from station.virtual.system.tls import TlsStream
from station.virtual.usb.mux_device import MuxDevice

if TYPE_CHECKING:
    from station.virtual.usb.protocol import UsbDevice

PORT = 62078
SERVICE_PORTS = range(49152, 65536)
MAX_STARTED = 100
"""Services that may wait for their host at the same time."""
CONNECT_SECONDS = 30.0
"""How long each of them waits."""


class Lockdownd:
    """What runs in normal mode."""

    def __init__(self, phone: VirtualPhone, system: System, apple: ec.EllipticCurvePublicKey) -> None:
        self.usb: UsbDevice | None = MuxDevice(phone)
        self._phone = phone
        self._system = system
        self._apple = apple
        self._ports = cycle(SERVICE_PORTS)
        self.listeners: dict[int, Handler] = {PORT: self._serve}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Conversation(self._phone, self._system, self._apple, self.start, reader, writer).run()

    def start(self, service: Service, host: Host) -> int:
        """Have a service wait for one connection of `host`; the port it waits on, for as long as hosts are given."""
        if len(self.listeners) > MAX_STARTED:
            raise LockdownError("ServiceLimit")
        port = next(port for port in self._ports if port not in self.listeners)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            close()
            tls = TlsStream(reader, writer, await self._system.pairings.tls(host))
            await tls.handshake(seconds=HANDSHAKE_SECONDS)
            await service.serve(Call(self._phone, self._system, self._apple, tls, tls))

        def close() -> None:
            expiry.cancel()
            self.listeners.pop(port, None)

        expiry = asyncio.get_running_loop().call_later(CONNECT_SECONDS, close)
        self.listeners[port] = serve
        return port


def boot(phone: VirtualPhone, *, apple: ec.EllipticCurvePublicKey) -> Lockdownd:
    """Boot the installed system. `apple`: the key whose signatures it takes for Apple's."""
    assert phone.system is not None
    put_in_place(phone.system)
    return Lockdownd(phone, phone.system, apple)
