"""One phone, with the whole screen: a station with one bay, or a page of one with several.

The card, the buttons and their order are here; what is drawn and said of a state is that state's own scene.
"""

from collections.abc import Callable

from msgspec.structs import replace
from pygame import Rect

from station.model.api import BayState, BayView, Choose
from station.model.gates import Gate
from station.model.operator import OperatorView
from station.model.service import Service
from station.screen import words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons, choices, ground, obstacle, subject
from station.screen.pages import SHOWN_IN, Page, Turn, opened
from station.screen.scenes import person, phone, result, working
from station.screen.scenes.operator import phone as office
from station.screen.widgets import KEY, Part, above_keys, column, largest, stage

MOST = 2
"""Rows of buttons below a picture: more would leave no room for it."""

Picture = Callable[[Canvas, Rect, BayView], None]
Speech = Callable[[Canvas, Lengths, int, BayView], list[Part]]
SCENES: dict[BayState, tuple[Picture, Speech]] = {
    BayState.EMPTY: (phone.picture, phone.parts),
    BayState.READING: (phone.picture, phone.parts),
    BayState.READY: (phone.picture, phone.parts),
    BayState.ARMED: (phone.picture, phone.parts),
    BayState.NEEDS_PERSON: (person.picture, person.parts),
    BayState.QUEUED: (working.picture, working.parts),
    BayState.WORKING: (working.picture, working.parts),
    BayState.DONE: (result.picture, result.parts),
    BayState.FAILED: (result.picture, result.parts),
    BayState.CANCELLED: (result.picture, result.parts),
}


def draw(canvas: Canvas, box: Rect, bay: BayView, *, alone: bool = True, operator: OperatorView | None = None) -> None:
    """Fill the box. `alone`: there is no other bay to go back to. `operator`: is here, and can do more."""
    picture, speech = stage(canvas, box, ground(bay), share=0.29)
    aside = _aside(bay, alone=alone)
    if aside:
        picture = _beside(canvas, picture, aside, below=speech.left > picture.right)
    draw_picture, say = SCENES[bay.state]
    draw_picture(canvas, picture, bay)
    offered = [*_options(bay), *choices(bay)]
    if operator is not None and bay.state is BayState.READY:
        offered = [*office.choices(bay), *offered]
    if offered:
        speech, keys = above_keys(canvas, speech)
        buttons(canvas, keys, offered)
    parts = largest(canvas, speech.height, lambda px: say(canvas, px, speech.width, bay))
    column(speech, parts, align=0.0 if offered or box.width <= box.height else 0.5)


def _aside(bay: BayView, *, alone: bool) -> list[Choice]:
    """What else can be opened about this phone."""
    offered = [] if alone else [Choice("Back", Target(Turn(None)))]
    if bay.state in (BayState.READY, BayState.NEEDS_PERSON) and bay.job is None:
        said = "What can help" if bay.advice is not None else "What is wrong?"
        offered.append(Choice(said, Target(Turn(opened(bay, Page.ASK)))))
    has_code = bay.result is not None and bay.result.proof
    if bay.phone is not None and bay.phone.facts is not None and bay.state in SHOWN_IN[Page.FACTS] and not has_code:
        offered.append(Choice("Details", Target(Turn(opened(bay, Page.FACTS)))))
    return offered


def _beside(canvas: Canvas, box: Rect, offered: list[Choice], *, below: bool) -> Rect:
    """Buttons below the picture, or beside it on a high screen; returns the room left for the picture."""
    height, gap = canvas.px(KEY), canvas.px(12)
    rows = [offered[1:2], [offered[0], offered[2]]] if below and len(offered) > MOST else [[one] for one in offered]
    high = len(rows) * (height + gap) - gap
    if below:
        top, left, width = box.bottom - high, box.left, box.width
        room = Rect(box.left, box.top, box.width, max(1, top - gap - box.top))
    else:
        width = round(box.width * 0.42)
        top, left = box.centery - high // 2, box.right - width
        room = Rect(box.left, box.top, max(1, left - gap - box.left), box.height)
    for number, row in enumerate(rows):
        buttons(canvas, Rect(left, top + number * (height + gap), width, height), row)
    return room


def _options(bay: BayView) -> list[Choice]:
    """What can be chosen about the service before START, or asked about what stands in its way."""
    if bay.state is not BayState.READY:
        return []
    found = obstacle(bay)
    if found is not None and found.gate is Gate.ACTIVATION_LOCK:
        return [Choice("What to do about Find My", Target(Turn(opened(bay, Page.LOCK)), about=subject(bay)))]
    if found is not None or words.offer_of(bay, bay.chosen) is None:
        return []
    options = bay.options
    if bay.chosen is Service.ERASE:
        said = "eSIM: keep" if options.keep_esim else "eSIM: remove"
        other = replace(options, keep_esim=not options.keep_esim)
    elif bay.chosen is Service.RESCUE:
        said = "Keep in recovery: yes" if options.stay_in_recovery else "Keep in recovery: no"
        other = replace(options, stay_in_recovery=not options.stay_in_recovery)
    else:
        return []
    choose = Choose(id=0, bay=bay.bay, service=bay.chosen, options=other)
    return [Choice(said, Target(choose, about=subject(bay)))]
