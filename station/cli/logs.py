"""Where the processes of the station log to."""

import logging
import os
import sys

import structlog

from station.adapters import journal


def log_to_stderr() -> None:
    """Log in one line of keys and values each; the journal adds the time by itself. Stdout is for programs.

    Where stderr is the journal, each line has the fields JOB, BAY and ECID there, as far as it is about them.
    """
    render = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True)
    to_journal = journal.is_connected()
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            *([] if journal.STREAM in os.environ else [structlog.processors.TimeStamper(fmt="iso")]),
            structlog.processors.format_exc_info,
            journal.Fields(render) if to_journal else render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=(lambda *_: journal.JournalLogger()) if to_journal else structlog.PrintLoggerFactory(sys.stderr),
    )
