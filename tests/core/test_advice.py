"""What is advised, walked down every ladder to its end."""

from collections.abc import Iterator

import pytest

from station.core import advice
from station.core.advice import MODE_OF, SHUT, TABLE, Condition, Key, Rung, key, left
from station.model.consent import ALLOWED, DESTRUCTIVE
from station.model.guide import Target
from station.model.service import SERVICES, Keeps, Service
from station.model.symptoms import SYMPTOM_WORDS, Symptom

WANTS_AN_ERASE = {Symptom.SELLING}
LOCKED_OUT = {Symptom.FORGOTTEN_PASSCODE, Symptom.DISABLED}
"""Nothing but an erase takes a passcode away."""


def destroys(rung: Rung) -> bool:
    return rung.service is not None and bool(ALLOWED[rung.service] & DESTRUCTIVE)


def after(rung: Rung, tried: frozenset[Key], condition: Condition) -> Iterator[tuple[Condition, frozenset[Key]]]:
    """What can be after a rung: it did not help, or its presses led where they lead."""
    yield condition, tried | {key(rung)}
    if rung.guide in (Target.RECOVERY, Target.DFU):
        led = Key(service=Service.RESCUE) if rung.guide is Target.RECOVERY else Key(guide=Target.RESTART)
        yield Condition(rung.guide.value), tried | {led}


@pytest.mark.parametrize("symptom", Symptom)
def test_every_way_down_has_an_end(symptom):
    for condition in Condition:
        walk_down(symptom, condition)


def walk_down(symptom, condition):
    """Depth first through everything that can be answered, "did not help" each time."""
    open_ways: list[tuple[Condition, frozenset[Key], int]] = [(condition, frozenset(), 0)]
    seen = set()
    ends = set()
    while open_ways:
        where, tried, deep = open_ways.pop()
        if (where, tried) in seen:
            continue
        seen.add((where, tried))
        assert deep < 40, "it goes round in circles"
        ladder = left(symptom, where, tried)
        view = advice.view(symptom, ladder)
        rung = ladder[0]
        assert view.ended is rung.end
        assert 20 < len(view.says) < 240, view.says
        if rung.end:
            assert view.services == ()
            assert view.guide is None
            ends.add(rung.says)
            continue
        open_ways += [(there, known, deep + 1) for there, known in after(rung, tried, where)]
    assert ends


@pytest.mark.parametrize("condition", Condition)
def test_nothing_is_advised_that_cannot_begin(condition):
    for symptom in Symptom:
        _nothing_is_advised_that_cannot_begin(symptom, condition)


def _nothing_is_advised_that_cannot_begin(symptom, condition):
    for rung in TABLE[symptom][condition]:
        if rung.service is None:
            continue
        mode = MODE_OF[condition]
        assert mode is not None, "no service reaches a phone that USB does not show"
        assert mode in SERVICES[rung.service].modes
        assert condition not in SHUT, "it does not talk to the station"
        assert rung.options.stay_in_recovery <= (rung.service is Service.RESCUE)


@pytest.mark.parametrize("condition", Condition)
def test_presses_lead_to_somewhere_else(condition):
    for symptom in Symptom:
        _presses_lead_to_somewhere_else(symptom, condition)


def _presses_lead_to_somewhere_else(symptom, condition):
    for rung in TABLE[symptom][condition]:
        if rung.guide is not None:
            assert rung.guide.value != condition.value
            assert rung.service is None
            assert not rung.end


@pytest.mark.parametrize("condition", Condition)
def test_no_erase_before_something_gentler(condition):
    for symptom in Symptom:
        _no_erase_before_something_gentler(symptom, condition)


