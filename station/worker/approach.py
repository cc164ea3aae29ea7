"""Towards the phone: in the mode it is in, and where it does not go on by itself, by somebody's hands.

What a person is asked to do changes the mode, so the phone leaves the bus. That is allowed from Phase.RECOVERY on;
before, a phone that leaves was unplugged.
"""

import logging

from pymobiledevice3 import exceptions as pmd3

from station.model.causes import Cause
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.worker.failures import JobFailed, explain
from station.worker.iboot import Iboot, RecoverySocket
from station.worker.lockdown import Lockdown
from station.worker.patience import tries
from station.worker.present import udid_of
from station.worker.reporter import Reporter

log = logging.getLogger(__name__)

REFUSED = (
    pmd3.LockdownError,
    pmd3.PairingError,
    pmd3.NotPairedError,
    pmd3.ConnectionFailedError,
    pmd3.ConnectionTerminatedError,
    TimeoutError,
)
"""How a phone in normal mode says that it will not do as it is told, or says nothing."""

ENTER_SECONDS = 40.0
"""How long a phone may take to come back in recovery mode; real ones take 10 to 20 seconds."""


async def leave_for_recovery(lockdown: Lockdown, socket: RecoverySocket, reporter: Reporter) -> Iboot:
    """Have the phone enter recovery mode; by hand, where it does not by itself.

    Raises:
        JobFailed: DISCONNECTED, it is gone; ENTER_RECOVERY, it stayed, and nobody helped; WRONG_PHONE.
        ConsentVoid, StorageError: it may not be sent there.
    """
    ecid, udid = lockdown.ecid, lockdown.identifier
    seconds = min(ENTER_SECONDS, reporter.deadline.share(0.4))
    why = JobFailed(Cause.ENTER_RECOVERY, f"the phone was not in recovery mode after {seconds:.0f} s")
    try:
        # Bounded by the connection. A timeout here could strike while it is closed, which could then not be closed
        # again: asyncio would remember the cancellation.
        await lockdown.enter_recovery()
    except REFUSED as error:
        why, seconds = JobFailed(Cause.ENTER_RECOVERY, f"it refused to enter recovery mode: {explain(error)}"), 0.0
    await lockdown.close()
    async for _ in tries(seconds):
        if (iboot := await socket.look()) is not None:
            return iboot
    if await udid_of(ecid, udid) is None:
        raise JobFailed(Cause.DISCONNECTED, "the phone left, and did not come back in recovery mode")
    return await by_hand(socket, reporter, why)


async def by_hand(
    socket: RecoverySocket, reporter: Reporter, why: JobFailed, *, wanted: PhoneMode = PhoneMode.RECOVERY
) -> Iboot:
    """Have somebody bring the phone into recovery or DFU mode, and wait for it within the deadline of RECOVERY.

    Args:
        socket: where the phone is.
        reporter: who tells the person.
        why: what is raised when nobody does.
        wanted: DFU, when recovery mode is where the phone cannot go on; in place of RECOVERY, DFU is as good.

    Raises:
        JobFailed: `why`; WRONG_PHONE, another phone came.
    """
    log.warning("waiting for somebody to bring the phone into %s mode: %s", wanted.value, why)
    reporter.enter(Phase.RECOVERY)
    reporter.person_needed(Cause.ENTER_DFU if wanted is PhoneMode.DFU else Cause.ENTER_RECOVERY)
    async for _ in tries(reporter.deadline.share(0.9)):
        if wanted is PhoneMode.DFU and not await socket.in_dfu():
            continue
        if (iboot := await socket.look()) is not None:
            reporter.phone_mode = iboot.phone_mode
            return iboot
    raise why
