"""com.apple.syslog_relay: what the phone logs, while it happens.

Lines end in a newline and a zero, as libimobiledevice (`tools/idevicesyslog.c`) and pymobiledevice3
(`services/syslog.py`) take them apart. A real phone logs hundreds of lines a second; this one, every notification.
"""

import datetime as dt

from station.virtual.services.service import Call, Service


async def serve(call: Call) -> None:
    """Relay until the host hangs up."""
    with call.system.notifications.observe(None) as observer:
        await _write(call, "syslog_relay", "relaying")
        while True:
            await _write(call, "notifyd", f"posted {await observer.waiting.get()}")


async def _write(call: Call, process: str, message: str) -> None:
    now = dt.datetime.now().astimezone()
    name = call.system.name.replace(" ", "-")
    line = f"{now:%b} {now.day:2} {now:%H:%M:%S} {name} {process}[{len(process)}] <Notice>: {message}\n\0"
    call.writer.write(line.encode())
    await call.writer.drain()


SERVICE = Service("com.apple.syslog_relay", serve, while_locked=True)
