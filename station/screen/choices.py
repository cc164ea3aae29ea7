"""What a finger may choose for a bay, and the buttons that offer it."""

from collections.abc import Sequence
from dataclasses import dataclass

from pygame import Rect

from station.model.api import BayState, BayView, Cancel, Dismiss, Start
from station.screen import words
from station.screen.canvas import Canvas, Target
from station.screen.widgets import button


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
        bay.phone.ecid if bay.phone is not None else None,
        bay.job.job if bay.job is not None else None,
        bay.result.job if bay.result is not None else None,
    )


def choices(bay: BayView) -> list[Choice]:
    """The buttons a bay has in its state."""
    cancel = Choice("Cancel", Target(Cancel(id=0, bay=bay.bay), about=subject(bay)))
    match bay.state:
        case BayState.READY if bay.chosen is not None:
            start = Start(id=0, bay=bay.bay, service=bay.chosen)
            return [Choice(words.STARTS[bay.chosen], Target(start, about=subject(bay)), main=True)]
        case BayState.ARMED | BayState.QUEUED:
            return [cancel]
        case BayState.WORKING:
            return [cancel] if bay.job is not None and words.may_cancel(bay.job) else []
        case BayState.DONE | BayState.FAILED | BayState.CANCELLED if bay.result is not None and bay.result.record:
            return [Choice("OK", Target(Dismiss(id=0, bay=bay.bay), about=subject(bay)))]
        case _:
            return []


def buttons(canvas: Canvas, box: Rect, offered: Sequence[Choice]) -> None:
    """Buttons side by side, sharing the box."""
    gap = canvas.px(12)
    for number, choice in enumerate(offered):
        width = (box.width - gap * (len(offered) - 1)) // len(offered)
        place = Rect(box.left + number * (width + gap), box.top, width, box.height)
        button(canvas, place, choice.words, choice.target, main=choice.main)
