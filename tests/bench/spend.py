"""Run a command, and print what it used: `python -m tests.bench.spend LOG COMMAND…`.

The kernel counts the memory of whoever starts a program into the program's peak; so this small process does it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    with Path(sys.argv[1]).open("wb") as log:
        process = subprocess.Popen(sys.argv[2:], stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    json.dump({"status": status, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}, sys.stdout)
