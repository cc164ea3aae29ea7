"""Words from strangers are made harmless and fit; what the screen itself says is exact."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from station.model.api import BayState
from station.model.job import PHASE_WORDS, PHASES, Phase
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.model.service import Service
from station.screen import facts, text, words
from station.screen.pages import Page, opened
from station.screen.render import View
from station.screen.text import Style
from station.screen.theme import LOOKS
from tests.screen import samples
from tests.screen.reader import read
from tests.screen.samples import FACTS, JOB, PHONE, bay, station

STYLE = Style(20)


@pytest.mark.parametrize(
    ("hostile", "clean"),
    [
        ("Anna’s iPhone", "Anna’s iPhone"),
        ("a\0b", "a b"),
        ("\ud800", ""),
        ("\u202eenohPi\u202c", "enohPi"),
        ("tab\tand\nline", "tab and line"),
        ("  spaced   out ", "spaced out"),
        ("zero\u200bwidth", "zerowidth"),
        ("e\u0301\u0302\u0303\u0304\u0305", "é\u0302\u0303"),
        ("\ufe00 \u0301", ""),
        ("家 😀 home", "home"),
        ("Ünïcödé Ωмега", "Ünïcödé Ωмега"),
    ],
)
def test_clean(hostile: str, clean: str) -> None:
    assert text.clean(hostile) == clean


@given(st.text(), st.integers(0, 300))
def test_a_shortened_line_fits_and_can_be_drawn(any_text: str, room: int) -> None:
    line = text.shorten(any_text, STYLE, room)
    assert text.width(line, STYLE) <= room
    assert text.picture(line, STYLE).get_width() <= room


@given(st.text(), st.integers(0, 300), st.integers(1, 4))
def test_wrapped_lines_fit(any_text: str, room: int, lines: int) -> None:
    wrapped = text.wrap(any_text, STYLE, room, lines)
    assert len(wrapped) <= lines
    assert all(text.width(line, STYLE) <= room for line in wrapped)


def test_what_is_cut_says_so() -> None:
    assert text.shorten("x" * 5000, STYLE, 200).endswith("…")
    assert text.wrap("word " * 1000, STYLE, 200, 3)[-1].endswith("…")


def test_what_fits_is_not_cut() -> None:
    sentence = "Unlock the phone and tap “Trust” when it asks."
    assert " ".join(text.wrap(sentence, STYLE, 300, 3)) == sentence


@given(st.text(), st.integers(1, 60), st.integers(1, 60), st.integers(0, 300))
def test_a_style_is_made_smaller_as_far_as_allowed(any_text: str, size: int, smallest: int, room: int) -> None:
    style = text.fitting(any_text, Style(size), room, smallest=smallest)
    assert min(size, smallest) <= style.size <= size


def test_digits_are_equally_wide() -> None:
    assert len({text.width(digit, STYLE) for digit in "0123456789"}) == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "any moment now"),
        (20, "under a minute left"),
        (50, "about 1 min left"),
        (250, "about 4 min left"),
        (3600 * 3, "about 3 h left"),
    ],
)
def test_time_left(seconds: float, said: str) -> None:
    assert words.time_left(seconds) == said


@pytest.mark.parametrize(("fraction", "said"), [(-1, "0%"), (0.439, "43%"), (0.9999, "99%"), (1, "100%"), (9, "100%")])
def test_percent_is_never_rounded_up(fraction: float, said: str) -> None:
    assert words.percent(fraction) == said


def test_everything_has_words() -> None:
    assert set(PHASE_WORDS) == {phase for phases in PHASES.values() for phase in phases} == set(Phase)
    assert set(words.MODES) == set(PhoneMode)
    assert set(words.STARTS) == set(words.DOING) == set(Service)
    assert set(words.OUTCOME_TAGS) == set(Outcome)
    assert set(LOOKS) == set(BayState)


def test_states_differ_without_colour() -> None:
    assert len({look.shape for look in LOOKS.values()}) == len({look.word for look in LOOKS.values()}) == len(LOOKS)


def test_a_job_can_be_cancelled_until_the_erase() -> None:
    cancellable = [phase for phase in PHASES[Service.RESTORE] if words.may_cancel(replace(JOB, phase=phase))]
    assert cancellable == [Phase.CONNECT, Phase.TICKET, Phase.RECOVERY, Phase.RAMDISK, Phase.RESTORED]


def test_a_phone_without_a_name() -> None:
    nameless = replace(bay(BayState.READY), phone=replace(PHONE, model_name="\0家", product_type="iPhone13,2"))
    assert words.model(nameless) == "iPhone13,2"


def test_what_the_badge_says_is_not_said_again() -> None:
    ready = replace(bay(BayState.READY), title="Ready", hint="Press START.")
    assert (words.headline(ready), words.advice(ready)) == ("Press START.", "")
    charging = replace(ready, title="Charging first")
    assert (words.headline(charging), words.advice(charging)) == ("Charging first", "Press START.")


def test_a_result_speaks_for_its_bay() -> None:
    done = bay(BayState.DONE)
    assert done.result is not None
    assert (words.headline(done), words.advice(done)) == (done.result.title, done.result.remedy)


def test_the_owners_name_is_never_shown() -> None:
    view = bay(BayState.READY)
    assert view.phone is not None
    said = f"{words.model(view)} {words.version(view.phone)} {words.headline(view)} {words.advice(view)}"
    assert "Anna" not in said


@pytest.mark.parametrize("page", Page)
def test_whose_phone_it_is_stands_on_no_page(page: Page) -> None:
    for state in (BayState.READY, BayState.WORKING, BayState.DONE):
        names_nobody(page, state)


def names_nobody(page: Page, state: BayState) -> None:
    view = replace(bay(state), phone=samples.TOLD, offers=samples.OFFERS, selected=True)
    if view.result is not None:
        view = replace(view, result=replace(samples.CHECKED, outcome=view.result.outcome))
    shown = read(View(station(view), place=opened(view, page)), (800, 480))
    for secret in (FACTS.name, "Anna", FACTS.serial_number, FACTS.imei, FACTS.imei2, FACTS.udid):
        assert secret
        assert not shown.reads(secret)


def test_numbers_are_masked() -> None:
    assert facts.masked("F17DX3K80DXP") == "•••• 0DXP"
    assert facts.masked("DXP") == "••••"


def test_only_what_changed_is_compared() -> None:
    later = replace(FACTS, version="18.5", build="22F76", serial_number="OTHER", passcode=False)
    assert facts.changes(FACTS, later) == [("iOS", "17.5.1 (21F90)", "18.5 (22F76)"), ("Passcode", "yes", "no")]


@pytest.mark.parametrize(
    ("seconds", "said"), [(20, "under a minute"), (70, "about 1 min"), (840, "about 14 min"), (9000, "about 2 h")]
)
def test_durations(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said
