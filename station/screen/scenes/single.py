"""One phone, with the whole screen: a station with one bay, or a page of one with several."""

from msgspec.structs import replace
from pygame import Rect

from station.model.api import BayState, BayView, Choose, JobView
from station.model.job import PHASE_WORDS
from station.model.operator import OperatorView
from station.model.service import SERVICES, Service
from station.screen import art, facts, text, widgets, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons, choices, look, obstacle, subject
from station.screen.pages import SHOWN_IN, Page, Turn, opened
from station.screen.scenes.operator import phone
from station.screen.text import Style
from station.screen.theme import BLUE, LOOKS, MUTED, TEXT, tinted
from station.screen.widgets import Part, column, label, largest, paragraph

CHANGE = "Change"
"""Leads to the other services."""


def draw(canvas: Canvas, box: Rect, bay: BayView, *, alone: bool = True, operator: OperatorView | None = None) -> None:
    """Fill the box. `alone`: there is no other bay to go back to. `operator`: is here, and can do more."""
    canvas.panel(box, tinted(bay.state), canvas.px(24))
    inner = box.inflate(-2 * canvas.px(24), -2 * canvas.px(22))
    gap = canvas.px(28)
    offered = choices(bay)
    if inner.width > inner.height:
        picture = Rect(inner.left, inner.top, round(inner.width * 0.27), inner.height)
        speech = Rect(picture.right + gap, inner.top, inner.right - picture.right - gap, inner.height)
    else:
        picture = Rect(inner.left, inner.top, inner.width, round(inner.height * 0.38))
        speech = Rect(inner.left, picture.bottom + gap, inner.width, inner.bottom - picture.bottom - gap)
    aside = _aside(bay, alone=alone)
    wide = inner.width > inner.height
    if aside:
        picture = _beside(canvas, picture, aside, below=wide)
    _picture(canvas, picture, bay)
    if offered and (option := _option(bay)) is not None:
        offered = [option, *offered]
    if operator is not None and bay.state is BayState.READY:
        offered = [*phone.choices(bay), *offered]
    if offered:
        keys = Rect(speech.left, speech.bottom - canvas.px(68), speech.width, canvas.px(68))
        buttons(canvas, keys, offered)
        speech.height = keys.top - canvas.px(12) - speech.top
    parts = largest(canvas, speech.height, lambda px: _speech(canvas, px, speech.width, bay))
    column(speech, parts, align=0.0 if offered or inner.width <= inner.height else 0.5)


def _picture(canvas: Canvas, box: Rect, bay: BayView) -> None:
    seen = look(bay)
    if bay.state is BayState.WORKING and bay.job is not None:
        art.phone_filling(canvas, box, bay.job.fraction, words.percent(bay.job.fraction), seen.colour)
    else:
        art.phone_with(canvas, box, seen.shape, seen.colour)


