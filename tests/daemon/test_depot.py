"""What the store, the lists and the settings mean together."""

import dataclasses
import fcntl
import os
import shutil
import time
from collections import namedtuple
from collections.abc import Collection
from pathlib import Path
from typing import cast

import msgspec
import pytest
from msgspec.structs import replace

from station.adapters.catalogs import Catalogs, Known
from station.adapters.fetch import FetchRules
from station.adapters.firmware import RESERVE, FirmwareStore
from station.core.pruning import Kept
from station.core.supplying import CLOCK_WRONG, UNREACHABLE
from station.daemon.chosen import ChosenFirmware
from station.daemon.depot import Depot
from station.daemon.supply_settings import Supply
from station.errors import Refused, StorageError, Unreachable
from station.fetcher.__main__ import Errand
from station.model.catalog import Arrival, ArrivalState, FirmwareHosts, Offer, Source
from station.model.firmware import Firmware
from tests.core.helpers import FIRMWARE

TWELVE = "iPhone13,2"
RULES = FetchRules(hosts=FirmwareHosts())
GB = 1 << 30


def offer(version: str, build: str) -> Offer:
    return Offer(
        version=version,
        build=build,
        product_types=(TWELVE,),
        url=f"https://updates.cdn-apple.com/{build}.ipsw",
        size=8 * GB,
        sha256=f"{int(build[:2]):064x}",
        signed=True,
        sources=(Source.IPSW_ME, Source.APPLEDB),
        confirmed=True,
    )


OLD, NEW, STRANGE = offer("26.1", "23B85"), offer("26.3", "23D30"), offer("99.1", "99A1")


class Lists:
    """Lists that say what a test wants."""

    def __init__(self, *offers: Offer, asked: float | None = None, reached: bool = True) -> None:
        checked = {} if asked is None else {Source.IPSW_ME: asked}
        configured = (Source.IPSW_ME, Source.APPLEDB)
        self._known = Known(
            offers=offers, checked=checked, configured=configured, reached=configured if reached else ()
        )

    def known(self) -> Known:
        return self._known

    def refresh(self, product_types: Collection[str]) -> Known:
        del product_types
        return self._known


class Store(FirmwareStore):
    """One with firmware that a test names, and nothing on the disk."""

    firmware: tuple[Firmware, ...] = ()
    removed: tuple[str, ...] = ()

    def list(self):
        return [*self.firmware]


def depot(tmp_path, lists: Lists, *here: Firmware, **settings: object) -> Depot:
    wanted = Supply.model_validate(settings)
    store = Store(tmp_path / "firmware")
    store.firmware = here
    chosen = ChosenFirmware(store, pins=wanted.pins, denied=wanted.denied)
    return Depot(store, chosen, cast("Catalogs", lists), rules=RULES, settings=wanted)


def test_the_newest_is_picked_or_what_is_pinned_or_asked_for(tmp_path):
    now = time.time()
    assert depot(tmp_path, Lists(NEW, OLD, asked=now)).pick(TWELVE, "", False) == NEW
    assert depot(tmp_path, Lists(NEW, OLD, asked=now), denied=["23D30"]).pick(TWELVE, "", False) == OLD
    pinned = depot(tmp_path, Lists(NEW, OLD, asked=now), pins={"all": "26.1"})
    assert pinned.pick(TWELVE, "", False) == OLD
    assert pinned.pick(TWELVE, "23D30", False) == NEW


def test_nobody_fetches_unattended_what_one_list_alone_knows(tmp_path):
    alone = replace(NEW, sources=(Source.IPSW_ME,), confirmed=False)
    lists = depot(tmp_path, Lists(alone, asked=time.time()))
    assert not isinstance(lists.pick(TWELVE, "", False), Offer)
    assert lists.pick(TWELVE, "", True) == alone


def test_why_there_is_nothing_is_said(tmp_path):
    assert depot(tmp_path, Lists()).pick(TWELVE, "", False) == UNREACHABLE
    found = depot(tmp_path, Lists(asked=time.time())).pick(TWELVE, "", False)
    assert not isinstance(found, Offer)
    assert found.title == "No list has firmware for this model."


def test_lists_that_cannot_be_reached_are_told(tmp_path):
    with pytest.raises(Unreachable):
        depot(tmp_path, Lists(reached=False)).refresh([TWELVE])
    depot(tmp_path, Lists()).refresh([TWELVE])


