"""A look: what a phone in normal mode says of itself. No service: nothing is changed but the pairing."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pymobiledevice3.exceptions import IncorrectModeError, PyMobileDevice3Exception
from pymobiledevice3.irecv_devices import IRECV_DEVICES
from pymobiledevice3.services.diagnostics import DiagnosticsService
from pymobiledevice3.services.mobile_config import MobileConfigService

from station.adapters.clock import utc_now
from station.errors import InputRejected
from station.model.base import Ecid, Udid, format_ecid
from station.model.causes import Cause
from station.model.job import JobSpec
from station.model.phone import Media, PhoneFacts, PhoneMode
from station.worker.activation_lock import read_lock
from station.worker.failures import JobFailed, printable
from station.worker.lockdown import Lockdown
from station.worker.media import count_media
from station.worker.patience import tries
from station.worker.present import udid_of
from station.worker.reporter import Reporter
from station.worker.work import Work

MAX_TEXT = 64
"""Signs of one fact: snapshots hold those of every phone, and have an end themselves."""
ANSWER_SECONDS = 5.0
"""For each source beside lockdown's own values."""
ALL_SECONDS = 15.0
"""For all of them together: a person waits."""
MAX_BYTES, MAX_CYCLES, MAX_CHARGE = 1 << 50, 1 << 16, 1 << 20
"""More than any phone has, of storage, charging cycles and milliampere hours: whoever says so makes it up."""

_COLOURS = {"1": "black", "2": "white", "3": "gold", "4": "pink", "6": "red"}
"""Numbers that have meant the same on every model; newer colours have numbers that differ from model to model."""

_log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(kw_only=True)
class Told:
    """What a phone said beside lockdown's own values, as it came; None: it said nothing."""

    percent: object = None
    capacity: object = None
    free: object = None
    enclosure: object = None
    encrypts: object = None
    associated: object = None
    options: object = None
    """The NVRAM, as the registry of devices shows it."""
    power: object = None
    """The battery, as that registry shows it."""
    supervision: tuple[bool | None, str] = (None, "")
    media: Media | None = None
    at: str = field(default_factory=utc_now)


async def give(work: Work) -> None:
    """Read the phone's facts, and report them."""
    reporter = work.reporter
    lockdown = await connect(work)
    try:
        reporter.progress(0.5, "values")
        values = await lockdown.get_value()
        told = await _Asking(lockdown, reporter).told()
        reporter.facts(read_facts(values, told))
    finally:
        await lockdown.close()


class _Asking:
    """Asks for one thing after the other; what fails is not told, and fails nothing else."""

    def __init__(self, lockdown: Lockdown, reporter: Reporter) -> None:
        self._lockdown = lockdown
        self._reporter = reporter
        self._asked = 0
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + min(ALL_SECONDS, reporter.deadline.share(0.5))

    async def told(self) -> Told:
        value = self._lockdown.get_value
        told = Told(
            percent=await self._ask("battery", value("com.apple.mobile.battery", "BatteryCurrentCapacity")),
            associated=await self._ask("Find My", value("com.apple.fmip", "IsAssociated")),
            capacity=await self._ask("capacity", value("com.apple.disk_usage", "TotalDiskCapacity")),
            free=await self._ask("free", value("com.apple.disk_usage", "AmountDataAvailable")),
            encrypts=await self._ask("backups", value("com.apple.mobile.backup", "WillEncrypt")),
            enclosure=await self._ask("colour", value(key="DeviceEnclosureColor")),
        )
        told.options, told.power = await self._ask("parts", self._parts()) or (None, None)
        told.supervision = await self._ask("supervision", supervision(self._lockdown)) or (None, "")
        told.media = await self._ask("pictures", count_media(self._lockdown))
        return told

    async def _ask(self, what: str, question: Awaitable[T]) -> T | None:
        self._asked += 1
        self._reporter.progress(0.5 + 0.05 * self._asked, what)
        try:
            async with asyncio.timeout(min(ANSWER_SECONDS, max(0.0, self._end - self._clock()))):
                return await question
        except Exception as error:  # noqa: BLE001 (the library lets many kinds out of itself; each means: not told)
            _log.info("%s: not told (%s)", what, printable(f"{type(error).__name__}: {error}", 120))
            return None

    async def _parts(self) -> tuple[object, object]:
        async with DiagnosticsService(self._lockdown) as diagnostics:
            return await diagnostics.ioregistry(name="options"), await diagnostics.get_battery()


