"""lockdownd: what a phone in normal mode says of itself, whom it trusts, and how it is sent to recovery.

Protocol and error names as public libimobiledevice (lockdown.c) and its users' logs show them. Whatever a client
may ask has the step "lockdown:" + the request's name.
"""

import asyncio
import uuid
from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec

from station.model.phone import PhoneMode
from station.virtual import framing
from station.virtual.faults import RefusedError
from station.virtual.phone import Handler, System, VirtualPhone
from station.virtual.services.catalog import SERVICES
from station.virtual.services.service import Call, Service
from station.virtual.streams import Reader, Writer
from station.virtual.system import values
from station.virtual.system.pairing import BadPairRecordError, Host
from station.virtual.system.tls import TlsStream
from station.virtual.usb.mux_device import MuxDevice

if TYPE_CHECKING:
    from station.virtual.usb.protocol import UsbDevice

PORT = 62078
MAX_MESSAGE = 1 << 20
HANDSHAKE_SECONDS = 10.0
SERVICE_PORTS = range(49152, 65536)
MAX_STARTED = 100
"""Services that may wait for their host at the same time."""
CONNECT_SECONDS = 30.0
"""How long each of them waits."""
TAP_SECONDS = 2.0
"""How long somebody needs to tap “Trust”, at the default pace."""


class LockdownError(Exception):
    """A request is answered with this Error."""


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
        await Conversation(self._phone, self._system, self.start, reader, writer).run()

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
    return Lockdownd(phone, phone.system, apple)


