"""What the screen says in other languages than English.

Scenes and the daemon speak plain English; nothing else in the code knows of other languages. Where words become
pixels (`station.screen.text`) each string is looked up here, in the language's gettext catalog `languages/LANG.po`:

1. as it is;
2. as one of the templates that the code's f-strings are: “Bay 3 waits to be confirmed.” is `Bay {bay} waits to be
   confirmed.`; its values are looked up in turn;
3. sentence by sentence;
4. part by part, where it is a list (“Battery 81 % · 128 GB”);
5. else it is a name or a number, and stays.

The catalogs are read as they are (.po, with polib) when a language is first spoken: a few hundred sentences take a
blink, nothing that was compiled can be older than what it was made from, and whoever mends a word on the station sees
it at the next start. `deploy/messages.py` keeps them complete.

There is one screen and it speaks one language at a time: `speak` is called before a picture is begun.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib import resources

import polib

from station.model.face import LANGUAGE_NAMES, Language

LANGUAGES = tuple(language for language in Language if language is not Language.ENGLISH)
"""All that have a catalog."""
RIGHT_TO_LEFT = frozenset({Language.ARABIC})

PLACEHOLDER = re.compile(r"{(\w+)}")
REMEMBERED = 2048
"""Strings whose translation is kept. A picture has some fifty; those with numbers in them change."""
DEEPEST = 4
"""How often a value may be a template again."""

NAME_WORDS = 6
"""What has more words is no name."""

_END = re.compile(r"(?<=[.!?…])([”)]?) +(?=[A-Z“({0-9]|i[A-Z])")
_LEADING = re.compile(r"({\w+}) (?=[A-Z][a-z]+ )")
"""A template's first value that is a sentence of its own."""
_SEPARATORS = (" · ", ", ")
_LETTER = re.compile(r"[^\W\d_]")
_ARABIC = re.compile("[\u0590-\u08ff]")
_WIDE = 0x2E80
"""From here on characters are as wide as high."""
_LEFT_TO_RIGHT, _POP = "\u202a", "\u202c"
"""Around a name in Latin letters that stands in Arabic: its brackets and numbers keep their order."""


def sentences(text: str) -> list[str]:
    """The sentences of an English text. “{title} That cannot be overruled.” has two, too."""
    marked = _END.sub("\\1\n", text)
    return [part.strip() for part in _LEADING.sub("\\1\n", marked).split("\n") if part.strip()]


