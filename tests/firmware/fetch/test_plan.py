"""What is wrong with a zip is known from its end, before anything else of it is fetched."""

import plistlib
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.adapters.fetch.plan import Plan, check_manifest, read_plan
from station.adapters.ipsw import MANIFEST
from station.errors import InputRejected
from tests.firmware import test_hostile_ipsw as hostile
from tests.firmware.fetch.conftest import MANIFEST_DATA, mixed, offer_of
from tests.firmware.fetch.zips import Made, make_zip, text

GOOD = make_zip(mixed())


def planned(data: bytes) -> Plan:
    return read_plan(len(data), lambda start, end: data[start:end])


def test_the_good_one(tmp_path):
    plan = planned(GOOD)
    assert [part.name for part in plan.parts] == [made.name for made in mixed()]
    assert GOOD.endswith(plan.tail)
    (tmp_path / "good").write_bytes(GOOD)
    assert check_manifest(plan, offer_of(tmp_path / "good", ""), lambda start, end: GOOD[start:end]) == MANIFEST_DATA


@pytest.mark.parametrize("far", [True, False])
def test_a_long_table_is_fetched_whole(far):
    names = [MANIFEST, *(f"{'n' * 190}{number}" for number in range(1400))]
    data = make_zip([Made(name, b"", None, descriptor=False, far=False, gap=0) for name in names], far=far)
    asked = []

    def read(start: int, end: int) -> bytes:
        asked.append((start, end))
        return data[start:end]

    assert len(read_plan(len(data), read).parts) == 1401
    assert len(asked) == 2
    assert asked[1][1] == asked[0][0]


def test_more_than_any_firmware_has_is_refused():
    """A server that alone says how long the file is could have it come without end."""
    with pytest.raises(InputRejected, match="too large"):
        read_plan(1 << 59, lambda start, end: GOOD.rjust(end - start, b"\0")[start - end :])


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a//b", "a\\b", "os.dmg/inside"])
def test_names_that_lead_elsewhere(tmp_path, name):
    with pytest.raises(InputRejected, match=r"forbidden name|is a file"):
        planned(hostile.zipped(tmp_path / "zip", (name, b"x")).read_bytes())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (hostile.say_encrypted, "encrypted"),
        (hostile.say_many, "more than"),
        (hostile.say_huge_table, "more than"),
        (hostile.say_zip64_many, "more than"),
        (hostile.say_longer, "two lengths"),
        (hostile.overlap, "overlap"),
        (hostile.cut, "no zip file|damaged"),
    ],
)
def test_lies_in_the_table(tmp_path, change, why):
    with pytest.raises(InputRejected, match=why):
        planned(hostile.patched(tmp_path / "zip", change).read_bytes())


@pytest.mark.system
def test_a_bomb(tmp_path):
    bomb = hostile.zipped(tmp_path / "zip", ("zeros", b"\0" * (30 << 20)), packed=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputRejected, match="far more than it is"):
        planned(bomb.read_bytes())


def test_two_entries_in_one_place():
    names = (MANIFEST, "other")
    data = bytearray(make_zip([Made(name, text(1, 400), None, descriptor=False, far=False, gap=0) for name in names]))
    assert len(planned(bytes(data)).parts) == 2
    at = data.rindex(b"PK\1\2") + 42
    data[at : at + 4] = (9).to_bytes(4, "little")
    with pytest.raises(InputRejected, match="overlap"):
        planned(bytes(data))


def test_a_manifest_that_is_incomplete(tmp_path):
    data = make_zip([made for made in mixed() if made.name != "os.dmg"])
    (tmp_path / "zip").write_bytes(data)
    with pytest.raises(InputRejected, match=r"'os\.dmg' is missing"):
        check_manifest(planned(data), offer_of(tmp_path / "zip", ""), lambda start, end: data[start:end])


def test_a_manifest_for_other_phones(tmp_path):
    other = plistlib.dumps(plistlib.loads(MANIFEST_DATA) | {"SupportedProductTypes": ["iPhone14,5"]})
    data = make_zip([*(made for made in mixed() if made.name != MANIFEST), Made(MANIFEST, other, (), False, False, 0)])
    (tmp_path / "zip").write_bytes(data)
    with pytest.raises(InputRejected, match="not for iPhone13,2"):
        check_manifest(planned(data), offer_of(tmp_path / "zip", ""), lambda start, end: data[start:end])


@pytest.mark.system
@given(st.lists(st.tuples(st.integers(1, 1200), st.integers(0, 255)), min_size=1, max_size=4))
def test_whatever_the_end_says(changes):
    data = bytearray(GOOD)
    for at, value in changes:
        data[-at] = value
    with suppress(InputRejected):
        plan = planned(bytes(data))
        assert all(0 <= part.offset <= part.offset + part.packed <= plan.total for part in plan.parts)
