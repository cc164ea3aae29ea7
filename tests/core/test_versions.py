"""Which version, and which build, is newer."""

import pytest

from station.core.versions import age, build_order, installable, is_build, is_version, version_order
from station.errors import InputRejected


def test_a_beta_is_older_than_what_came_of_it():
    assert sorted(["23C52", "23C5044b", "23D8133", "23C55", "23C5027f", "23D127"], key=build_order) == [
        "23C5027f",
        "23C5044b",
        "23C52",
        "23C55",
        "23D127",
        "23D8133",
    ]


def test_a_version_counts_before_its_build():
    assert age("26.3", "23D5103d") > age("26.2.1", "23C71")


@pytest.mark.parametrize("text", ["", "26.", ".2", "26.2 beta", "1.2.3.4.5", "٢٦", "9999"])
def test_what_is_no_version(text):
    assert not is_version(text)
    assert installable(text)
    with pytest.raises(InputRejected, match="is no version number"):
        version_order(text)


@pytest.mark.parametrize("text", ["", "23", "C71", "23c71", "23C71ab", "23C71/..", "26.2"])
def test_what_is_no_build(text):
    assert not is_build(text)
    with pytest.raises(InputRejected, match="is no build number"):
        build_order(text)


def test_what_is_known_to_be_installed():
    assert [version for version in ("12.5.7", "13.0", "27.1", "28.0") if not installable(version)] == ["12.5.7", "28.0"]
