"""Everything that goes wrong in the fault matrix, as a table: what, where, and how it must end."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from station.model.causes import Cause
from station.model.job import Phase
from station.model.record import Outcome
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.kinds import FaultKind
from station.virtual.restore.script import steps

UNTOUCHED, ERASED = Outcome.FAILED_UNTOUCHED, Outcome.FAILED_ERASED
VERIFIED, NOT_VERIFIED = Outcome.VERIFIED, Outcome.NOT_VERIFIED

DEADLINES = {
    # Short enough for a test, long enough for a worker that starts on a busy machine.
    Phase.CONNECT: 15.0,
    Phase.TICKET: 6.0,
    Phase.RECOVERY: 6.0,
    Phase.RAMDISK: 9.0,
    Phase.RESTORED: 6.0,
    Phase.PREPARE: 6.0,
    Phase.IMAGE: 6.0,
    Phase.FIRMWARE: 6.0,
    Phase.RETURN: 5.0,
    Phase.VERIFY: 30.0,
}
OBSERVE_SECONDS = 2.0
EVERY_STEP = os.environ.get("TESTS_EVERY_STEP") == "1"
ANY = -1

ERASE_SENT = "restored:StartRestore"
"""From here on a failure can no longer say that nothing was erased."""
STATUS_SENT = "restored:status"
RESTARTED = "restored:restart"

LOCKDOWN = (
    "connect:62078",
    "lockdown:QueryType",
    "lockdown:GetValue",
    "lockdown:StartSession",
    "lockdown:EnterRecovery",
)
"""What a restore that begins in normal mode asks lockdownd, which trusts the station since the phone was read."""

IBOOT = (
    "iboot:upload:ibec",
    "iboot:go",
    "iboot:getenv",
    "iboot:setenv",
    "iboot:saveenv",
    "iboot:upload:rlgo",
    "iboot:setpicture",
    "iboot:bgcolor",
    "iboot:upload:anef",
    "iboot:firmware",
    "iboot:upload:aopf",
    "iboot:upload:avef",
    "iboot:upload:gfxf",
    "iboot:upload:ispf",
    "iboot:upload:pmpf",
    "iboot:upload:rans",
    "iboot:upload:rdcp",
    "iboot:upload:rtsc",
    "iboot:upload:siof",
    "iboot:upload:wchf",
    "iboot:upload:ibdt",
    "iboot:upload:rdsk",
    "iboot:ramdisk",
    "iboot:upload:rdtr",
    "iboot:devicetree",
    "iboot:upload:rsep",
    "iboot:rsepfirmware",
    "iboot:upload:rkrn",
    "iboot:bootx",
)

PORTS = {"fdr:ctrl": "connect:1082", "asr:initiate": "connect:12345"}
"""Ports of the restore system that are always the same, by what follows. The one of `lockdown` is restored's too."""

PARTS = ("Rap,RTKitOS", "Savage,BA-Prod-Patch", "eUICC,Gold", "eUICC,Main", "BMU,DigestMap", "BMU,FirmwareMap")
"""What the updaters of this phone's other chips ask for."""

STEPS = (
    *LOCKDOWN,
    *IBOOT,
    *(step for name in steps("Erase") for step in ((PORTS[name], name) if name in PORTS else (name,))),
    *(f"restored:SourceBootObjectV4:{name}" for name in PARTS),
)
"""Every step of a restore from normal mode, in order; ports that phones make up (`connect:491…`) left out."""

OF_PHASE = {
    # A step in the middle of each phase, at which the phone can be held.
    Phase.CONNECT: "lockdown:StartSession",
    Phase.RECOVERY: "lockdown:EnterRecovery",
    Phase.RAMDISK: "iboot:upload:rdsk",
    Phase.RESTORED: "restored:QueryType",
    Phase.PREPARE: "restored:NORData",
    Phase.IMAGE: "asr:payload",
    Phase.FIRMWARE: "restored:KernelCache",
    Phase.RETURN: RESTARTED,
}


