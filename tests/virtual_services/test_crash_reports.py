"""Crash reports, taken along by the library."""

from pymobiledevice3.services.crash_reports import CrashReportsManager

from station.virtual.services.crash_reports import PENDING
from tests.virtual_services.helpers import trusted

REPORT = "JetsamEvent-2026-11-02-081500.ips"


def leave_one(phone):
    """The system has left a report that is not where hosts look."""
    phone.system.files.make_directories(PENDING)
    phone.system.files.write(f"{PENDING}/panic.ips", b"panic")


async def test_the_library_takes_and_clears_them(plug, tmp_path):
    phone = plug()
    leave_one(phone)
    async with trusted(phone) as client, CrashReportsManager(client) as manager:
        assert await manager.ls() == [f"/{REPORT}"]
        await manager.flush()
        assert await manager.ls() == [f"/{REPORT}", "/panic.ips"]
        await manager.pull(str(tmp_path), progress_bar=False)
        await manager.clear()
        assert await manager.ls() == []
    assert (tmp_path / "panic.ips").read_bytes() == b"panic"
    assert phone.system.canary is not None
