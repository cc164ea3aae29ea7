"""Are the buttons and the lamps wired right? Each button shows that it is pressed; each lamp is lit and asked about."""

from collections.abc import Sequence
from dataclasses import replace

from pygame import Rect

from station.model.api import Lamp, LightLamp, TestPanel
from station.model.base import BayId
from station.model.operator import ControlLine, OperatorView
from station.model.panel import Control, ControlState
from station.screen import text
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons
from station.screen.office import HOME, Office, PanelDraft, leaving
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import foot, page, say
from station.screen.text import Style
from station.screen.theme import BLUE, CARD, GREEN, INK, LINE, MUTED, RED, TEXT, WHITE, YELLOW, Colour, Shape, mix
from station.screen.widgets import NEEDED, Part, column, grid, largest, paragraph

NAMES: dict[Control, str] = {Control.START: "START", Control.CONFIRM: "CONFIRM"}
COLOURS: dict[Lamp, Colour] = {
    Lamp.READY: WHITE,
    Lamp.PERSON: BLUE,
    Lamp.WORKING: YELLOW,
    Lamp.DONE: GREEN,
    Lamp.FAULT: RED,
}
QUESTIONS: dict[Lamp, str] = {
    Lamp.READY: "Is the white lamp lit, and no other?",
    Lamp.PERSON: "Is the blue lamp lit, and no other?",
    Lamp.WORKING: "Is the yellow lamp lit, and no other?",
    Lamp.DONE: "Is the green lamp lit, and no other?",
    Lamp.FAULT: "Is the red lamp lit, and no other?",
}
WRONG: dict[Lamp, str] = {
    Lamp.READY: "white",
    Lamp.PERSON: "blue",
    Lamp.WORKING: "yellow",
    Lamp.DONE: "green",
    Lamp.FAULT: "red",
}


