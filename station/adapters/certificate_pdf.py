"""The certificate as a page: A4, one page, for whoever takes the phone over.

The fonts are embedded, so that it looks the same everywhere and for as long as it must be kept. The same
certificate always makes the same bytes. Lengths are millimetres, font sizes points, colours RGB.
"""

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from importlib import resources
from typing import cast

import segno
from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, RenderStyle, XPos, YPos
from fpdf.fonts import TTFFont

from station.model.certificate import Certificate

LEFT, RIGHT, TOP, BOTTOM = 22.0, 188.0, 20.0, 280.0
GUTTER = 10.0
COLUMN = (RIGHT - LEFT - GUTTER) / 2
EXPECTED, OBSERVED = 100.0, 146.0
"""Where the second and the third column of what was verified begin."""
ROW, SECTION = 5.0, 12.0
"""Heights of a row, and of all that makes a section besides its rows."""
QR = 32.0
PROOF = BOTTOM - QR - 13
"""Where the page's last part begins."""

INK, SOFT, HAIRLINE = (24, 28, 33), (104, 112, 122), (218, 221, 226)
GREEN, WARNING = (22, 112, 76), (190, 42, 32)

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def render(certificate: Certificate) -> bytes:
    """Draw the page. Blocks for about half a second."""
    page = _Page(certificate)
    page.draw()
    return bytes(page.output())


