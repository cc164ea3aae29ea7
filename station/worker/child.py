"""The child: shut in, under a deadline from its first moment on, it does the job and ends."""

import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

from station.adapters.jobdir import EventWriter, JobDirectory
from station.model.job import Phase
from station.worker.confine import confine
from station.worker.deadline import Deadline
from station.worker.reporter import Reporter


def run(directory: JobDirectory, *, keeper: int, log: int) -> NoReturn:
    """Do the job and end the process with 0 when it succeeded, 1 when it did not."""
    code = 1
    try:
        directory = JobDirectory(Path(directory.path).absolute())
        spec = directory.spec()
        confine(directory.work, service=spec.service, keeper=keeper, log=log)
        reporter = Reporter(EventWriter(directory), Deadline(spec.deadlines))
        reporter.started(keeper)
        reporter.enter(Phase.CONNECT)
        from station.worker import job  # noqa: PLC0415 (heavy, where nobody had it loaded before: under limits and a deadline)

        code = 0 if job.do(directory, spec, reporter) else 1
    except BaseException:  # noqa: BLE001 (the process ends here, and the log is where this can still be told)
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Not sys.exit: threads that hang in the library must not keep this process.
        os._exit(code)
