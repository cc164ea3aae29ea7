"""com.apple.crashreportcopymobile and com.apple.crashreportmover: a host takes the phone's crash reports along.

The first is AFC in another directory. The second moves what waits elsewhere into it, and says that it has; as
libimobiledevice (`tools/idevicecrashreport.c`) and pymobiledevice3 (`services/crash_reports.py`) expect.
"""

from functools import partial

from station.virtual.services import afc
from station.virtual.services.service import Call, Service
from station.virtual.system.files import CRASH_REPORTS

PENDING = "/Library/Logs/CrashReporter"
"""Where the system's own processes leave their reports, until they are moved."""


async def move(call: Call) -> None:
    """Move what is pending, and tell the host."""
    files = call.system.files
    if files.exists(PENDING):
        for name in files.names(PENDING):
            files.rename(f"{PENDING}/{name}", f"{CRASH_REPORTS}/{name}")
    await call.phone.step("crashreportmover:ping")
    call.writer.write(b"ping\0")
    await call.writer.drain()


COPY = Service("com.apple.crashreportcopymobile", partial(afc.serve, root=CRASH_REPORTS))
MOVER = Service("com.apple.crashreportmover", move)
