"""The certificate as a page: A4, one page, for whoever takes the phone over.

The fonts are embedded, so that it looks the same everywhere and for as long as it must be kept. The same
certificate always makes the same bytes. Lengths are millimetres, font sizes points, colours RGB.
"""

import unicodedata
from collections.abc import Iterable
from datetime import datetime
from importlib import resources

import segno
from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, RenderStyle, XPos, YPos

from station.model.certificate import Certificate

LEFT, RIGHT, TOP, BOTTOM = 22.0, 188.0, 20.0, 277.0
GUTTER = 10.0
COLUMN = (RIGHT - LEFT - GUTTER) / 2

INK, SOFT, HAIRLINE = (24, 28, 33), (104, 112, 122), (218, 221, 226)
GREEN, WARNING = (22, 112, 76), (190, 42, 32)

MAX_ROWS = 9
"""Rows of what was verified that find room; more stand in the JSON."""

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
            self.add_font("Inter", "", directory / "Inter-Regular.ttf")
            self.add_font("Inter", "B", directory / "Inter-SemiBold.ttf")
        self._glyphs = self.fonts["inter"].cmap.keys()
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
        self._text(LEFT, TOP, f"{certificate.station} · bay {certificate.bay}", size=8, colour=SOFT, align=Align.R)
        self._text(LEFT, TOP + 11, "Certificate of Sanitization", size=25, bold=True)
        lead = (
            certificate.notice
            or "The phone below was erased and its firmware installed anew. Then the station looked at what came back."
        )
        colour = WARNING if certificate.emulated else SOFT
        self._text(LEFT, TOP + 24, lead, size=9.5, bold=certificate.emulated, colour=colour)
        self.set_y(TOP + 34)

    def _facts(self) -> None:
        certificate = self._certificate
        clock = "" if certificate.clock_trusted else ", by a clock not known to be right"
        phone = (
            ("Phone", f"{certificate.model} ({certificate.product_type})"),
            ("Serial number", certificate.serial_number),
            ("IMEI", certificate.imei),
            ("ECID", certificate.ecid),
            ("Firmware before", certificate.firmware_before),
        )
        work = (
            ("Method", certificate.method),
            ("Firmware installed", certificate.firmware_after),
            ("Confirmed", f"{_readable(certificate.confirmed_at)}, by {certificate.confirmed_by}"),
            ("Ended", f"{_readable(certificate.ended)}, after {_duration(certificate.duration_seconds)}{clock}"),
        )
        top = self._rule(self.get_y())
        self.set_y(max(self._column(LEFT, top, phone), self._column(LEFT + COLUMN + GUTTER, top, work)))

    def _column(self, x: float, y: float, facts: Iterable[tuple[str, str]]) -> float:
        for label, value in facts:
            self._text(x, y, label, size=7, colour=SOFT)
            y = self._text(x, y + 3.6, value, size=9.5, width=COLUMN, lines=2) + 2.6
        return y

    def _evidence(self) -> None:
        certificate = self._certificate
        y = self._section(self.get_y() + 1, "Verified by the station, on the phone that came back")
        for check in certificate.verified[:MAX_ROWS]:
            y = self._row(y, check.what, check.observed, good=check.passed)
        if more := len(certificate.verified) - MAX_ROWS:
            y = self._row(y, f"and {more} more, in the signed JSON", "", good=True) if more > 0 else y
        y = self._section(y + 2.5, "Reported by the phone's restore system")
        for check in certificate.reported:
            y = self._row(y, f"{check.what} ({check.expected})", check.observed, good=check.passed)
        y = self._section(y + 2.5, "Not verified")
        for words in certificate.not_verified:
            what, _, state = words.rpartition(": ")
            y = self._row(y, what, state, good=False)

    def _section(self, y: float, words: str) -> float:
        y = self._rule(y)
        return self._text(LEFT, y, words, size=9, bold=True) + 1.4

    def _row(self, y: float, what: str, observed: str, *, good: bool) -> float:
        with self.local_context():
            self.set_line_width(0.45)
            if good:
                self.set_draw_color(*GREEN)
                self.polyline([(LEFT + 0.4, y + 2.1), (LEFT + 1.5, y + 3.2), (LEFT + 3.7, y + 0.9)])
            else:
                self.set_draw_color(*SOFT)
                self.line(LEFT + 0.6, y + 2, LEFT + 3.4, y + 2)
        x = LEFT + COLUMN + GUTTER
        self._text(LEFT + 7, y, what, size=9, width=x - LEFT - 9)
        self._text(x, y, observed, size=9, width=COLUMN, colour=INK if good else SOFT)
        return y + 5.3

    def _proof(self) -> None:
        certificate = self._certificate
        side = 32.0
        top = BOTTOM - side - 14
        self._rule(top - 6)
        self._qr(LEFT, top, side)
        facts = (
            ("Certificate", certificate.certificate),
            ("Record in the station's chain", f"{certificate.record}"),
            ("Digest of the record (SHA-256)", certificate.digest),
            ("Signing key", certificate.key_id),
            ("Digest of the installed BuildManifest (SHA-256)", certificate.manifest_sha256),
        )
        y = top
        x = LEFT + side + 8
        for label, value in facts:
            self._text(x, y, label, size=6.5, colour=SOFT)
            y = self._text(x, y + 3, value, size=8, width=RIGHT - x) + 0.55
        self._text(LEFT, BOTTOM - 9, certificate.classification, size=7.5, colour=SOFT, lines=2)
        check = f"To check it: station records verify --certificate FILE. Made by {certificate.software}."
        self._text(LEFT, BOTTOM - 1, check, size=7.5, colour=SOFT)

    def _qr(self, x: float, y: float, side: float) -> None:
        """Id, record, digest and key, in the characters that a QR code packs best."""
        certificate = self._certificate
        words = f"RESTORE-STATION {certificate.certificate} {certificate.digest} {certificate.key_id}".upper()
        code = segno.make_qr(words, error="m")
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
        with self.local_context(fill_opacity=0.13), self.rotation(52, 105, 150):
            self._text(-45, 130, "EMULATED", size=92, bold=True, colour=WARNING, width=300, align=Align.C)
            self._text(-45, 162, "NOT A PROOF", size=46, bold=True, colour=WARNING, width=300, align=Align.C)

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
        """Write words into a box of so many lines, the rest cut off with "…". Returns where the box ends."""
        self.set_font("Inter", "B" if bold else "", size)
        self.set_text_color(*colour)
        self.set_char_spacing(spacing)
        height = size * 0.47
        wrapped = self.multi_cell(
            width, height, self._clean(words), dry_run=True, output=MethodReturnValue.LINES, align=Align.L
        )
        if len(wrapped) > lines:
            wrapped = [*wrapped[: lines - 1], self._cut(wrapped[lines - 1], width)]
        for line in wrapped:
            self.set_xy(x, y)
            self.cell(width, height, line, align=align, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
            y += height
        return y

    def _cut(self, line: str, width: float) -> str:
        room = width - 2 * self.c_margin
        while line and self.get_string_width(f"{line}…") > room:
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


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