async def supervision(lockdown: Lockdown) -> tuple[bool | None, str]:
    """Whether an organisation supervises the phone, and which; None: it is not told.

    The management service says both, and is closed while the phone is locked; lockdown says the first.
    """
    try:
        async with MobileConfigService(lockdown) as management:
            told = await management.get_cloud_configuration()
    except PyMobileDevice3Exception:
        chaperoned = await lockdown.get_value("com.apple.mobile.chaperone", "DeviceIsChaperoned")
        return (chaperoned if isinstance(chaperoned, bool) else None), ""
    if not isinstance(told, dict):
        return False, ""  # nobody has configured it
    return told.get("IsSupervised") is True, _text(told, "OrganizationName")


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


def read_facts(values: Any, told: Told | None = None) -> PhoneFacts:
    """The facts in what was told. Raises InputRejected when the ones that name the phone are missing."""
    told = told or Told()
    if not isinstance(values, dict):
        raise InputRejected("The phone does not say anything of itself.")
    ecid, udid = values.get("UniqueChipID"), _text(values, "UniqueDeviceID")
    product_type, hardware_model = _text(values, "ProductType"), _text(values, "HardwareModel")
    build, version = _text(values, "BuildVersion"), _text(values, "ProductVersion")
    if not (isinstance(ecid, int) and 0 < ecid < 1 << 64 and udid and product_type and hardware_model and build):
        raise InputRejected("The phone does not say who it is.")
    activation_state = _text(values, "ActivationState")
    supervised, organisation = told.supervision
    power = told.power if isinstance(told.power, dict) else {}
    return PhoneFacts(
        ecid=Ecid(ecid),
        udid=Udid(udid),
        product_type=product_type,
        hardware_model=hardware_model,
        model_name=model_name(product_type),
        name=_text(values, "DeviceName"),
        serial_number=_text(values, "SerialNumber"),
        imei=_text(values, "InternationalMobileEquipmentIdentity") or None,
        imei2=_text(values, "InternationalMobileEquipmentIdentity2") or None,
        version=version,
        build=build,
        activation_state=activation_state,
        passcode=_flag(values.get("PasswordProtected")),
        battery_percent=_number(told.percent, 100),
        battery_health=_health(power),
        battery_cycles=_number(power.get("CycleCount"), MAX_CYCLES),
        capacity=_number(told.capacity, MAX_BYTES),
        free=_number(told.free, MAX_BYTES),
        colour=_colour(told.enclosure),
        supervised=supervised,
        organisation=organisation,
        lock=read_lock(
            activated=activation_state not in ("", "Unactivated"),
            associated=told.associated,
            variables={"NVRAM": values.get("NonVolatileRAM"), "options": told.options},
            at=told.at,
        ),
        backup_password=_flag(told.encrypts),
        media=told.media,
        boot_session=_text(values, "BootSessionID"),
    )


def model_name(product_type: str) -> str:
    """The name on the box, from the library's table; the product type when it is not in there."""
    names = (device.display_name for device in IRECV_DEVICES if device.product_type == product_type)
    return next(names, product_type)


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return printable(value, MAX_TEXT) if isinstance(value, str) else ""


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: object, most: int) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most else None


def _health(power: dict[str, Any]) -> int | None:
    """Percent of the design capacity; what a new battery has beyond it is left out, as in the phone's settings."""
    full = _number(power.get("NominalChargeCapacity") or power.get("AppleRawMaxCapacity"), MAX_CHARGE)
    design = _number(power.get("DesignCapacity"), MAX_CHARGE)
    return min(100, round(100 * full / design)) if full and design else None


def _colour(told: object) -> str:
    if not isinstance(told, str):
        return ""
    return _COLOURS.get(told, printable(told, MAX_TEXT).lower() if told.isalpha() else "")
