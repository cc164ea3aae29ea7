"""What a finger may choose for a bay, and the buttons that offer it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pygame import Rect

from station.model.api import BayState, BayView, Cancel, DidNotHelp, Dismiss, OfferView, Start
from station.model.gates import Finding, Gate
from station.screen import words
from station.screen.canvas import Canvas, Target
from station.screen.pages import Page, Turn, opened
from station.screen.theme import LOOKS, NOT_YET, SET_ASIDE, Colour, Look, tinted
from station.screen.widgets import button, button_size


@dataclass(frozen=True)
class Choice:
    """One button."""

    words: str
    target: Target
    main: bool = False


def subject(bay: BayView) -> tuple[object, ...]:
    """What a touch on this bay is about. Another phone, state or job: another subject, and a touch begun is void."""
    return (
        bay.state,
        bay.chosen,
        bay.options,
        bay.phone.ecid if bay.phone is not None else None,
        bay.job.job if bay.job is not None else None,
        bay.result.job if bay.result is not None else None,
    )


def obstacle(bay: BayView) -> Finding | None:
    """Why the chosen service cannot begin. A decision about the backup comes last: first what can stop it anyhow."""
    offer = _chosen(bay)
    if offer is None or not offer.findings:
        return None
    return next((finding for finding in offer.findings if finding.gate is not Gate.BACKUP), offer.findings[0])


def is_set_aside(bay: BayView) -> bool:
    """Whether an erase of this phone has failed that nobody has looked into."""
    found = (finding for offer in bay.offers for finding in offer.findings)
    return bay.state is BayState.READY and any(finding.gate is Gate.QUARANTINE for finding in found)


def look(bay: BayView) -> Look:
    """How a bay looks: as its state, but not ready for what cannot begin yet."""
    if is_set_aside(bay):
        return SET_ASIDE
    return NOT_YET if bay.state is BayState.READY and obstacle(bay) is not None else LOOKS[bay.state]


def ground(bay: BayView) -> Colour:
    """What is behind it: what waits for somebody, or is out of order, stands out."""
    return tinted(BayState.FAILED if is_set_aside(bay) else bay.state)


def _chosen(bay: BayView) -> OfferView | None:
    return words.offer_of(bay, bay.chosen)


def choices(bay: BayView) -> list[Choice]:
    """The buttons a bay has in its state, the likeliest first."""
    cancel = Choice("Cancel", Target(Cancel(id=0, bay=bay.bay), about=subject(bay)))
    match bay.state:
        case BayState.READY if bay.chosen is not None:
            return _to_start(bay)
        case BayState.ARMED | BayState.QUEUED:
            return [cancel]
        case BayState.WORKING | BayState.NEEDS_PERSON:
            return [cancel] if bay.job is not None and words.may_cancel(bay.job) else []
        case BayState.DONE | BayState.FAILED | BayState.CANCELLED:
            return _after(bay)
        case _:
            return []


def _to_start(bay: BayView) -> list[Choice]:
    assert bay.chosen is not None
    found = obstacle(bay)
    if found is None:
        start = Start(id=0, bay=bay.bay, service=bay.chosen, options=bay.options)
        return [Choice(words.STARTS[bay.chosen], Target(start, about=subject(bay)), main=True)]
    if found.gate is Gate.BACKUP:
        decide = Turn(opened(bay, Page.BACKUP))
        return [Choice("Decide about a backup", Target(decide, about=subject(bay)), main=True)]
    return []


def _after(bay: BayView) -> list[Choice]:
    """What can be done about a result."""
    if bay.result is None:
        return []
    seen = Dismiss(id=0, bay=bay.bay)
    offered = [Choice("OK", Target(seen, about=subject(bay)))] if bay.result.record else []
    if bay.result.checks or bay.result.after is not None:
        offered.append(Choice("Checks", Target(Turn(opened(bay, Page.CHECKS)), about=subject(bay))))
    if bay.result.record and bay.advice is not None and bay.state is not BayState.CANCELLED:
        turn = Turn(opened(bay, Page.ASK), (seen, DidNotHelp(id=0, bay=bay.bay)))
        offered.append(Choice("It did not help", Target(turn, about=subject(bay))))
    return offered


def buttons(canvas: Canvas, box: Rect, offered: Sequence[Choice]) -> None:
    """Buttons side by side, sharing the box, all with print of the same size."""
    gap, many = canvas.px(12), len(offered)
    width = (box.width - gap * (many - 1)) // max(1, many)
    places = [Rect(box.left + number * (width + gap), box.top, width, box.height) for number in range(many)]
    sizes = [button_size(canvas, place, choice.words) for place, choice in zip(places, offered, strict=True)]
    for place, choice in zip(places, offered, strict=True):
        button(canvas, place, choice.words, choice.target, main=choice.main, size=min(sizes))
