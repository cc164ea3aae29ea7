"""com.apple.syslog_relay, read by the library."""

import asyncio

from pymobiledevice3.services.syslog import SyslogService

from tests.virtual_services.helpers import started


async def test_tells_what_happens(plug):
    phone = plug(name="My Phone")
    async with started(phone, SyslogService) as syslog, asyncio.timeout(5):
        lines = syslog.watch()
        assert "My-Phone syslog_relay" in await anext(lines)
        phone.system.notifications.post("com.apple.something")
        async for line in lines:  # the library may tell a line twice
            if line.endswith("<Notice>: posted com.apple.something"):
                break