def test_how_old_the_lists_are(tmp_path):
    assert depot(tmp_path, Lists()).age() is None
    age = depot(tmp_path, Lists(asked=time.time() - 100)).age()
    assert age is not None
    assert 100 <= age < 110
    assert depot(tmp_path, Lists(asked=time.time() + 100)).age() == 0


def test_what_is_here_is_what_may_be_installed(tmp_path):
    assert depot(tmp_path, Lists(), FIRMWARE).here(TWELVE, "")
    assert depot(tmp_path, Lists(), FIRMWARE).here(TWELVE, "23C55")
    assert not depot(tmp_path, Lists(), FIRMWARE).here(TWELVE, "23D30")
    assert not depot(tmp_path, Lists(), FIRMWARE).here("iPhone10,1", "")
    assert not depot(tmp_path, Lists(), FIRMWARE, pins={"all": "26.1"}).here(TWELVE, "")
    assert not depot(tmp_path, Lists(), FIRMWARE, denied=["23C55"]).here(TWELVE, "")


def test_what_apple_does_not_sign_any_more_is_as_if_not_here_where_there_is_something_else(tmp_path):
    now, ours = time.time(), offer(FIRMWARE.version, FIRMWARE.build)
    unsigned = replace(ours, signed=False)
    assert depot(tmp_path, Lists(NEW, ours, asked=now), FIRMWARE).here(TWELVE, "")
    assert depot(tmp_path, Lists(NEW, replace(ours, signed=None), asked=now), FIRMWARE).here(TWELVE, "")
    assert not depot(tmp_path, Lists(NEW, unsigned, asked=now), FIRMWARE).here(TWELVE, "")
    assert depot(tmp_path, Lists(NEW, unsigned, asked=now), FIRMWARE).here(TWELVE, FIRMWARE.build)
    assert depot(tmp_path, Lists(unsigned, asked=now), FIRMWARE).here(TWELVE, "")
    assert depot(tmp_path, Lists(NEW, unsigned, asked=now), FIRMWARE, pins={"all": "26.2"}).here(TWELVE, "")


def test_what_is_out_is_told_of_models_that_were_seen(tmp_path):
    lists = Lists(NEW, asked=time.time())
    told = depot(tmp_path, lists, FIRMWARE).notices([TWELVE])
    assert told == ("iOS 26.3 is out. This station has 26.2 for 1 model.",)
    assert depot(tmp_path, lists, FIRMWARE).notices(["iPhone10,1"]) == ()
    assert depot(tmp_path, lists, FIRMWARE, pins={"all": "26.2"}).notices([TWELVE]) == ()
    beyond = depot(tmp_path, Lists(STRANGE, asked=time.time()), FIRMWARE).notices([TWELVE])
    assert beyond[0].endswith("This station has not installed iOS 99.1 before. Update its software first.")


def test_what_is_doubtful_about_what_would_be_fetched_is_told(tmp_path):
    doubtful = replace(NEW, confirmed=False, sources=(Source.APPLEDB,))
    lists = Lists(doubtful, asked=time.time())
    says = "Only AppleDB vouches for it."
    (out,) = depot(tmp_path, lists, FIRMWARE).notices([TWELVE])
    assert out == f"iOS 26.3 is out. This station has 26.2 for 1 model. {says}"
    assert depot(tmp_path, lists).notices([TWELVE]) == (f"iOS 26.3 (23D30): {says}",)
    assert depot(tmp_path, Lists(NEW, asked=time.time())).notices([TWELVE]) == ()
    here = replace(doubtful, version=FIRMWARE.version, build=FIRMWARE.build)
    assert depot(tmp_path, Lists(here, asked=time.time()), FIRMWARE).notices([TWELVE]) == ()


def test_a_clock_that_is_far_behind_is_why_nothing_is_picked(tmp_path):
    lists = Lists(NEW)
    lists._known = dataclasses.replace(lists._known, clock_wrong=True)
    assert depot(tmp_path, lists).pick("iPhone10,1", "", False) == CLOCK_WRONG


def test_old_lists_are_told(tmp_path):
    days = depot(tmp_path, Lists(asked=time.time() - 3 * 86400)).notices([TWELVE])
    assert days == ("The lists of firmware are 3 days old.",)


