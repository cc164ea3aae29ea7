#!/usr/bin/env python3
"""Collect the sentences that the screen may show, and keep the catalogs of its languages up to date.

    deploy/messages.py           writes messages.pot, and merges what is new into every LANG.po
    deploy/messages.py --check   says what is missing, changes nothing, and fails if anything is

Nothing in the code calls gettext: the daemon speaks English, and the screen translates at the one place where words
become pixels (`station.screen.speech`). So this reads the code itself. A string counts as a message when it stands in
a module whose words people read (`PLACES`), and looks like words: it has a letter, and either a space or a capital, or
it stands where small words do (see `_Reader`). An f-string is a message with its values as {names}. What has several
sentences is as many messages, as the screen looks them up. Elsewhere only errors with a remedy speak to people.
Whatever is no message and is collected anyhow does no harm: it is only never looked up.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import polib

from station.screen.speech import LANGUAGES, PLACEHOLDER, sentences

ROOT = Path(__file__).resolve().parents[1]
CATALOGS = ROOT / "station" / "screen" / "languages"
TEMPLATE = CATALOGS / "messages.pot"

PLACES = ("station/screen/**/*.py", "station/core/**/*.py", "station/model/**/*.py")
"""Where every sentence may be shown on the screen."""
ERRORS_OF = {
    "station/daemon/**/*.py": frozenset({"Refused", "Lack"}),
    "station/adapters/fetch/*.py": frozenset(
        {
            "Refused",
            "Unreachable",
            "InputRejected",
            "StorageError",
            "SourceFailed",
            "_TooSlow",
            "Lied",
            "PartDamaged",
            "say",
            "_refuse",
        }
    ),
}
"""Where some of the words are for people and much else is not, and what says those. What other adapters say of disks
and files names paths and the system's own words: it is for whoever runs the station, and stays English."""
APART = frozenset(
    {
        "station/core/consent.py",  # a worker's words, for the log
        "station/core/models.py",  # names of models are the same everywhere
        "station/model/base.py",
        "station/model/face.py",  # each language's name in itself
        "station/screen/album.py",
        "station/screen/app.py",  # the terminal's
        "station/screen/client.py",
        "station/screen/speech.py",
        "station/screen/shaping.py",
        "station/screen/text.py",
        "station/screen/window.py",
    }
)
"""Modules whose words nobody reads on the screen."""
UNSPOKEN = frozenset({"detail", "directory", "encoding", "id", "path", "secret", "owed", "tag", "__all__"})
"""Names of keywords and targets whose values are for records, logs and files."""
SILENT = frozenset(
    {
        "compile",
        "debug",
        "info",
        "warning",
        "error",
        "exception",
        "get",
        "getattr",
        "files",
        "encode",
        "decode",
        "strftime",
        "NewType",
        "removeprefix",
        "removesuffix",
        "startswith",
        "endswith",
        "setdefault",
        "isinstance",
        "field",
        "with_name",
        "Path",
        "not_verified",
        "absent",
        "float",
        "render",
        "JobId",
        "OrderId",
        "PlugId",
        "BayId",
        "void",
        "disbelieve",
        "Observed",
        "Failed",
        "fromisoformat",
        "Key",
    }
)
"""Calls whose strings are code, logs and patterns."""
GLUE = frozenset({"strip", "replace", "join"})
"""Calls on a string whose arguments are no words, while the string itself may be."""
NO_WORDS = re.compile(r"_|\w[/.(]\w|\w\(|^[A-Z0-9 ]{1,4}$|^[A-Z]+-[A-Z]+$|://|%[A-Za-z]")


@dataclass
class Message:
    """A sentence, and the modules it stands in."""

    words: str
    places: list[str] = field(default_factory=list)


