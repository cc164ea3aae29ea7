"""com.apple.mobile.diagnostics_relay: a host restarts the phone, turns it off, or asks what its parts say.

Requests as libimobiledevice (`src/diagnostics_relay.c`) and pymobiledevice3 (`services/diagnostics.py`) send them.
What iOS 17.4 gave up is named in its mobile_diagnostics_relay (public diffs of its strings).
"""

from collections.abc import Callable, Mapping
from typing import Any

from station.virtual.services import registry
from station.virtual.services.service import Call, Service
from station.virtual.system import values

GIVEN_UP = (17, 4)
"""The iOS that answers MobileGestalt, WiFi and NAND no more."""
IN_PERCENT = (17,)
"""The iOS that tells FullChargeCapacity in percent of what it was designed for."""

GOING_DOWN_SECONDS = 3.0
"""How long it still is there once it was told to restart or to turn off, at the default pace."""


async def serve(call: Call) -> None:
    """Answer request by request. A restart or shutdown happens when the host has hung up, as on a real phone."""
    then: Callable[[], None] | None = None
    try:
        while True:
            message = await call.receive()
            request = message.get("Request")
            await call.phone.step(f"diagnostics:{request}")
            match request:
                case "Restart":
                    then = call.phone.restart_into
                case "Shutdown":
                    then = call.phone.shut_down
                case _:
                    pass
            await call.send(_answer(call, message))
            if request == "Goodbye":
                break
    except (EOFError, OSError):  # most clients just hang up
        pass
    if then is not None:
        await call.phone.pace.pause(GOING_DOWN_SECONDS)
        then()


def _answer(call: Call, message: Mapping[str, Any]) -> dict[str, Any]:
    match message.get("Request"):
        case "Restart" | "Shutdown" | "Sleep" | "Goodbye":
            return {"Status": "Success"}
        case "IORegistry":
            return _registry(call, message)
        case "MobileGestalt":
            return _success({"MobileGestalt": _gestalt(call, message.get("MobileGestaltKeys"))})
        case "All":
            return _success({name: part(call) for name, part in _PARTS.items()})
        case str(name) if name in _PARTS:
            return _success({name: _PARTS[name](call)})
        case _:
            return {"Status": "UnknownRequest"}


def _success(diagnostics: dict[str, Any]) -> dict[str, Any]:
    return {"Status": "Success", "Diagnostics": diagnostics}


def _registry(call: Call, message: Mapping[str, Any]) -> dict[str, Any]:
    """One entry by its name or class, or a whole plane; nothing for what is not there."""
    entries = registry.entries(call.phone, call.system)
    if message.get("CurrentPlane"):
        return _success({"IORegistry": registry.tree(entries)})
    name, kind = message.get("EntryName"), message.get("EntryClass")
    for entry in entries:
        if (name or kind) and (not name or name == entry.name) and (not kind or kind in entry.classes):
            return _success({"IORegistry": entry.properties})
    return {"Status": "Success"}


def _gestalt(call: Call, keys: object) -> dict[str, Any]:
    if call.system.release >= GIVEN_UP:
        return {"Status": "MobileGestaltDeprecated"}
    known = values.root(call.phone, call.system)
    wanted = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    return {"Status": "Success"} | {key: known[key] for key in wanted if key in known}


def _gas_gauge(call: Call) -> dict[str, Any]:
    battery = registry.battery(call.phone)
    design, full = battery["DesignCapacity"], battery["NominalChargeCapacity"]
    return {
        "CycleCount": battery["CycleCount"],
        "DesignCapacity": design,
        "FullChargeCapacity": round(100 * full / design) if call.system.release >= IN_PERCENT else full,
        "Status": "Success",
    }


def _wifi(call: Call) -> dict[str, Any]:
    gone = call.system.release >= GIVEN_UP
    return {"Status": "WifiInfoDeprecated"} if gone else {"Active": True, "Status": "Success"}


def _nand(call: Call) -> dict[str, Any]:
    return {"Status": "NANDInfoDeprecated" if call.system.release >= GIVEN_UP else "NANDInfoFailed"}


_PARTS: dict[str, Callable[[Call], dict[str, Any]]] = {"GasGauge": _gas_gauge, "NAND": _nand, "WiFi": _wifi}

SERVICE = Service("com.apple.mobile.diagnostics_relay", serve, while_locked=True)
