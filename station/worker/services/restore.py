"""RESTORE: erase, and install the newest signed build; from whatever mode the phone is in."""

import asyncio

from station.model.causes import Cause
from station.worker.failures import JobFailed
from station.worker.firmware import check_files, open_firmware
from station.worker.iboot import RecoverySocket
from station.worker.patience import tries
from station.worker.recovery import RestoreDevice
from station.worker.restore import StationRestore
from station.worker.restored import udid_of
from station.worker.services.look import connect
from station.worker.work import Work


async def give(work: Work) -> None:
    """Restore the phone; return only after it reported Status 0.

    Raises:
        whatever goes wrong, for `failures.explain`.
    """
    spec, reporter, guard = work.spec, work.reporter, work.guard
    if spec.ecid is None or spec.firmware is None:
        raise JobFailed(Cause.INTERNAL, "a restore needs an ECID and a firmware")
    ipsw = await asyncio.to_thread(open_firmware, spec.firmware)
    socket = RecoverySocket(work.usb, spec.socket, spec.ecid, guard)
    device = await _find(work, socket)
    job = StationRestore(spec, ipsw, device, socket=socket, guard=guard, reporter=reporter)
    await asyncio.to_thread(check_files, ipsw, job.build_identity)
    await job.update()


async def _find(work: Work, socket: RecoverySocket) -> RestoreDevice:
    """The phone, in normal, recovery or DFU mode, whichever it is found in first."""
    spec, reporter = work.spec, work.reporter
    assert spec.ecid is not None
    seconds = reporter.deadline.share(0.6)
    async for _ in tries(seconds):
        iboot = await socket.look()
        if iboot is not None:
            reporter.phone_mode = iboot.phone_mode
            return RestoreDevice(irecv=iboot)
        if await udid_of(spec.ecid, spec.udid) is not None:
            return RestoreDevice(await connect(work))
    raise JobFailed(Cause.DISCONNECTED, f"the phone was not found within {seconds:.0f} s")