def _no_erase_before_something_gentler(symptom, condition):
    ladder = TABLE[symptom][condition]
    first = next((number for number, rung in enumerate(ladder) if destroys(rung)), None)
    if first is None:
        return
    before = ladder[:first]
    assert before, "an erase is nobody's first try"
    kept = {rung.service for rung in before} - {None}
    assert all(SERVICES[service].keeps is not Keeps.NOTHING for service in kept if service is not None)
    if condition in (Condition.READABLE, Condition.CLAIMED):
        assert Service.BACKUP in kept, "what can be read is saved first"
    if symptom not in WANTS_AN_ERASE | LOCKED_OUT:
        assert Service.REINSTALL in kept, "the data may be kept"
    if condition is Condition.RECOVERY and symptom not in LOCKED_OUT:
        assert Service.RESCUE in kept
    if condition is Condition.DFU and symptom not in LOCKED_OUT:
        assert any(rung.guide is Target.RESTART for rung in before)


@pytest.mark.parametrize("condition", Condition)
def test_the_gentler_comes_first(condition):
    for symptom in Symptom:
        _the_gentler_comes_first(symptom, condition)


def _the_gentler_comes_first(symptom, condition):
    """Services in a ladder never go back to keeping more, but for putting a backup before what risks data."""
    weight = [Keeps.ALL, Keeps.MEANT_TO, Keeps.REPLACED, Keeps.NOTHING]
    services = [rung.service for rung in TABLE[symptom][condition] if rung.service is not None]
    weights = [weight.index(SERVICES[service].keeps) for service in services]
    assert weights == sorted(weights)
    assert len(set(services)) == len(services)


@pytest.mark.parametrize("condition", Condition)
def test_a_ladder_ends_with_its_only_end(condition):
    for symptom in Symptom:
        _a_ladder_ends_with_its_only_end(symptom, condition)


def _a_ladder_ends_with_its_only_end(symptom, condition):
    ladder = TABLE[symptom][condition]
    assert [rung.end for rung in ladder] == [False] * (len(ladder) - 1) + [True]
    assert len({key(rung) for rung in ladder}) == len(ladder)
    for rung in ladder:
        assert len(rung.says) < 160
        assert rung.says[0].isupper()
        assert rung.says.endswith((".", "?"))


@pytest.mark.parametrize("condition", [Condition.UNTRUSTED, Condition.LOCKED, Condition.SILENT, Condition.AWAY])
def test_a_phone_that_does_not_talk_has_a_way(condition):
    for symptom in Symptom:
        ladder = left(symptom, condition, frozenset())
        assert any(rung.guide is Target.RECOVERY for rung in ladder), f"{symptom}: by its buttons it can be reached"


def test_every_symptom_is_in_the_table():
    assert TABLE.keys() == set(Symptom)
    assert all(TABLE[symptom].keys() == set(Condition) for symptom in Symptom)
    assert SYMPTOM_WORDS.keys() == set(Symptom)


def test_a_dead_screen_is_backed_up_before_it_is_restarted():
    services = [rung.service for rung in TABLE[Symptom.DEAD_SCREEN][Condition.READABLE]]
    assert services.index(Service.BACKUP) < services.index(Service.RESTART)


def test_a_loop_is_caught_and_kept_in_recovery():
    for condition in (Condition.READABLE, Condition.AWAY, *SHUT):
        assert TABLE[Symptom.BOOT_LOOP][condition][0].guide is Target.RECOVERY
    first = left(Symptom.BOOT_LOOP, Condition.RECOVERY, {Key(service=Service.RESCUE)})[0]
    assert first.service is Service.RESCUE
    assert first.options.stay_in_recovery, "whoever led it there wants it to stay"


@pytest.mark.parametrize("symptom", [Symptom.SELLING, Symptom.NOT_ACTIVATING])
def test_a_claimed_phone_is_not_erased_for_nothing(symptom):
    assert not any(destroys(rung) for rung in TABLE[symptom][Condition.CLAIMED])


def test_presses_into_a_mode_in_which_nothing_is_left_are_not_advised():
    tried = frozenset(key(rung) for rung in TABLE[Symptom.FROZEN][Condition.RECOVERY] if rung.service is not None)
    ladder = left(Symptom.FROZEN, Condition.SILENT, tried)
    assert Target.RECOVERY not in [rung.guide for rung in ladder]
    assert Target.DFU in [rung.guide for rung in ladder], "a restore from DFU mode is worth another try"
