"""What several lists say together, what a model is given of it, and lists that were turned back."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from station.core.catalog import Choice, Merged, beyond, choose, merge, newer
from station.core.models import model_name, models_named
from station.core.rollback import Newest, forget, remember, turned_back
from station.core.versions import age
from station.model.catalog import Offer, Source
from station.model.firmware import Firmware

PHONE, OTHER = "iPhone13,2", "iPhone14,5"
BUILDS = {"23D5103d": "26.3", "23D127": "26.3", "23C71": "26.2.1", "23C55": "26.2", "28A100": "31.0"}


def offer(build: str = "23C71", *sources: Source, **changes) -> Offer:
    """What a list says; all lists say the same of a build."""
    number = list(BUILDS).index(build)
    whole = Offer(
        version=BUILDS[build],
        build=build,
        product_types=(PHONE,),
        url=f"https://updates.cdn-apple.com/a/{build}_Restore.ipsw",
        size=9_000_000_000 + number,
        sha256=f"{number:064x}",
        sha1=f"{number:040x}",
        released="2026-01-26",
        signed=True,
        sources=sources or (Source.IPSW_ME,),
        beta=build == "23D5103d",
    )
    return replace(whole, **changes)


def everywhere(build: str, **changes) -> list[Offer]:
    return [offer(build, source, **changes) for source in Source]


opinions = st.lists(
    st.builds(
        lambda build, source, changes: offer(build, source, **changes),
        st.sampled_from(list(BUILDS)),
        st.sampled_from(Source),
        st.fixed_dictionaries(
            {},
            optional={
                "product_types": st.sampled_from([(PHONE,), (OTHER,), (PHONE, OTHER)]),
                "size": st.sampled_from([0, 0, 5]),
                "sha256": st.sampled_from(["", "f" * 64]),
                "url": st.sampled_from(["http://mirror/23C71_Restore.ipsw", "https://updates.cdn-apple.com/b.ipsw"]),
                "version": st.just("26.4"),
                "signed": st.sampled_from([None, True, False]),
                "beta": st.booleans(),
            },
        ),
    ),
    max_size=14,
)
choices = st.builds(
    Choice,
    pins=st.dictionaries(
        st.sampled_from([PHONE, OTHER, "all"]), st.sampled_from(["26.2", "26.2.1", "26.3", *BUILDS]), max_size=2
    ),
    denied=st.sets(st.sampled_from(list(BUILDS)), max_size=3),
    build=st.sampled_from(["", "", "", "26.2.1", "23D5103d"]),
    unattended=st.booleans(),
    catalogs=st.integers(1, 3),
)


@settings(max_examples=40)
@given(opinions, st.randoms(use_true_random=False))
def test_the_order_of_what_is_said_does_not_matter(said, rng: random.Random):
    shuffled = [*said, *said[:3]]
    rng.shuffle(shuffled)
    assert merge(shuffled) == merge(said)


@settings(max_examples=40)
@given(opinions)
def test_to_merge_again_changes_nothing(said):
    merged = merge(said)
    assert merge(merged.offers) == Merged(offers=merged.offers)


@settings(max_examples=40)
@given(opinions)
def test_one_offer_for_each_file_of_each_model(said):
    merged = merge(said)
    models = [(each.build, model) for each in merged.offers for model in each.product_types]
    digests = [each.sha256 for each in merged.offers if each.sha256]
    assert len(models) == len(set(models))
    assert len(digests) == len(set(digests))
    assert {(each.build, model) for each in said for model in each.product_types} == {
        *models,
        *((each.build, model) for each in merged.contradictions for model in each.product_types),
    }


@settings(max_examples=40)
@given(opinions)
def test_nothing_is_offered_about_which_two_disagree(said):
    for each in merge(said).offers:
        about = [one for one in said if one.build == each.build and set(one.product_types) & set(each.product_types)]
        assert about
        for name in ("version", "sha256", "sha1", "size"):
            told = {getattr(one, name) for one in about} - {"", 0}
            assert told <= {getattr(each, name)}, name
        assert {source for one in about for source in one.sources} <= set(each.sources)


@settings(max_examples=40)
@given(opinions, choices, st.sampled_from([PHONE, OTHER]))
def test_what_is_chosen(said, choice, product_type):
    merged = merge(said)
    chosen = choose(merged.offers, product_type, choice, merged.contradictions)
    assert choose(merged.offers[::-1], product_type, choice, merged.contradictions) == chosen
    if chosen.offer is None:
        assert chosen.reason
        assert chosen.remedy
        return
    assert chosen.offer in merged.offers
    assert product_type in chosen.offer.product_types
    assert chosen.offer.build not in choice.denied
    assert chosen.offer.confirmed or not choice.unattended or choice.catalogs == 1
    wanted = choice.build or choice.pins.get(product_type) or choice.pins.get("all")
    if wanted:
        assert wanted in (chosen.offer.version, chosen.offer.build)
    if wanted != chosen.offer.build:
        assert not chosen.offer.beta
    if not wanted:
        assert chosen.offer.signed is not False
        better = [
            each
            for each in merged.offers
            if product_type in each.product_types
            and not each.beta
            and each.signed is not False
            and each.build not in choice.denied
            and (each.confirmed or not choice.unattended or choice.catalogs == 1)
        ]
        assert all(age(each.version, each.build) <= age(chosen.offer.version, chosen.offer.build) for each in better)


def test_what_three_say_is_put_together():
    (together,) = merge(
        [
            offer("23C71", Source.APPLE, sha256="", size=0, released="", signed=None),
            offer("23C71", Source.IPSW_ME, sha256="", url="http://appldnld.apple.com/23C71_Restore.ipsw"),
            offer("23C71", Source.APPLEDB, product_types=(OTHER, PHONE), signed=False, released="2026-01-25"),
        ]
    ).offers
    assert together == offer("23C71", *Source, product_types=(PHONE, OTHER), released="2026-01-25", confirmed=True)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"sha256": "e" * 64}, "the SHA-256"),
        ({"sha1": "e" * 40, "size": 5}, "the size and the SHA-1"),
        ({"version": "26.9"}, "the version"),
        ({"build": "23C55"}, "the build"),
        ({"url": "https://updates.cdn-apple.com/other.ipsw", "sha1": "", "sha256": "", "size": 0}, "the file"),
    ],
)
def test_a_contradiction_is_told(change, what):
    merged = merge([offer("23C71", Source.APPLE), replace(offer("23C71", Source.APPLEDB), **change)])
    assert merged.offers == ()
    assert {each.build for each in merged.contradictions} == {"23C71", change.get("build", "23C71")}
    contradiction = merged.contradictions[0]
    assert contradiction.says.startswith(f"Apple and AppleDB do not agree about {what} of iOS ")
    assert contradiction.says.endswith(f"for {PHONE}. It is not used.")


def test_one_that_contradicts_itself():
    (contradiction,) = merge([offer(), offer(sha1="e" * 40)]).contradictions
    assert contradiction.says.startswith("ipsw.me contradicts itself about the SHA-1")


@pytest.mark.parametrize(
    ("said", "choice", "given_", "reason"),
    [
        ([*everywhere("23C71"), *everywhere("23C55")], Choice(), "23C71", ""),
        ([*everywhere("23D5103d"), *everywhere("23C71")], Choice(), "23C71", ""),
        ([*everywhere("23D5103d"), *everywhere("23C71")], Choice(pins={PHONE: "23D5103d"}), "23D5103d", ""),
        ([*everywhere("23D5103d")], Choice(pins={PHONE: "26.3"}), "", "gives this model iOS 26.3 and nothing else"),
        ([*everywhere("23C71"), *everywhere("23C55")], Choice(pins={"all": "26.2"}), "23C55", ""),
        ([*everywhere("23C71"), *everywhere("23C55")], Choice(pins={"all": "26.2", PHONE: "23C71"}), "23C71", ""),
        ([*everywhere("23C71")], Choice(pins={"all": "26.2"}), "", "no list has it"),
        ([*everywhere("23C71")], Choice(build="26.2"), "", "No list has iOS 26.2 for this model."),
        ([*everywhere("23C71")], Choice(build="23C71", denied={"23C71"}), "", "iOS 26.2.1 (23C71) is denied here."),
        ([*everywhere("23C71"), *everywhere("23C55")], Choice(denied={"23C71"}), "23C55", ""),
        ([*everywhere("23C71")], Choice(denied={"23C71"}), "", "All that Apple signs for this model is denied here"),
        ([*everywhere("23C71", signed=False), *everywhere("23C55")], Choice(), "23C55", ""),
        ([*everywhere("23C71", signed=False)], Choice(), "", "Apple signs no firmware for this model any more"),
        ([offer("23D127"), *everywhere("23C71")], Choice(), "23C71", ""),
        ([offer("23D127"), *everywhere("23C71")], Choice(unattended=False), "23D127", ""),
        ([offer("23D127")], Choice(), "", "Only ipsw.me vouches for iOS 26.3 (23D127) so far."),
        ([offer("23D127")], Choice(catalogs=1), "23D127", ""),
        ([offer("23D127")], Choice(build="23D127"), "", "Only ipsw.me vouches for iOS 26.3 (23D127) so far."),
        ([], Choice(), "", "No list has firmware for this model."),
        (
            [offer("23C71", Source.APPLE), offer("23C71", sha1="e" * 40)],
            Choice(),
            "",
            "Apple and ipsw.me do not agree about the SHA-1",
        ),
        (
            [offer("23C71", Source.APPLE), offer("23C71", sha1="e" * 40), *everywhere("23C55")],
            Choice(pins={"all": "26.2.1"}),
            "",
            "Apple and ipsw.me do not agree about the SHA-1",
        ),
    ],
)
def test_choices(said, choice, given_, reason):
    merged = merge(said)
    chosen = choose(merged.offers, PHONE, choice, merged.contradictions)
    assert (chosen.offer.build if chosen.offer else "") == given_
    assert reason in chosen.reason
    assert bool(reason) == bool(chosen.reason)


@pytest.mark.parametrize(
    ("said", "choice", "warning"),
    [
        (everywhere("23C71"), Choice(), ""),
        ([offer("23D127"), *everywhere("23C71")], Choice(), "iOS 26.3 is out, and only ipsw.me vouches for it."),
        ([offer("23D127")], Choice(unattended=False), "Only ipsw.me vouches for it."),
        (everywhere("23C71", signed=False), Choice(build="23C71"), "Apple does not sign it any more."),
        (everywhere("28A100"), Choice(), "This station has not installed iOS 31.0 before. Update its software first."),
        (
            [offer("23D127", Source.APPLE), offer("23D127", sha1="e" * 40), *everywhere("23C71")],
            Choice(),
            "do not agree about the SHA-1 of iOS 26.3 (23D127)",
        ),
    ],
)
def test_warnings(said, choice, warning):
    merged = merge(said)
    chosen = choose(merged.offers, PHONE, choice, merged.contradictions)
    assert chosen.offer is not None
    assert warning in chosen.warning
    assert bool(warning) == bool(chosen.warning)


def firmware(build: str, *models: str) -> Firmware:
    return Firmware(
        version=BUILDS[build], build=build, product_types=models or (PHONE,), directory="/", manifest_sha256=""
    )


def test_what_is_new():
    offers = merge([*everywhere("23C71", product_types=(PHONE, OTHER)), *everywhere("23D5103d")]).offers
    assert [each.build for each in newer(offers, [firmware("23C55")], [PHONE], Choice())] == ["23C71"]
    assert newer(offers, [firmware("23C55"), firmware("23C71")], [PHONE], Choice()) == ()
    assert newer(offers, [firmware("23D127")], [PHONE], Choice()) == ()
    assert newer(offers, [firmware("23C55")], [OTHER], Choice()) == ()
    assert newer(offers, [firmware("23C55")], [PHONE], Choice(pins={"all": "26.2"})) == ()
    assert newer(offers, [firmware("23C55")], [PHONE], Choice(denied={"23C71"})) == ()
    assert (beyond("26.3"), beyond("")) == ("", "")


def test_names_of_models():
    assert models_named("iPhone13,2") == models_named(" iphone  12 ") == (PHONE,)
    assert models_named("iphone se (3rd generation)") == ("iPhone14,6",)
    assert models_named("iPhone SE") == ("iPhone12,8", "iPhone14,6", "iPhone8,4")
    assert models_named("iPhone") == models_named("") == ()
    assert (model_name(PHONE), model_name("iPhone99,1")) == ("iPhone 12", "iPhone99,1")


def test_a_list_that_was_turned_back():
    before = remember({}, [offer("23C71"), offer("23C55"), offer("23D5103d")], 100.0)
    assert before == {PHONE: Newest(version="26.2.1", build="23C71", listed=100.0)}
    assert turned_back(before, [offer("23C55")]) == {PHONE}
    assert turned_back(before, []) == {PHONE}
    assert turned_back(before, [offer("23D5103d")]) == {PHONE}
    assert turned_back(before, [offer("23D127")]) == frozenset()
    assert turned_back(before, [offer("23C71", signed=False)]) == frozenset()
    assert turned_back(before, [offer("23C71", beta=True), offer("23C55")]) == frozenset()


@settings(max_examples=40)
@given(st.lists(opinions, max_size=4))
def test_what_is_remembered_never_gets_older(answers):
    remembered: dict[str, Newest] = {}
    for now, said in enumerate(answers):
        after = remember(remembered, said, float(now))
        for model, was in remembered.items():
            assert age(after[model].version, after[model].build) >= age(was.version, was.build)
        believed = [each for each in said if not each.beta]
        assert not turned_back(remember({}, believed, 0.0), said)
        remembered = after


def test_what_was_long_ago_is_forgotten():
    before = remember({}, [offer("23C71")], 100.0)
    assert forget(before, 100.0) == before
    assert forget(before, 101.0) == {}