class Harm(Enum):
    """What goes wrong around the phone, not in it."""

    KILL_WORKER = "kill -9 of the worker"
    KILL_CHILD = "kill -9 of the worker's child"
    SPOIL = "a byte changes in the firmware store"
    DECAY = "a byte changes in the firmware store, and the disk does not tell"
    REPLUG = "unplugged, and plugged in again at once"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing that goes wrong, and how it must end."""

    what: FaultKind | Harm | Behaviour
    cause: Cause | None
    """None: it ends well all the same."""
    outcome: Outcome
    at: str = ""
    """The step at which; empty: from before START on."""
    after: str | None = None
    """A step that must have been before, where `at` comes more than once."""
    times: int = 1
    status: int | None = None
    """restored's Status in the record; ANY where it is the phone's affair."""
    model: str = "iPhone 12"
    normal: bool = False
    """Whether the phone starts in normal mode (which takes longer); else it is in recovery mode."""
    service: AppleService = AppleService.SIGNING
    file: str = ""
    """What is spoilt."""
    seconds: float = 90.0
    """Within which the record must be written, on a machine that is busy with seven others."""

    @property
    def name(self) -> str:
        """For reports."""
        if isinstance(self.what, Behaviour):
            return f"{self.service.value} server: {self.what.value}"
        return f"{self.what.value} {self.file} at {self.at or 'once'}{' after ' + self.after if self.after else ''}"


def _outcome(step: str) -> Outcome:
    return UNTOUCHED if STEPS.index(step) < STEPS.index(ERASE_SENT) else ERASED


def _telling(names: tuple[str, ...]) -> Iterator[str]:
    """Of checkpoints that follow each other without a request between them, the last one; all the rest."""
    for name, following in zip(names, (*names[1:], ""), strict=True):
        if not (_is_checkpoint(name) and _is_checkpoint(following)):
            yield name


def _different(names: Iterable[str]) -> Iterator[str]:
    """The first step of each kind; all of them with TESTS_EVERY_STEP=1, which takes minutes more."""
    names = list(names)
    kinds = [re.sub(r"^(\w+:\w+:)[^:]+", r"\1", name) for name in names]
    for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
        if EVERY_STEP or kinds.index(kind) == number:
            yield name


def _is_checkpoint(name: str) -> bool:
    return name.startswith("restored:checkpoint:")


def _at(step: str, what: FaultKind | Harm, cause: Cause, **more: Any) -> Case:
    """A case at a step of the restore, which ends as things stand there."""
    return Case(what=what, at=step, cause=cause, outcome=_outcome(step), normal=step in LOCKDOWN, **more)


def _apple(behaviour: Behaviour, cause: Cause, service: AppleService = AppleService.SIGNING, **more: Any) -> Case:
    """One of Apple's servers misbehaves to one phone. Nothing is sent to a phone before its ticket is there."""
    outcome = UNTOUCHED if service is AppleService.SIGNING else ERASED
    return Case(what=behaviour, service=service, cause=cause, outcome=outcome, **more)


UNPLUGGED = (
    *(_at(step, FaultKind.UNPLUG, Cause.DISCONNECTED) for step in _different(_telling(STEPS)) if step != RESTARTED),
    # Status 0 has come: whether it is true can no longer be seen.
    Case(what=FaultKind.UNPLUG, at=RESTARTED, cause=Cause.NOT_RETURNED, outcome=NOT_VERIFIED, status=0),
    Case(
        what=FaultKind.UNPLUG,
        at="lockdown:GetValue",
        after=RESTARTED,
        cause=Cause.NOT_RETURNED,
        outcome=NOT_VERIFIED,
        status=0,
    ),
    # Back before the station gives it up: what it has become is seen.
    _at("iboot:upload:rdsk", Harm.REPLUG, Cause.DISCONNECTED),
    _at("restored:NORData", Harm.REPLUG, Cause.DISCONNECTED),
    _at("asr:payload", Harm.REPLUG, Cause.DISCONNECTED),
)

STATUS = tuple(
    _at(step, FaultKind.STATUS, Cause.DEVICE_STATUS, status=53)
    for step in (
        "restored:RootTicket",
        "restored:FDRTrustData",
        "fdr:ping",
        "restored:SystemImageData",
        "asr:oob",
        "asr:payload",
        "restored:URLAsset",
        "restored:FUDData",
        "restored:FirmwareUpdaterData:Rose",
        "restored:SourceBootObjectV4:Cryptex1,SystemOS",
        "restored:KernelCache",
        "fdr:proxy",
        "restored:SystemImageCanonicalMetadata",
        "restored:checkpoint:0x647",
        "restored:status",
    )
)

SILENT = (
    *(
        _at(step, FaultKind.SILENCE, Cause.DEADLINE)
        for phase, step in OF_PHASE.items()
        if phase not in (Phase.RECOVERY, Phase.RETURN)
    ),
    _at("restored:StartRestore", FaultKind.SILENCE, Cause.DEADLINE),
    _at("asr:oob", FaultKind.SILENCE, Cause.DEADLINE),
    _at("restored:SourceBootObjectV4:Cryptex1,SystemOS", FaultKind.SILENCE, Cause.DEADLINE),
    _at("fdr:proxy", FaultKind.SILENCE, Cause.DEADLINE),
    _at("restored:status", FaultKind.SILENCE, Cause.DEADLINE),
    # It takes the order, and does not follow it.
    _at("lockdown:EnterRecovery", FaultKind.SILENCE, Cause.DEADLINE),
    Case(
        what=FaultKind.SILENCE,
        at=RESTARTED,
        cause=Cause.NOT_RETURNED,
        outcome=NOT_VERIFIED,
        status=0,
        seconds=90,
    ),
    Case(
        what=FaultKind.SILENCE,
        at="lockdown:GetValue",
        after=RESTARTED,
        times=1000,
        cause=Cause.DEADLINE,
        outcome=NOT_VERIFIED,
        status=0,
        seconds=90,
    ),
    # Once only: it is asked again.
    Case(what=FaultKind.SILENCE, at="lockdown:GetValue", after=RESTARTED, cause=None, outcome=VERIFIED, status=0),
)

