"""The screen in its other languages: nothing untranslated, nothing that no font has, nothing cut, and right to left."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import resources

import polib
import pytest
from fontTools.ttLib import TTFont
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pygame import Rect, Surface
from syrupy.assertion import SnapshotAssertion

from deploy import messages
from station.core.advice import TABLE
from station.core.advice import view as advised
from station.model.api import BayState
from station.model.causes import EXPLANATIONS, STATUS_WORDS
from station.model.face import LANGUAGE_NAMES, Face, Language
from station.model.record import Outcome
from station.model.service import Service
from station.screen import shaping, speech, text
from station.screen.canvas import Canvas, Target
from station.screen.pages import Page, Turn, opened
from station.screen.render import View, picture, render
from station.screen.shaping import Run, Script
from station.screen.speech import LANGUAGES, PLACEHOLDER, Interpreter, interpreter
from station.screen.text import Style
from station.screen.theme import BLUE, Shape
from tests.screen.gallery import GALLERY
from tests.screen.gate_words import closed_view, findings
from tests.screen.pictures import same_picture
from tests.screen.samples import NOW, UNTOUCHED, bay, offered, station
from tests.screen.test_operator_pictures import VIEWS

SIZES = [(480, 320), (720, 1280), (800, 480), (1280, 720)]
each_language = pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.value)


@pytest.fixture(autouse=True)
def english_again() -> Iterator[None]:
    """What a test speaks, the next one does not."""
    yield
    speech.speak(Language.ENGLISH)


def catalog(language: Language) -> polib.POFile:
    return polib.pofile(str(messages.CATALOGS / f"{language.value}.po"))


def filled(template: str, value: str = "7") -> str:
    return PLACEHOLDER.sub(value, template)


# -- the catalogs


def test_every_sentence_in_the_code_is_in_the_template() -> None:
    """If not: deploy/messages.py, then translate what is new."""
    assert {entry.msgid for entry in polib.pofile(str(messages.TEMPLATE))} == set(messages.collected())


@each_language
def test_nothing_is_untranslated(language: Language) -> None:
    po = catalog(language)
    said = {entry.msgid for entry in po if entry.translated()}
    assert [msgid for msgid in messages.collected() if msgid not in said] == []
    assert "reviewed by no native speaker" in po.header
    for entry in po:
        assert set(PLACEHOLDER.findall(entry.msgstr)) == set(PLACEHOLDER.findall(entry.msgid)), entry.msgid


@each_language
def test_every_message_is_said_in_the_language(language: Language) -> None:
    say = interpreter(language).say
    for entry in catalog(language):
        if not PLACEHOLDER.search(entry.msgid):
            assert say(entry.msgid) == entry.msgstr


@pytest.mark.system
@each_language
def test_every_template_is_said_with_its_values(language: Language) -> None:
    po = catalog(language)
    patterns = {entry.msgid: re.compile(".+".join(map(re.escape, PLACEHOLDER.split(entry.msgid)[::2]))) for entry in po}
    for entry in po:
        if PLACEHOLDER.search(entry.msgid):
            english = filled(entry.msgid)
            alike = [other.msgstr for other in po if patterns[other.msgid].fullmatch(english)]
            said = interpreter(language).say(english)
            assert any(len(PLACEHOLDER.sub("", other)) <= len(said) and said != english for other in alike) or (
                said in map(filled, alike)
            )


def test_values_are_said_in_turn() -> None:
    say = interpreter(Language.GERMAN).say
    assert say("Standing order: Erase, 7 more, for 2 h") == "Dauerauftrag: Löschen, noch 7, für 2 Std."
    assert say("Hold the side button and volume down until the apple shows.") == (
        "Halten Sie die Seitentaste und die Leiser-Taste bis zum Apfel."
    )


def test_sentences_and_lists_are_said_part_by_part() -> None:
    say = interpreter(Language.GERMAN).say
    assert say("The phone is locked. Plug it in again.") == "Das Telefon ist gesperrt. Schließen Sie es wieder an."
    assert say("128 GB · has a passcode · Find My: locked") == "128 GB · hat einen Code · Wo ist?: gesperrt"
    assert say("128 GB, 41 GB free") == "128 GB, 41 GB frei"
    chinese = interpreter(Language.CHINESE).say
    assert chinese("The phone is locked. Plug it in again.") == "手机已锁定。请重新连接。"
    assert chinese("Nobody knows. Plug it in again.") == "Nobody knows. 请重新连接。"


def test_names_stay() -> None:
    for name in ("iPhone 12", "Anna’s phone", "St. Mary’s Hospital", "iPhone SE (2nd generation)"):
        assert interpreter(Language.TURKISH).say(name) == name


def test_a_sentence_that_begins_like_a_template_is_none() -> None:
    say = interpreter(Language.GERMAN).say
    for said in ("iOS is a thing that nobody here has said anything of before.", "Look at it and try once."):
        assert say(said) == said


def test_a_name_keeps_its_order_in_a_line_from_the_right() -> None:
    say = interpreter(Language.ARABIC).say
    assert say("iPhone SE (2nd generation)") == "\u202aiPhone SE (2nd generation)\u202c"
    assert say("iOS 17.5 (21F90) · Recovery mode") == "\u202aiOS 17.5 (21F90)\u202c · نمط الاسترداد"


@given(st.text())
def test_english_is_what_it_is(said: str) -> None:
    assert interpreter(Language.ENGLISH).say(said) == said


@given(st.text(), st.sampled_from(LANGUAGES))
def test_anything_can_be_said(said: str, language: Language) -> None:
    assert isinstance(interpreter(language).say(text.clean(said)), str)


def test_memory_is_bounded() -> None:
    speaker = Interpreter({"Bay {bay}": "Platz {bay}"}, Language.GERMAN)
    for number in range(2 * speech.REMEMBERED):
        speaker.say(f"Bay {number}")
    assert speaker.say.cache_info().currsize == speech.REMEMBERED


def test_sentences() -> None:
    assert speech.sentences("Wait (a bit). iOS is off? “Trust” it.") == ["Wait (a bit).", "iOS is off?", "“Trust” it."]
    assert speech.sentences("Tap “Forgot?” on it.") == ["Tap “Forgot?” on it."]
    assert speech.sentences("{title} That cannot be overruled.") == ["{title}", "That cannot be overruled."]


# -- fonts and lines


@each_language
def test_every_character_is_in_a_font(language: Language) -> None:
    """If not: deploy/fonts.py."""
    said = "".join(entry.msgstr for entry in catalog(language)) + "".join(LANGUAGE_NAMES.values())
    for weight in ("Medium", "Bold"):
        known = {}
        for script in Script:
            file = resources.files("station.screen") / "fonts" / script.value[0].format(weight=weight)
            with file.open("rb") as opened_file:
                known[script] = set(TTFont(opened_file).getBestCmap())
        drawn = {character for character in said if character not in "\u00ad\n"}
        assert not [char for char in drawn if ord(char) not in known[shaping.script_of(char)]]


def test_a_language_is_named_in_its_own_letters() -> None:
    for name in LANGUAGE_NAMES.values():
        assert text.said(name) == name


def test_runs_are_drawn_in_order() -> None:
    assert shaping.runs("iPhone 12") == (Run("iPhone 12", Script.LATIN, backward=False),)
    assert [(run.text.strip(), run.backward) for run in shaping.runs("هاتف iPhone") if run.text.strip()] == [
        ("iPhone", False),
        ("هاتف", True),
    ]
    assert [run.script for run in shaping.runs("按 START。")] == [Script.CHINESE, Script.LATIN, Script.CHINESE]


def test_chinese_breaks_anywhere_but_before_a_stop() -> None:
    speech.speak(Language.CHINESE)
    for room in range(45, 200, 7):
        lines = text.wrap("The phone is locked. Plug it in again.", Style(20), room, 40)
        assert "".join(lines) == "手机已锁定。请重新连接。"
        assert not [line for line in lines if line[0] in "。，"]


def test_a_long_word_breaks_at_its_hyphens_only() -> None:
    speech.speak(Language.GERMAN)
    lines = text.wrap("It is in recovery mode.", Style(20), 150, 5)
    assert [line for line in lines if line.endswith("-")]
    assert "\u00ad" not in "".join(lines)
    assert text.wrap("It is in recovery mode.", Style(20), 900, 1) == ("Es ist im Wiederherstellungsmodus.",)


# -- right to left


def drawn(language: Language, size: tuple[int, int] = (100, 50)) -> tuple[Canvas, Surface]:
    surface = Surface(size)
    canvas = Canvas(surface, NOW, face=Face(language=language))
    canvas.clear()
    return canvas, surface


def test_boxes_and_touches_are_mirrored() -> None:
    canvas, surface = drawn(Language.ARABIC)
    canvas.fill(Rect(0, 0, 10, 50), BLUE)
    assert surface.get_at((95, 5))[:3] == canvas.rgb(BLUE)
    assert surface.get_at((5, 5))[:3] != canvas.rgb(BLUE)
    canvas.touch(Rect(0, 0, 10, 50), Target(Turn(None)))
    assert canvas.targets[0][0] == Rect(90, 0, 10, 50)


def test_a_phone_has_its_buttons_where_it_has_them() -> None:
    canvas, surface = drawn(Language.ARABIC)
    with canvas.as_it_is(Rect(0, 0, 40, 50)):
        canvas.fill(Rect(0, 0, 10, 50), BLUE)
    assert surface.get_at((65, 5))[:3] == canvas.rgb(BLUE)


def test_round_corners_are_round() -> None:
    (canvas, surface), (mirrored, other) = drawn(Language.ENGLISH), drawn(Language.ARABIC)
    for each in (canvas, mirrored):
        each.panel(Rect(0, 0, 100, 50), BLUE, 20)
    assert same_picture(surface, other)


def test_onward_is_to_the_left() -> None:
    (canvas, surface), (mirrored, other) = drawn(Language.ENGLISH), drawn(Language.ARABIC)
    canvas.icon(Shape.BACK, Rect(0, 0, 100, 50), BLUE)
    mirrored.icon(Shape.RIGHT, Rect(0, 0, 100, 50), BLUE)
    assert same_picture(surface, other)


# -- nothing is cut


@dataclass
class Measure(Canvas):
    """Draws nothing, and remembers what was cut."""

    cut: list[str] = field(default_factory=list)

    def put(self, image: Surface, box: Rect, part: Rect | None = None) -> None:
        pass

    def fill(self, box: Rect, colour: object) -> None:
        pass

    def words(self, words: str, box: Rect, style: Style, *, lines: int = 1, align: float = 0.0) -> None:
        high = max(1, box.height // text.line_height(style))
        shown = text.wrap(words, style, box.width, min(lines, high))
        said = text.said(words)
        if said and not (shown and (not shown[-1].endswith("…") or said.endswith("…"))):
            self.cut.append(said)


def cut(view: View, size: tuple[int, int], language: Language) -> list[str]:
    """What cannot be read whole on a view in a language."""
    snapshot = view.snapshot
    face = Face(language=language)
    if snapshot is not None:
        face = replace(snapshot.face, language=language)
        view = dataclasses.replace(view, snapshot=replace(snapshot, face=face))
    canvas = Measure(Surface(size), NOW)
    render(dataclasses.replace(view, face=face), canvas)
    return canvas.cut


ALL = {**GALLERY, **VIEWS}
ALLOWED = {"sixteen-failures"}
"""What is cut in English too."""


def results() -> Iterator[View]:
    for words in (*EXPLANATIONS.values(), *STATUS_WORDS.values()):
        remedy = f"{words.remedy} The phone is erased and cannot be used until it is restored."
        result = replace(UNTOUCHED, title=words.title, remedy=remedy, outcome=Outcome.FAILED_ERASED)
        yield View(station(replace(bay(BayState.FAILED), result=result)))


def gates() -> Iterator[View]:
    for service, finding in findings():
        yield View(station(closed_view(service, finding)))


def advices() -> Iterator[View]:
    phone, said = offered(Service.RESTART), set()
    for symptom, ladders in TABLE.items():
        for ladder in ladders.values():
            for step in range(len(ladder)):
                advice = advised(symptom, ladder[step:])
                if advice.says not in said:
                    said.add(advice.says)
                    yield View(station(replace(phone, advice=advice)), place=opened(phone, Page.ASK))


SEEN = [view for name, view in ALL.items() if name not in ALLOWED] + [*results(), *gates(), *advices()]


@pytest.mark.long
@each_language
def test_nothing_is_cut(language: Language) -> None:
    """A few views in each language, at one size each."""
    first = LANGUAGES.index(language)
    for number, seen in enumerate(SEEN[first :: len(LANGUAGES)]):
        size = SIZES[(number + first) % len(SIZES)]
        assert cut(seen, size, language) == [], size


@pytest.mark.system
@pytest.mark.timeout(120)
@each_language
@pytest.mark.parametrize("size", [SIZES[0], *(pytest.param(size, marks=pytest.mark.long) for size in SIZES[1:])])
def test_nothing_is_cut_anywhere(language: Language, size: tuple[int, int]) -> None:
    """All of it, at the sizes with the least room; at those that have the same shape, in the long run."""
    assert [lines for seen in SEEN for lines in cut(seen, size, language)] == []


# -- and how it looks


@pytest.mark.parametrize(
    ("name", "language", "size"),
    [
        ("phone", Language.ARABIC, (800, 480)),
        ("guide", Language.ARABIC, (800, 480)),
        ("sixteen", Language.ARABIC, (800, 480)),
        ("services", Language.CHINESE, (800, 480)),
        ("symptoms", Language.GERMAN, (480, 320)),
        ("backup", Language.TURKISH, (720, 1280)),
    ],
)
def test_page(name: str, language: Language, size: tuple[int, int], pictures: SnapshotAssertion) -> None:
    view = ALL[name]
    assert view.snapshot is not None
    spoken = replace(view.snapshot, face=Face(language=language))
    assert picture(dataclasses.replace(view, snapshot=spoken), size, NOW) == pictures
