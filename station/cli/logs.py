"""Where the processes of the station log to."""

import logging
import os
import sys

import structlog


def log_to_stderr() -> None:
    """Log in one line of keys and values each; the journal adds the time by itself. Stdout is for programs."""
    structlog.configure(
        processors=[
            structlog.stdlib.add_log_level,
            *([] if "JOURNAL_STREAM" in os.environ else [structlog.processors.TimeStamper(fmt="iso")]),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], drop_missing=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
