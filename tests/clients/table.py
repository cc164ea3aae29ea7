"""The table of independent clients in tests/README.md, made of the tests that carry the mark `client`.

    @pytest.mark.client("idevicebackup2", "encrypted backup", phone="iPhone 12, iOS 18.5")

Without a `phone` it is what the test's parameter `kind` says. A row has all phones with which a test does the same.
A row stands for a test, so what the table says is what the tests hold: a client that passes has a test which fails
when it does not, and so has one that does not pass (`fails="why"`), with the lines of its log that show it (`log`).
`pytest --collect-only -q --write-clients` writes the table; a test fails while it is not the present one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
ROWS = pytest.StashKey[list["Row"]]()
"""In the config's stash: the rows of what was collected."""
WHOLE = pytest.StashKey[bool]()
"""Whether that was all there is."""
BEGIN, END = "<!-- clients: begin -->\n", "<!-- clients: end -->\n"


@dataclass(frozen=True, order=True)
class Row:
    """What one client does with a virtual phone."""

    program: str
    does: str
    phone: str
    over: str
    fails: str
    log: str
    test: str


def rows(items: Iterable[pytest.Item]) -> list[Row]:
    """The rows that a collection of tests makes."""
    found = set()
    for item in items:
        for mark in item.iter_markers("client"):
            program, does = mark.args
            found.add(
                Row(
                    program=program,
                    does=does,
                    phone=mark.kwargs.get("phone") or _kind(item),
                    over="kernel" if item.get_closest_marker("vm") else "socket",
                    fails=mark.kwargs.get("fails", ""),
                    log=mark.kwargs.get("log", ""),
                    test=item.nodeid.partition("[")[0],
                )
            )
    return sorted(found)


def _kind(item: pytest.Item) -> str:
    """The phone that a test is parametrized with."""
    call = getattr(item, "callspec", None)
    return str(call.params.get("kind", "")) if call is not None else ""


def _merged(found: list[Row]) -> list[Row]:
    """One row for all phones with which a test does the same."""
    phones: dict[Row, list[str]] = {}
    for row in found:
        phones.setdefault(replace(row, phone=""), []).append(row.phone)
    return [replace(row, phone="; ".join(names)) for row, names in phones.items()]


def render(found: list[Row]) -> str:
    """The table, in Markdown."""
    found = _merged(found)
    lines = [
        "| client | what it does | phone | over | passes | test |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in found:
        path, _, name = row.test.partition("::")
        link = f"[{name.removeprefix('test_')}]({path.removeprefix('tests/')})"
        passes = f"no: {row.fails}" if row.fails else "yes"
        lines.append(f"| `{row.program}` | {row.does} | {row.phone} | {row.over} | {passes} | {link} |")
    for row in found:
        if row.log:
            lines += ["", f"`{row.program}`, {row.does}, says:", "", "```", *row.log.strip().splitlines(), "```"]
    return "\n".join(lines) + "\n"


def parts() -> tuple[str, str, str]:
    """The README: what is before the table, the table, what is after it."""
    before, _, rest = README.read_text().partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


def write(found: list[Row]) -> None:
    """Put the present table into the README."""
    before, _, after = parts()
    README.write_text(before + BEGIN + render(found) + END + after)
