"""What is wrong with a setting, in words: where it stands, what it is, and what it may be."""

import json
from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, MaxLen, MinLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from station.model.job import Phase

PREFIX = "STATION_"
"""How the settings' names begin in the environment."""

MOST = 5
"""That many faults are told at once."""
FEW = 10
"""That many names are listed, where none is near."""
LONGEST = 60
"""Characters of a wrong value that are shown."""

TABLES = {
    "bays": 'a table of bays and their USB sockets: [bays], and below it 1 = "1-1.1"',
    "deadlines": "a table of phases and their seconds: [deadlines], and below it image = 900",
    "gpio": "a table of pins: [gpio], and below it start = 5",
    "supply": 'a table: [supply], and below it fetch = "needed"',
}
OF_SUPPLY = {
    "hours": 'two times of a day, such as "22:00-06:00"',
    "pins": 'a table of models and the version or build of each: [supply.pins], and below it "iPhone13,2" = "26.1"',
    "denied": 'a list of builds in quotes, such as ["23B85"]',
    "mirrors": 'a list of addresses in quotes, such as ["http://192.168.1.20/firmware"]',
    "nearby": 'a list of addresses in quotes, such as ["http://192.168.1.20:8750"]',
}
"""Of its settings those whose kind does not say what they may be."""
BAYS_PINS = "a table of pins for each bay: [gpio.bays.1], and below it start = 5"
"""Settings that hold more than one value."""


KINDS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    Path: 'a path in quotes, such as "/media/disk"',
}


def faults(error: ValidationError, model: type[BaseModel], *, file: Path, environment: Iterable[str]) -> str:
    """Every fault that was found, a line each.

    Args:
        error: what the settings were refused with.
        model: the settings.
        file: where those stand that are not in the environment.
        environment: the names of its variables.
    """
    variables = {name.upper(): name for name in environment}
    told: dict[tuple[str, ...], str] = {}
    for each in error.errors():
        path = _path(each, model)
        told.setdefault(path, f"{_where(path, file, variables)}: {_fault(each, path, model)}")
    lines = list(told.values())
    more = len(lines) - MOST
    return "\n".join([*lines[:MOST], *([f"… and {more} more."] if more > 0 else [])])


def meant(setting: str, known: Iterable[str]) -> str:
    """The nearest name that there is, for one that there is not."""
    names = list(known)
    if close := get_close_matches(setting, names, n=1):
        return f"Is it “{close[0]}” that is meant?"
    return f"There are {', '.join(names)}." if len(names) <= FEW else "See what there is in station/daemon/settings.py."


def allowed(name: str, field: FieldInfo) -> str:
    """What a setting may be."""
    if name in TABLES:
        return TABLES[name]
    if name in OF_SUPPLY:
        return OF_SUPPLY[name]
    kind, *others = (kind for kind in _kinds(field.annotation) if kind is not type(None))
    if others:
        return 'the number of a pin, such as 17, its name, such as "GPIO17", or a line of a chip, such as "gpiochip2:5"'
    if issubclass(kind, Enum):
        return one_of(json.dumps(each.value) for each in kind)
    return f"{KINDS[kind]}{_range(field)}"


def one_of(words: Iterable[str]) -> str:
    """Words as a choice: a, b or c."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


def _path(each: ErrorDetails, model: type[BaseModel]) -> tuple[str, ...]:
    """The names that lead to a setting: of the table too, where it is in one."""
    path = tuple(str(part) for part in each["loc"])
    if path[:2] == ("gpio", "bays"):  # a table in a table: the bay, then what is wired there
        return path[:4]
    return path[:2] if path and path[0] in TABLES else path[:1] if path[0] in model.model_fields else path


def _where(path: tuple[str, ...], file: Path, variables: dict[str, str]) -> str:
    """The environment outweighs the file: what is set there was read there."""
    for name in ("__".join(path), path[0]):
        if (variable := variables.get(f"{PREFIX}{name}".upper())) is not None:
            return f"{variable} in the environment"
    if len(path) == 1 and any(name.startswith(f"{PREFIX}{path[0]}__".upper()) for name in variables):
        return f"{file} and the environment"  # a table, put together from both
    return str(file)


def _fault(each: ErrorDetails, path: tuple[str, ...], model: type[BaseModel]) -> str:
    name = ".".join(path)
    fields = _fields_of(path, model)
    if each["type"] == "extra_forbidden":
        return f"there is no setting “{name}”. {meant(path[-1], fields)}"
    if each["type"] == "value_error":  # our own validators, which have words of their own
        return f"“{name}”: {each['ctx']['error']}"
    if path[:2] == ("gpio", "bays") and len(path) < 4:
        return f"“{name}” is {_shown(each['input'])}. It must be {BAYS_PINS}."
    field = fields.get(path[-1])
    what = _of_a_table(path) if field is None else allowed(path[-1], field)
    return f"“{name}” is {_shown(each['input'])}. It must be {what}."


def _fields_of(path: tuple[str, ...], model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The settings among which the last name of a path is one."""
    table = model.model_fields[path[0]].annotation if len(path) > 1 and path[0] in model.model_fields else model
    if len(path) == 4 and isinstance(table, type) and issubclass(table, BaseModel):
        table = get_args(table.model_fields[path[1]].annotation)[1]  # dict[bay, what is wired there]
    return table.model_fields if isinstance(table, type) and issubclass(table, BaseModel) else {}


def _of_a_table(path: tuple[str, ...]) -> str:
    return "a number of seconds" if path[0] == "deadlines" else 'a USB socket in quotes, such as "1-1.1"'


def _kinds(annotation: Any) -> list[type]:
    return list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else [annotation]


def _range(field: FieldInfo) -> str:
    """How large or long a value may be, where that is limited."""
    limits = {type(limit): limit for limit in field.metadata}
    low, high, above = limits.get(Ge), limits.get(Le), limits.get(Gt)
    if low is not None and high is not None:
        return f" from {low.ge} to {high.le}"
    if low is not None:
        return f", {low.ge} or more"
    if above is not None:
        return f" above {above.gt:g}"
    short, long = limits.get(MinLen), limits.get(MaxLen)
    return f", {short.min_length} to {long.max_length} characters" if short is not None and long is not None else ""


def _shown(value: Any) -> str:
    """A value as TOML has it, or nearly."""
    if isinstance(value, (str, bool, int, float)):
        words = json.dumps(value, ensure_ascii=False)
    else:
        words = "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else str(value)
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def phases(names: Iterable[str]) -> str:
    """What is wrong with the names of phases; empty: nothing."""
    known = [phase.value for phase in Phase]
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"Is it “{close[0]}” that is meant?" if close else f"There are {', '.join(known)}."
            return f"there is no phase “{name}”. {hint}"
    return ""
