"""Is there a backup? What only the owner can know, and somebody's decision, which goes on record."""

from pygame import Rect

from station.model.api import BayView, Choose, Decide
from station.model.gates import CHECKLIST
from station.model.gates import Choice as Decision
from station.model.phone import PhoneMode
from station.model.service import SERVICES, Keeps, Service
from station.screen import text, words
from station.screen.canvas import Canvas, Target
from station.screen.choices import Choice, buttons, subject
from station.screen.pages import Page, Turn, opened
from station.screen.text import Style
from station.screen.theme import BLUE, TEXT
from station.screen.widgets import BODY, KEY, Part, column, heading, largest, paragraph

RISKS: dict[Keeps, str] = {
    Keeps.ALL: "Nothing on it is touched.",
    Keeps.MEANT_TO: "If something goes wrong, what is not saved elsewhere can be gone.",
    Keeps.REPLACED: "What is on it now and not saved elsewhere will be gone.",
    Keeps.NOTHING: "What is not saved elsewhere will be gone.",
}


def draw(canvas: Canvas, box: Rect, bay: BayView, note: str) -> None:
    """Fill the box."""
    home = opened(bay, Page.PHONE)
    box = heading(canvas, box, "Is there a backup?", Target(Turn(home)), note)
    wide = box.width > box.height
    offered = _choices(bay)
    height = canvas.px(KEY)
    if wide:
        keys = Rect(box.left, box.bottom - height, box.width, height)
        buttons(canvas, keys, offered)
    else:
        gap = canvas.px(12)
        keys = Rect(box.left, box.bottom - 3 * height - 2 * gap, box.width, 3 * height + 2 * gap)
        for number, choice in enumerate(offered):
            buttons(canvas, Rect(keys.left, keys.top + number * (height + gap), keys.width, height), [choice])
    keeps = Keeps.NOTHING if bay.chosen is None else SERVICES[bay.chosen].keeps
    speech = Rect(box.left, box.top, box.width, max(1, keys.top - canvas.px(12) - box.top))
    parts = largest(
        canvas,
        speech.height,
        lambda px: [
            *paragraph(
                canvas,
                f"{RISKS[keeps]} Only the owner can know this:",
                Style(px(BODY), TEXT, bold=True),
                speech.width,
                lines=3,
            ),
            *(_line(canvas, px(BODY), said, speech.width) for said in CHECKLIST),
        ],
    )
    column(speech, parts, align=0.5)


def _line(canvas: Canvas, size: int, said: str, room: int) -> Part:
    style = Style(size, TEXT)
    indent, high = round(size * 1.4), text.line_height(style)
    (words_part,) = paragraph(canvas, said, style, max(1, room - indent), lines=2)

    def draw_line(box: Rect) -> None:
        side = max(4, round(size * 0.44))
        mark = Rect(box.left + side // 2, box.top + (high - side) // 2, side, side)
        canvas.disc(mark, BLUE)  # no box to tick: it is to be asked, not to be touched
        words_part.draw(Rect(box.left + indent, box.top, box.width - indent, box.height))

    return Part(words_part.height, draw_line, gap=size // 2)


def _choices(bay: BayView) -> list[Choice]:
    """Three ways on. Who has a choice is not pushed to go without."""
    home = opened(bay, Page.PHONE)
    assert bay.phone is not None
    ecid = bay.phone.ecid

    def decide(said: str, decision: Decision) -> Choice:
        about = subject(bay)
        if ecid is None:
            return Choice(said, Target(Turn(home), about=about))
        command = Decide(id=0, bay=bay.bay, ecid=ecid, choice=decision)
        return Choice(said, Target(Turn(home, (command,)), about=about))

    elsewhere = decide("There is one already", Decision.MADE_ELSEWHERE)
    without = decide("Go on without", Decision.DECLINED)
    if bay.phone.mode is PhoneMode.NORMAL and words.offer_of(bay, Service.BACKUP) is not None:
        choose = Choose(id=0, bay=bay.bay, service=Service.BACKUP)
        first = Choice("Back up here first", Target(Turn(home, (choose,)), about=subject(bay)), main=True)
        return [first, elsewhere, without]
    return [elsewhere, decide("It cannot be backed up", Decision.IMPOSSIBLE), without]
