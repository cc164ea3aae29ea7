"""Everything that can be played, by its names: what `station virtual --list` shows, and tests hold themselves to."""

import ast
import inspect
from collections.abc import Callable, Iterator
from enum import Enum

from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.faults.hostile import STRINGS, Garble
from station.virtual.faults.kinds import FaultKind
from station.virtual.faults.troubles import TROUBLES
from station.virtual.phones.models import MODELS
from station.virtual.phones.people import PEOPLE
from station.virtual.scenarios import scenario

Row = tuple[str, ...]
"""A name, then what there is to say of it."""


def _models() -> Iterator[Row]:
    for model in MODELS:
        last = "" if model.last is None else str(model.last)
        yield model.name, model.product_type, model.hardware_model, f"iOS {'.'.join(map(str, model.first))}–{last}"


def _people() -> Iterator[Row]:
    for person in PEOPLE:
        yield person.name, person.description


def _troubles() -> Iterator[Row]:
    for trouble in TROUBLES:
        yield trouble.name, trouble.code, trouble.words, trouble.where


def _strings() -> Iterator[Row]:
    for name, text in STRINGS.items():
        yield name, f"{ascii(text)[:60]}{'…' if len(ascii(text)) > 60 else ''}"


def _services() -> Iterator[Row]:
    for service in AppleService:
        yield (service.value,)


def _scenarios() -> Iterator[Row]:
    for name, path in scenario.shipped().items():
        yield name, scenario.read(path).shows


def _members(kind: type[Enum]) -> Callable[[], Iterator[Row]]:
    """The members of an enumeration, with the first line of what its source says of each."""

    def rows() -> Iterator[Row]:
        (definition,) = ast.parse(inspect.getsource(kind)).body
        assert isinstance(definition, ast.ClassDef)
        words: dict[str, str] = {}
        name = ""
        for statement in definition.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)]):
                    pass
                case ast.Expr(value=ast.Constant(value=str(text))) if name:
                    words[name] = " ".join(text.split())
                case _:
                    name = ""
        for member in kind:
            yield member.value, words.get(member.name, "")

    return rows


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "scenarios": _scenarios,
    "models": _models,
    "people": _people,
    "faults": _members(FaultKind),
    "troubles": _troubles,
    "garbled answers": _members(Garble),
    "hostile strings": _strings,
    "apple's servers": _services,
    "apple's behaviours": _members(Behaviour),
}
"""By heading."""


def text() -> Iterator[str]:
    """All of it in lines: a heading, then its rows with their columns aligned."""
    for heading, rows in SECTIONS.items():
        table = list(rows())
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        yield heading.upper()
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield f"  {'  '.join(cells)}".rstrip()
        yield ""
