"""Every gate's words fit the screen: nothing is cut, on a phone's page, in the strip of a refusal, or by START."""

import pytest

from station.model.api import BayState, BayView
from station.model.gates import Finding, Gate
from station.model.service import Service
from station.screen.pages import Page, opened
from station.screen.render import View
from tests.screen.gate_words import cases, closed_view, findings, sheet, told, told_view
from tests.screen.reader import Reader, read
from tests.screen.samples import bay, offered, station

SIZES = [(800, 480), (1280, 720)]
LEAST = 12.5
"""Smaller text than this, in pixels of a screen of 480, is not read by everybody."""


def readable(reader: Reader, *said: str) -> None:
    """All of it is there, large enough, and with nothing cut."""
    for part in said:
        assert reader.reads(part), (part, reader.read)
    assert not [line for line in reader.read if line.endswith("…")]
    small = {line: size for line, size in reader.sizes.items() if size < reader.px(LEAST)}
    assert not small


def test_every_gate_is_among_them() -> None:
    assert {gate for gate, _ in cases()} == set(Gate)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("service", "finding"), findings(), ids=lambda value: value.gate.value if isinstance(value, Finding) else ""
)
class TestClosed:
    def test_on_the_phones_page(self, service: Service, finding: Finding, size: tuple[int, int]) -> None:
        readable(read(View(station(closed_view(service, finding))), size), finding.title, finding.remedy)

    def test_as_a_page_among_others(self, service: Service, finding: Finding, size: tuple[int, int]) -> None:
        view = closed_view(service, finding)
        shown = View(station(view, bay_two(), emulated=True), place=opened(view, Page.PHONE))
        readable(read(shown, size), finding.title, finding.remedy)

    def test_among_the_services_its_reason(self, service: Service, finding: Finding, size: tuple[int, int]) -> None:
        view = closed_view(service, finding)
        readable(read(View(station(view), place=opened(view, Page.SERVICES)), size), finding.title)

    def test_as_a_refusal(self, service: Service, finding: Finding, size: tuple[int, int]) -> None:
        del service
        note = f"{finding.title} {finding.remedy}".strip()
        phone = offered(Service.RESTART)
        assert read(View(station(phone), note), size).reads(note)
        assert read(View(station(phone), note, opened(phone, Page.ASK)), size).reads(note)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("service", "finding"), told())
def test_what_is_told_before_start(service: Service, finding: Finding, size: tuple[int, int]) -> None:
    readable(read(View(station(told_view(service, finding))), size), finding.title, finding.remedy)


def test_the_sheet_to_read_them_on_can_be_drawn() -> None:
    assert sheet((480, 320), columns=8).get_width() == 8 * 488


def bay_two() -> BayView:
    return bay(BayState.EMPTY, 2)
