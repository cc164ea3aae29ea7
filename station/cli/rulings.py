"""What an operator decides about gates: which are closed for a phone, and which are opened for it."""

from collections.abc import Iterator
from enum import Enum
from typing import Annotated

import typer

from station.adapters.api import connect
from station.cli.client import SOCKET, Bay, PhoneEcid, Socket, bay_of, ecid_of, run, run_command
from station.cli.plainly import fail
from station.model.api import BayView, Decide, OfferView, Overrule, Release
from station.model.base import BayId, format_ecid
from station.model.gates import CHECKLIST, Choice, Finding, Gate
from station.model.service import SERVICES

Reason = Annotated[str, typer.Option(help="Why, in one line: it goes on record.")]


class Decision(Enum):
    """What can be decided about a backup, as it is typed."""

    MADE_HERE = "made-here"
    MADE_ELSEWHERE = "made-elsewhere"
    DECLINED = "declined"
    IMPOSSIBLE = "impossible"


Opened = Annotated[
    Gate, typer.Argument(metavar="GATE", help="Which one: `station offers BAY` shows it where it can be opened.")
]
Decided = Annotated[
    Decision,
    typer.Argument(
        help="made-here: a verified backup lies in this station. made-elsewhere: its owner says so. "
        "declined: its owner wants none. impossible: the phone cannot be backed up."
    ),
]


def decide(bay: Bay, ecid: PhoneEcid, choice: Decided, socket: Socket = SOCKET) -> None:
    """Put on record what was decided about a backup of the phone in a bay."""
    run_command(socket, Decide(id=1, bay=BayId(bay), ecid=ecid_of(ecid), choice=Choice[choice.name]))


def overrule(bay: Bay, ecid: PhoneEcid, gate: Opened, reason: Reason, socket: Socket = SOCKET) -> None:
    """Open a gate for the phone in a bay, where the settings allow it (operator_confirm)."""
    run_command(socket, Overrule(id=1, bay=BayId(bay), ecid=ecid_of(ecid), gate=gate, reason=reason))


def release(ecid: PhoneEcid, reason: Reason, socket: Socket = SOCKET) -> None:
    """Say that you have looked into a phone's failed wipe: it is no longer set aside."""
    run_command(socket, Release(id=1, ecid=ecid_of(ecid), reason=reason))


def offers(bay: Bay, socket: Socket = SOCKET) -> None:
    """Show what the phone in a bay could be given, what is in the way, and what to do about it."""
    run(_offers(socket, BayId(bay)))


async def _offers(socket: Socket, name: BayId) -> None:
    async with connect(socket) as client:
        bay = bay_of(await client.snapshot(), name)
    if not bay.offers:
        seen = f"When it has been seen: station dismiss {bay.bay}" if bay.result is not None else ""
        fail(" ".join(filter(None, (f"{bay.title.rstrip('.')}.", bay.hint, seen))))
    for offer in bay.offers:
        for line in _lines(bay, offer):
            typer.echo(line)
    found = {finding.gate: finding for offer in bay.offers for finding in offer.findings}
    if found:
        typer.echo("")
    for finding in found.values():
        typer.echo(_opens(bay, finding), nl=False)


def _lines(bay: BayView, offer: OfferView) -> Iterator[str]:
    """A service, and what is in its way."""
    traits = SERVICES[offer.service]
    took = "" if offer.seconds is None else f" About {max(1, round(offer.seconds / 60))} min."
    mark = "→" if offer.service is bay.chosen else " "
    yield f"{mark} {'✘' if offer.findings else '✔'} {offer.service.value:10} {traits.promise}{took}"
    for finding in offer.findings:
        yield f"      closed: {finding.title} {finding.remedy}".rstrip()
    for finding in offer.told:
        yield f"      mind: {finding.title} {finding.remedy}".rstrip()


def _opens(bay: BayView, finding: Finding) -> str:
    """What to type where typing helps, once for all services that it is in the way of."""
    if bay.phone is None or bay.phone.ecid is None:
        return ""
    ecid = format_ecid(bay.phone.ecid)
    if finding.gate is Gate.BACKUP:
        questions = "".join(f"    · {line}\n" for line in CHECKLIST)
        choices = "|".join(choice.value for choice in Decision)
        return f"Before the backup is decided about:\n{questions}  station decide {bay.bay} {ecid} {choices}\n"
    if finding.gate is Gate.QUARANTINE:
        return f"When somebody has looked into it:\n  station release {ecid} --reason …\n"
    if not finding.overrulable:
        return ""
    return f"Against the station's advice:\n  station overrule {bay.bay} {ecid} {finding.gate.value} --reason …\n"
