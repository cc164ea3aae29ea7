"""What one restore does, in order: `generations` reduced to one iOS and one behaviour."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from station.virtual.firmware.components import FUD, components
from station.virtual.restore import generations
from station.virtual.restore.items import Action, Checkpoint, Item, Request, When

NEWEST = 26
"""The iOS that is meant when nobody says which."""
_IPHONE_12 = 0x8101

_STEPS_OF_ACTION = {
    Action.OPEN_FDR: ("fdr:sync", "fdr:hello", "fdr:ping"),
    Action.RECOVER_FDR: ("fdr:sync", "fdr:hello", "fdr:proxy"),
    Action.START_IMAGE: ("restored:SystemImageData", "asr:initiate", "asr:oob", "asr:payload"),
}


@dataclass(frozen=True)
class Script:
    """One restore; nothing in it is a `When`."""

    ios: int
    behavior: str
    items: tuple[Item, ...]
    """From StartRestore to just before the final status."""
    failed: tuple[Checkpoint, ...]
    """What follows a failure, before the status that tells of it."""
    final: Checkpoint
    """In which the status is sent when it is one of failure."""

    @property
    def asynchronous(self) -> bool:
        """Whether the image arrives beside the rest, and answers go to data ports."""
        return self.ios >= generations.ASYNCHRONOUS


@cache
def script(ios: int, behavior: str) -> Script:
    """The restore to an iOS, by its first number, that behaves so ("Erase", "Update")."""

    def reduced(items: tuple[Item, ...]) -> tuple[Item, ...]:
        return tuple(_reduced(items, ios, behavior))

    failed = tuple(item for item in reduced(generations.FAILED) if isinstance(item, Checkpoint))
    return Script(ios, behavior, reduced(generations.SCRIPT), failed, generations.FINAL_STATUS)


def steps(behavior: str = "Erase", *, ios: int = NEWEST, chip_id: int = _IPHONE_12) -> tuple[str, ...]:
    """Every step of a restore without failures, each once, in the order of the script: what faults are aimed at.

    What runs beside something else stands where it begins. An encrypted Cryptex adds "restored:URLAsset".

    Args:
        behavior: "Erase" or "Update".
        ios: of the restore.
        chip_id: of the phone, which is one that has all the other chips of its time.
    """
    played = script(ios, behavior)
    before = ("restored:QueryType", "restored:QueryValue:HardwareInfo", "restored:QueryValue:SavedDebugInfo")
    start = (*before, "fdr:ctrl", "restored:StartRestore")
    fud = tuple(f"restored:FUDData:{part.name}" for part in components(ios, chip_id) if FUD in part.flags)
    more = {**_STEPS_OF_ACTION, Action.REQUEST_FUD: ("restored:FUDData", *fud)}
    if played.asynchronous:
        more[Action.START_IMAGE] += ("restored:URLAsset",)
    return tuple(dict.fromkeys((*start, *_steps(played.items, more), "restored:status", "restored:restart")))


def request_steps(behavior: str = "Erase") -> tuple[str, ...]:
    """The steps at which the host is asked for something: `steps` without checkpoints."""
    return tuple(step for step in steps(behavior) if not step.startswith("restored:checkpoint:"))


def _reduced(items: tuple[Item, ...], ios: int, behavior: str) -> Iterator[Item]:
    old = ios < generations.ASYNCHRONOUS
    for item in items:
        match item:
            case When():
                if item.applies(ios, behavior):
                    yield from _reduced(item.items, ios, behavior)
            case Checkpoint():
                inside = tuple(_reduced(item.items, ios, behavior))
                yield replace(item, items=inside, junk=generations.JUNK.get(item.number, 0) if old else 0)
            case Request():
                yield replace(item, port=item.port and not old)
            case _:
                yield item


def _steps(items: tuple[Item, ...], of_action: dict[Action, tuple[str, ...]]) -> Iterator[str]:
    for item in items:
        match item:
            case Checkpoint():
                yield item.step
                yield from _steps(item.items, of_action)
            case Request():
                yield item.step
                if item.data_type == "FirmwareUpdaterData":
                    yield item.accepted
            case Action():
                yield from of_action.get(item, ())
            case _:
                pass
