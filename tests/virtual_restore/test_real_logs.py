"""The order of each generation's script, held against excerpts of real logs. Every difference is explained."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from station.virtual.restore.items import Action, Checkpoint, Item, Operation, Request
from station.virtual.restore.script import script

REAL = Path(__file__).parents[3] / "shared/facts/real/sequences.json"

GENERATION = {
    # The oldest generation there is stands for all before it.
    "device-log-ios10-SE.txt": 13,
    "libimobiledevice-idevicerestore-470.txt": 13,
    "pwnerblu-surrealra1n-39.txt": 13,
    # What the log does not say, follows from what is in it: a ticket of an A9 and libauthinstall_callback is 15.
    "LukeZGD-Legacy-iOS-Kit-634.txt": 15,
    "TrungNguyen1909-qemu-t8030-31.txt": 15,
    "libimobiledevice-idevicerestore-490.txt": 15,
    "libimobiledevice-idevicerestore-539.txt": 15,
    "pwnerblu-surrealra1n-84.txt": 15,
    "UnbendableStraw-homepod-restore-8-19.txt": 16,
    "libimobiledevice-idevicerestore-553.txt": 16,
    "pwnerblu-surrealra1n-68.txt": 16,
    "libimobiledevice-idevicerestore-638.txt": 17,
    "inferno-host-restore-doc.txt": 18,
    "libimobiledevice-idevicerestore-647.txt": 18,
    "libimobiledevice-idevicerestore-658.txt": 18,
    "libimobiledevice-idevicerestore-725.txt": 18,
    "doronz88-pymobiledevice3-1701.txt": 26,
    "libimobiledevice-idevicerestore-735.txt": 26,
    "libimobiledevice-idevicerestore-764.txt": 26,
    "libimobiledevice-idevicerestore-779.txt": 26,
    "libimobiledevice-idevicerestore-787.txt": 26,
    "libimobiledevice-idevicerestore-789.txt": 26,
    "libimobiledevice-idevicerestore-786.txt": 27,
    "libimobiledevice-idevicerestore-792.txt": 27,
    "liter8-cellular-doc.txt": 27,
}
NOT_OF_THE_PHONE = ("host_line", "status", "checkpoint_failure")
"""What the host says by itself, and what repeats the message before it."""
OPERATIONS = {"UNMOUNT_FILESYSTEMS": 29, "RESTORE_IMAGE": 13, "MODIFY_BOOTARGS": 25}
REQUESTS = {"BuildIdentity Dict": "BuildIdentityDict", "FDR Trust data": "FDRTrustData"}
RESTORE_IMAGE = 13

_BY_AN_UPDATER = "asked for by an updater, for the chip that is in the phone: the script knows no chips"
EXPLAINED: dict[str, dict[str, str]] = {
    "device-log-ios10-SE.txt": {
        "0x609 is elsewhere": "iOS 10 loaded the SEP before it had its ticket; all logs from 12 on have it later",
        "0x60c is missing": "partitioned the flash of phones that are no longer restorable; in no later log",
        "0x60e is called update_s3e_firmware": "names move: all later logs say update_NAND_firmware",
        "0x611 is missing": "in no log from iOS 12 on",
        "0x612 is missing": "in no log from iOS 12 on",
    },
    "libimobiledevice-idevicerestore-779.txt": {
        "0x648 is elsewhere": "0x647 after it is a line of the log that the failed status carries, not a message",
    },
    "libimobiledevice-idevicerestore-789.txt": {
        "SEP is missing": _BY_AN_UPDATER,
        "Savage,BA-Prod-Patch is missing": _BY_AN_UPDATER,
        "Savage,BE-Prod-Patch is missing": _BY_AN_UPDATER,
        "Yonkers,SysTopPatch9 is missing": _BY_AN_UPDATER,
    },
}


class Event(NamedTuple):
    """Something the phone says, in a log or in a script."""

    what: str
    """Such as "0x60b", "operation 28", "RootTicket"."""
    ends: bool = False


def played(items: tuple[Item, ...]) -> Iterator[Event]:
    """What a script says, in order."""
    for item in items:
        match item:
            case Checkpoint():
                yield Event(f"0x{item.number:x}")
                yield from played(item.items)
                yield Event(f"0x{item.number:x}", ends=True)
            case Operation():
                yield Event(f"operation {item.number}")
            case Request():
                yield Event(item.data_type)
            case Action.REQUEST_FUD:
                yield Event("FUDData")
            case Action.ASYNC_WAIT:
                yield Event("AsyncWait")
            case _:
                pass


def names(items: tuple[Item, ...]) -> Iterator[tuple[int, str]]:
    for item in items:
        if isinstance(item, Checkpoint):
            if item.name:
                yield item.number, item.name
            yield from names(item.items)


def told(event: dict[str, Any]) -> Iterator[Event]:
    """An event of a log."""
    match event["type"]:
        case "checkpoint" | "device_checkpoint" if event.get("domain") != "MAIN":  # before a host can be connected
            yield Event(f"0x{event['id']:x}", ends=event["phase"] in ("completed", "END", "FAILURE"))
        case "progress_op" | "progress":
            yield Event(f"operation {event['op'] if 'op' in event else OPERATIONS[event['operation']]}")
        case "data_request" | "DataRequestMsg" | "AsyncDataRequestMsg":
            yield Event(REQUESTS.get(event["data_type"], event["data_type"]))
        case "AsyncWait":
            yield Event("AsyncWait")
        case _:
            pass


def passages(events: list[dict[str, Any]]) -> Iterator[list[Event]]:
    """The stretches of a log without a gap; what is said twice in a row is taken once."""
    passage: list[Event] = []
    for event in [*events, {"type": "gap"}]:
        if event["type"] == "gap":
            yield passage
            passage = []
        for each in told(event):
            if passage[-1:] != [each]:
                passage.append(each)


def longest_common(one: list[Event], other: list[Event]) -> set[int]:
    """Which events of `one`, by their place, are in `other` in the same order; as many as there can be."""
    lengths = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for at in reversed(range(len(one))):
        for there in reversed(range(len(other))):
            same = one[at] == other[there]
            skip = max(lengths[at + 1][there], lengths[at][there + 1])
            lengths[at][there] = max(skip, lengths[at + 1][there + 1] + 1) if same else skip
    found, at, there = set(), 0, 0
    while at < len(one) and there < len(other):
        if one[at] == other[there] and lengths[at][there] == lengths[at + 1][there + 1] + 1:
            found.add(at)
            at, there = at + 1, there + 1
        elif lengths[at + 1][there] >= lengths[at][there + 1]:
            at += 1
        else:
            there += 1
    return found


def differences(log: dict[str, Any]) -> set[str]:
    """What the log says that the script does not, or elsewhere, or by another name."""
    ios = GENERATION[log["file"]]
    chosen = script(ios, "Erase")
    ours = list(played((*chosen.items, *chosen.failed, chosen.final)))
    if chosen.asynchronous:
        ours_beside = {Event(f"operation {RESTORE_IMAGE}"), Event("URLAsset"), Event("SystemImageData")}
    else:
        start = ours.index(Event("0x65b")) + 1
        ours[start:start] = [Event("SystemImageData"), Event(f"operation {RESTORE_IMAGE}")]
        ours_beside = set()
    found = set()
    for passage in passages(log["events"]):
        ordered = [event for event in passage if event not in ours_beside]
        common = longest_common(ordered, ours)
        for at, event in enumerate(ordered):
            if at not in common:
                found.add(f"{event.what} {'is elsewhere' if event in ours else 'is missing'}")
    called = set(names((*chosen.items, *chosen.failed, chosen.final)))
    numbers = {number for number, _ in called}
    for event in log["events"]:
        named = event.get("name") and event.get("name_from") is None and event.get("domain") != "MAIN"
        if named and event["id"] in numbers and (event["id"], event["name"]) not in called:
            found.add(f"{event['hex']} is called {event['name']}")
    return found


@pytest.fixture(scope="module")
def logs() -> dict[str, Any]:
    if not REAL.exists():
        pytest.skip("real logs (../shared/facts/real) are not here")
    return {log["file"]: log for log in json.loads(REAL.read_bytes())}


@pytest.mark.parametrize("file", GENERATION)
def test_a_real_log_contradicts_nothing_unexplained(logs, file):
    assert differences(logs[file]) == set(EXPLAINED.get(file, {}))


def test_every_log_has_its_generation(logs):
    assert set(logs) == set(GENERATION)
    assert set(EXPLAINED) <= set(GENERATION)
    kinds = {event["type"] for log in logs.values() for event in log["events"]}
    heard = {event["type"] for log in logs.values() for event in log["events"] if list(told(event))}
    assert kinds - heard == {"gap", *NOT_OF_THE_PHONE}
