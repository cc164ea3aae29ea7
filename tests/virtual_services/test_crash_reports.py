"""Crash reports, taken along by the library and by idevicecrashreport."""

from pymobiledevice3.services.crash_reports import CrashReportsManager

from station.virtual.services.crash_reports import PENDING
from station.virtual.system.files import CRASH_REPORTS
from tests.virtual_services.helpers import introduce, run, trusted

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


async def test_debians_program_moves_them(plug, tmp_path):
    phone = plug()
    await introduce(phone)
    leave_one(phone)
    content = phone.system.files.read(f"{CRASH_REPORTS}/{REPORT}")
    ran = await run("idevicecrashreport", str(tmp_path))
    assert ran.code == 0, ran
    assert (tmp_path / REPORT).read_bytes() == content
    assert (tmp_path / "panic.ips").read_bytes() == b"panic"
    assert phone.system.files.names(CRASH_REPORTS) == []
