"""`python -m station.worker JOBDIR`: do one job."""

import sys
from pathlib import Path

from station.worker import keeper

if __name__ == "__main__":
    sys.exit(keeper.main(Path(sys.argv[1])))
