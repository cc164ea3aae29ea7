"""The daemon as its own composition root makes it, but for the program its workers run: daemon_process.py WORKER…"""

import sys

from station.adapters.workers import LocalStarter
from station.daemon.main import run
from station.daemon.settings import load

if __name__ == "__main__":
    run(load(), starter=LocalStarter(tuple(sys.argv[1:])))