class _Page(FPDF):
    def __init__(self, certificate: Certificate) -> None:
        super().__init__(orientation="portrait", unit="mm", format="A4")
        self._certificate = certificate
        fonts = resources.files("station") / "screen" / "fonts"
        with resources.as_file(fonts) as directory:
            self.add_font("Inter", "", directory / "Inter-Medium.ttf")
            self.add_font("Inter", "B", directory / "Inter-Bold.ttf")
        font = self.fonts["inter"]
        assert isinstance(font, TTFFont)
        self._glyphs = font.cmap.keys()
        self.c_margin = 0
        self.set_auto_page_break(auto=False)
        self.set_margins(LEFT, TOP, 210 - RIGHT)
        self.set_title(f"Certificate of Sanitization {certificate.certificate}")
        self.set_creator(self._clean(certificate.software))
        self.set_lang("en")
        self.set_creation_date(_moment(certificate.ended))

    def draw(self) -> None:
        self.add_page()
        if self._certificate.emulated:
            self._watermark()
        self._heading()
        self._facts()
        self._evidence()
        self._proof()

    def _heading(self) -> None:
        certificate = self._certificate
        self._text(LEFT, TOP, "RESTORE STATION", size=7.5, bold=True, colour=SOFT, spacing=1.1)
        place = f"{certificate.station} · bay {certificate.bay}"
        self._text(LEFT + 50, TOP, place, size=8, colour=SOFT, width=RIGHT - LEFT - 50, align=Align.R)
        self._text(LEFT, TOP + 11, "Certificate of Sanitization", size=25, bold=True)
        lead = certificate.notice or certificate.summary
        colour = WARNING if certificate.emulated else SOFT
        self._text(LEFT, TOP + 24, lead, size=9.5, bold=certificate.emulated, colour=colour)
        self.set_y(TOP + 31)

    def _facts(self) -> None:
        certificate = self._certificate
        phone = (
            ("Phone", f"{certificate.model} ({certificate.product_type})"),
            ("Serial number", certificate.serial_number),
            ("IMEI", certificate.imei),
            ("ECID", certificate.ecid),
            ("Firmware before, and now", f"{certificate.firmware_before}, {certificate.firmware_after}"),
            ("Activation Lock before", _moments(certificate.activation_lock)),
            *((("Overruled", _moments("; ".join(certificate.overruled))),) if certificate.overruled else ()),
        )
        clock = "" if certificate.clock_trusted else ", by a clock not known to be right"
        work = (
            ("Method", certificate.method),
            ("Backup before", _moments(certificate.backup)),
            ("Confirmed by", certificate.confirmed_by),
            ("Confirmed", _readable(certificate.confirmed_at)),
            ("Started", _readable(certificate.started)),
            ("Ended", f"{_readable(certificate.ended)} ({_duration(certificate.duration_seconds)}){clock}"),
        )
        top = self._rule(self.get_y())
        self.set_y(max(self._column(LEFT, top, phone), self._column(LEFT + COLUMN + GUTTER, top, work)))

    def _column(self, x: float, y: float, facts: Iterable[tuple[str, str]]) -> float:
        for label, value in facts:
            self._text(x, y, label, size=7, colour=SOFT)
            y = self._text(x, y + 3.6, value, size=9.5, width=COLUMN, lines=2) + 2.4
        return y

    def _evidence(self) -> None:
        certificate = self._certificate
        y = self.get_y()
        rest = len(certificate.reported) + len(certificate.not_verified)
        sections = 3 if certificate.reported else 2
        room = int((PROOF - y - sections * SECTION) / ROW) - rest
        shown = certificate.verified if len(certificate.verified) <= room else certificate.verified[: room - 1]
        y = self._section(y, "Verified by the station afterwards", columns=True)
        for check in shown:
            y = self._row(y, check.what, check.expected, check.observed, good=check.passed)
        if more := len(certificate.verified) - len(shown):
            y = self._row(y, f"{more} more, all passed: see the signed JSON", "", "", good=True)
        if certificate.reported:
            y = self._section(y, "Reported by the phone’s restore system")
        for check in certificate.reported:
            y = self._row(y, check.what, check.expected, check.observed, good=check.passed)
        y = self._section(y, "Not verified")
        for words in certificate.not_verified:
            what, _, state = words.rpartition(": ")
            y = self._row(y, what, "", state, good=False)

    def _section(self, y: float, words: str, *, columns: bool = False) -> float:
        top = self._rule(y + 1.5)
        if columns:
            self._text(EXPECTED, top + 0.6, "expected", size=7, colour=SOFT)
            self._text(OBSERVED, top + 0.6, "observed", size=7, colour=SOFT)
        self._text(LEFT, top, words, size=9, bold=True, width=EXPECTED - LEFT)
        return y + SECTION - 0.5

    def _row(self, y: float, what: str, expected: str, observed: str, *, good: bool) -> float:
        with self.local_context():
            self.set_line_width(0.4)
            if good:
                self.set_draw_color(*GREEN)
                self.polyline([(LEFT + 0.2, y + 2.2), (LEFT + 1.2, y + 3.2), (LEFT + 3.2, y + 1.0)])
            else:
                self.set_draw_color(*SOFT)
                self.line(LEFT + 0.2, y + 2.1, LEFT + 3.0, y + 2.1)
        room = OBSERVED - EXPECTED - 3
        self._text(LEFT + 6, y, what, size=9, width=EXPECTED - LEFT - 9 if expected else OBSERVED - LEFT - 9)
        self._text(EXPECTED, y, expected, size=9, width=room, colour=SOFT)
        self._text(OBSERVED, y, observed, size=9, width=RIGHT - OBSERVED, colour=INK if good else SOFT)
        return y + ROW

    def _proof(self) -> None:
        certificate = self._certificate
        top = self._rule(PROOF)
        self._qr(LEFT, top + 0.5, QR)
        facts = (
            ("Certificate", certificate.certificate),
            (f"Digest (SHA-256) of record {certificate.record} in the station’s chain", certificate.digest),
            ("Digest (SHA-256) of the installed firmware’s BuildManifest", certificate.manifest_sha256),
            ("Signing key", certificate.key_id),
        )
        y, x = top, LEFT + QR + 8
        for label, value in facts:
            self._text(x, y, label, size=7, colour=SOFT)
            y = self._text(x, y + 3.5, value, size=8, width=RIGHT - x) + 1.25
        self._text(LEFT, BOTTOM - 5, certificate.classification, size=7, colour=SOFT)
        which = "--emulated " if certificate.emulated else ""
        check = f"To check this: station records verify {which}--certificate FILE · Made by {certificate.software}"
        self._text(LEFT, BOTTOM, check, size=7, colour=SOFT)

    def _qr(self, x: float, y: float, side: float) -> None:
        code = segno.make_qr(self._certificate.code, error="m")
        modules = [list(row) for row in code.matrix_iter(border=0)]
        size = side / len(modules)
        with self.local_context():
            self.set_fill_color(*INK)
            for row, line in enumerate(modules):
                start = 0
                for column, dark in enumerate([*line, 0]):
                    if not dark:
                        if column > start:  # one bar for neighbours: no hairlines between them
                            self.rect(x + start * size, y + row * size, (column - start) * size, size, RenderStyle.F)
                        start = column + 1

    def _watermark(self) -> None:
        middle, height = self.w / 2, self.h / 2
        with self.local_context(fill_opacity=0.13), self.rotation(52, middle, height):
            self.set_text_color(*WARNING)
            for words, size, y in (("EMULATED", 118, height), ("NOT A PROOF", 62, height + 28)):
                self.set_font("Inter", "B", size)
                self.text(middle - self.get_string_width(words) / 2, y, words)

    def _rule(self, y: float) -> float:
        with self.local_context():
            self.set_draw_color(*HAIRLINE)
            self.set_line_width(0.2)
            self.line(LEFT, y, RIGHT, y)
        return y + 4

    def _text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: float,
        bold: bool = False,
        colour: tuple[int, int, int] = INK,
        width: float = RIGHT - LEFT,
        align: Align = Align.L,
        lines: int = 1,
        spacing: float = 0,
    ) -> float:
        """Write words into so many lines, the rest cut off with "…". Returns where the next thing may begin."""
        self.set_font("Inter", "B" if bold else "", size)
        self.set_text_color(*colour)
        self.set_char_spacing(spacing)
        height = size * 0.47
        broken = self.multi_cell(width, height, self._clean(words), dry_run=True, output=MethodReturnValue.LINES)
        wrapped = cast("list[str]", broken)
        if len(wrapped) > lines:
            wrapped = [*wrapped[: lines - 1], self._cut(wrapped[lines - 1], width)]
        for line in wrapped:
            self.set_xy(x, y)
            self.cell(width, height, line, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            y += height
        return y

    def _cut(self, line: str, width: float) -> str:
        while line and self.get_string_width(f"{line}…") > width:
            line = line[:-1]
        return f"{line.rstrip()}…"

    def _clean(self, words: str) -> str:
        """Words from outside as one harmless line: no control characters, only letters that the font has."""
        composed = unicodedata.normalize("NFC", words[:400])
        return "".join(
            letter if ord(letter) in self._glyphs and unicodedata.category(letter)[0] != "C" else "?"
            for letter in composed
        )


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _EPOCH


def _readable(text: str) -> str:
    """RFC 3339 as people read it: "21 November 2026, 06:12 UTC"."""
    try:
        return f"{datetime.fromisoformat(text):%-d %B %Y, %H:%M} UTC"
    except ValueError:
        return text


def _moments(words: str) -> str:
    """Words with their moments as people read them."""
    return _MOMENT.sub(lambda found: _readable(found[0]), words)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
