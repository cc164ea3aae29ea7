"""Every scenario that is shipped: read, played with a bare client, and ended as it says."""

import asyncio
import re
from pathlib import Path

import pytest

from station.errors import InputRejected
from station.virtual.scenarios import scenario
from tests.virtual_scenarios.helpers import SECONDS, differs, performance

SHIPPED = scenario.shipped()
QUICK = {"walk-up", "pulled-while-pairing", "swapped", "keyboard", "inward"}
"""The others take seconds: keys of many phones, deadlines of the client."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.system) for name in SHIPPED]
)
@pytest.mark.timeout(60)
async def test_ends_as_it_says(name, monkeypatch):
    played = scenario.read(SHIPPED[name])
    assert played.expect, "what it shows, it must say"
    async with performance(played, monkeypatch) as (player, client):
        assert player.phones.keys() == played.cast.keys()

        def wrong() -> dict[str, str]:
            found = {}
            for each, phone in player.phones.items():
                kind = each if each in played.expect else re.sub(r"-\d+$", "", each)
                if kind in played.expect:
                    found[each] = differs(phone, client.found.get(phone.identity.udid, ""), played.expect[kind])
            return {each: why for each, why in found.items() if why}

        try:
            async with asyncio.timeout(SECONDS), client.changed:
                await client.changed.wait_for(lambda: not wrong())
        except TimeoutError:
            pytest.fail(f"{name}: {wrong()}")


def test_is_the_same_each_time():
    played = scenario.read(SHIPPED["recycling-bench"])
    again = scenario.read(SHIPPED["recycling-bench"])
    assert played.cast == again.cast
    assert len({member.ecid for member in played.cast.values()}) == 10
    assert len({member.model for member in played.cast.values()}) > 3
    assert all(0 < member.arrives < 20 for member in played.cast.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shows = 1", "Expected `str`"),
        ("shows = 'x'", "phones"),
        ("shows = 'x'\nphones = []\nspeed = 2", "speed"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\ncolour = 'red'", "colour"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\nfaults = [{at = 'x', kind = 'explode'}]", "explode"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\nfaults = [{at = 'x', kind = 'unplug', rate = 1}]", "unplug has no rate"),
        (
            "shows = 'x'\n[[phones]]\nname = 'a'\nfaults = [{at = 'x', kind = 'lie', hostile = 'y'}]",
            "no hostile string",
        ),
        ("shows = 'x'\n[[phones]]\nname = 'a'\nfaults = [{at = 'x', kind = 'flap', count = 0}]", "too small"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\nmodels = ['Nokia']", "Nokia"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\npeople = ['Bob']", "Bob"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\ntroubles = ['none']", "none"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\nios = '17'", "VERSION/BUILD"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\nios = '26.x/23B85'", "VERSION/BUILD"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\nmodels = ['iPhone 8']", "no iOS 26.1 for the iPhone 8"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\nsocket = '../x'", "'../x' is no socket"),
        ("shows = 'x'\nphones = []\n[[events]]\ndo = 'drop-hub'\nhub = 'hub'", "'hub' is no socket"),
        ("shows = 'x'\nphones = []\n[[firmware]]\nversion = '26.2'\nbuild = '../x'", "VERSION/BUILD"),
        ("shows = 'x'\nphones = []\npace = -1", "pace"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\ncount = 65", "more than 64"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\ncount = 0", "needs a count"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\ngadget = true", "needs a count"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\n[[phones]]\nname = 'a'", "one name"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\n[[events]]\ndo = 'dance'", "dance"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\n[[events]]\ndo = 'plug'\nphone = 'b'", "'b'"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\n[[events]]\ndo = 'plug'\nphone = 'a'\nafter = 'a'", "PHONE STEP"),
        ("shows = 'x'\n[[phones]]\nname = 'a'\n[expect.b]\nmode = 'normal'", "'b'"),
        ("shows = ", "no scenario"),
    ],
)
def test_says_what_is_wrong_with_a_file(tmp_path, text, words):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputRejected) as refusal:
        scenario.find(str(path))
    assert str(path) in str(refusal.value)
    assert words in str(refusal.value)


def test_says_that_there_is_none(tmp_path: Path):
    with pytest.raises(InputRejected, match="no scenario 'tea-party'"):
        scenario.find("tea-party")
    with pytest.raises(InputRejected, match="cannot be read"):
        scenario.find(str(tmp_path / "none.toml"))
