"""Installing firmware, whether it erases or keeps the data: from whatever mode the phone is in."""

import asyncio

from ipsw_parser.ipsw import IPSW
from pymobiledevice3.restore.base_restore import Behavior

from station.core.versions import age
from station.model.causes import Cause
from station.model.job import JobSpec, Phase
from station.model.phone import PhoneMode
from station.worker.activation_lock import require_no_new_lock
from station.worker.approach import REFUSED, by_hand
from station.worker.failures import JobFailed, explain, printable
from station.worker.firmware import check_files, open_firmware
from station.worker.iboot import RecoverySocket
from station.worker.lockdown import Lockdown
from station.worker.patience import tries
from station.worker.preboard import Stashbag
from station.worker.present import udid_of
from station.worker.recovery import RestoreDevice
from station.worker.restore import StationRestore
from station.worker.services.look import connect
from station.worker.work import Work

_BEFORE_RESTORE_SYSTEM = frozenset({Phase.RECOVERY, Phase.RAMDISK, Phase.RESTORED})


async def install(work: Work, behavior: Behavior) -> None:
    """Install the firmware of the spec; return only after the phone reported Status 0.

    A phone that refuses to go into recovery mode is brought there by somebody's hands; one that cannot go on from
    there, into DFU mode.

    Raises:
        whatever goes wrong, for `failures.explain`.
    """
    spec = work.spec
    if spec.ecid is None or spec.firmware is None:
        raise JobFailed(Cause.INTERNAL, "a restore needs an ECID and a firmware")
    ipsw = await asyncio.to_thread(open_firmware, spec.firmware)
    socket = RecoverySocket(work.usb, spec.socket, spec.ecid, work.guard)
    device = await _find(work, socket)
    try:
        await _install(work, ipsw, socket, device, behavior)
    except Exception as error:
        failure = explain(error)
        stuck = failure.cause is Cause.STAYED_IN_RECOVERY and work.reporter.phase in _BEFORE_RESTORE_SYSTEM
        if not stuck or await socket.in_dfu():
            raise
        device = RestoreDevice(irecv=await by_hand(socket, work.reporter, failure, wanted=PhoneMode.DFU))
        await _install(work, ipsw, socket, device, behavior)


async def _install(work: Work, ipsw: IPSW, socket: RecoverySocket, device: RestoreDevice, behavior: Behavior) -> None:
    reporter = work.reporter
    job = StationRestore(work.spec, ipsw, device, behavior=behavior, socket=socket, guard=work.guard, reporter=reporter)
    await asyncio.to_thread(check_files, ipsw, job.build_identity)
    if behavior is Behavior.Update:
        _refuse_older(work.spec, device)
    elif isinstance(device.lockdown, Lockdown):
        await require_no_new_lock(device.lockdown, work.spec.before)
    if behavior is Behavior.Update and isinstance(device.lockdown, Lockdown):
        reporter.enter(Phase.PASSCODE)
        job.recovery.stashbag = Stashbag(device.lockdown, reporter)
        await job.recovery.stashbag.make(job.recovery.get_preboard_manifest())
    await job.update()


def _refuse_older(spec: JobSpec, device: RestoreDevice) -> None:
    """A phone's data is made for its iOS, and for no earlier one. What the phone says now counts; else what it said."""
    assert spec.firmware is not None
    if device.lockdown is not None:
        values = device.lockdown.all_values
        version, build = str(values.get("ProductVersion", "")), str(values.get("BuildVersion", ""))
    elif spec.before is not None:
        version, build = spec.before.version, spec.before.build
    else:
        return  # the phone's own check of it (downgrade_check) is all there is
    installed, given = age(version, build), age(spec.firmware.version, spec.firmware.build)
    if given < installed:
        raise JobFailed(Cause.FIRMWARE_OLDER, f"{spec.firmware.build} is older than {printable(build, 20)}")


async def _find(work: Work, socket: RecoverySocket) -> RestoreDevice:
    """The phone, in normal, recovery or DFU mode, whichever it is found in first.

    Raises:
        JobFailed: DISCONNECTED, WRONG_PHONE.
        what it says to a station that it does not trust, when nobody brings it into recovery mode instead.
    """
    spec, reporter = work.spec, work.reporter
    assert spec.ecid is not None
    seconds = reporter.deadline.share(0.6)
    async for _ in tries(seconds):
        iboot = await socket.look()
        if iboot is not None:
            reporter.phone_mode = iboot.phone_mode
            return RestoreDevice(irecv=iboot)
        if await udid_of(spec.ecid, spec.udid) is not None:
            return await _in_normal_mode(work, socket)
    raise JobFailed(Cause.DISCONNECTED, f"the phone was not found within {seconds:.0f} s")


async def _in_normal_mode(work: Work, socket: RecoverySocket) -> RestoreDevice:
    try:
        return RestoreDevice(await connect(work))
    except (*REFUSED, JobFailed) as error:
        failure = explain(error)
        if isinstance(error, JobFailed) and failure.cause is not Cause.PORT_REFUSED:
            raise
        if await udid_of(work.spec.ecid, work.spec.udid) is None:
            raise  # it was unplugged
        return RestoreDevice(irecv=await by_hand(socket, work.reporter, failure))
