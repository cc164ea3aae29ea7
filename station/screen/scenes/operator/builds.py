"""Which iOS is installed: the newest in the store, or an older one, which Apple must sign still."""

from msgspec.structs import replace
from pygame import Rect

from station.model.api import BayView, Choose
from station.model.operator import OperatorView
from station.model.service import SERVICES
from station.screen.canvas import Canvas, Target
from station.screen.choices import subject
from station.screen.pages import Page, Turn, opened
from station.screen.scenes.operator.firmware import models, words_of
from station.screen.scenes.operator.furniture import option, say
from station.screen.theme import Shape
from station.screen.widgets import grid, heading

MOST = 9
"""Builds that are shown: the newest."""


def offered(bay: BayView) -> bool:
    """Whether a build can be chosen for what this phone is about to get."""
    return bay.chosen is not None and SERVICES[bay.chosen].firmware


def draw(canvas: Canvas, box: Rect, bay: BayView, operator: OperatorView, note: str) -> None:
    """Fill the box."""
    home = opened(bay, Page.PHONE)
    room = heading(canvas, box, "Which iOS shall it get?", Target(Turn(home)), note)
    if bay.chosen is None or not operator.firmware:
        say(canvas, room, "There is no firmware here to choose from.")
        return
    lines = operator.firmware[:MOST]
    told = [("", "The newest", "What fits this phone and Apple signs.")]
    told += [(line.build, words_of(line), models(line)) for line in lines]
    columns = 2 if room.width > room.height else 1
    for (build, title, said), cell in zip(
        told, grid(canvas, room, len(told), columns=columns, tallest=76), strict=True
    ):
        choose = Choose(id=0, bay=bay.bay, service=bay.chosen, options=replace(bay.options, build=build))
        chosen = bay.options.build == build
        target = Target(Turn(home, (choose,)), about=subject(bay))
        option(canvas, cell, title, said, target, chosen=chosen, shape=None if chosen else Shape.FETCH)