def free(monkeypatch, count: int) -> None:
    usage = namedtuple("usage", "free")  # noqa: PYI024 (as shutil has it)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(count))


@pytest.mark.parametrize(("count", "removes"), [(20 * GB, False), (2 * GB, True)])
def test_room_is_made_only_when_it_is_needed(tmp_path, monkeypatch, count, removes):
    free(monkeypatch, count)
    asked: list[Collection[str]] = []

    def kept(store: FirmwareStore, in_use: Collection[str]) -> list[Kept]:
        del store
        asked.append(in_use)
        return []

    monkeypatch.setattr(FirmwareStore, "kept", kept)
    depot(tmp_path, Lists()).make_room(NEW, frozenset({FIRMWARE.directory}), {TWELVE})
    assert bool(asked) is removes
    if removes:
        assert asked[0] == {"23C55"}


def begun(tmp_path, offer: Offer, done: int, idle: int) -> Path:
    """What there is of a download: 1 MiB of its files, last gone on with so many seconds ago."""
    directory: Path = tmp_path / "firmware" / f".fetch-{offer.id}"
    (directory / "ipsw").mkdir(parents=True)
    (directory / "ipsw" / "os.dmg").write_bytes(bytes(1 << 20))
    arrival = Arrival(
        version=offer.version,
        build=offer.build,
        product_types=offer.product_types,
        state=ArrivalState.FETCHING,
        done=done,
        total=offer.size,
    )
    (directory / "lock").touch()
    (directory / "progress.json").write_bytes(msgspec.json.encode(arrival))
    for path in (directory / "progress.json", directory):
        os.utime(path, (time.time() - idle, time.time() - idle))
    return directory


def test_what_is_left_of_other_downloads_makes_room(tmp_path, monkeypatch):
    """The longest left one first, no more than needed, and never one that goes on."""
    mine, older = begun(tmp_path, NEW, 4 * GB, 9000), begun(tmp_path, OLD, 4 * GB, 8000)
    other, held = begun(tmp_path, replace(OLD, build="23B1"), 1, 7000), begun(tmp_path, STRANGE, 1, 9999)
    lock = os.open(held / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    free(monkeypatch, 4 * GB + RESERVE + 1)
    depot(tmp_path, Lists()).make_room(NEW, frozenset(), {TWELVE})
    assert [each.exists() for each in (mine, older, other, held)] == [True] * 4
    free(monkeypatch, 4 * GB + RESERVE - 5)
    depot(tmp_path, Lists()).make_room(NEW, frozenset(), {TWELVE})
    assert [each.exists() for each in (mine, older, other, held)] == [True, False, True, True]
    free(monkeypatch, 0)
    depot(tmp_path, Lists()).make_room(NEW, frozenset(), {TWELVE})
    assert [each.exists() for each in (mine, older, other, held)] == [True, False, False, True]
    os.close(lock)


def test_another_file_of_the_same_build_says_nothing_of_this_one(tmp_path, monkeypatch):
    again = replace(NEW, sha256="f" * 64)
    left = begun(tmp_path, again, 8 * GB, 50)
    free(monkeypatch, RESERVE)
    here = depot(tmp_path, Lists())
    assert here.arrival(NEW) is None
    assert here.arrival(again) is not None
    here.make_room(NEW, frozenset(), {TWELVE})
    assert not left.exists()


def test_a_disk_that_is_not_there_is_said(tmp_path):
    (tmp_path / "firmware").touch()
    with pytest.raises(StorageError, match="cannot be used"):
        depot(tmp_path, Lists()).make_room(NEW, frozenset(), {TWELVE})


def test_the_order_is_what_the_fetcher_understands(tmp_path):
    order = msgspec.json.decode(depot(tmp_path, Lists()).order(NEW), type=Errand)
    assert (order.offer, order.rules, order.store) == (NEW, RULES, str(tmp_path / "firmware"))


def test_what_is_pinned_or_not_there_is_not_removed(tmp_path):
    store = Store(tmp_path)
    store.firmware = (FIRMWARE,)
    chosen = ChosenFirmware(store, pins={"all": "26.2"}, denied=())
    with pytest.raises(Refused, match="A pin"):
        chosen.discard("23C55")
    with pytest.raises(Refused, match="not here"):
        chosen.discard("23D30-1")
