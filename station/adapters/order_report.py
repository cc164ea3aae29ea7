"""What came of a standing order, from its note and its records: for a program, and for whoever comes in the morning."""

from collections.abc import Iterator, Mapping

from station.model.base import Ecid, format_ecid
from station.model.order import OrderNote, OrderReport, OrderResult, ReportLine
from station.model.record import Outcome, Record
from station.model.service import SERVICES


def report_of(note: OrderNote, records: Mapping[OrderResult, Record]) -> OrderReport:
    """Put a report together.

    Args:
        note: the order, over or not.
        records: of its jobs, by the results that the note names.
    """
    last = {result.ecid: records.get(result) for result in note.results}
    phones = tuple(_line(note, ecid, last.get(ecid)) for ecid in dict.fromkeys(each.ecid for each in note.consents))
    done = sum(line.certified for line in phones)
    going_on = len([line for line in phones if _goes_on(line, ended=note.closed)])
    return OrderReport(
        order=note.id,
        station=note.station,
        service=note.service,
        bays=note.bays,
        count=note.count,
        given=note.given,
        ended=note.closed,
        why_ended="" if note.end is None else note.end.value,
        done=done,
        failed=len(phones) - done - going_on,
        left=note.count - len(phones),
        phones=phones,
        passed=note.passed,
    )


def text_of(report: OrderReport) -> str:
    """The report in lines, with what needs somebody first."""
    return "\n".join(_printable(line) for line in _lines(report)) + "\n"


def _goes_on(line: ReportLine, *, ended: str) -> bool:
    """Whether a phone's job is not recorded yet, in an order that is not over."""
    return not ended and line.outcome is None


def _line(note: OrderNote, ecid: Ecid, record: Record | None) -> ReportLine:
    interrupted = "It never began, or the station was interrupted."
    look_first = "Plug it in again and look at it before anything else."
    if record is None and not note.closed:
        interrupted, look_first = "It is being worked on.", "See it: station status"
    tries = [consent for consent in note.consents if consent.ecid == ecid]
    seen = None if record is None else record.before or record.observed.facts
    return ReportLine(
        ecid=ecid,
        bay=tries[-1].bay,
        model_name="" if seen is None else seen.model_name,
        outcome=None if record is None else record.outcome,
        title=interrupted if record is None else record.title,
        remedy=look_first if record is None else record.remedy,
        record=next((result.record for result in reversed(note.results) if result.ecid == ecid), 0),
        emulated=record is not None and record.emulated,
        tries=len(tries),
        seconds=0.0 if record is None else record.duration_seconds,
        certified=record is not None and record.outcome is Outcome.VERIFIED,
    )


def _end(report: OrderReport) -> str:
    if report.ended:
        return f"Over at {report.ended}: {report.why_ended}."
    if report.why_ended:
        return f"It ends with what has begun: {report.why_ended}."
    return "It still holds."


def _lines(report: OrderReport) -> Iterator[str]:
    bays = f"bays {', '.join(report.bays)}" if report.bays else "every bay"
    phones = "1 phone" if report.count == 1 else f"{report.count} phones"
    yield f"{report.station}: standing order “{SERVICES[report.service].title}”, {phones}, {bays}"
    yield f"Given at {report.given}. {_end(report)}"
    yield f"Done and verified: {report.done}. Not done: {report.failed}. Not come: {report.left}."
    if any(line.emulated for line in report.phones):
        yield "EMULATED: these phones are virtual ones, and this proves nothing."
    going_on = [line for line in report.phones if _goes_on(line, ended=report.ended)]
    failed = [line for line in report.phones if not line.certified and line not in going_on]
    done = [line for line in report.phones if line.certified]
    if going_on:
        yield ""
        yield "Going on now:"
        for line in going_on:
            yield f"  {_phone(line)}{_tries(line)}: {line.title} {line.remedy}"
    if failed:
        yield ""
        yield "Needs somebody:"
        for line in failed:
            yield f"  {_phone(line)}{_tries(line)}: {line.title} {line.remedy}".rstrip()
    if report.passed:
        yield ""
        yield "Were here and got nothing:"
        for passed in report.passed:
            name = passed.model_name or "a phone"
            ecid = "ECID unknown" if passed.ecid is None else format_ecid(passed.ecid)
            yield f"  bay {passed.bay}  {name}  {ecid}, at {passed.at}: {passed.why}"
    if done:
        yield ""
        yield "Done and verified:"
        for line in done:
            yield f"  {_phone(line)}{_tries(line)}: {line.title} It took {line.seconds:.0f} s."


def _phone(line: ReportLine) -> str:
    record = f"  record {line.record}" if line.record else ""
    return f"bay {line.bay}  {line.model_name or 'a phone'}  {format_ecid(line.ecid)}{record}"


def _tries(line: ReportLine) -> str:
    return "" if line.tries == 1 else f"  ({line.tries} tries)"


def _printable(words: str) -> str:
    """Words from a phone must not command the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in words)
