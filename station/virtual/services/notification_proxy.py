"""com.apple.mobile.notification_proxy: a host posts notifications on the phone, and hears of those it observes.

Commands as libimobiledevice (`src/notification_proxy.c`) and pymobiledevice3 (`services/notification_proxy.py`)
send them. What is posted or observed has no answer of its own.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from station.virtual.services.service import Call, Service
from station.virtual.system.notifications import Observer

MAX_OBSERVED = 256
"""Names that one connection observes; more are ignored."""


async def serve(call: Call) -> None:
    """Obey a host until it says Shutdown; what it observes is relayed meanwhile."""
    with call.system.notifications.observe(set()) as observer:
        relay = asyncio.create_task(_relay(call, observer))
        try:
            while (message := await call.receive()).get("Command") != "Shutdown":
                await call.phone.step(f"notification_proxy:{message.get('Command')}")
                _obey(call, observer, message)
        finally:
            relay.cancel()
            await asyncio.gather(relay, return_exceptions=True)
    await call.send({"Command": "ProxyDeath"})


def _obey(call: Call, observer: Observer, message: Mapping[str, Any]) -> None:
    name = message.get("Name")
    if not isinstance(name, str):
        return
    match message.get("Command"):
        case "PostNotification":
            call.system.notifications.post(name)
        case "ObserveNotification" if observer.names is not None and len(observer.names) < MAX_OBSERVED:
            observer.names.add(name)


async def _relay(call: Call, observer: Observer) -> None:
    while True:
        await call.send({"Command": "RelayNotification", "Name": await observer.waiting.get()})


SERVICE = Service("com.apple.mobile.notification_proxy", serve, while_locked=True)