def draw(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Buttons and lamps", office, note)
    room, below = foot(canvas, room)
    draft = office.draft
    if not isinstance(draft, PanelDraft) or not operator.testing:
        said = "The buttons and lamps are tried one after the other. Meanwhile they mean nothing else."
        say(canvas, room, said, size=26, colour=TEXT)
        begin = Turn(replace(office, draft=PanelDraft()), (TestPanel(id=0, on=True),))
        buttons(canvas, below, [Choice("Begin", Target(begin), main=True)])
        return
    lamps = _lamps(operator)
    if draft.step is None:
        _controls(canvas, room, operator.controls, draft)
        buttons(canvas, below, [Choice("Now the lamps", _to_lamp(office, draft, lamps, 0), main=True)])
    elif draft.step < len(lamps):
        lamp, bay = lamps[draft.step]
        _lamp(canvas, room, lamp, bay, draft.step, len(lamps))
        wrong = replace(draft, dark=(*draft.dark, draft.step))
        answers = [
            Choice("No", _to_lamp(office, wrong, lamps, draft.step + 1)),
            Choice("Yes", _to_lamp(office, draft, lamps, draft.step + 1)),
        ]
        buttons(canvas, below, answers)
    else:
        _verdict(canvas, room, operator, draft, [lamps[step] for step in draft.dark if step < len(lamps)])
        again = Turn(replace(office, draft=PanelDraft()))
        buttons(
            canvas,
            below,
            [Choice("Once more", Target(again)), Choice("Done", Target(Turn(HOME, leaving(office))), main=True)],
        )


def _lamps(operator: OperatorView) -> list[tuple[Lamp, BayId | None]]:
    """Every lamp that there may be: the station's, and those of each bay that has a button of its own."""
    bays = dict.fromkeys(line.bay for line in operator.controls if line.bay is not None)
    return [(lamp, place) for place in (None, *bays) for lamp in Lamp]


def _to_lamp(office: Office, draft: PanelDraft, lamps: Sequence[tuple[Lamp, BayId | None]], step: int) -> Target:
    """Light the next one, or none after the last."""
    lamp, bay = lamps[step] if step < len(lamps) else (None, None)
    return Target(Turn(replace(office, draft=replace(draft, step=step)), (LightLamp(id=0, lamp=lamp, bay=bay),)))


def _controls(canvas: Canvas, box: Rect, controls: Sequence[ControlLine], draft: PanelDraft) -> None:
    if not controls:
        say(canvas, box, "This station has no buttons: what is to be confirmed is held on the screen.")
        return
    columns = min(len(controls), 4 if len(controls) > 4 else 2)
    if box.height > box.width:
        columns = min(columns, 2)
    for line, cell in zip(controls, grid(canvas, box, len(controls), columns=columns, tallest=200), strict=True):
        _control(canvas, cell, line, seen=(line.control, line.bay) in draft.seen)


def _control(canvas: Canvas, box: Rect, line: ControlLine, *, seen: bool) -> None:
    name = NAMES[line.control] if line.bay is None else f"{NAMES[line.control]} of bay {line.bay}"
    shape, colour, said = Shape.DOTS, MUTED, f"Press {NAMES[line.control]} now."
    if line.state is ControlState.FAULT:
        shape, colour, said = Shape.CROSS, RED, "It is stuck or broken."
    elif line.state is ControlState.DOWN:
        shape, colour, said = Shape.TARGET, BLUE, "It is pressed."
    elif seen:
        shape, colour, said = Shape.CHECK, GREEN, "It works."
    loud = line.state is ControlState.DOWN
    canvas.framed(
        box, BLUE if loud else mix(CARD, colour, 0.08), canvas.px(16), colour if seen or loud else LINE, canvas.px(3)
    )
    ink, weak = (INK, INK) if loud else (TEXT, MUTED)
    inner = box.inflate(-2 * canvas.px(12), -2 * canvas.px(10))

    def build(px: Lengths) -> list[Part]:
        side = px(48)
        strong = text.fitting(name, Style(px(24), ink, bold=True), inner.width, smallest=px(14))
        return [
            Part(side, lambda place: canvas.icon(shape, place, INK if loud else colour), rank=2),
            *paragraph(canvas, name, strong, inner.width, align=0.5, gap=px(10)),
            *paragraph(canvas, said, Style(px(17), weak), inner.width, lines=2, align=0.5, gap=px(2), rank=NEEDED),
        ]

    column(inner, largest(canvas, inner.height, build), align=0.5)


def _lamp(canvas: Canvas, box: Rect, lamp: Lamp, bay: BayId | None, step: int, many: int) -> None:
    where = "The station's own lamps" if bay is None else f"The lamps of bay {bay}"

    def build(px: Lengths) -> list[Part]:
        return [
            Part(px(120), lambda place: _glow(canvas, place, COLOURS[lamp]), rank=2),
            *paragraph(
                canvas,
                QUESTIONS[lamp],
                Style(px(30), TEXT, bold=True),
                box.width,
                lines=2,
                align=0.5,
                gap=px(18),
                rank=NEEDED,
            ),
            *paragraph(canvas, where, Style(px(20), MUTED), box.width, align=0.5, gap=px(4)),
            *paragraph(canvas, f"Lamp {step + 1} of {many}", Style(px(17), MUTED), box.width, align=0.5, rank=3),
        ]

    column(box, largest(canvas, box.height, build), align=0.5)


def _glow(canvas: Canvas, box: Rect, colour: Colour) -> None:
    for share, strength in ((1.0, 0.25), (0.72, 1.0)):
        side = round(box.height * share)
        place = Rect(0, 0, side, side)
        place.center = box.center
        canvas.disc(place, mix(CARD, colour, strength))


def _verdict(
    canvas: Canvas, box: Rect, operator: OperatorView, draft: PanelDraft, dark: list[tuple[Lamp, BayId | None]]
) -> None:
    silent = [line for line in operator.controls if (line.control, line.bay) not in draft.seen]
    lines = [
        *(f"{NAMES[line.control]} was not pressed." for line in silent if line.bay is None),
        *(f"{NAMES[line.control]} of bay {line.bay} was not pressed." for line in silent if line.bay is not None),
        *(f"The {WRONG[lamp]} lamp is not right." for lamp, bay in dark if bay is None),
        *(f"The {WRONG[lamp]} lamp of bay {bay} is not right." for lamp, bay in dark if bay is not None),
    ]
    good = not lines
    said = "All of them work." if good else "Look at these wires; the README shows where each belongs."
    shown = lines[:6] if len(lines) <= 6 else [*lines[:5], f"And {len(lines) - 5} more."]

    def build(px: Lengths) -> list[Part]:
        shape, colour = (Shape.CHECK, GREEN) if good else (Shape.BANG, YELLOW)
        return [
            Part(px(76), lambda place: canvas.icon(shape, place, colour), rank=2),
            *paragraph(canvas, said, Style(px(24), TEXT, bold=True), box.width, lines=3, align=0.5, gap=px(14)),
            *(
                part
                for line in shown
                for part in paragraph(canvas, line, Style(px(19), MUTED), box.width, align=0.5, gap=px(4), rank=NEEDED)
            ),
        ]

    column(box, largest(canvas, box.height, build), align=0.5)
