"""What an operator decides about gates: which are closed for a phone, and which are opened for it."""

from enum import Enum
from typing import Annotated

import typer

from station.adapters.api import connect
from station.cli.client import SOCKET, Bay, PhoneEcid, Socket, bay_of, run, run_command
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


def decide(bay: Bay, ecid: PhoneEcid, choice: Decision, socket: Socket = SOCKET) -> None:
    """Put on record what was decided about a backup of the phone in a bay."""
    run_command(socket, Decide(id=1, bay=BayId(bay), ecid=ecid, choice=Choice[choice.name]))


def overrule(bay: Bay, ecid: PhoneEcid, gate: Gate, reason: Reason, socket: Socket = SOCKET) -> None:
    """Open a gate for the phone in a bay, where the station's policy allows it."""
    run_command(socket, Overrule(id=1, bay=BayId(bay), ecid=ecid, gate=gate, reason=reason))


def release(ecid: PhoneEcid, reason: Reason, socket: Socket = SOCKET) -> None:
    """Say that you have looked into a phone's failed wipe: it is no longer set aside."""
    run_command(socket, Release(id=1, ecid=ecid, reason=reason))


def offers(bay: Bay, socket: Socket = SOCKET) -> None:
    """Show what the phone in a bay could be given, what is in the way, and what to do about it."""
    run(_offers(socket, BayId(bay)))


async def _offers(socket: Socket, name: BayId) -> None:
    async with connect(socket) as client:
        bay = bay_of(await client.snapshot(), name)
    if not bay.offers:
        fail(f"{bay.title}. {bay.hint}".strip())
    for offer in bay.offers:
        _print(bay, offer)


def _print(bay: BayView, offer: OfferView) -> None:
    traits = SERVICES[offer.service]
    took = "" if offer.seconds is None else f" About {max(1, round(offer.seconds / 60))} min."
    mark = "→" if offer.service is bay.chosen else " "
    typer.echo(f"{mark} {'✘' if offer.findings else '✔'} {offer.service.value:10} {traits.promise}{took}")
    for finding in offer.findings:
        typer.echo(f"      closed: {finding.title} {finding.remedy}".rstrip())
        typer.echo(_opens(bay, finding), nl=False)
    for finding in offer.told:
        typer.echo(f"      mind: {finding.title} {finding.remedy}".rstrip())


def _opens(bay: BayView, finding: Finding) -> str:
    """What to type, where typing helps."""
    if bay.phone is None or bay.phone.ecid is None:
        return ""
    ecid = format_ecid(bay.phone.ecid)
    if finding.gate is Gate.BACKUP:
        questions = "".join(f"        · {line}\n" for line in CHECKLIST)
        choices = "|".join(choice.value for choice in Decision)
        return f"{questions}        station decide {bay.bay} {ecid} {choices}\n"
    if finding.gate is Gate.QUARANTINE:
        return f"        station release {ecid} --reason …\n"
    return f"        station overrule {bay.bay} {ecid} {finding.gate.value} --reason …\n" if finding.overrulable else ""