class Conversation:
    """One connection to lockdownd."""

    def __init__(
        self,
        phone: VirtualPhone,
        system: System,
        start: Callable[[Service, Host], int],
        reader: Reader,
        writer: Writer,
    ) -> None:
        self._phone = phone
        self._system = system
        self._start = start
        self._reader = reader
        self._writer = writer
        self._session: str | None = None
        """The session's id; while there is one, the host has proved who it is."""
        self._host: Host | None = None
        """Who that is."""
        self._over = False
        self._requests = {
            "QueryType": self._query_type,
            "GetValue": self._get_value,
            "SetValue": self._set_value,
            "RemoveValue": self._remove_value,
            "Pair": self._pair,
            "ValidatePair": self._validate_pair,
            "Unpair": self._unpair,
            "StartSession": self._start_session,
            "StopSession": self._stop_session,
            "StartService": self._start_service,
            "EnterRecovery": self._enter_recovery,
            "Goodbye": self._goodbye,
        }

    async def run(self) -> None:
        """Answer request by request, until one side hangs up."""
        while not self._over:
            message = await framing.read(self._reader, limit=MAX_MESSAGE)
            name = message.get("Request")
            request = self._requests.get(name) if isinstance(name, str) else None
            if request is None:
                await self._answer({"Request": name if isinstance(name, str) else "", "Error": "UnknownRequest"})
                continue
            try:
                await self._phone.step(f"lockdown:{name}")
                answer = await request(message)
            except LockdownError as error:
                answer = {"Error": str(error)}
            except RefusedError:
                return
            if answer is not None:
                await self._answer({"Request": name, **answer})

    async def _answer(self, answer: dict[str, Any]) -> None:
        self._writer.write(framing.frame(answer))
        await self._writer.drain()

    def _require_session(self) -> None:
        if self._session is None:
            raise LockdownError("SessionInactive")

    async def _query_type(self, _message: dict[str, Any]) -> dict[str, Any]:
        return {"Type": "com.apple.mobile.lockdown"}

    async def _get_value(self, message: dict[str, Any]) -> dict[str, Any]:
        domain, key = message.get("Domain"), message.get("Key")
        echo: dict[str, Any] = {name: message[name] for name in ("Domain", "Key") if name in message}
        if isinstance(key, str) and not domain:
            value = await values.by_key_only(self._phone, self._system, key)
            if value is not None:
                return {**echo, "Value": value}
        everything = values.domain(self._system, str(domain)) if domain else values.root(self._phone, self._system)
        if self._session is None:
            allowed = everything.keys() & values.UNTRUSTED if not domain else set()
            if key in everything and key not in allowed:
                raise LockdownError("GetProhibited")
            everything = {name: value for name, value in everything.items() if name in allowed}
        if key is None:
            return {**echo, "Value": everything}
        if key not in everything:
            raise LockdownError("MissingValue")
        return {**echo, "Value": everything[key]}

    async def _set_value(self, message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        value = message.get("Value")
        if message.get("Domain") or message.get("Key") != "DeviceName" or not isinstance(value, str):
            raise LockdownError("SetProhibited")
        self._system.name = value
        return {"Key": "DeviceName", "Value": value}

    async def _remove_value(self, _message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        raise LockdownError("RemoveProhibited")

    async def _pair(self, message: dict[str, Any]) -> dict[str, Any]:
        try:
            host_id, host = await self._system.pairings.read(_record(message))
        except BadPairRecordError as error:
            raise LockdownError("InvalidPairRecord") from error
        if self._system.pairings.hosts.get(host_id) != host:  # a host that lost its record is a new host
            self._ask_person()
        self._system.pairings.trust(host_id, host)
        return {"EscrowBag": uuid.uuid4().bytes * 2}

    def _ask_person(self) -> None:
        """Whether somebody at the phone lets the host in."""
        system, pairings = self._system, self._system.pairings
        if system.locked:
            raise LockdownError("PasswordProtected")
        now = asyncio.get_running_loop().time()
        if pairings.asked_at is None:
            pairings.asked_at = now
        if now - pairings.asked_at < TAP_SECONDS * self._phone.pace.factor or not (system.trusted or system.denied):
            raise LockdownError("PairingDialogResponsePending")
        pairings.asked_at = None
        if system.denied:
            raise LockdownError("UserDeniedPairing")

    def _trusted(self, host_id: object) -> Host:
        host = self._system.pairings.hosts.get(host_id) if isinstance(host_id, str) else None
        if host is None:
            raise LockdownError("InvalidHostID")
        return host

    async def _validate_pair(self, message: dict[str, Any]) -> dict[str, Any]:
        self._trusted(_record(message).get("HostID"))
        return {}

    async def _unpair(self, message: dict[str, Any]) -> dict[str, Any]:
        host_id = _record(message).get("HostID")
        self._trusted(host_id)
        del self._system.pairings.hosts[str(host_id)]
        return {}

    async def _start_session(self, message: dict[str, Any]) -> None:
        if self._session is not None:
            raise LockdownError("SessionActive")
        host = self._trusted(message.get("HostID"))
        context = await self._system.pairings.tls(host)
        session = str(uuid.uuid4()).upper()
        await self._answer({"Request": "StartSession", "SessionID": session, "EnableSessionSSL": True})
        tls = TlsStream(self._reader, self._writer, context)
        await tls.handshake(seconds=HANDSHAKE_SECONDS)
        self._reader = self._writer = tls
        self._session, self._host = session, host

    async def _stop_session(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._session is None or message.get("SessionID") != self._session:
            raise LockdownError("SessionInactive")
        # A real phone goes back to plain text; clients hang up here, and asyncio cannot unwrap TLS.
        self._over = True
        return {"Result": "Success"}

    async def _start_service(self, message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        assert self._host is not None
        name = message.get("Service")
        service = SERVICES.get(name) if isinstance(name, str) else None
        if service is None:
            raise LockdownError("InvalidService")
        if self._system.locked and not service.while_locked:
            raise LockdownError("PasswordProtected")
        await self._phone.step(f"service:{name}")
        return {"Service": name, "Port": self._start(service, self._host), "EnableServiceSSL": True}

    async def _enter_recovery(self, _message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        self._phone.nvram["auto-boot"] = "false"
        self._phone.restart_into(PhoneMode.RECOVERY)
        return {}

    async def _goodbye(self, _message: dict[str, Any]) -> dict[str, Any]:
        self._over = True
        return {"Result": "Success"}


def _record(message: dict[str, Any]) -> dict[str, Any]:
    record = message.get("PairRecord")
    if not isinstance(record, dict):
        raise LockdownError("InvalidPairRecord")
    return record
