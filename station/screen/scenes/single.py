"""A station with one bay: the whole screen is for one phone."""

from pygame import Rect

from station.model.api import BayState, BayView, JobView
from station.model.job import PHASE_WORDS
from station.screen import art, text, widgets, words
from station.screen.canvas import Canvas, Lengths
from station.screen.choices import buttons, choices
from station.screen.text import Style
from station.screen.theme import LOOKS, MUTED, TEXT, tinted
from station.screen.widgets import Part, column, label, largest, paragraph


def draw(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """Fill the box."""
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
    _picture(canvas, picture, bay)
    if offered:
        keys = Rect(speech.left, speech.bottom - canvas.px(68), speech.width, canvas.px(68))
        buttons(canvas, keys, offered)
        speech.height = keys.top - canvas.px(12) - speech.top
    parts = largest(canvas, speech.height, lambda px: _speech(canvas, px, speech.width, bay))
    column(speech, parts, align=0.0 if offered or inner.width <= inner.height else 0.5)


def _picture(canvas: Canvas, box: Rect, bay: BayView) -> None:
    look = LOOKS[bay.state]
    if bay.state is BayState.WORKING and bay.job is not None:
        art.phone_filling(canvas, box, bay.job.fraction, words.percent(bay.job.fraction), look.colour)
    else:
        art.phone_with(canvas, box, look.shape, look.colour)


def _speech(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    muted = Style(px(21), MUTED)
    parts = [Part(px(34), lambda place: _tags(canvas, place, bay))]
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
    look = LOOKS[bay.state]
    widgets.badge(canvas, place, look)
    left = place.left + widgets.badge_width(look, place.height) + canvas.px(10)
    outcome = words.OUTCOME_TAGS[bay.result.outcome] if bay.result is not None else ""
    if outcome and left < place.right:
        widgets.tag(canvas, Rect(left, place.top, place.right - left, place.height), outcome)
        left += widgets.tag_width(outcome, place.height) + canvas.px(10)
    if bay.phone is not None and bay.phone.emulated and left < place.right:
        widgets.emulated(canvas, Rect(left, place.top, place.right - left, place.height))
