"""What a fault does to a phone when it strikes."""

import asyncio
from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from station.model.base import Ecid
from station.virtual.cable import Mishap
from station.virtual.faults.hostile import STRINGS
from station.virtual.faults.kinds import (
    Fault,
    FaultKind,
    GarbledError,
    PhoneGoneError,
    RefusedError,
    StatusError,
    StayError,
)

if TYPE_CHECKING:
    from station.virtual.phones.phone import VirtualPhone


async def strike(phone: "VirtualPhone", fault: Fault, step: str) -> None:
    """Do what the fault says to a phone that is at `step`.

    Raises:
        PhoneGoneError, StatusError, RefusedError, StayError, GarbledError: as the fault asks.
        ValueError: it changes a setting that there is not.
    """
    if fault.kind is FaultKind.SILENCE:
        await asyncio.Event().wait()
    if (act := _ACTS.get(fault.kind)) is not None:
        act(phone, fault)
    elif fault.kind in _MISHAPS:
        port = int(step.removeprefix("connect:")) if step.startswith("connect:") else None
        phone.cable.have(_MISHAPS[fault.kind], fault.after_bytes, port=port)
    if (error := _RAISED.get(fault.kind)) is not None:
        raise error(fault, step)


def arrive(phone: "VirtualPhone") -> None:
    """Do what faults say that are due when a phone is plugged in, before anybody sees it."""
    for fault in phone.faults.due_on_arrival():
        _ACTS[fault.kind](phone, fault)


def change(phone: "VirtualPhone", fault: Fault) -> None:
    """Change a phone's settings as somebody does at its screen. Raises ValueError: there is no such setting."""
    system = phone.system
    if system is None:
        return
    kinds = {item.name: type(getattr(system, item.name)) for item in fields(system)}
    for name, value in fault.changes.items():
        if kinds.get(name) is not type(value):
            raise ValueError(f"no setting {name!r} that could be {value!r}")
        setattr(system, name, value)


def _lie(phone: "VirtualPhone", fault: Fault) -> None:
    if fault.ecid is not None:
        phone.identity = replace(phone.identity, ecid=fault.ecid)
    if fault.hostile:
        text = STRINGS[fault.hostile]
        phone.lies.values |= {"DeviceName": text, "SerialNumber": text}
    phone.lies.values |= fault.says
    phone.lies.withheld |= set(fault.withholds)
    phone.lies.serial = fault.serial or phone.lies.serial


def _slow(phone: "VirtualPhone", fault: Fault) -> None:
    phone.cable.rate = fault.rate


def _point_inward(phone: "VirtualPhone", fault: Fault) -> None:
    phone.asset_url = fault.url


def _unplug(phone: "VirtualPhone", _fault: Fault) -> None:
    phone.pull()


def _flap(phone: "VirtualPhone", fault: Fault) -> None:
    bus, socket = phone.bus, phone.socket
    assert bus is not None
    assert socket is not None

    async def flap() -> None:
        for _ in range(fault.count):
            if bus.at(socket) is not phone:
                return  # somebody really unplugged it
            await bus.unplug(socket)
            await phone.pace.pause(fault.seconds)
            if bus.at(socket) is not None or phone.socket is not None:
                return
            bus.plug(phone, socket)
            await phone.pace.pause(fault.seconds)

    bus.spawn(flap())


def _die(phone: "VirtualPhone", fault: Fault) -> None:
    bus, socket = phone.bus, phone.socket
    assert bus is not None

    async def die() -> None:
        phone.battery = 0
        await phone.disappear()
        await phone.pace.pause(fault.seconds)
        if phone.socket is not None and phone.socket == socket and phone.running is None:
            phone.battery = 3
            phone.appear(phone.boot_mode())

    bus.spawn(die())


def _swap(phone: "VirtualPhone", fault: Fault) -> None:
    bus, socket = phone.bus, phone.socket
    assert bus is not None
    assert socket is not None
    ecid = Ecid(phone.identity.ecid + 1) if fault.ecid is None else fault.ecid
    other = phone.twin(ecid)

    async def swap() -> None:
        await bus.unplug(socket)
        bus.plug(other, socket)

    bus.spawn(swap())


def _gone(_fault: Fault, step: str) -> Exception:
    return PhoneGoneError(step)


_ACTS: dict[FaultKind, Callable[["VirtualPhone", Fault], None]] = {
    FaultKind.UNPLUG: _unplug,
    FaultKind.FLAP: _flap,
    FaultKind.BATTERY: _die,
    FaultKind.SWAP: _swap,
    FaultKind.SLOW: _slow,
    FaultKind.LIE: _lie,
    FaultKind.CHANGE: change,
    FaultKind.INWARD: _point_inward,
}
_MISHAPS = {FaultKind.CUT: Mishap.CUT, FaultKind.STALL: Mishap.STALL, FaultKind.CORRUPT: Mishap.CORRUPT}
_RAISED: dict[FaultKind, Callable[[Fault, str], Exception]] = {
    **dict.fromkeys((FaultKind.UNPLUG, FaultKind.FLAP, FaultKind.BATTERY, FaultKind.SWAP), _gone),
    FaultKind.STATUS: lambda fault, step: StatusError(fault.status, f"told to fail at {step}"),
    FaultKind.REFUSE: lambda _, step: RefusedError(step),
    FaultKind.STAY: lambda _, step: StayError(step),
    FaultKind.GARBLE: lambda fault, _: GarbledError(fault.garble),
}