def _speech(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    muted = Style(px(21), MUTED)
    parts = [Part(px(34), lambda place: _tags(canvas, place, bay))]
    if bay.state is BayState.READY and words.offer_of(bay, bay.chosen) is not None:
        return parts + _ready(canvas, px, room, bay)
    name = words.model(bay)
    title = text.fitting(name, Style(px(46), TEXT, bold=True), room, smallest=px(32))
    parts += paragraph(canvas, name, title, room, gap=px(10), rank=1)
    if bay.phone is not None:
        parts += paragraph(canvas, words.version(bay.phone), muted, room, rank=4, gap=px(2))
    parts += paragraph(canvas, words.headline(bay), Style(px(27), TEXT, bold=True), room, lines=3, gap=px(14))
    if bay.job is not None and bay.state is BayState.WORKING:
        return parts + _progress(canvas, px, room, bay, bay.job)
    parts += paragraph(canvas, words.advice(bay), Style(px(22), MUTED), room, lines=5, gap=px(6), rank=1)
    if bay.result is not None:
        parts += paragraph(canvas, words.proof(bay.result), Style(px(18), MUTED), room, gap=px(10), rank=3)
    return parts


def _aside(bay: BayView, *, alone: bool) -> list[Choice]:
    """What else can be opened about this phone."""
    offered = [] if alone else [Choice("Back", Target(Turn(None)))]
    if bay.state in (BayState.READY, BayState.NEEDS_PERSON) and bay.job is None:
        offered.append(
            Choice("What can help" if bay.advice is not None else "What is wrong?", Target(Turn(opened(bay, Page.ASK))))
        )
    if bay.phone is not None and bay.phone.facts is not None and bay.state in SHOWN_IN[Page.FACTS]:
        offered.append(Choice("Details", Target(Turn(opened(bay, Page.FACTS)))))
    return offered


def _beside(canvas: Canvas, box: Rect, offered: list[Choice], *, below: bool) -> Rect:
    """Buttons below the picture, or beside it on a high screen; returns the room left for the picture."""
    height, gap = canvas.px(60), canvas.px(10)
    if below:
        top = box.bottom - len(offered) * (height + gap) + gap
        left, width = box.left, box.width
        room = Rect(box.left, box.top, box.width, max(1, top - gap - box.top))
    else:
        top = box.top
        width = round(box.width * 0.42)
        left = box.right - width
        room = Rect(box.left, box.top, max(1, left - gap - box.left), box.height)
    for number, choice in enumerate(offered):
        buttons(canvas, Rect(left, top + number * (height + gap), width, height), [choice])
    return room


def _option(bay: BayView) -> Choice | None:
    """What can be chosen about the service before START."""
    if obstacle(bay) is not None or words.offer_of(bay, bay.chosen) is None:
        return None
    options = bay.options
    if bay.chosen is Service.ERASE:
        said = "eSIM: keep" if options.keep_esim else "eSIM: remove"
        other = replace(options, keep_esim=not options.keep_esim)
    elif bay.chosen is Service.RESCUE:
        said = "Keep in recovery: yes" if options.stay_in_recovery else "Keep in recovery: no"
        other = replace(options, stay_in_recovery=not options.stay_in_recovery)
    else:
        return None
    choose = Choose(id=0, bay=bay.bay, service=bay.chosen, options=other)
    return Choice(said, Target(choose, about=subject(bay)))


def _ready(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    """The phone, the service that START means, and what stands in its way."""
    assert bay.phone is not None
    name = words.model(bay)
    title = text.fitting(name, Style(px(38), TEXT, bold=True), room, smallest=px(28))
    facts_of = bay.phone.facts
    told = "" if facts_of is None else facts.brief(facts_of)
    weak = Style(px(18), MUTED)
    parts = [
        *paragraph(canvas, name, title, room, gap=px(8), rank=1),
        *paragraph(canvas, words.version(bay.phone), weak, room, rank=4),
        *paragraph(canvas, told, text.fitting(told, weak, room, smallest=px(15)), room, lines=2, rank=5),
        Part(canvas.px(76), lambda place: _service(canvas, place, bay), gap=px(12)),
    ]
    found = obstacle(bay)
    if found is None:
        offer = words.offer_of(bay, bay.chosen)
        if offer is None or not offer.told:
            hint = Style(px(21), TEXT, bold=True)
            return [*parts, *paragraph(canvas, bay.hint, hint, room, lines=2, gap=px(10), rank=1)]
        also = " ".join(f"{words.sentence(one.title)} {one.remedy}" for one in offer.told)
        return [*parts, *paragraph(canvas, also, Style(px(19), TEXT), room, lines=5, gap=px(10))]
    parts += paragraph(canvas, found.title, Style(px(22), TEXT, bold=True), room, lines=3, gap=px(12))
    remedy = found.remedy
    if found.overrulable:
        remedy = f"{words.sentence(remedy)} An operator may decide otherwise." if remedy else "An operator may decide."
    return [*parts, *paragraph(canvas, remedy, Style(px(19), MUTED), room, lines=5, gap=px(4), rank=1)]


def _service(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """The chosen service; a touch leads to the others."""
    offer = words.offer_of(bay, bay.chosen)
    assert offer is not None
    inner = widgets.card(canvas, box, Target(Turn(opened(bay, Page.SERVICES)), about=subject(bay)))
    traits = SERVICES[offer.service]
    more = Style(canvas.px(16), BLUE, bold=True)
    width = text.width(CHANGE, more)
    label(canvas, Rect(inner.right - width, inner.top, width, inner.height), CHANGE, more)
    room = max(1, inner.width - width - canvas.px(14))
    said = " · ".join(part for part in (words.KEEPS[traits.keeps], words.takes(offer)) if part)
    column(
        Rect(inner.left, inner.top, room, inner.height),
        [
            *paragraph(canvas, traits.title, Style(canvas.px(23), TEXT, bold=True), room),
            *paragraph(canvas, said, Style(canvas.px(16), MUTED), room, rank=1, gap=canvas.px(2)),
        ],
        align=0.5,
    )


def _progress(canvas: Canvas, px: Lengths, room: int, bay: BayView, job: JobView) -> list[Part]:
    colour = LOOKS[bay.state].colour
    left = ""
    phase, weak = Style(px(21), TEXT), Style(px(21), MUTED)
    if job.eta is not None:
        left = words.time_left(job.eta - canvas.now)
        if text.width(PHASE_WORDS[job.phase], phase) + px(12) + text.width(left, weak) > room:
            left = words.time_left_short(job.eta - canvas.now)
        canvas.again_in(1)

    def under(place: Rect) -> None:
        aside = Rect(place.right - text.width(left, weak), place.top, text.width(left, weak), place.height)
        said = Rect(place.left, place.top, aside.left - px(12) - place.left, place.height)
        label(canvas, said, PHASE_WORDS[job.phase], phase)
        label(canvas, aside, left, weak)

    parts = [
        Part(px(20), lambda place: widgets.bar(canvas, place, job.fraction, colour), gap=px(16)),
        Part(px(28), under, gap=px(10)),
        *paragraph(canvas, words.step(job), Style(px(18), MUTED), room, gap=px(2), rank=4),
    ]
    if job.keep_plugged:
        parts += paragraph(
            canvas, bay.hint or "Do not unplug.", Style(px(22), TEXT, bold=True), room, gap=px(10), rank=1
        )
    else:
        parts += paragraph(canvas, bay.hint, Style(px(21), MUTED), room, lines=2, gap=px(10), rank=3)
    return parts


def _tags(canvas: Canvas, place: Rect, bay: BayView) -> None:
    seen = look(bay)
    widgets.badge(canvas, place, seen)
    left = place.left + widgets.badge_width(seen, place.height) + canvas.px(10)
    outcome = words.OUTCOME_TAGS[bay.result.outcome] if bay.result is not None else ""
    if outcome and left < place.right:
        widgets.tag(canvas, Rect(left, place.top, place.right - left, place.height), outcome)
        left += widgets.tag_width(outcome, place.height) + canvas.px(10)
    if bay.phone is not None and bay.phone.emulated and left < place.right:
        widgets.emulated(canvas, Rect(left, place.top, place.right - left, place.height))
