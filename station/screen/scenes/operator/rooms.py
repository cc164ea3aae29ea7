"""Which of the operator's pages is drawn."""

import math

from pygame import Rect

from station.model.api import Snapshot
from station.model.operator import OperatorView
from station.screen.canvas import Canvas
from station.screen.office import Office, Room
from station.screen.scenes.operator import (
    bays,
    firmware,
    glass,
    home,
    kind,
    language,
    logs,
    looks,
    machine,
    night,
    panel,
    pin,
    power,
    records,
    report,
    scope,
)

WARN_SECONDS = 20.0
"""How long before the pages close that is said."""


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, office: Office, note: str) -> None:
    """Fill the box."""
    note = note or _closing(canvas, snapshot)
    if office.room is Room.DOOR or snapshot.operator is None:
        pin.draw(canvas, box, snapshot, office, note)
    else:
        _draw(canvas, box, snapshot, snapshot.operator, office, note)


def _closing(canvas: Canvas, snapshot: Snapshot) -> str:
    """A word before the daemon takes the operator to have gone."""
    if snapshot.operator is None:
        return ""
    left = snapshot.operator.until - canvas.now
    canvas.again_in(left - WARN_SECONDS if left > WARN_SECONDS else 1)
    return f"These pages close in {max(0, math.ceil(left))} seconds." if left <= WARN_SECONDS else ""


def _draw(  # noqa: C901, PLR0912 one arm a page
    canvas: Canvas, box: Rect, snapshot: Snapshot, operator: OperatorView, office: Office, note: str
) -> None:
    match office.room:
        case Room.DOOR | Room.PIN:
            pin.draw(canvas, box, snapshot, office, note)
        case Room.HOME:
            home.draw(canvas, box, snapshot, operator, note)
        case Room.NIGHT:
            night.draw(canvas, box, snapshot, operator, office, note)
        case Room.NIGHT_SERVICE:
            scope.services(canvas, box, office, note)
        case Room.NIGHT_BAYS:
            scope.bays(canvas, box, snapshot, office, note)
        case Room.REPORT:
            report.draw(canvas, box, operator, office, note)
        case Room.KIND:
            kind.draw(canvas, box, operator, office, note)
        case Room.BAYS:
            bays.draw(canvas, box, operator, office, note)
        case Room.BAY:
            bays.one(canvas, box, operator, office, note)
        case Room.FIRMWARE:
            firmware.draw(canvas, box, snapshot, operator, office, note)
        case Room.IMAGE:
            firmware.image(canvas, box, operator, office, note)
        case Room.ARRIVAL:
            firmware.arrival(canvas, box, snapshot, office, note)
        case Room.RECORDS:
            records.draw(canvas, box, operator, office, note)
        case Room.MACHINE:
            machine.draw(canvas, box, snapshot, operator, office, note)
        case Room.PANEL:
            panel.draw(canvas, box, operator, office, note)
        case Room.LANGUAGE:
            language.draw(canvas, box, snapshot, office, note)
        case Room.SCREEN:
            looks.draw(canvas, box, snapshot, office, note)
        case Room.TOUCH:
            glass.draw(canvas, box, office, note)
        case Room.LOGS:
            logs.draw(canvas, box, operator, office, note)
        case Room.POWER:
            power.draw(canvas, box, snapshot, office, note)
