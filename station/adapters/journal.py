"""systemd's journal, as whoever looks for one phone needs it: JOB=, BAY= and ECID= on each line that is about one.

A program under systemd has the journal at the end of its standard error, where a line is a line and nothing else. It
may speak the journal's own protocol instead (systemd.exec(5), JOURNAL_STREAM); systemd-python, which is here for
readiness anyway, does that in libsystemd. Its logging handler is not used: it sends every attribute of a record along,
the arguments of a message among them, which a phone or a person may have typed. Three fields are sent here, no more.
"""

import os
from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from systemd.journal import send as write

from station.model.base import format_ecid

if TYPE_CHECKING:  # workers log without it
    from structlog.typing import Processor

SOCKET = "/run/systemd/journal/socket"
"""Where libsystemd sends to."""
STREAM = "JOURNAL_STREAM"
"""In the environment: device and inode of the stream that systemd gave as standard error."""
IDENTIFIER = "station"
PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "exception": 3, "critical": 2}
"""As syslog(3) counts; `journalctl --priority` asks for them."""
MOST_JOBS = 256
"""Of which it is known whose they are: many more than run at once."""
FIELDS = {"job": "JOB", "bay": "BAY", "ecid": "ECID"}
"""What is a field of its own, by its name in the log."""


def is_connected(process: int | None = None) -> bool:
    """Whether standard error is the stream that systemd gave, and so leads to the journal.

    Args:
        process: whose standard error; this process's by default.
    """
    with suppress(OSError):
        there = os.fstat(2) if process is None else os.stat(f"/proc/{process}/fd/2")  # noqa: PTH116 (a name of the kernel's)
        return os.environ.get(STREAM) == f"{there.st_dev}:{there.st_ino}" and os.path.exists(SOCKET)  # noqa: PTH110 (another)
    return False


def send(message: str, level: str, about: Mapping[str, object]) -> bool:
    """Have a line written, with the fields of `about` that are known here. Returns whether the journal took it.

    Blocks as writing to standard error does: until the journal has room.
    """
    fields = {FIELDS[name]: _word(name, value) for name, value in about.items() if name in FIELDS and value}
    try:
        write(
            message, CODE_FILE="station", PRIORITY=str(PRIORITIES.get(level, 6)), SYSLOG_IDENTIFIER=IDENTIFIER, **fields
        )
    except (OSError, UnicodeEncodeError):  # the latter: a name of a file that is no text, for one
        return False
    return True


class Fields:
    """A structlog processor, the last but the renderer's: it hands each line to the journal, with its fields.

    A line that names a job and not whose it is gets that from an earlier line of the job which did.
    """

    def __init__(self, render: "Processor") -> None:
        """Turn a line into text with `render`."""
        self._render = render
        self._jobs: OrderedDict[str, tuple[object, object]] = OrderedDict()

    def __call__(
        self, logger: object, name: str, event: MutableMapping[str, Any]
    ) -> tuple[tuple[str], dict[str, object]]:
        """Give what `JournalLogger` takes."""
        about = {field: event.get(field) for field in FIELDS}
        if (job := about["job"]) is not None:
            bay, ecid = self._jobs.pop(str(job), (None, None))
            about["bay"], about["ecid"] = about["bay"] or bay, about["ecid"] or ecid
            self._jobs[str(job)] = about["bay"], about["ecid"]
            while len(self._jobs) > MOST_JOBS:
                self._jobs.popitem(last=False)
        text = self._render(logger, name, event)
        return (str(text),), {"level": name, "about": about}


class JournalLogger:
    """What structlog's loggers end in: the journal; should it not listen, what systemd made of standard error."""

    def msg(self, message: str, *, level: str, about: Mapping[str, object]) -> None:
        """Write a line."""
        if not send(message, level, about):
            with suppress(OSError):
                os.write(2, message.encode(errors="replace") + b"\n")

    log = debug = info = warning = error = exception = critical = fatal = msg


def _word(name: str, value: object) -> str:
    """One way to write a phone's number, whoever wrote the line: what one can ask for."""
    return format_ecid(value) if name == "ecid" and isinstance(value, int) else str(value)
