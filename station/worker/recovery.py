"""From wherever the phone is to the restore system: the ticket first, then recovery mode, then the ramdisk."""

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ipsw_parser.ipsw import IPSW
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.device import Device
from pymobiledevice3.restore.recovery import Recovery
from pymobiledevice3.restore.tss import TSSResponse
from usb.core import USBError

from station.model.causes import Cause
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.worker.approach import leave_for_recovery
from station.worker.components import StreamedComponents
from station.worker.failures import JobFailed
from station.worker.iboot import Iboot, Place, RecoverySocket
from station.worker.lockdown import Lockdown
from station.worker.reporter import Reporter
from station.worker.signing import check_ticket

if TYPE_CHECKING:
    from station.worker.preboard import Stashbag

_LEAVE_SECONDS = 15.0
"""How long an iBoot may linger on the bus after it was told to go."""
_MAX_RECONNECTS = 20
_SENT = ("iBEC", "RestoreLogo", "RestoreRamDisk", "RestoreDeviceTree", "RestoreSEP", "RestoreKernelCache")


class RestoreDevice(Device):
    """The library's device, but nonces are asked for each time: they change with every boot."""

    async def get_ap_nonce(self) -> Any:
        """The ApNonce of the present boot."""
        self._ap_nonce_loaded = False
        return await super().get_ap_nonce()

    async def get_sep_nonce(self) -> Any:
        """The SEP's nonce of the present boot."""
        self._sep_nonce_loaded = False
        return await super().get_sep_nonce()


class StationRecovery(StreamedComponents, Recovery):
    """The library's Recovery, bounded, and on one phone only."""

    def __init__(
        self, ipsw: IPSW, device: Device, socket: RecoverySocket, reporter: Reporter, *, behavior: Behavior
    ) -> None:
        super().__init__(ipsw, device, behavior=behavior)
        self.stashbag: Stashbag | None = None
        """What opens the owner's data afterwards, where somebody could be asked for the passcode."""
        self._erases = behavior is Behavior.Erase
        self.booted_from: Place | None = None
        """Where the phone was on the bus when it was told to boot the restore system."""
        self._socket = socket
        self._reporter = reporter
        self._signed_nonce: bytes | None = None
        self._reconnects = 0
        self._sent = 0
        self._to_send = 0

    async def get_tss_response(self) -> TSSResponse:
        """Ask for a ticket, and check that it is one for this phone."""
        response = await super().get_tss_response()
        self._signed_nonce = await self.device.get_ap_nonce()
        check_ticket(response, ecid=await self.device.get_ecid(), ap_nonce=self._signed_nonce)
        await asyncio.to_thread(self._reporter.signed, bytes(response["ApImg4Ticket"]))  # kept before it is used
        return response

    async def boot_ramdisk(self) -> None:
        """Get a ticket, then boot the restore system."""
        self._reporter.enter(Phase.TICKET)
        await self.fetch_tss_record()
        if self.stashbag is not None:
            await self.stashbag.commit(self.require_tss().ap_img4_ticket)
        self._reporter.enter(Phase.RECOVERY)
        if self.device.lockdown is not None:
            await self._enter_recovery(self.device.lockdown)
        await self._renew_ticket()
        self._reporter.enter(Phase.RAMDISK)
        # pyusb blocks; in a thread of its own it does not hold up the loop, to which nothing here is bound.
        await asyncio.to_thread(asyncio.run, self._boot())

    async def reconnect_irecv(self, is_recovery: bool | None = None) -> None:
        """Find the phone on the bus again, which the library asks for in loops without end."""
        self._reconnects += 1
        if self._reconnects > _MAX_RECONNECTS:
            raise JobFailed(Cause.STAYED_IN_RECOVERY, "iBEC does not answer")
        if self.device.irecv is not None:
            self._iboot.close()
        self.device.set_irecv(await self._socket.find(self._reporter.deadline.share(0.9)))

    async def send_ibec(self) -> None:
        """Send iBEC and start it."""
        await self.send_component("iBEC")
        with suppress(USBError):  # iBoot goes without a word
            self._iboot.send_command("go", b_request=1)
            self._iboot.ctrl_transfer(0x21, 1)

    async def send_component(self, name: str) -> None:
        """Send a component, streamed."""
        blob = self.personalise(name, self.require_tss(), await self.device.get_ap_parameters())
        self._reporter.progress(self._sent / self._to_send, name)
        self._iboot.send_buffer(blob, name, sent=lambda count: self._count(count, name))

    @property
    def _iboot(self) -> Iboot:
        assert isinstance(self.device.irecv, Iboot)
        return self.device.irecv

    def _count(self, count: int, name: str) -> None:
        self._sent += count
        self._reporter.progress(self._sent / self._to_send, name)

    async def _enter_recovery(self, lockdown: Any) -> None:
        assert isinstance(lockdown, Lockdown)
        iboot = await leave_for_recovery(lockdown, self._socket, self._reporter)
        if self._erases:  # a phone that keeps its data keeps its trust too
            await lockdown.forget()
        self.device.set_lockdown(None)
        self.device.set_irecv(iboot)

    async def _renew_ticket(self) -> None:
        """Ask for another ticket if iBoot has another nonce than was signed: it makes one at each start."""
        self._reporter.phone_mode = self._iboot.phone_mode
        if await self.device.get_ap_nonce() != self._signed_nonce:
            self.tss = await self.get_tss_response()

    async def _boot(self) -> None:
        self._to_send = max(1, sum(len(self.personalise(name, self.require_tss(), {})) for name in self._names()))
        if self._iboot.phone_mode is PhoneMode.DFU:
            await self._leave(self.send_component("iBSS"), "iBSS")
            await self._renew_ticket()
        await self._leave(self.send_ibec(), "iBEC")
        await self.enter_restore()
        self.booted_from = self._iboot.place
        self._iboot.close()

    async def _leave(self, starting: Coroutine[Any, Any, None], name: str) -> None:
        """Start the next stage, and find the phone again when it runs."""
        before = self._iboot.place
        await starting
        if not await self._socket.left(before, _LEAVE_SECONDS):
            raise JobFailed(Cause.STAYED_IN_RECOVERY, f"{name} did not start")
        await self.reconnect_irecv()
        if self._iboot.phone_mode is not PhoneMode.RECOVERY:
            raise JobFailed(Cause.STAYED_IN_RECOVERY, f"the phone came back in DFU mode from {name}")

    def _names(self) -> list[str]:
        manifest: dict[str, Any] = self.build_identity.manifest
        loaded = [name for name, entry in manifest.items() if entry["Info"].get("IsLoadedByiBoot")]
        return [*(name for name in _SENT if name in manifest), *loaded]
