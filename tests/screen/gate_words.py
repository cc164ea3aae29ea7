"""Every gate's words, as its own rule says them of a phone that meets it.

`python -m tests.screen.gate_words FILE.png [800x480]` draws each on the real screen, all on one sheet to be read.
"""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import pygame
from msgspec.structs import replace
from pygame import Surface

from station.core.bays import Bays, Sighting, Stay
from station.core.gates.case import Case
from station.core.gates.table import RULES, TOLD
from station.core.inspection import Inspection
from station.core.policy import BackupRule, Policy
from station.core.quarantine import Failures, Quarantine
from station.core.situation import Health, Situation, VaultState
from station.model.api import BayView, OfferView, ResultView
from station.model.base import BayId, JobId, PlugId, SocketPath
from station.model.causes import EXPLANATIONS, Cause
from station.model.consent import Options
from station.model.events import Failed
from station.model.firmware import Firmware
from station.model.gates import Finding, Gate, Purpose
from station.model.job import JobSpec, Reach
from station.model.phone import ActivationLock, LockReading, PhoneFacts, PhoneMode
from station.model.record import Outcome
from station.model.service import Service
from station.screen.render import View, picture
from tests.screen.samples import FACTS, NOW, offered, station

REACH = Reach(usbmuxd="/run/usbmuxd")
SOCKETS = {BayId("1"): SocketPath("1-1.1"), BayId("2"): SocketPath("1-1.2")}
POLICY = Policy(name="Test", software="test 1", reach=REACH, bays=SOCKETS, purpose=Purpose.SALE, min_battery=30)
NEWEST = Firmware(
    version="26.2", build="23C55", product_types=("iPhone13,2",), directory="/firmware/23C55", manifest_sha256="ab" * 32
)
FULL = "The records cannot be written: no space left on device."


def phone(
    service: Service,
    *,
    mode: PhoneMode = PhoneMode.NORMAL,
    facts: PhoneFacts | None = FACTS,
    situation: Situation | None = None,
    policy: Policy = POLICY,
    options: Options | None = None,
    twin: bool = False,
) -> Case:
    """A phone in bay 1 with nothing wrong but what a test says."""
    bays = Bays(policy, "test")
    for bay in list(bays)[: 2 if twin else 1]:
        bay.sighting = Sighting(mode=mode, serial="", ecid=FACTS.ecid, udid=FACTS.udid, emulated=False)
        bay.stay = Stay(
            plug=PlugId("1"),
            mode=mode,
            ecid=FACTS.ecid,
            udid=FACTS.udid,
            emulated=False,
            product_type=FACTS.product_type,
            model_name=FACTS.model_name,
            facts=facts,
        )
    circumstances = situation or Situation(firmware={FACTS.product_type: NEWEST})
    bay = next(iter(bays))
    return Case(
        service=service, bay=bay, bays=bays, situation=circumstances, policy=policy, options=options or Options()
    )


def _bay(case: Case, **changes: object) -> Case:
    for name, value in changes.items():
        setattr(case.bay, name, value)
    return case


def _stay(case: Case, **changes: object) -> Case:
    for name, value in changes.items():
        setattr(case.bay.stay, name, value)
    return case


def _locked(state: ActivationLock, activation: str = "Activated") -> PhoneFacts:
    return replace(FACTS, lock=LockReading(state=state, at="2026-08-07T10:15:00Z"), activation_state=activation)


def _ill(service: Service, **health: object) -> Case:
    situation = Situation(firmware={FACTS.product_type: NEWEST}, health=Health(**health))  # type: ignore[arg-type]  # tests know
    return phone(service, situation=situation)


def _set_aside() -> Case:
    quarantine = Quarantine()
    title = EXPLANATIONS[Cause.NOT_CLEAN].title
    failures = Failures(jobs=(JobId("a"), JobId("b")), emulated=False, title=title, wiped=True)
    quarantine._failures[FACTS.ecid] = failures
    return phone(Service.ERASE, situation=Situation(quarantine=quarantine))


def _vault(service: Service, state: VaultState) -> Case:
    return phone(service, situation=Situation(vault=state))


RESULT = ResultView(
    job=JobId("a"),
    ecid=FACTS.ecid,
    service=Service.ERASE,
    outcome=Outcome.VERIFIED,
    title="",
    remedy="",
    record=1,
    certificate=None,
)


