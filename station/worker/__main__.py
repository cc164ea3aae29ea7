"""`python -m station.worker [JOBDIR]`: do one job; without a directory, get ready and be told it on standard input."""

import sys
from pathlib import Path

from station.worker import keeper, ready

if __name__ == "__main__":
    path = Path(sys.argv[1]) if sys.argv[1:] else ready.await_job()
    sys.exit(0 if path is None else keeper.main(path))
