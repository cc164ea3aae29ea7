"""com.apple.mobile.heartbeat: the phone asks now and then whether the host is still there.

Message names as pymobiledevice3 (`services/heartbeat.py`) and libimobiledevice (`heartbeat.c`) handle them.
"""

import asyncio

from station.virtual.services.service import Call, Service

INTERVAL = 10
"""Seconds from one beat to the next."""
PATIENCE = 10.0
"""Seconds for which an answer is waited for beyond that."""


async def serve(call: Call) -> None:
    """Send a beat, expect an answer, and so on; hang up on a host that does not answer."""
    while True:
        await call.send({"Command": "Marco", "Interval": INTERVAL, "SupportsSleepyTime": True})
        try:
            async with asyncio.timeout(INTERVAL + PATIENCE):
                answer = await call.receive()
        except TimeoutError:
            await call.send({"Command": "SleepyTime"})
            return
        if answer.get("Command") != "Polo":
            return
        await asyncio.sleep(INTERVAL)


SERVICE = Service("com.apple.mobile.heartbeat", serve, while_locked=True)
