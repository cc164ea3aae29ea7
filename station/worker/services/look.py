"""A look: what a phone in normal mode says of itself. No service: nothing is changed but the pairing."""

from typing import Any

from pymobiledevice3.exceptions import IncorrectModeError, LockdownError
from pymobiledevice3.irecv_devices import IRECV_DEVICES

from station.errors import InputRejected
from station.model.base import Ecid, Udid, format_ecid
from station.model.causes import Cause
from station.model.job import JobSpec
from station.model.phone import PhoneFacts, PhoneMode
from station.worker.failures import JobFailed, printable
from station.worker.lockdown import Lockdown
from station.worker.patience import tries
from station.worker.restored import udid_of
from station.worker.work import Work

_BATTERY = "com.apple.mobile.battery"
_MAX_TEXT = 64
"""Signs of one fact: snapshots hold those of every phone, and have an end themselves."""


async def give(work: Work) -> None:
    """Read the phone's facts, and report them."""
    reporter = work.reporter
    lockdown = await connect(work)
    try:
        reporter.progress(0.6, "values")
        values = await lockdown.get_value()
        try:
            percent = await lockdown.get_value(_BATTERY, "BatteryCurrentCapacity")
        except LockdownError:  # not every phone tells
            percent = None
        reporter.facts(read_facts(values, percent))
    finally:
        await lockdown.close()


async def connect(work: Work) -> Lockdown:
    """A trusted connection to the phone of the spec, in normal mode.

    Raises:
        JobFailed: DISCONNECTED, it is not there; WRONG_PHONE, it says that it is another one; NOT_RETURNED, it runs
            the restore system, which USB does not tell.
    """
    spec, reporter = work.spec, work.reporter
    udid = await _find(spec, reporter.deadline.share(0.3))
    try:
        lockdown = await Lockdown.open(udid, reporter, work.guard)
    except IncorrectModeError as error:
        reporter.phone_mode = PhoneMode.RESTORE
        raise JobFailed(Cause.NOT_RETURNED, "the phone still runs the restore system") from error
    ecid = lockdown.all_values.get("UniqueChipID")
    if spec.ecid is not None and ecid != spec.ecid:
        await lockdown.close()
        seen = format_ecid(ecid) if isinstance(ecid, int) else "a phone without ECID"
        raise JobFailed(Cause.WRONG_PHONE, f"{seen} is in the socket")
    reporter.phone_mode = PhoneMode.NORMAL
    return lockdown


async def _find(spec: JobSpec, patience: float) -> str:
    async for _ in tries(patience):
        if (udid := await udid_of(spec.ecid, spec.udid)) is not None:
            return udid
    raise JobFailed(Cause.DISCONNECTED, f"the phone was not found within {patience:.0f} s")


def read_facts(values: Any, battery_percent: object) -> PhoneFacts:
    """The facts in lockdown's values. Raises InputRejected when the ones that name the phone are missing."""
    if not isinstance(values, dict):
        raise InputRejected("The phone does not say anything of itself.")
    ecid, udid = values.get("UniqueChipID"), _text(values, "UniqueDeviceID")
    product_type, hardware_model = _text(values, "ProductType"), _text(values, "HardwareModel")
    build, version = _text(values, "BuildVersion"), _text(values, "ProductVersion")
    if not (isinstance(ecid, int) and 0 < ecid < 1 << 64 and udid and product_type and hardware_model and build):
        raise InputRejected("The phone does not say who it is.")
    passcode = values.get("PasswordProtected")
    return PhoneFacts(
        ecid=Ecid(ecid),
        udid=Udid(udid),
        product_type=product_type,
        hardware_model=hardware_model,
        model_name=model_name(product_type),
        name=_text(values, "DeviceName"),
        serial_number=_text(values, "SerialNumber"),
        imei=_text(values, "InternationalMobileEquipmentIdentity") or None,
        version=version,
        build=build,
        activation_state=_text(values, "ActivationState"),
        passcode=passcode if isinstance(passcode, bool) else None,
        battery_percent=battery_percent if type(battery_percent) is int and 0 <= battery_percent <= 100 else None,
    )


def model_name(product_type: str) -> str:
    """The name on the box, from the library's table; the product type when it is not in there."""
    names = (device.display_name for device in IRECV_DEVICES if device.product_type == product_type)
    return next(names, product_type)


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return printable(value, _MAX_TEXT) if isinstance(value, str) else ""