REFUSED = (
    *(
        _at(step, FaultKind.REFUSE, Cause.PORT_REFUSED, times=1000)
        for step in (
            "connect:62078",
            "restored:SystemImageData",
            "restored:URLAsset",
            "restored:BuildIdentityDict",
            "restored:FirmwareUpdaterPreflight:SE",
            "restored:FirmwareUpdaterData:Rose",
            "restored:SourceBootObjectV4:Cryptex1,SystemOS",
            "restored:PersonalizedBootObjectV3:SEP",
        )
    ),
    # What refuses is not a port, but the phone.
    _at("lockdown:StartSession", FaultKind.REFUSE, Cause.DISCONNECTED, times=1000),
    _at("iboot:upload:rdsk", FaultKind.REFUSE, Cause.STAYED_IN_RECOVERY),
    _at("iboot:ramdisk", FaultKind.REFUSE, Cause.STAYED_IN_RECOVERY),
    _at("restored:StartRestore", FaultKind.REFUSE, Cause.DISCONNECTED),
)

STAYED = (
    _at("iboot:go", FaultKind.STAY, Cause.STAYED_IN_RECOVERY),
    _at("iboot:bootx", FaultKind.STAY, Cause.STAYED_IN_RECOVERY),
    _at("restored:QueryType", FaultKind.STAY, Cause.STAYED_IN_RECOVERY),
    _at("restored:StartRestore", FaultKind.STAY, Cause.DISCONNECTED),
    _at("asr:payload", FaultKind.STAY, Cause.DISCONNECTED),
    Case(what=FaultKind.STAY, at=RESTARTED, cause=Cause.NOT_RETURNED, outcome=NOT_VERIFIED, status=0),
)

APPLE = (
    _apple(Behaviour.REFUSE, Cause.SIGNING_REFUSED),
    _apple(Behaviour.UNAVAILABLE, Cause.SIGNING_UNREACHABLE),
    _apple(Behaviour.PORTAL, Cause.SIGNING_GARBLED),
    _apple(Behaviour.GARBAGE, Cause.SIGNING_GARBLED),
    _apple(Behaviour.HANG, Cause.SIGNING_UNREACHABLE),
    _apple(Behaviour.REFUSE, Cause.SIGNING_REFUSED, normal=True),
    # A phone that cannot reach its factory data gives up by itself.
    _apple(Behaviour.UNAVAILABLE, Cause.DEVICE_STATUS, AppleService.FDR, status=53),
    _apple(Behaviour.PORTAL, Cause.DEVICE_STATUS, AppleService.FDR, status=53),
    _apple(Behaviour.HANG, Cause.DEADLINE, AppleService.FDR),
)

FIRMWARE = (
    Case(
        what=Harm.SPOIL, file="000-00001-001.dmg*", model="iPhone 11", cause=Cause.FIRMWARE_CORRUPT, outcome=UNTOUCHED
    ),
    Case(what=Harm.SPOIL, file="*kernelcache*", model="iPhone 13", cause=Cause.FIRMWARE_CORRUPT, outcome=UNTOUCHED),
    Case(
        what=Harm.DECAY,
        file="000-00001-001.dmg*",
        model="iPhone 14",
        cause=Cause.DEVICE_STATUS,
        outcome=ERASED,
        status=ANY,
    ),
    Case(
        what=Harm.DECAY, file="000-00011-001.dmg", model="iPhone 15", cause=Cause.STAYED_IN_RECOVERY, outcome=UNTOUCHED
    ),
)

KILLED = (
    *(
        _at(step, Harm.KILL_WORKER, Cause.WORKER_DIED)
        for phase, step in OF_PHASE.items()
        if phase is not Phase.RETURN  # no worker lives then
    ),
    _at("asr:payload", Harm.KILL_CHILD, Cause.WORKER_DIED),
    _at("iboot:upload:rdsk", Harm.KILL_CHILD, Cause.WORKER_DIED),
    # Looking changes nothing: it is done again.
    Case(what=Harm.KILL_WORKER, at="lockdown:GetValue", after=RESTARTED, cause=None, outcome=VERIFIED, status=0),
)

HALF, SOME = (slice(None, None, None if EVERY_STEP else step) for step in (2, 10))
"""Every second, and of what is alike at many steps every tenth; all of it with TESTS_EVERY_STEP=1."""

_DIFFERENT = (*SILENT, *REFUSED, *STAYED, *APPLE, *FIRMWARE, *KILLED)
CASES: tuple[Case, ...] = (*_DIFFERENT[HALF], *STATUS[SOME], *UNPLUGGED[SOME])
"""The slow ones first."""
