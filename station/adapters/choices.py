"""What an operator chose at the station: one small file in the state directory.

STATE/choices.json    `Choices` as JSON

It is read field by field. What is wrong in it is left out, and told, so that a file that broke costs what broke and
no more; except for the PIN: where it cannot be told, no PIN opens the door until somebody removes it as root.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from station.adapters import durable
from station.core.operator import distinct, fits
from station.errors import StorageError
from station.model.choices import LOST_PIN, Choices

MAX_BYTES = 64 << 10


@dataclass(frozen=True, kw_only=True)
class FoundChoices:
    """What could be read."""

    choices: Choices
    wrong: tuple[str, ...] = ()
    """The names of what could not; `file`: all of it."""

    @property
    def trouble(self) -> str:
        """The same for people, with what to do about it; empty: all is well."""
        if not self.wrong:
            return ""
        lost = (
            "No PIN opens it until that is done." if self.choices.pin == LOST_PIN else "What was lost is as at first."
        )
        return (
            "What was chosen at this station cannot be read any more. "
            f"{lost} As root: stop the station, then “station pin --remove”."
        )


class ChoicesFile:
    """Owned by the daemon; whoever holds the state directory in its place may change it too. Every call blocks."""

    def __init__(self, state: Path) -> None:
        self.path = state / "choices.json"

    def read(self) -> FoundChoices:
        """What was chosen; nothing, where there is no file yet."""
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return FoundChoices(choices=Choices())
        except OSError:
            return _LOST
        try:
            return _found(_fields.decode(data[:MAX_BYTES]))
        except (ValueError, RecursionError):  # msgspec's own errors are ValueErrors, and so is a letter that is none
            return _LOST

    def write(self, choices: Choices) -> None:
        """Put them on the disk. Raises StorageError: the old ones stand."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{self.path.parent} cannot be made: {error.strerror}.") from error
        durable.write(self.path, msgspec.json.format(msgspec.json.encode(choices), indent=2) + b"\n", mode=0o600)


_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LOST = FoundChoices(choices=Choices(pin=LOST_PIN), wrong=("file",))


def _found(fields: dict[str, msgspec.Raw]) -> FoundChoices:
    good: dict[str, Any] = {}
    wrong = []
    for field in msgspec.structs.fields(Choices):
        if field.name not in fields:
            continue
        try:
            good[field.name] = msgspec.json.decode(fields[field.name], type=field.type)
        except (ValueError, RecursionError):
            wrong.append(field.name)
    choices = Choices(**good)
    if not fits(choices.face):
        wrong.append("face")
        choices = msgspec.structs.replace(choices, face=Choices().face)
    if choices.bays is not None and not distinct(choices.bays):
        wrong.append("bays")
        choices = msgspec.structs.replace(choices, bays=None)
    if "pin" in wrong:
        choices = msgspec.structs.replace(choices, pin=LOST_PIN)
    return FoundChoices(choices=msgspec.structs.replace(choices, wrong=max(0, choices.wrong)), wrong=tuple(wrong))
