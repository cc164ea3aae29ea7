"""START was pressed: which phone, which bay, what will be gone, and the ring that fills while CONFIRM is held."""

import math
from functools import partial

from pygame import Rect

from station.model.api import BayView, ConfirmView, HoldBegan, HoldEnded, Snapshot
from station.model.phone import PhoneMode
from station.model.service import SERVICES, Keeps, Service, Traits
from station.screen import art, named, text, widgets, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import buttons, choices, subject
from station.screen.text import Style
from station.screen.theme import BLUE, CARD, MUTED, TEXT, Shape, mix
from station.screen.widgets import BODY, HEAD, SMALL, Part, above_keys, column, largest, paragraph, stage

SMOOTH = 1 / 60
"""Seconds between two pictures of a moving ring."""


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, bay: BayView, confirm: ConfirmView) -> None:
    """Fill the box."""
    place, speech = stage(canvas, box, mix(CARD, BLUE, 0.05), share=0.4, high=0.42)
    _ring(canvas, place, snapshot, bay, confirm)
    speech, keys = above_keys(canvas, speech)
    buttons(canvas, keys, choices(bay))
    build = partial(_speech, canvas, room=speech.width, snapshot=snapshot, bay=bay, confirm=confirm)
    column(speech, largest(canvas, speech.height, build))


def _speech(
    canvas: Canvas, px: Lengths, *, room: int, snapshot: Snapshot, bay: BayView, confirm: ConfirmView
) -> list[Part]:
    left = max(0, math.ceil(confirm.until - canvas.now))
    how = "Hold the CONFIRM button until it is full."
    if snapshot.touch_confirms:
        how = "Hold your finger on the ring until it is full."
    traits = SERVICES[confirm.service]
    size = HEAD if traits.keeps is Keeps.NOTHING else 24
    small = Style(px(SMALL + 2), MUTED)
    return [
        Part(px(84), lambda place: _whose(canvas, px, place, snapshot, bay), rank=1),
        *paragraph(
            canvas, words.WARNINGS[traits.keeps], Style(px(size), TEXT, bold=True), room, lines=3, gap=px(14), rank=0
        ),
        *paragraph(canvas, _and_also(confirm, traits), Style(px(BODY), TEXT), room, lines=2, gap=px(6), rank=1),
        *paragraph(canvas, how, Style(px(BODY), BLUE, bold=True), room, lines=2, gap=px(16)),
        *paragraph(canvas, f"{left} seconds left to decide", small, room, gap=px(4), rank=1),
    ]


def _whose(canvas: Canvas, px: Lengths, box: Rect, snapshot: Snapshot, bay: BayView) -> None:
    """Which phone in which bay, with its picture."""
    picture = Rect(box.left, box.top, round(box.height * 0.62), box.height)
    mode = None if bay.phone is None else bay.phone.mode
    art.phone(canvas, picture, named.build(bay), art.nothing(lit=mode is not PhoneMode.DFU))
    left = picture.right + px(12)
    room = Rect(left, box.top, max(1, box.right - left), box.height)
    name = words.model(bay)
    title = text.fitting(name, Style(px(34), TEXT, bold=True), room.width, smallest=px(24))
    where = f"In bay {bay.bay}" if len(snapshot.bays) > 1 else ""
    parts = paragraph(canvas, name, title, room.width)
    if bay.phone is not None:
        runs = words.version(bay.phone)
        parts += paragraph(canvas, where, Style(px(BODY), TEXT, bold=True), room.width)
        parts += paragraph(canvas, runs, Style(px(SMALL), MUTED), room.width, rank=2)
        if bay.phone.emulated:
            parts.append(Part(px(22), lambda place: widgets.emulated(canvas, place), rank=3, gap=px(2)))
    column(room, parts, align=0.5)


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
