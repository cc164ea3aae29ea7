"""START was pressed: which phone, which bay, what will be gone, and the ring that fills while CONFIRM is held."""

import math

from pygame import Rect

from station.model.api import BayView, ConfirmView, HoldBegan, HoldEnded, Snapshot
from station.model.service import SERVICES, Keeps, Service, Traits
from station.screen import text, widgets, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import buttons, choices, subject
from station.screen.text import Style
from station.screen.theme import BLUE, CARD, MUTED, TEXT, Shape, mix
from station.screen.widgets import Part, column, largest, paragraph

SMOOTH = 1 / 60
"""Seconds between two pictures of a moving ring."""


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, bay: BayView, confirm: ConfirmView) -> None:
    """Fill the box."""
    canvas.panel(box, mix(CARD, BLUE, 0.05), canvas.px(24))
    inner = box.inflate(-2 * canvas.px(24), -2 * canvas.px(20))
    gap = canvas.px(28)
    if inner.width > inner.height:
        place = Rect(inner.left, inner.top, min(inner.height, round(inner.width * 0.4)), inner.height)
        speech = Rect(place.right + gap, inner.top, inner.right - place.right - gap, inner.height)
    else:
        place = Rect(inner.left, inner.top, inner.width, round(inner.height * 0.42))
        speech = Rect(inner.left, place.bottom + gap, inner.width, inner.bottom - place.bottom - gap)
    _ring(canvas, place, snapshot, bay, confirm)
    keys = Rect(speech.left, speech.bottom - canvas.px(64), speech.width, canvas.px(64))
    buttons(canvas, keys, choices(bay))
    speech.height = keys.top - canvas.px(10) - speech.top
    column(speech, largest(canvas, speech.height, lambda px: _speech(canvas, px, speech.width, snapshot, bay, confirm)))


def _speech(
    canvas: Canvas, px: Lengths, room: int, snapshot: Snapshot, bay: BayView, confirm: ConfirmView
) -> list[Part]:
    name = f"{words.model(bay)} in bay {bay.bay}" if len(snapshot.bays) > 1 else words.model(bay)
    title = text.fitting(name, Style(px(38), TEXT, bold=True), room, smallest=px(28))
    parts = paragraph(canvas, name, title, room)
    if bay.phone is not None and bay.phone.emulated:
        height = px(26)
        parts.append(Part(height, lambda place: widgets.emulated(canvas, place), rank=2, gap=px(6)))
    small = Style(px(21), MUTED)
    left = max(0, math.ceil(confirm.until - canvas.now))
    how = "Hold the CONFIRM button until it is full."
    if snapshot.touch_confirms:
        how = "Hold your finger on the ring until it is full."
    traits = SERVICES[confirm.service]
    size = 30 if traits.keeps is Keeps.NOTHING else 25
    parts += paragraph(
        canvas, words.WARNINGS[traits.keeps], Style(px(size), TEXT, bold=True), room, lines=3, gap=px(14), rank=0
    )
    parts += paragraph(canvas, _and_also(confirm, traits), small, room, lines=2, gap=px(6), rank=1)
    parts += paragraph(canvas, how, Style(px(21), BLUE, bold=True), room, lines=2, gap=px(14))
    parts += paragraph(canvas, f"{left} seconds left to decide", small, room, gap=px(4), rank=3)
    return parts


def _and_also(confirm: ConfirmView, traits: Traits) -> str:
    said = []
    if confirm.target_version:
        said.append(f"iOS {confirm.target_version} will be installed.")
    if confirm.service is Service.ERASE:
        said.append("The eSIM stays." if confirm.options.keep_esim else "The eSIM is removed too.")
    if traits.keeps is not Keeps.MEANT_TO:
        said.append("This cannot be undone.")
    return " ".join(said)


def _ring(canvas: Canvas, place: Rect, snapshot: Snapshot, bay: BayView, confirm: ConfirmView) -> None:
    fraction = 0.0
    if confirm.holding_since is not None:
        fraction = (canvas.now - confirm.holding_since) / max(confirm.hold_seconds, 0.1)
    fraction = max(0.0, min(fraction, 1.0))
    canvas.again_in(SMOOTH if confirm.holding_since is not None and fraction < 1 else 1)
    widgets.hold_ring(canvas, place, fraction, BLUE)
    side = min(place.size)
    inside = Rect(0, 0, round(side * 0.62), round(side * 0.5))
    inside.center = place.center
    big = Style(round(side * 0.13), TEXT, bold=True)
    small = Style(round(side * 0.085), MUTED)
    if fraction >= 1:
        canvas.icon(Shape.CHECK, inside, BLUE)
    elif confirm.holding_since is not None:
        column(inside, paragraph(canvas, "Keep holding", big, inside.width, lines=2, align=0.5), align=0.5)
    else:
        column(
            inside,
            paragraph(canvas, "Hold", small, inside.width, align=0.5)
            + paragraph(canvas, "here" if snapshot.touch_confirms else "CONFIRM", big, inside.width, align=0.5),
            align=0.5,
        )
    if snapshot.touch_confirms:
        circle = Rect(0, 0, side, side)
        circle.center = place.center
        began, ended = HoldBegan(id=0, bay=bay.bay), HoldEnded(id=0, bay=bay.bay)
        canvas.touch(circle, Target(began, release=ended, about=subject(bay)))
