"""RESCUE: out of recovery mode, or, for a phone that starts over and over, held in it."""

import asyncio

from usb.core import USBError

from station.model.causes import Cause
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.worker.failures import JobFailed
from station.worker.iboot import Iboot, RecoverySocket
from station.worker.work import Work


async def give(work: Work) -> None:
    """Tell iBoot to start the system by itself, and restart; or not to, and stay.

    Whether the system then starts is for the station to see: a phone whose system is broken comes back to recovery.

    Raises:
        whatever goes wrong, for `failures.explain`.
    """
    spec, reporter = work.spec, work.reporter
    if spec.ecid is None or spec.consent is None:
        raise JobFailed(Cause.INTERNAL, "a rescue needs an ECID and a consent")
    socket = RecoverySocket(work.usb, spec.socket, spec.ecid, work.guard)
    iboot = await socket.find(reporter.deadline.share(0.6))
    try:
        reporter.phone_mode = iboot.phone_mode
        if iboot.phone_mode is PhoneMode.DFU:
            raise JobFailed(Cause.REFUSED_BY_PHONE, "in DFU mode nothing but its buttons restarts a phone")
        reporter.enter(Phase.RESTART)
        # pyusb blocks; in a thread of its own it does not hold up the loop.
        if spec.consent.options.stay_in_recovery:
            await asyncio.to_thread(_stay, iboot)
        else:
            await asyncio.to_thread(_leave, iboot)
    finally:
        await asyncio.to_thread(iboot.close)


def _leave(iboot: Iboot) -> None:
    iboot.set_autoboot(True)
    iboot.reboot()


def _stay(iboot: Iboot) -> None:
    iboot.set_autoboot(False)
    told = iboot.getenv("auto-boot")
    if told is None or bytes(told) != b"false":
        raise USBError(f"auto-boot is {told!r}")
