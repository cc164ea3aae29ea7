"""`station advise` and `station did-not-help`: what can help a phone, the gentlest first."""

from typing import Annotated

import typer

from station.adapters.api import connect
from station.cli.client import SOCKET, Bay, Socket, bay_of, run
from station.errors import Refused
from station.model.api import AdviceView, BayView, Command, Describe, DidNotHelp
from station.model.base import BayId
from station.model.guide import TARGET_WORDS
from station.model.service import SERVICES
from station.model.symptoms import SYMPTOM_WORDS, Symptom

SYMPTOMS = "What is wrong with the phone in it. " + " ".join(
    f"{symptom.value}: {words[0].lower()}{words[1:]}." for symptom, words in SYMPTOM_WORDS.items()
)


def advise(
    bay: Bay,
    symptom: Annotated[Symptom, typer.Argument(metavar="SYMPTOM", help=SYMPTOMS)],
    socket: Socket = SOCKET,
) -> None:
    """Say what is wrong with a phone, and be told what can help."""
    run(_ask(socket, Describe(id=1, bay=BayId(bay), symptom=symptom), BayId(bay)))


def did_not_help(bay: Bay, socket: Socket = SOCKET) -> None:
    """Say that what was advised last did not help, and be told what is next."""
    run(_ask(socket, DidNotHelp(id=1, bay=BayId(bay)), BayId(bay)))


async def _ask(socket: Socket, command: Command, bay: BayId) -> None:
    async with connect(socket) as client:
        answer = await client.command(command)
        if answer.refused:
            raise Refused(answer.refused, remedy=answer.remedy)
    # A connection begins with a snapshot, and one made now is of no time before the command.
    async with connect(socket) as client:
        view = bay_of(await client.snapshot(), bay)
    if view.advice is None:
        typer.echo("Nothing is advised while the phone is being worked on.")
        return
    for line in _lines(view, view.advice):
        typer.echo(line)


def _lines(bay: BayView, advice: AdviceView) -> list[str]:
    lines = [f"{SYMPTOM_WORDS[advice.symptom]}. {advice.says}"]
    if advice.guide is not None:
        lines.append(
            f"  now: station guide {bay.bay} {advice.guide.value}   (the buttons, for {TARGET_WORDS[advice.guide]})"
        )
    offers = {offer.service: offer for offer in bay.offers}
    for service in advice.services:
        offer = offers.get(service)
        took = "" if offer is None or offer.seconds is None else f" About {max(1, round(offer.seconds / 60))} min."
        lines.append(
            f"  {SERVICES[service].title} (station start {bay.bay} {service.value}): {SERVICES[service].promise}{took}"
        )
        if offer is not None:
            lines += [f"      first: {finding.title} {finding.remedy}".rstrip() for finding in offer.findings]
    if advice.options.stay_in_recovery and advice.services:
        lines[1 if advice.guide is None else 2] += " Here with --stay-in-recovery."
    if not advice.ended:
        lines.append(f"  If it does not help: station did-not-help {bay.bay}")
    return lines