class Interpreter:
    """One language. Bounded: it keeps its catalog, and the last REMEMBERED strings."""

    def __init__(self, catalog: Mapping[str, str], language: Language = Language.ENGLISH) -> None:
        """Learn a language.

        Args:
            catalog: English sentences and templates, and what they are in the language.
            language: Which it is: how sentences and lists are joined, and which way it runs.
        """
        self.language = language
        self._exact = {msgid: said for msgid, said in catalog.items() if not PLACEHOLDER.search(msgid)}
        templates = [(msgid, said) for msgid, said in catalog.items() if PLACEHOLDER.search(msgid)]
        templates.sort(key=lambda pair: (-len(PLACEHOLDER.sub("", pair[0])), pair[0]))
        self._templates = [(_pattern(msgid), said) for msgid, said in templates]
        self._comma = {Language.CHINESE: "，", Language.ARABIC: "، "}.get(language, ", ")
        self.say = lru_cache(maxsize=REMEMBERED)(self._say)
        """What an English text, cleaned, is in this language."""

    def _say(self, text: str) -> str:
        if self.language is Language.ENGLISH:
            return text
        return self._look_up(text, DEEPEST)[0]

    def _look_up(self, text: str, deep: int) -> tuple[str, bool]:
        """The text in the language, and whether it was known: a name is not, a number is."""
        if text in self._exact:
            return self._exact[text], True
        if not _LETTER.search(text):
            return text, True
        parts = sentences(text)
        if len(parts) > 1:
            said = [self._look_up(part, deep) for part in parts]
            return self._in_a_row([words for words, _ in said]), all(known for _, known in said)
        if deep == 0:
            return self._name(text), False
        found = self._parts(text, deep, all) or self._template(text, deep) or self._parts(text, deep, any)
        return (self._name(text), False) if found is None else (found, True)

    def _template(self, text: str, deep: int) -> str | None:
        """The text made of a template: best one whose values are all known, else one whose values may be names."""
        fair = None
        for said, values in self._matches(text):
            found = {name: self._look_up(value, deep - 1) for name, value in values.items()}
            words = _filled(said, {name: self._name(value) for name, (value, _) in found.items()})
            if all(known for _, known in found.values()):
                return words
            if fair is None and all(known or _may_be_name(values[name]) for name, (_, known) in found.items()):
                fair = words
        return fair

    def _matches(self, text: str) -> Iterator[tuple[str, dict[str, str]]]:
        """The templates that the text may be made of, those with the most words of their own first."""
        for pattern, said in self._templates:
            match = pattern.fullmatch(text)
            if match is not None:
                yield said, match.groupdict()

    def _parts(self, text: str, deep: int, how_many: Callable[[Iterable[bool]], bool]) -> str | None:
        """A list of which `all`, or `any`, parts are known, and not as numbers only."""
        for separator in _SEPARATORS:
            if separator in text:
                said = [self._look_up(part, deep - 1) for part in text.split(separator)]
                worded = any(known and _LETTER.search(words) for words, known in said)
                if worded and how_many(known for _, known in said):
                    joint = self._comma if separator == ", " else separator
                    return joint.join(self._name(words) for words, _ in said)
        return None

    def _in_a_row(self, said: list[str]) -> str:
        """Sentences after each other: in Chinese with nothing between them."""
        row = ""
        for words in said:
            row += words if not row or ord(row[-1]) >= _WIDE else f" {words}"
        return row

    def _name(self, words: str) -> str:
        """What has no letter of the language, so that it stays as it is among others that run from the right."""
        if self.language not in RIGHT_TO_LEFT or _ARABIC.search(words) or not _LETTER.search(words):
            return words
        return f"{_LEFT_TO_RIGHT}{words.replace(_LEFT_TO_RIGHT, '').replace(_POP, '')}{_POP}"


def _pattern(msgid: str) -> re.Pattern[str]:
    """What matches a template's texts. A name that stands twice must be the same twice."""
    seen: set[str] = set()
    pattern = ""
    for number, part in enumerate(PLACEHOLDER.split(msgid)):
        if number % 2 == 0:
            pattern += re.escape(part)
        else:
            pattern += f"(?P={part})" if part in seen else f"(?P<{part}>.+?)"
            seen.add(part)
    return re.compile(pattern)


def _filled(template: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def _may_be_name(value: str) -> bool:
    """Whether a value may be a name, and is not a sentence that happens to begin or end as a template does."""
    listed = any(separator in value for separator in _SEPARATORS)
    return value.count(" ") < NAME_WORDS and not listed and not value.endswith((".", "!", "?"))


@cache
def interpreter(language: Language) -> Interpreter:
    """A language's interpreter, read when it is first spoken. Without a readable catalog it speaks English."""
    if language is Language.ENGLISH:
        return Interpreter({})
    file = resources.files("station.screen") / "languages" / f"{language.value}.po"
    try:
        entries = polib.pofile(file.read_text("utf-8"))
    except OSError:
        return Interpreter({})
    return Interpreter({entry.msgid: entry.msgstr for entry in entries if entry.translated()}, language)


_NAMES = frozenset(LANGUAGE_NAMES.values())
_spoken = interpreter(Language.ENGLISH)


def speak(language: Language) -> None:
    """Say everything in this language from now on."""
    global _spoken  # noqa: PLW0603 one screen, one language at a time
    _spoken = interpreter(language)


def spoken() -> Language:
    """The language that is spoken now."""
    return _spoken.language


def say(text: str) -> str:
    """What a cleaned English text is in the language that is spoken."""
    return _spoken.say(text)


def is_name_of_language(text: str) -> bool:
    """Whether it is a language's name in itself: the same in all, and written in letters of its own."""
    return text in _NAMES
