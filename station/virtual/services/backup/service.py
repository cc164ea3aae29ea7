"""com.apple.mobilebackup2: what a host asks for, and the answers.

Requests as pymobiledevice3 (services/mobilebackup2.py) and libimobiledevice (mobilebackup2.c, idevicebackup2.c) send
them; answers as their users report them. Whatever a host asks for has the step "backup:" + the request's name.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from station.virtual.faults.kinds import RefusedError, StatusError
from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.services.backup import errors, manifest
from station.virtual.services.backup.device_link import DeviceLink, HostGoneError
from station.virtual.services.backup.drive import STATUS, Drive, open_keybag
from station.virtual.services.backup.errors import MBError
from station.virtual.services.backup.restoring import Options, Restore
from station.virtual.services.backup.writing import Backup
from station.virtual.services.service import Call, Service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PROTOCOL_VERSION = 2.1
NO_COMMON_VERSION = 1
PASSCODE_SECONDS = 180
"""How long the phone waits for its passcode (libimobiledevice#1380), at the default pace."""
TYPING_SECONDS = 3.0
"""How long somebody needs to type it."""
ASKS_PASSCODE, ASKED_PASSCODE = (f"com.apple.LocalAuthentication.ui.{what}" for what in ("presented", "dismissed"))
DOMAIN_CHANGED = "com.apple.mobile.backup.domain_changed"
GOODBYE_SECONDS = 10.0
"""How long a host may take to hang up before the phone restarts."""


class AgentCrashedError(Exception):
    """The phone's agent dies of what it was asked: the connection ends without an answer."""


async def serve(call: Call) -> None:
    """Answer request by request, until the host has had enough."""
    link = DeviceLink(call)
    with suppress(HostGoneError, AgentCrashedError, RefusedError):
        if await link.greet():
            conversation = Conversation(call.phone, call.system, link)
            while True:
                await conversation.answer(await link.request())


class Conversation:
    """One connection of a host."""

    def __init__(self, phone: VirtualPhone, system: System, link: DeviceLink) -> None:
        self._phone = phone
        self._system = system
        self._link = link
        self._requests: dict[str, Callable[[dict[str, Any]], Awaitable[str | None]]] = {
            "Backup": self._backup,
            "Restore": self._restore,
            "ChangePassword": self._change_password,
            "EraseDevice": self._erase,
            "Info": self._info,
            "List": self._list,
            "Unback": self._unback,
            "Extract": self._unback,
        }

    async def answer(self, message: dict[str, Any]) -> None:
        """Do what the host asks for."""
        name = message.get("MessageName")
        request = self._requests.get(name, self._unknown) if isinstance(name, str) else self._unknown
        try:
            await self._phone.step(f"backup:{name}")
            if name == "Hello":
                await self._hello(message)
                return
            content = await request(message)
        except StatusError as told:
            await self._refuse(MBError(told.status))
        except MBError as error:
            await self._refuse(error)
        else:
            if content is None:
                await self._link.respond()
            else:
                await self._link.respond(Content=content)
            if name == "Restore" and Options.of(message).reboot:
                await self._restart()

    async def _refuse(self, error: MBError) -> None:
        await self._link.respond(error.code, ErrorDescription=error.description)

    async def _hello(self, message: dict[str, Any]) -> None:
        versions = message.get("SupportedProtocolVersions")
        if isinstance(versions, list) and PROTOCOL_VERSION in versions:
            await self._link.respond(ProtocolVersion=PROTOCOL_VERSION)
        else:
            await self._link.respond(NO_COMMON_VERSION, ErrorDescription="No common protocol version")

    async def _backup(self, message: dict[str, Any]) -> None:
        self._check_target(message)
        await self._ask_passcode(since=(16, 1))
        options = message.get("Options")
        full = isinstance(options, dict) and bool(options.get("ForceFullBackup"))
        await Backup(self._phone, self._system, self._link, full=full).run()

    async def _restore(self, message: dict[str, Any]) -> None:
        self._check_target(message)
        if self._system.locked:
            raise MBError(errors.LOCKED)
        source, options = self._source(message), Options.of(message)
        await Restore(self._phone, self._system, self._link, source=source, options=options).run()

    async def _change_password(self, message: dict[str, Any]) -> None:
        self._check_target(message)
        old, new = _text(message, "OldPassword"), _text(message, "NewPassword")
        if old != self._system.backup_password:
            raise MBError(errors.PASSWORD)
        await self._ask_passcode(since=(13,))
        if new is None and self._system.backup_encryption_required:
            wish = "Cannot remove iTunes Backup Encryption - Encrypted Backup MDM setting present on device"
            cause = MBError(errors.FORBIDDEN, wish)
            raise MBError(errors.FAILED, "Error setting WillEncrypt value in lockdown", cause)
        self._system.backup_password = new
        self._system.notifications.post(DOMAIN_CHANGED)

    async def _erase(self, message: dict[str, Any]) -> None:
        self._check_target(message)
        self._phone.erase_content("mobilebackup2 EraseDevice")
        await asyncio.Event().wait()  # the restart ends this connection

    async def _info(self, message: dict[str, Any]) -> str:
        drive = Drive(self._link, self._source(message))
        status = await drive.read_plist(STATUS, "status")
        properties = await drive.read_properties()
        await open_keybag(properties, None)
        return f"{_describe('MBStatus', status)}\n{_describe('MBDriveProperties', properties)}\n"

    async def _list(self, message: dict[str, Any]) -> str:
        """Since iOS 10 phones look for the database of earlier backups (libimobiledevice#422)."""
        drive = Drive(self._link, self._source(message))
        await drive.read_properties()
        raise MBError(errors.DAMAGED, "Error reading backup database", errors.missing(drive.path("Manifest.mbdb")))

    async def _unback(self, message: dict[str, Any]) -> None:
        """Since iOS 10 the agent crashes over it, once it has read the manifest (libimobiledevice#517)."""
        drive = Drive(self._link, self._source(message))
        properties = await drive.read_properties()
        await open_keybag(properties, _text(message, "Password"))
        await drive.read(manifest.DATABASE)
        raise AgentCrashedError

    async def _unknown(self, message: dict[str, Any]) -> None:
        raise MBError(errors.FAILED, f"Unknown message: {message.get('MessageName')}")

    def _check_target(self, message: dict[str, Any]) -> None:
        """The agent asserts that it is meant."""
        if message.get("TargetIdentifier", self._phone.identity.udid) != self._phone.identity.udid:
            raise AgentCrashedError

    def _source(self, message: dict[str, Any]) -> str:
        """Whose backup it is about."""
        source = message.get("SourceIdentifier", self._phone.identity.udid)
        if not isinstance(source, str) or "/" in source or source in {"", ".", ".."}:
            raise AgentCrashedError
        return source

    async def _ask_passcode(self, *, since: tuple[int, ...]) -> None:
        """Have somebody type the passcode, where there is one and this version asks. Raises MBError."""
        system = self._system
        if system.release < since:
            if system.locked:
                raise MBError(errors.LOCKED)
            return
        if not system.passcode:
            return
        system.notifications.post(ASKS_PASSCODE)
        try:
            await self._phone.step("backup:passcode")
            await self._wait_for_passcode()
        except RefusedError as error:
            raise MBError(errors.LOCKED) from error
        finally:
            system.notifications.post(ASKED_PASSCODE)

    async def _wait_for_passcode(self) -> None:
        """Somebody who has unlocked the phone is there to type it again. Raises RefusedError."""
        for _ in range(PASSCODE_SECONDS):
            if not self._system.locked:
                await self._phone.pace.pause(TYPING_SECONDS)
                return
            await self._phone.pace.pause(1.0)
        raise RefusedError("nobody typed it")

    async def _restart(self) -> None:
        """Restart, once the host has hung up or was given its time."""
        with suppress(TimeoutError, OSError, EOFError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                while True:
                    await self._link.receive()
        self._phone.restart_into()


def _text(message: dict[str, Any], name: str) -> str | None:
    value = message.get(name)
    return value if isinstance(value, str) and value else None


def _describe(kind: str, values: dict[str, Any]) -> str:
    return f"<{kind}: " + ", ".join(f"{name}={value}" for name, value in values.items() if name != "BackupKeyBag") + ">"


SERVICE = Service("com.apple.mobilebackup2", serve, while_locked=True)
