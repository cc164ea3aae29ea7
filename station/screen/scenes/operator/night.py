"""The night: a standing order is given here, followed while it holds, and ended.

The order is the operator's own consent, given beforehand for phones that nobody has seen yet. So a sentence says what
will happen, and it takes a hold.
"""

from dataclasses import replace

from pygame import Rect

from station.model.api import BayState, BayView, EndOrder, Order, OrderView, Snapshot
from station.model.base import BayId
from station.model.operator import OperatorView
from station.model.service import SERVICES, Keeps
from station.screen import times, words
from station.screen.canvas import Canvas, Lengths, Target
from station.screen.choices import Choice, buttons, look
from station.screen.office import COUNTS, HOURS, Key, NightDraft, Office, Room
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import HOLD_SECONDS, counts, foot, hold_button, option, page, stepper
from station.screen.text import Style
from station.screen.theme import GREEN, INK, MUTED, RED, TEXT, WHITE, YELLOW, Shape
from station.screen.widgets import NEEDED, Part, bar, column, label, largest, paragraph

DECIDED = "walk-up"
"""The kind of station where somebody decides about a backup of each phone."""
MEANS: dict[Keeps, str] = {
    Keeps.ALL: "Nothing on them is touched.",
    Keeps.MEANT_TO: "The data on them is meant to stay; only a backup is certain.",
    Keeps.REPLACED: "What is on them now is replaced.",
    Keeps.NOTHING: "Everything on them will be gone for good.",
}


