"""A job that waits or runs: what is done now, how far it is, how long still, and what comes next."""

from pygame import Rect

from station.model.api import BayState, BayView, JobView
from station.model.catalog import Arrival
from station.model.job import PHASE_WORDS, PHASES
from station.screen import art, named, text, widgets, words
from station.screen.canvas import Canvas, Lengths
from station.screen.choices import look
from station.screen.text import Style
from station.screen.theme import MUTED, TEXT, YELLOW, Shape
from station.screen.widgets import BODY, HEAD, HUGE, SMALL, Part, label, paragraph, strip


def picture(canvas: Canvas, box: Rect, bay: BayView) -> None:
    """The phone, at work."""
    seen = look(bay)
    art.phone(canvas, box, named.build(bay), art.state(seen.shape, seen.colour))


def parts(canvas: Canvas, px: Lengths, room: int, bay: BayView) -> list[Part]:
    """What is said of it."""
    said = named.name(canvas, px, room, bay)
    said += paragraph(canvas, words.headline(bay), Style(px(HEAD), TEXT, bold=True), room, lines=2, gap=px(12))
    if bay.job is not None and bay.job.awaits is not None:
        return said + _coming(canvas, px, room, bay, bay.job.awaits)
    if bay.job is None or bay.state is BayState.QUEUED:
        return said + paragraph(canvas, words.advice(bay), Style(px(BODY), MUTED), room, lines=5, gap=px(4), rank=1)
    said += _progress(canvas, px, room, bay, bay.job)
    if bay.job.keep_plugged:
        said.append(strip(canvas, bay.hint or "Do not unplug.", room, Shape.PLUG, YELLOW, gap=px(14)))
    else:
        said += paragraph(canvas, bay.hint, Style(px(BODY), MUTED), room, lines=2, gap=px(10), rank=3)
    return said


BY_ITSELF = "Then it starts by itself. Leave it plugged in."


def _coming(canvas: Canvas, px: Lengths, room: int, bay: BayView, arrival: Arrival) -> list[Part]:
    """How far the firmware is that the job waits for."""
    share, colour = words.fetched(arrival), look(bay).colour
    left = words.time_to_come(arrival)
    return [
        _numbers(canvas, px, words.percent(share), left),
        Part(px(18), lambda place: widgets.bar(canvas, place, share, colour), gap=px(6)),
        *paragraph(canvas, words.coming(arrival), Style(px(BODY), TEXT), room, lines=3, gap=px(8), rank=2),
        *paragraph(canvas, BY_ITSELF, Style(px(BODY), MUTED), room, lines=2, gap=px(4)),
    ]


def _numbers(canvas: Canvas, px: Lengths, share: str, left: str) -> Part:
    """How far it is, large, and how long it takes still."""
    big, weak = Style(px(HUGE), TEXT, bold=True), Style(px(BODY), MUTED)

    def draw(place: Rect) -> None:
        width = min(place.width, text.width(share, big))
        label(canvas, Rect(place.left, place.top, width, place.height), share, big)
        aside = Rect(place.left + width + px(16), place.top, max(1, place.width - width - px(16)), place.height)
        height = text.line_height(weak)
        foot = Rect(aside.left, aside.bottom - height - px(6), aside.width, height)
        label(canvas, foot, left, weak, align=1)

    return Part(px(56), draw, gap=px(6), rank=1)


def _progress(canvas: Canvas, px: Lengths, room: int, bay: BayView, job: JobView) -> list[Part]:
    colour = look(bay).colour
    share, left = words.percent(job.fraction), ""
    big, weak = Style(px(HUGE), TEXT, bold=True), Style(px(BODY), MUTED)
    if job.eta is not None:
        left = words.time_left(job.eta - canvas.now)
        if text.width(share, big) + px(16) + text.width(left, weak) > room:
            left = words.time_left_short(job.eta - canvas.now)
        canvas.again_in(1)

    now, then = PHASE_WORDS[job.phase], _then(job)
    phase, small = Style(px(BODY), TEXT, bold=True), Style(px(SMALL), MUTED)
    if now == words.DOING[job.service]:  # said above already
        now, then, phase = then, "", Style(px(BODY), MUTED)
    step = words.step(job)

    def under(place: Rect) -> None:
        width = min(text.width(step, small), place.width // 2)
        label(canvas, Rect(place.right - width, place.top, width, place.height), step, small, align=1)
        said = Rect(place.left, place.top, max(1, place.width - width - px(12)), place.height)
        label(canvas, said, now, text.fitting(now, phase, said.width, smallest=px(13)))

    parts = [
        _numbers(canvas, px, share, left),
        Part(px(18), lambda place: widgets.bar(canvas, place, job.fraction, colour), gap=px(6)),
        Part(px(28), under, gap=px(10)),
    ]
    return parts + paragraph(canvas, then, small, room, gap=px(2), rank=3)


def _then(job: JobView) -> str:
    """What comes after this phase."""
    phases = PHASES[job.service]
    if job.phase not in phases:
        return ""
    later = phases[phases.index(job.phase) + 1 :]
    return f"Next: {PHASE_WORDS[later[0]]}" if later else "Then it is done."