def cases() -> Iterator[tuple[Gate, Case]]:
    """A phone that meets each gate, in each way in which the gate speaks."""
    locked, unknown = ActivationLock.LOCKED, ActivationLock.UNKNOWN
    recycling = dataclasses.replace(POLICY, purpose=Purpose.RECYCLING)
    asking = dataclasses.replace(POLICY, backup=BackupRule.ASK)
    spec = JobSpec(
        job=JobId("a"),
        service=None,
        bay=BayId("1"),
        socket=SOCKETS[BayId("1")],
        plug=PlugId("1"),
        ecid=None,
        udid=None,
        emulated=False,
        reach=REACH,
        deadlines={},
    )
    wrong = Failed(at=0, cause=Cause.WRONG_PHONE, detail="")
    yield Gate.TROUBLE, phone(Service.ERASE, situation=Situation(records_trouble=FULL))
    yield Gate.RESULT, _bay(phone(Service.ERASE), result=RESULT)
    yield Gate.BUSY, _bay(phone(Service.ERASE), inspection=Inspection(spec, POLICY))
    yield Gate.PHONE, _bay(phone(Service.ERASE), sighting=None)
    yield Gate.IDENTITY, _stay(phone(Service.ERASE), ecid=None)
    yield Gate.IDENTITY, _stay(phone(Service.ERASE), failed=wrong)
    yield Gate.TWIN, phone(Service.ERASE, twin=True)
    yield Gate.QUARANTINE, _set_aside()
    yield Gate.MODE, phone(Service.ERASE, mode=PhoneMode.RECOVERY)
    yield Gate.MODE, phone(Service.RESCUE)
    yield Gate.MODEL, _stay(phone(Service.RESTORE), product_type="iPhone99,9", model_name="iPhone 29 Pro Max")
    newer = replace(NEWEST, version="99.1")
    yield Gate.MODEL, phone(Service.RESTORE, situation=Situation(firmware={FACTS.product_type: newer}))
    yield Gate.FIRMWARE, phone(Service.RESTORE, situation=Situation())
    yield Gate.FIRMWARE, phone(Service.RESTORE, situation=Situation(firmware={FACTS.product_type: None}))
    older = Options(build="22A100")
    yield Gate.FIRMWARE, phone(Service.RESTORE, options=older)
    newest = replace(FACTS, version="26.3", build="23D10")
    yield Gate.VERSION, phone(Service.REINSTALL, facts=newest)
    trouble = VaultState(trouble="The backup disk is not there.", remedy="Connect it, and wait a minute.")
    yield Gate.VAULT, _vault(Service.BACKUP, trouble)
    yield Gate.VAULT, _vault(Service.BACKUP, VaultState(free=3_000_000_000))
    yield Gate.VAULT, _vault(Service.PUT_BACK, VaultState())
    yield Gate.ACTIVATION_LOCK, phone(Service.ERASE, facts=_locked(locked))
    yield Gate.ACTIVATION_LOCK, phone(Service.ERASE, facts=_locked(unknown))
    yield Gate.ACTIVATION_LOCK, phone(Service.ERASE, facts=_locked(unknown, "Unactivated"))
    yield Gate.ACTIVATION_LOCK, phone(Service.RESTORE, facts=None, mode=PhoneMode.RECOVERY)
    yield Gate.ACTIVATION_LOCK, phone(Service.RESTORE, facts=None, mode=PhoneMode.DFU)
    yield Gate.ACTIVATION_LOCK, phone(Service.ERASE, facts=_locked(locked), policy=recycling)
    yield Gate.BATTERY, phone(Service.ERASE, facts=replace(FACTS, battery_percent=7))
    yield Gate.DISK, _ill(Service.ERASE, free=0)
    yield Gate.POWER, _ill(Service.ERASE, under_voltage=True)
    yield Gate.TEMPERATURE, _ill(Service.ERASE, temperature=91)
    yield Gate.CLOCK, _ill(Service.ERASE, clock_trusted=False)
    yield Gate.BACKUP, phone(Service.ERASE, policy=asking)


def findings() -> list[tuple[Service, Finding]]:
    """What each of these gates says, of which service."""
    found = []
    for gate, case in cases():
        finding = RULES[gate](case)
        assert finding is not None, gate
        found.append((case.service, finding))
    return found


def told() -> list[tuple[Service, Finding]]:
    """What a person is told before START although nothing is closed."""
    owner = dataclasses.replace(POLICY, purpose=Purpose.OWNER)
    newest = replace(FACTS, version="26.3", build="23D10")
    cases = [
        phone(Service.RESTORE, facts=newest),
        phone(Service.REINSTALL, mode=PhoneMode.RECOVERY, facts=None),
        phone(Service.ERASE, facts=_locked(ActivationLock.LOCKED), policy=owner),
        phone(Service.ERASE, facts=_locked(ActivationLock.UNKNOWN), policy=owner),
    ]
    return [(case.service, finding) for case in cases for rule in TOLD if (finding := rule(case)) is not None]


def closed_view(service: Service, finding: Finding) -> BayView:
    """The phone's page when this gate is closed."""
    return _with(OfferView(service=service, seconds=None, findings=(finding,)))


def told_view(service: Service, finding: Finding) -> BayView:
    """The phone's page when this is told."""
    return _with(OfferView(service=service, seconds=None, told=(finding,)))


def _with(offer: OfferView) -> BayView:
    view = offered(offer.service)
    return replace(view, offers=(*(one for one in view.offers if one.service is not offer.service), offer))


def sheet(size: tuple[int, int], columns: int = 4) -> Surface:
    """All of them, on one picture."""
    views = [closed_view(*found) for found in findings()] + [told_view(*found) for found in told()]
    rows = -(-len(views) // columns)
    whole = Surface(((size[0] + 8) * columns, (size[1] + 8) * rows))
    whole.fill((80, 80, 80))
    for number, view in enumerate(views):
        row, column = divmod(number, columns)
        whole.blit(picture(View(station(view)), size, NOW), (column * (size[0] + 8), row * (size[1] + 8)))
    return whole


if __name__ == "__main__":
    width, height = (int(part) for part in (sys.argv[2] if len(sys.argv) > 2 else "800x480").split("x"))
    pygame.image.save(sheet((width, height)), Path(sys.argv[1]))