def draw(canvas: Canvas, box: Rect, snapshot: Snapshot, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    if snapshot.order is not None:
        room = page(canvas, box, "The night", office, note)
        _progress(canvas, room, snapshot, operator, snapshot.order, office)
        return
    width = min(canvas.px(190), round(box.width * 0.34))
    reported = operator.report is not None
    head = Rect(box.left, box.top, box.width - (width + canvas.px(12) if reported else 0), box.height)
    below = page(canvas, head, "The night", office, note)
    if reported:
        aside = Rect(box.right - width, box.top, width, canvas.px(60))
        buttons(canvas, aside, [Choice("Last report", Target(Turn(Office(Room.REPORT))))])
    draft = office.draft if isinstance(office.draft, NightDraft) else NightDraft()
    _arm(canvas, Rect(box.left, below.top, box.width, below.height), snapshot, operator, replace(office, draft=draft))


def _arm(canvas: Canvas, box: Rect, snapshot: Snapshot, operator: OperatorView, office: Office) -> None:
    draft = office.draft
    assert isinstance(draft, NightDraft)
    box, below = foot(canvas, box, 76)
    count, gap = draft.phones(snapshot), canvas.px(10)
    ends = _ends(operator, draft)
    cells = _four(canvas, box, gap)
    service = Target(Turn(replace(office, room=Room.NIGHT_SERVICE)))
    option(canvas, cells[0], SERVICES[draft.service].title, "What each phone gets", service, shape=Shape.TURN)
    bays = Target(Turn(replace(office, room=Room.NIGHT_BAYS)))
    option(canvas, cells[1], _where(snapshot, draft), "Where they are plugged in", bays, shape=Shape.GRID)
    fewer = Target(Key("fewer")) if count > COUNTS[0] else None
    more = Target(Key("more")) if count < COUNTS[-1] else None
    stepper(canvas, cells[2], "For how many", "1 phone" if count == 1 else f"{count} phones", fewer, more)
    shorter = Target(Key("shorter")) if draft.hours > HOURS[0] else None
    longer = Target(Key("longer")) if draft.hours < HOURS[-1] else None
    hours = "1 hour" if draft.hours == 1 else f"{draft.hours} hours"
    stepper(canvas, cells[3], f"Until {ends}" if ends else "For how long", hours, shorter, longer)
    top = cells[3].bottom + canvas.px(8)
    speech = Rect(box.left, top, box.width, max(1, box.bottom - top))
    said = _promise(snapshot, operator, draft, count, ends)

    def build(px: Lengths) -> list[Part]:
        return [
            *paragraph(canvas, said[0], Style(px(21), TEXT), speech.width, lines=4, rank=NEEDED),
            *paragraph(
                canvas, said[1], Style(px(21), YELLOW, bold=True), speech.width, lines=3, rank=NEEDED, gap=px(4)
            ),
        ]

    column(speech, largest(canvas, speech.height, build), align=0.5)
    order = Order(
        id=0,
        service=draft.service,
        bays=tuple(_names(snapshot, draft)),
        count=count,
        seconds=draft.hours * 3600.0,
    )
    hold_button(canvas, below, "Hold to arm the night", Target(order, hold=HOLD_SECONDS))


def _four(canvas: Canvas, box: Rect, gap: int) -> list[Rect]:
    """Two above two, or four below each other where it is narrow."""
    wide = box.width > box.height
    columns, high = (2, canvas.px(80)) if wide else (1, canvas.px(88))
    high = min(high, (box.height - canvas.px(90)) // (4 // columns) - gap)
    high = max(high, canvas.px(60))
    width = (box.width - gap * (columns - 1)) // columns
    return [
        Rect(box.left + number % columns * (width + gap), box.top + number // columns * (high + gap), width, high)
        for number in range(4)
    ]


def _ends(operator: OperatorView, draft: NightDraft) -> str:
    """When it will end, by the clock; empty where the clock is not to be believed."""
    machine = operator.machine
    if machine is None or machine.clock_trusted is False:
        return ""
    return times.later(machine.clock, draft.hours * 3600.0)


def _names(snapshot: Snapshot, draft: NightDraft) -> list[BayId]:
    """The bays that were chosen; none: everywhere. If none is left they stay chosen, and the daemon refuses them."""
    return [bay.bay for bay in snapshot.bays if bay.bay in draft.bays] or sorted(draft.bays)


def _where(snapshot: Snapshot, draft: NightDraft) -> str:
    names = _names(snapshot, draft)
    if not names:
        return "Every bay"
    return f"Bay {names[0]}" if len(names) == 1 else f"Bays {', '.join(names)}"


def _promise(snapshot: Snapshot, operator: OperatorView, draft: NightDraft, count: int, ends: str) -> tuple[str, str]:
    """What will happen, and what that means for the data."""
    names = _names(snapshot, draft)
    title = SERVICES[draft.service].title
    bays = f"bay {names[0]}" if len(names) == 1 else f"bays {', '.join(names)}" if names else "any bay"
    until = f"until {ends}" if ends else "within an hour" if draft.hours == 1 else f"within {draft.hours} hours"
    if count == 1:
        said = f"The next phone in {bays} gets “{title}” by itself, {until}."
    else:
        said = f"The next {count} phones in {bays} get “{title}” by themselves, {until}."
    asked = SERVICES[draft.service].keeps is not Keeps.ALL and operator.policy == DECIDED
    means = f"{MEANS[SERVICES[draft.service].keeps]} Nobody is asked again."
    if asked:
        means = f"{MEANS[SERVICES[draft.service].keeps]} Phones whose backup nobody has decided about are left out."
    return said, means


def _progress(
    canvas: Canvas, box: Rect, snapshot: Snapshot, operator: OperatorView, order: OrderView, office: Office
) -> None:
    del office
    box, below = foot(canvas, box, 72)
    working = sum(bay.state is BayState.WORKING for bay in snapshot.bays)
    waiting = sum(bay.state is BayState.QUEUED for bay in snapshot.bays)
    wide = box.width > box.height
    told = [
        (Shape.CHECK, GREEN, order.done, "Done"),
        (Shape.TURN, YELLOW, working, "Working"),
        (Shape.PAUSE, YELLOW, waiting, "Waiting"),
        (Shape.CROSS, RED, order.failed, "Failed"),
        (Shape.PLUG, WHITE, order.left, "Still to come"),
    ]
    high = canvas.px(96) if wide else canvas.px(300)
    counts(canvas, Rect(box.left, box.top, box.width, high), told)
    track = Rect(box.left, box.top + high + canvas.px(14), box.width, canvas.px(16))
    whole = order.done + order.failed + working + waiting + order.left
    bar(canvas, track, (order.done + order.failed) / max(1, whole), GREEN)
    rest = Rect(box.left, track.bottom + canvas.px(8), box.width, max(1, box.bottom - track.bottom - canvas.px(8)))
    stamps = canvas.px(56) * (1 if wide else 2)
    rest.height = max(1, rest.height - stamps - canvas.px(6))
    _order(canvas, rest, operator, order)
    _stamps(canvas, Rect(box.left, rest.bottom + canvas.px(6), box.width, stamps), snapshot.bays)
    half = (below.width - canvas.px(12)) // 2
    report = Choice("Report so far", Target(Turn(Office(Room.REPORT))))
    if operator.report is not None:
        buttons(canvas, Rect(below.left, below.top, half, below.height), [report])
        below = Rect(below.right - half, below.top, half, below.height)
    end = Target(EndOrder(id=0), hold=HOLD_SECONDS)
    hold_button(canvas, below, "Hold to end the night", end, RED)


def _order(canvas: Canvas, box: Rect, operator: OperatorView, order: OrderView) -> None:
    canvas.again_in(30)
    left = max(0.0, order.until - canvas.now)
    ends = "" if operator.machine is None else times.later(operator.machine.clock, left)
    bays = f"bays {', '.join(order.bays)}" if order.bays else "every bay"
    title = f"“{SERVICES[order.service].title}” in {bays}"
    if not order.left:
        said = "No phone is left to begin. What has begun goes on."
    elif ends:
        said = f"Until {ends}, {words.time_left(left)}."
    else:
        said = f"It ends by itself, {words.time_left(left)}."

    def build(px: Lengths) -> list[Part]:
        return [
            *paragraph(canvas, title, Style(px(24), TEXT, bold=True), box.width, lines=2),
            *paragraph(canvas, said, Style(px(20), MUTED), box.width, lines=2, rank=NEEDED, gap=px(2)),
        ]

    column(box, largest(canvas, box.height, build), align=0.5)


def _stamps(canvas: Canvas, box: Rect, bays: tuple[BayView, ...]) -> None:
    """Every bay as small as it can be told: its number on its state's colour, and the state's shape."""
    gap = canvas.px(6)
    rows = 1 if box.width > 8 * box.height or len(bays) < 9 else 2
    columns = -(-len(bays) // rows)
    width = min(canvas.px(92), (box.width - gap * (columns - 1)) // max(1, columns))
    height = (box.height - gap * (rows - 1)) // rows
    height = min(height, canvas.px(44))
    for number, bay in enumerate(bays):
        seen = look(bay)
        cell = Rect(
            box.left + number % columns * (width + gap), box.top + number // columns * (height + gap), width, height
        )
        quiet = bay.state is BayState.EMPTY
        canvas.panel(cell, seen.colour, canvas.px(10))
        half = cell.width // 2
        style = Style(min(round(height * 0.46), round(half * 0.68)), INK, bold=not quiet)
        label(canvas, Rect(cell.left, cell.top, half, height), bay.bay, style, align=0.6)
        side = min(round(height * 0.46), half - canvas.px(4))
        canvas.icon(seen.shape, Rect(cell.left + half, cell.centery - side // 2, side + canvas.px(6), side), INK)
