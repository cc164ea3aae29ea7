"""What a night is about: which service, and which bays."""

from dataclasses import replace

from pygame import Rect

from station.model.api import Snapshot
from station.model.service import SERVICES, Service
from station.screen.canvas import Canvas, Target
from station.screen.choices import Choice, buttons
from station.screen.office import NightDraft, Office, Room
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import foot, option, page, pages, part
from station.screen.widgets import grid

OFFERED = (Service.RESTORE, Service.ERASE, Service.REINSTALL, Service.BACKUP, Service.RESTART)
"""What makes sense with nobody there."""


def services(canvas: Canvas, box: Rect, office: Office, note: str) -> None:
    """What each phone gets."""
    draft = _draft(office)
    back = replace(office, room=Room.NIGHT, part=0)
    room = page(canvas, box, "What do they get?", office, note, back=back)
    columns = 2 if room.width > room.height else 1
    for service, cell in zip(OFFERED, grid(canvas, room, len(OFFERED), columns=columns), strict=True):
        target = Target(Turn(replace(back, draft=replace(draft, service=service))))
        traits = SERVICES[service]
        option(canvas, cell, traits.title, traits.promise, target, chosen=service is draft.service)


def bays(canvas: Canvas, box: Rect, snapshot: Snapshot, office: Office, note: str) -> None:
    """Where."""
    draft = _draft(office)
    back = replace(office, room=Room.NIGHT, part=0)
    room = page(canvas, box, "In which bays?", office, note, back=back)
    room, below = foot(canvas, room)
    everywhere = replace(office, draft=replace(draft, bays=frozenset(), count=0))
    names = [bay.bay for bay in snapshot.bays]
    columns = max(2, min(5 if len(names) > 11 else 4, room.width // canvas.px(150)))
    shown = max(1, columns * ((room.height + canvas.px(8)) // canvas.px(68)) - 1)
    open_now = part(office, len(names), shown)
    names = names[open_now[0] * shown : (open_now[0] + 1) * shown]
    places = grid(canvas, room, len(names) + 1, columns=columns, tallest=84)
    option(canvas, places[0], "Every bay", "", Target(Turn(everywhere)), chosen=not draft.bays)
    for name, cell in zip(names, places[1:], strict=True):
        on = name in draft.bays
        # Whoever leaves all but one out may well touch them one by one: none left means everywhere again.
        some = draft.bays - {name} if on else draft.bays | {name}
        other = replace(office, draft=replace(draft, bays=some, count=0))
        option(canvas, cell, f"Bay {name}", "", Target(Turn(other)), chosen=on)
    middle = pages(canvas, below, office, open_now, middle=True)
    buttons(canvas, middle, [Choice("Done", Target(Turn(back)), main=True)])


def _draft(office: Office) -> NightDraft:
    return office.draft if isinstance(office.draft, NightDraft) else NightDraft()
