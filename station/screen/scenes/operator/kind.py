"""What kind of station this is: a few presets of its settings."""

from dataclasses import dataclass, replace

from pygame import Rect

from station.model.api import UsePolicy
from station.model.operator import OperatorView
from station.screen.canvas import Canvas, Target
from station.screen.office import HOME, KindDraft, Office
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import HOLD_SECONDS, foot, hold_button, option, page, say
from station.screen.theme import TEXT, Shape
from station.screen.widgets import grid


@dataclass(frozen=True)
class Kind:
    """A preset in words."""

    title: str
    said: str
    shape: Shape


KINDS: dict[str, Kind] = {
    "walk-up": Kind(
        "Counter in a shop",
        "Phones go back to their owners. A backup is decided about before anything is erased.",
        Shape.SHOP,
    ),
    "bench": Kind(
        "Bench",
        "Phones without owners, one after the other. What fails is set aside until somebody has looked into it.",
        Shape.GRID,
    ),
    "overnight": Kind(
        "Overnight",
        "Phones without owners, and nobody there. They must be charged well, and the station must not get hot.",
        Shape.MOON,
    ),
}


def draw(canvas: Canvas, box: Rect, operator: OperatorView, office: Office, note: str) -> None:
    """Fill the box."""
    room = page(canvas, box, "Kind of station", office, note)
    tall = room.height >= canvas.px(330)
    room, below = foot(canvas, room, 112 if tall else 72)
    wanted = office.draft.policy if isinstance(office.draft, KindDraft) else operator.policy
    for name, cell in zip(
        operator.policies, grid(canvas, room, len(operator.policies), columns=1, tallest=110), strict=True
    ):
        kind = KINDS.get(name, Kind(name, "", Shape.GEAR))
        shape = Shape.CHECK if name == wanted else kind.shape
        target = Target(Turn(replace(office, draft=KindDraft(name))))
        option(canvas, cell, kind.title, kind.said, target, chosen=name == wanted, shape=shape)
    if wanted == operator.policy:
        say(canvas, below, "This is how the station works now.", size=20)
    else:
        use = UsePolicy(id=0, policy=wanted)
        target = Target(Turn(HOME, (use,)), hold=HOLD_SECONDS)
        speech, button = foot(canvas, below, 72)
        if tall:
            say(canvas, speech, "The station starts anew with it. What runs goes on.", size=19, colour=TEXT)
        hold_button(canvas, button, "Hold to use it", target)
