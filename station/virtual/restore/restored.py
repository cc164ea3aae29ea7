"""restored: what a phone runs in restore mode, on the port that is lockdownd's in normal mode.

Protocol: pymobiledevice3 `restore/restored_client.py`; replies as in public logs (idevicerestore #311 #328 #647).
It waits two minutes for a host to start a restore, does one restore, and restarts.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from station.model.phone import PhoneMode
from station.virtual import framing
from station.virtual.faults.kinds import RefusedError, StatusError, StayError
from station.virtual.phones.phone import Handler, VirtualPhone
from station.virtual.restore.fdr import Fdr
from station.virtual.restore.host import Host
from station.virtual.restore.installation import Installation
from station.virtual.restore.link import Link
from station.virtual.restore.ramdisk import read_ramdisk
from station.virtual.restore.requests import Apple, Requests
from station.virtual.restore.script import script
from station.virtual.restore.session import Session
from station.virtual.usb.mux_device import MuxDevice

if TYPE_CHECKING:
    from station.virtual.usb.protocol import UsbDevice

PORT = 62078
TYPE = "com.apple.mobile.restored"
PROTOCOL_VERSION = 15
MAX_REQUEST = 1 << 20
START_SECONDS = 120.0
"""How long it waits for StartRestore, in real time (idevicerestore#647)."""
PATIENCE = 20.0


class Restored:
    """What runs in restore mode."""

    def __init__(self, phone: VirtualPhone, *, apple: Apple, patience: float) -> None:
        self.usb: UsbDevice | None = MuxDevice(phone)
        self.listeners: dict[int, Handler] = {PORT: self._serve}
        self._phone = phone
        self._apple = apple
        self._patience = patience
        self._fdr = Fdr(phone, self.listeners, host=apple.fdr_host, patience=patience)
        self._ramdisk = read_ramdisk(phone.ramdisk)
        self._started = asyncio.Event()
        self._queries: dict[str, Callable[[], dict[str, Any]]] = {
            "HardwareInfo": self._hardware_info,
            "SavedDebugInfo": lambda: {"PreviousExitStatus": "0x100"},
        }
        self._requests: dict[str, Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]] = {
            "QueryType": self._query_type,
            "QueryValue": self._query_value,
            "Reboot": self._reboot,
        }

    async def expire(self, seconds: float) -> None:
        """Restart if nobody starts a restore in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._started.wait()
        except TimeoutError:
            self._phone.restart_into()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._answer(reader, writer)
        except StayError:
            self._phone.restart_into(PhoneMode.RECOVERY)
        except (StatusError, RefusedError):
            return  # before a restore there is no status to send: it hangs up

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer request by request, until one of them starts the restore or the host hangs up."""
        while True:
            message = await framing.read(reader, limit=MAX_REQUEST)
            request = str(message.get("Request"))
            if request == "StartRestore" and not self._started.is_set():
                return await self._restore(message, Link(reader, writer, self.listeners))
            answer = self._requests.get(request)
            reply = await answer(message) if answer else {"Error": f"unrecognized request '{request}'"}
            writer.write(framing.frame(reply))
            await writer.drain()

    async def _restore(self, message: Mapping[str, Any], link: Link) -> None:
        self._started.set()
        options = message.get("RestoreOptions")
        host = Host(options if isinstance(options, Mapping) else {})
        played = script(self._ramdisk.ios, self._ramdisk.behavior)
        installation = Installation(self._phone, authority=self._apple.public_key, ramdisk=self._ramdisk)
        requests = Requests(
            self._phone,
            link,
            installation,
            script=played,
            known=host.data_types,
            apple=self._apple,
            patience=self._patience,
        )
        session = Session(
            self._phone,
            link,
            script=played,
            host=host,
            requests=requests,
            installation=installation,
            fdr=self._fdr,
        )
        await session.run()

    async def _query_type(self, _message: Mapping[str, Any]) -> dict[str, Any]:
        await self._phone.step("restored:QueryType")
        return {
            "HardwareModel": self._phone.identity.hardware_model,
            "RestoreProtocolVersion": PROTOCOL_VERSION,
            "Result": "Success",
            "SerialNumber": self._phone.identity.serial_number,
            "Type": TYPE,
        }

    async def _query_value(self, message: Mapping[str, Any]) -> dict[str, Any]:
        key = str(message.get("QueryKey"))
        await self._phone.step(f"restored:QueryValue:{key}")
        return {key: self._queries[key]()} if key in self._queries else {"Error": f"unknown key '{key}'"}

    async def _reboot(self, _message: Mapping[str, Any]) -> dict[str, Any]:
        await self._phone.step("restored:Reboot")
        self._phone.restart_into()
        return {"Result": "Success"}

    def _hardware_info(self) -> dict[str, Any]:
        me = self._phone.identity
        truth = {
            "BoardID": me.board_id,
            "ChipID": me.chip_id,
            "EffectiveProductionMode": True,
            "EffectiveSecurityMode": True,
            "ProductionMode": True,
            "SecurityDomain": 1,
            "SecurityMode": True,
            "SupportsImage4": True,
            "UniqueChipID": me.ecid,
        }
        return self._phone.lies.tell(truth)


def boot(
    phone: VirtualPhone, *, apple: Apple, patience: float = PATIENCE, start_seconds: float = START_SECONDS
) -> Restored:
    """Boot the restore system that iBoot was sent.

    Args:
        phone: the phone; its `ramdisk` says whether this restore erases, its `restore_ticket` what may be installed.
        apple: who signed that ticket, and what the phone reaches through the host.
        patience: seconds the phone waits for a host that is to reach Apple for it.
        start_seconds: seconds it waits for StartRestore before it restarts.
    """
    restored = Restored(phone, apple=apple, patience=patience)
    phone.keep(asyncio.ensure_future(restored.expire(start_seconds)))
    return restored
