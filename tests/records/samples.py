"""Records for these tests: a virtual and a real phone, erased and verified, and ways to vary them."""

from typing import Any

import msgspec

from station.model.base import BayId, Ecid, JobId, PlugId, Udid
from station.model.causes import Cause
from station.model.consent import Consent, Hand
from station.model.firmware import Firmware
from station.model.job import Phase
from station.model.phone import PhoneFacts, PhoneMode
from station.model.record import Check, Observed, Outcome, Record
from station.model.service import Service

ECID = Ecid(0x000A1B2C3D4E5F60)

BEFORE = PhoneFacts(
    ecid=ECID,
    udid=Udid("00008101-000A1B2C3D4E5F60"),
    product_type="iPhone13,2",
    hardware_model="D53gAP",
    model_name="iPhone 12",
    name="Anna’s iPhone",
    serial_number="F17FX0AB0D8Q",
    imei="356789101234567",
    version="17.5.1",
    build="21F90",
    activation_state="Activated",
    passcode=True,
    battery_percent=83,
)

AFTER = msgspec.structs.replace(
    BEFORE, name="iPhone", version="17.6", build="21G80", activation_state="Unactivated", passcode=False
)

CHECKS = (
    Check(what="Same phone (ECID)", expected="0x000A1B2C3D4E5F60", observed="0x000A1B2C3D4E5F60", passed=True),
    Check(what="Installed build", expected="21G80", observed="21G80", passed=True),
    Check(what="Activation state", expected="Unactivated", observed="Unactivated", passed=True),
    Check(what="No passcode", expected="no passcode", observed="no passcode", passed=True),
    Check(what="Storage wiped", expected="reported", observed="reported", passed=True, by_phone=True),
)


def record(job: str = "job-1", *, emulated: bool = False, **changes: Any) -> Record:
    """A verified restore; `changes` replace fields."""
    whole = Record(
        job=JobId(job),
        station="Werkstatt Größenwahn",
        software="Restore Station 0.1.0, pymobiledevice3 11.45.0",
        bay=BayId("1"),
        ecid=ECID,
        service=Service.RESTORE,
        emulated=emulated,
        consent=Consent(
            ecid=ECID,
            bay=BayId("1"),
            plug=PlugId("plug-1"),
            service=Service.RESTORE,
            by=Hand.BUTTONS,
            at="2026-11-21T06:12:03Z",
        ),
        firmware=Firmware(
            version="17.6",
            build="21G80",
            product_types=("iPhone13,2",),
            directory="/var/lib/station/firmware/21G80",
            manifest_sha256="5f" * 32,
        ),
        before=BEFORE,
        observed=Observed(mode=PhoneMode.NORMAL, facts=AFTER),
        outcome=Outcome.VERIFIED,
        cause=None,
        title="Erased and verified.",
        remedy="",
        detail="",
        status=0,
        last_phase=Phase.VERIFY,
        operations=(11, 42, 50, 14),
        checks=CHECKS,
        started="2026-11-21T06:12:05Z",
        ended="2026-11-21T06:24:47Z",
        duration_seconds=762.5,
        clock_trusted=True,
    )
    return msgspec.structs.replace(whole, **changes)


def failed(job: str, **changes: Any) -> Record:
    """A restore that ended while the phone was erased: no certificate is due."""
    return record(job, outcome=Outcome.FAILED_ERASED, cause=Cause.DISCONNECTED, checks=(), **changes)