class _Reader(ast.NodeVisitor):
    """Walks one module and takes what looks like words.

    A word of small letters does only where words stand: as an argument, in a dictionary, as what is returned.
    """

    def __init__(self, errors: frozenset[str]) -> None:
        """Nothing read yet. `errors`: the calls whose words count; empty: all words do."""
        self.found: list[str] = []
        self._errors = errors
        self._only = bool(errors)
        self._small = False
        """Whether a word of small letters counts here."""

    # -- what is not for people

    def visit_Module(self, node: ast.Module) -> None:
        self._body(node.body)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if not any(isinstance(base, ast.Name) and base.id == "Enum" for base in node.bases):
            self._body(node.body)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self._say(default)
        self._body(node.body)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._body(node.body)

    def _body(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):  # a docstring
                self.visit(statement)

    def visit_Assert(self, node: ast.Assert) -> None:
        """For developers."""

    def visit_Compare(self, node: ast.Compare) -> None:
        """Logic."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.visit(node.value)

    def visit_match_case(self, node: ast.match_case) -> None:
        self._body(node.body)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None and not _unspoken(node.target):
            self._say(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if not any(_unspoken(target) for target in node.targets):
            self._say(node.value)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if isinstance(node.func, ast.Attribute):
            self.visit(node.func.value)
        if name in SILENT:
            return
        before, self._only = self._only, self._only and name not in self._errors
        for argument in node.args:
            self._say(argument, small=name not in GLUE)
        for keyword in node.keywords:
            if keyword.arg not in UNSPOKEN:
                self._say(keyword.value, small=True)
        self._only = before

    # -- what may be

    def visit_Dict(self, node: ast.Dict) -> None:
        for value in node.values:
            self._say(value, small=True)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None:
            self._say(node.value, small=True)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.body)
        self.visit(node.orelse)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, str):
            self._take(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        words = ""
        names: list[str] = []
        for part in node.values:
            if isinstance(part, ast.Constant):
                words += str(part.value)
            elif isinstance(part, ast.FormattedValue):
                name = _named(part.value)
                names.append(name)
                words += f"{{{name}{names.count(name) if names.count(name) > 1 else ''}}}"
                self._say(part.value, small=True)
        self._take(words)

    def _say(self, node: ast.expr, *, small: bool = False) -> None:
        before, self._small = self._small, small and not isinstance(node, ast.Tuple)
        self.visit(node)
        self._small = before

    def _take(self, said: str) -> None:
        for words in sentences(" ".join(said.split())):
            plain = PLACEHOLDER.sub("", words)
            if self._only or not any(character.isalpha() for character in plain) or NO_WORDS.search(plain):
                continue
            if " " in words or words[0].isupper() or (self._small and words.islower()):
                self.found.append(words)


def _unspoken(target: ast.expr) -> bool:
    return getattr(target, "id", getattr(target, "attr", "")) in UNSPOKEN


def _named(value: ast.expr) -> str:
    """A value's name in a template: the last one it is reached by."""
    match value:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name.lower().strip("_")
        case ast.Call(func=inner) | ast.Subscript(value=inner) | ast.IfExp(body=inner) | ast.BinOp(left=inner):
            return _named(inner)
        case _:
            return "value"


@cache
def collected() -> dict[str, Message]:
    """Every message by its words, in the order of the code."""
    messages: dict[str, Message] = {}
    for path, errors in _modules():
        reader = _Reader(errors)
        reader.visit(ast.parse(path.read_text("utf-8")))
        place = str(path.relative_to(ROOT))
        for words in reader.found:
            message = messages.setdefault(words, Message(words))
            if place not in message.places:
                message.places.append(place)
    return messages


def _modules() -> Iterator[tuple[Path, frozenset[str]]]:
    for pattern, errors in (dict.fromkeys(PLACES, frozenset[str]()) | ERRORS_OF).items():
        for path in sorted(ROOT.glob(pattern)):
            if str(path.relative_to(ROOT)) not in APART:
                yield path, errors


def template() -> polib.POFile:
    """What `messages.pot` must be."""
    pot = polib.POFile(wrapwidth=110)
    pot.header = "Restore Station: what the screen may say. Written by deploy/messages.py: do not edit."
    pot.metadata = {
        "Project-Id-Version": "restore-station",
        "Language": "",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
    }
    for message in collected().values():
        entry = polib.POEntry(msgid=message.words, occurrences=[(place, "") for place in message.places])
        if PLACEHOLDER.search(message.words):
            entry.flags.append("python-brace-format")
        pot.append(entry)
    return pot


def catalog(language: str) -> polib.POFile:
    """A language's catalog with all that is in the code; what is new has no translation yet."""
    path = CATALOGS / f"{language}.po"
    po = polib.pofile(str(path), wrapwidth=110) if path.exists() else polib.POFile(wrapwidth=110)
    if not path.exists():
        po.header = HEADER
        po.metadata = template().metadata | {"Language": language}
        po.fpath = str(path)
    po.merge(template())
    return po


HEADER = """Restore Station: what the screen says in this language.
Translated with care, but reviewed by no native speaker yet. Whoever is one: please do, and say so here."""


def main(arguments: list[str]) -> int:
    """Write what is new, or only tell what is missing. Returns the exit status."""
    missing = 0
    pot = template()
    if "--check" not in arguments:
        pot.save(str(TEMPLATE))
    elif not TEMPLATE.exists() or {entry.msgid for entry in polib.pofile(str(TEMPLATE))} != {e.msgid for e in pot}:
        print(f"{TEMPLATE.name} is not what the code says: run deploy/messages.py")
        missing += 1
    for language in LANGUAGES:
        po = catalog(language.value)
        if "--check" not in arguments:
            po.save(str(CATALOGS / f"{language.value}.po"))
        empty = po.untranslated_entries()
        missing += len(empty)
        print(f"{language.value}: {len(po.translated_entries())} translated, {len(empty)} not")
        if "--list" in arguments:
            print("".join(f"  {entry.msgid}\n" for entry in empty), end="")
    return 1 if missing and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
