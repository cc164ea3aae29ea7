"""One connection to lockdownd: requests and their answers, before, within and after a session.

Protocol and error names as public libimobiledevice (lockdown.c) and its users' logs show them. Whatever a client
may ask has the step "lockdown:" + the request's name.
"""

import uuid
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from station.model.phone import PhoneMode
from station.virtual import framing
from station.virtual.faults.hostile import say
from station.virtual.faults.kinds import GarbledError, RefusedError
from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.services.catalog import SERVICES
from station.virtual.services.service import Service
from station.virtual.streams import Reader, Writer
from station.virtual.system import activation, domains, values
from station.virtual.system.errors import LockdownError
from station.virtual.system.pairing import Host
from station.virtual.system.tls import Resumed, TlsStream
from station.virtual.system.trust import Trust

MAX_MESSAGE = 1 << 20
MAX_SETTINGS = 100
"""Values that hosts may leave on the phone."""
MAX_SETTING = 1 << 14
"""Bytes of each, as a property list."""
HANDSHAKE_SECONDS = 10.0


class Conversation:
    """One connection to lockdownd."""

    def __init__(
        self,
        phone: VirtualPhone,
        system: System,
        apple: ec.EllipticCurvePublicKey,
        start: Callable[[Service, Host], int],
        reader: Reader,
        writer: Writer,
    ) -> None:
        self._phone = phone
        self._system = system
        self._apple = apple
        self._start = start
        self._reader = self._plain_reader = reader
        self._writer = self._plain_writer = writer
        self._trust = Trust(phone, system)
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
            "Pair": self._trust.pair,
            "ValidatePair": self._trust.validate,
            "Unpair": self._trust.unpair,
            "StartSession": self._start_session,
            "StopSession": self._stop_session,
            "StartService": self._start_service,
            "Activate": self._activate,
            "Deactivate": self._deactivate,
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
            except GarbledError as garbled:
                await say(garbled.garble, self._reader, self._writer)
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
        if key is not None and not isinstance(key, str):
            raise LockdownError("MissingKey")
        echo: dict[str, Any] = {name: message[name] for name in ("Domain", "Key") if name in message}
        if isinstance(key, str) and not domain:
            value = await values.by_key_only(self._phone, self._system, key)
            if key == "ActivationInfo" and self._session is not None:
                value = activation.information(self._phone, self._system)
            if value is not None:
                return {**echo, "Value": value}
        everything = self._everything(str(domain) if domain else "")
        if self._session is None:
            allowed = everything.keys() & values.UNTRUSTED if not domain else set()
            if key in everything and key not in allowed:
                raise LockdownError("GetProhibited")
            everything = {name: value for name, value in everything.items() if name in allowed}
        elif key is not None and not domain:
            everything = values.clock() | everything
        if key is None:
            return {**echo, "Value": everything}
        if key not in everything:
            raise LockdownError("MissingValue")
        return {**echo, "Value": everything[key]}

    def _everything(self, domain: str) -> dict[str, Any]:
        if domain:
            return domains.domain(self._phone, self._system, domain)
        return self._phone.lies.tell(values.root(self._phone, self._system))

    async def _set_value(self, message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        domain, key, value = message.get("Domain") or "", message.get("Key"), message.get("Value")
        if not isinstance(domain, str) or not isinstance(key, str) or value is None:
            raise LockdownError("SetProhibited")
        if (domain, key) == ("", "DeviceName") and isinstance(value, str):
            self._system.name = value
            self._system.notifications.post("com.apple.mobile.lockdown.device_name_changed")
        elif key in values.SETTABLE if not domain else not domains.read_only(self._phone, self._system, domain, key):
            settings = self._system.settings
            full = sum(map(len, settings.values())) >= MAX_SETTINGS
            if full or len(framing.frame({key: value})) > MAX_SETTING:
                raise LockdownError("SetProhibited")
            settings.setdefault(domain, {})[key] = value
        else:
            raise LockdownError("SetProhibited")
        return {"Domain": domain, "Key": key, "Value": value} if domain else {"Key": key, "Value": value}

    async def _remove_value(self, message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        domain, key = str(message.get("Domain") or ""), str(message.get("Key"))
        if self._system.settings.get(domain, {}).pop(key, None) is None:
            raise LockdownError("RemoveProhibited" if key in self._everything(domain) else "MissingValue")
        return {"Domain": domain, "Key": key} if domain else {"Key": key}

    async def _start_session(self, message: dict[str, Any]) -> None:
        if self._session is not None:
            raise LockdownError("SessionActive")
        if "HostID" not in message:
            raise LockdownError("MissingHostID")
        host = self._trust.host(message["HostID"])
        if self._system.recovering:  # what it knows of hosts cannot be read yet either
            raise LockdownError("PasswordProtected")
        context = await self._system.pairings.tls(host)
        session = str(uuid.uuid4()).upper()
        await self._answer({"Request": "StartSession", "SessionID": session, "EnableSessionSSL": True})
        tls = TlsStream(self._reader, self._writer, context)
        await tls.handshake(seconds=HANDSHAKE_SECONDS)
        self._reader = self._writer = tls
        self._session, self._host = session, host

    async def _stop_session(self, message: dict[str, Any]) -> None:
        tls = self._reader
        if self._session is None or not isinstance(tls, TlsStream):
            raise LockdownError("SessionInactive")
        if message.get("SessionID") != self._session:
            raise LockdownError("InvalidSessionID" if "SessionID" in message else "MissingSessionID")
        await self._answer({"Request": "StopSession", "Result": "Success"})
        self._session = self._host = None
        ahead = await tls.unwrap(seconds=HANDSHAKE_SECONDS)
        self._reader, self._writer = Resumed(ahead, self._plain_reader), self._plain_writer

    async def _start_service(self, message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        assert self._host is not None
        name = message.get("Service")
        service = SERVICES.get(name) if isinstance(name, str) else None
        if service is None:
            raise LockdownError("MissingService" if name is None else "InvalidService")
        opened = service.while_locked or message.get("EscrowBag") == self._host.escrow_bag
        if self._system.locked and not opened:
            raise LockdownError("PasswordProtected")
        await self._phone.step(f"service:{name}")
        return {"Service": name, "Port": self._start(service, self._host), "EnableServiceSSL": True}

    async def _activate(self, message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        if "ActivationRecord" not in message:
            raise LockdownError("MissingActivationRecord")
        try:
            activation.accept(self._phone, self._system, self._apple, message.get("ActivationRecord"))
        except activation.NotAcceptedError as error:
            raise LockdownError("InvalidActivationRecord") from error
        return {}

    async def _deactivate(self, _message: dict[str, Any]) -> dict[str, Any]:
        self._require_session()
        activation.deactivate(self._system)
        return {}

    async def _enter_recovery(self, _message: dict[str, Any]) -> dict[str, Any]:
        if self._system.release >= (14, 5):  # before, for whoever asks (libimobiledevice#1121, #1175)
            self._require_session()
        self._phone.nvram["auto-boot"] = "false"
        self._phone.restart_into(PhoneMode.RECOVERY)
        return {}

    async def _goodbye(self, _message: dict[str, Any]) -> dict[str, Any]:
        self._over = True
        return {"Result": "Success"}
