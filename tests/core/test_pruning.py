"""What is deleted when room is needed: never what somebody counts on, and in the order in which it can be missed."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from station.core.pruning import EVERY_MODEL, Kept, Policy, freed_by, pinned, plan, surplus
from station.core.versions import age

MODELS = ("iPhone12,1", "iPhone13,2", "iPhone14,5")
RELEASES = (("18.0", "22A3354"), ("18.7", "22H20"), ("26.0", "23A341"), ("26.2", "23C55"), ("26.2.1", "23C71"))
CONTENTS = "abcdef"

models = st.sampled_from(MODELS)


@st.composite
def stores(draw: st.DrawFn) -> list[Kept]:
    """A few firmwares of which some share contents, each of a size that does not depend on who has it."""
    sizes = {key: draw(st.integers(0, 50)) for key in CONTENTS}
    kept = []
    for number in range(draw(st.integers(0, 7))):
        version, build = draw(st.sampled_from(RELEASES))
        shared = draw(st.sets(st.sampled_from(CONTENTS)))
        kept.append(
            Kept(
                name=f"{build}-{number}",
                version=version,
                build=build,
                product_types=tuple(sorted(draw(st.sets(models, min_size=1)))),
                bytes_of={key: sizes[key] for key in shared} | {f"{number}": draw(st.integers(0, 50))},
                in_use=draw(st.integers(0, 4)) == 0,
                damaged=draw(st.integers(0, 4)) == 0,
            )
        )
    return kept


policies = st.builds(
    Policy,
    seen=st.frozensets(models),
    pins=st.dictionaries(st.sampled_from((*MODELS, EVERY_MODEL)), st.sampled_from([*sum(RELEASES, ())]), max_size=2),
    denied=st.frozensets(st.sampled_from([build for _, build in RELEASES]), max_size=2),
    keep=st.integers(1, 3),
)
wanted = st.integers(-5, 300)


def protected(kept: Sequence[Kept], policy: Policy) -> set[str]:
    """What must stay, said in another way than the code does."""
    names = {each.name for each in kept if each.in_use or pinned(each, policy.pins)}
    for model in policy.seen:
        good = [each for each in kept if model in each.product_types and not each.damaged]
        good = [each for each in good if each.build not in policy.denied]
        good.sort(key=lambda each: (age(each.version, each.build), each.name))
        names |= {each.name for each in good[-policy.keep :]}
    return names


def check(kept: list[Kept], policy: Policy, wanted: int, other: int, random: Random) -> None:
    """Everything that holds for every plan."""
    made = plan(kept, policy, wanted)
    untouchable = protected(kept, policy)
    assert not untouchable & {*made.names, *surplus(kept, policy).names}
    assert made.possible == freed_by(kept, {each.name for each in kept} - untouchable)
    assert made.freed == freed_by(kept, made.names)
    if wanted <= 0 or made.possible < wanted:
        assert not made.names
    else:
        assert freed_by(kept, made.names[:-1]) < wanted <= made.freed
    assert plan(random.sample(kept, len(kept)), policy, wanted) == made
    larger = plan(kept, policy, max(wanted, other))
    if larger.possible >= max(wanted, other):
        assert larger.names[: len(made.names)] == made.names
    before = {key: size for each in kept for key, size in each.bytes_of.items()}
    after = {key: size for each in kept if each.name not in made.names for key, size in each.bytes_of.items()}
    assert made.freed == sum(before.values()) - sum(after.values())


@settings(max_examples=60)
@given(stores(), policies, wanted, wanted, st.randoms())
def test_every_plan(kept, policy, wanted, other, random):
    check(kept, policy, wanted, other, random)


@pytest.mark.long
@pytest.mark.timeout(120)
@settings(max_examples=1500)
@given(stores(), policies, wanted, wanted, st.randoms())
def test_thousands_of_plans(kept, policy, wanted, other, random):
    check(kept, policy, wanted, other, random)


def one(version: str, build: str, *product_types: str, size: int = 10) -> Kept:
    """A firmware that shares nothing."""
    return Kept(name=build, version=version, build=build, product_types=product_types, bytes_of={build: size})


POLICY = Policy(seen=frozenset({"iPhone13,2"}), pins={}, denied=frozenset())
OLD, NEW = one("26.2", "23C55", "iPhone13,2"), one("26.2.1", "23C71", "iPhone13,2")
OLDER = one("18.0", "22A3354", "iPhone13,2")
STRANGER = one("26.2.1", "23C72", "iPhone14,5")
SPOILT = replace(one("26.2.1", "23C73", "iPhone13,2"), damaged=True)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (0, ()),
        (1, ("23C73",)),
        (11, ("23C73", "22A3354")),
        (30, ("23C73", "22A3354", "23C55")),
        (31, ("23C73", "22A3354", "23C55", "23C72")),
        (41, ()),
    ],
)
def test_the_order(wanted, names):
    made = plan([NEW, STRANGER, OLD, OLDER, SPOILT], POLICY, wanted)
    assert (made.names, made.possible) == (names, 40)


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        (POLICY, ("22A3354", "23C55")),
        (replace(POLICY, keep=2), ("22A3354",)),
        (replace(POLICY, pins={"iPhone13,2": "18.0"}), ("23C55",)),
        (replace(POLICY, pins={EVERY_MODEL: "22A3354"}), ("23C55",)),
        (replace(POLICY, pins={"iPhone14,5": "22A3354"}), ("22A3354", "23C55")),
        (replace(POLICY, denied=frozenset({"23C71"})), ("23C71", "22A3354")),
        (replace(POLICY, seen=frozenset()), ("22A3354", "23C55")),
    ],
)
def test_what_nobody_would_miss(policy, names):
    assert surplus([NEW, OLD, OLDER, STRANGER], policy).names == names


def test_a_version_that_is_none_is_the_oldest():
    assert plan([NEW, replace(OLDER, version="?", name="?"), OLD], POLICY, 1).names == ("?",)
