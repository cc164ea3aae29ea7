"""What the commands of the control socket do to phones, sockets and servers."""

import asyncio
import secrets
from itertools import count
from pathlib import Path

from station.model.base import Ecid, SocketPath
from station.virtual import control
from station.virtual.apple.servers import AppleServers
from station.virtual.bus import Bus
from station.virtual.control import Answer, Command, Done, Installed, PhoneReport, Rejected
from station.virtual.faults import Faults
from station.virtual.models import find_model
from station.virtual.phone import Boots, Pace, VirtualPhone


class Hands:
    """Makes phones, plugs them in and out, and remembers them all."""

    def __init__(self, bus: Bus, boots: Boots, apple: AppleServers, *, pace: float) -> None:
        self.phones: dict[Ecid, VirtualPhone] = {}
        """Every phone there ever was, plugged in or not."""
        self.quit = asyncio.Event()
        """Somebody asked for the end."""
        self._bus = bus
        self._boots = boots
        self._apple = apple
        self._pace = pace

    def plug(self, order: control.Plug) -> VirtualPhone:
        """Make a phone and plug it in. Raises KeyError or ValueError when that cannot be."""
        ecid = order.ecid if order.ecid is not None else Ecid(secrets.randbits(52))
        if ecid in self.phones:
            raise ValueError("there is a phone with this ECID: replug it")
        phone = VirtualPhone(
            find_model(order.model).identity(ecid),
            None if order.installed is None else order.installed.system(),
            self._boots,
            faults=Faults(order.faults),
            pace=Pace(self._pace if order.pace is None else order.pace),
        )
        if not order.auto_boot:
            phone.nvram["auto-boot"] = "false"
        self._bus.plug(phone, order.socket or self._free_socket())
        self.phones[ecid] = phone
        return phone

    async def carry_out(self, command: Command) -> Answer:
        """Carry out one command."""
        try:
            return Done(phones=tuple(report(phone) for phone in await self._phones_after(command)))
        except (KeyError, ValueError, OSError) as error:
            return Rejected(reason=str(error.args[0]) if isinstance(error, KeyError) else str(error))

    async def _phones_after(self, command: Command) -> list[VirtualPhone]:
        """Carry out a command; the phones it was about."""
        match command:
            case control.Plug():
                return [self.plug(command)]
            case control.Replug(ecid=ecid, socket=socket):
                if ecid not in self.phones:
                    raise KeyError("there never was a phone with this ECID")
                self._bus.plug(self.phones[ecid], socket or self._free_socket())
                return [self.phones[ecid]]
            case control.List():
                return list(self.phones.values())
            case control.Unplug() | control.AddFault() | control.Tap():
                return [await self._touch(command)]
            case control.Sign(ipsw=ipsw):
                await asyncio.to_thread(self._apple.register, Path(ipsw))
            case control.Misbehave(service=service, behaviour=behaviour):
                self._apple.behaviours[service] = behaviour
            case control.Quit():
                self.quit.set()
        return []

    async def _touch(self, command: control.Unplug | control.AddFault | control.Tap) -> VirtualPhone:
        """Do something to a phone that is plugged in."""
        phone = self._bus.at(command.socket)
        if phone is None:
            raise KeyError(f"nothing is plugged in at {command.socket}")
        match command:
            case control.Unplug(socket=socket):
                await self._bus.unplug(socket)
            case control.AddFault(fault=fault):
                phone.faults.add(fault)
            case control.Tap() if phone.system is not None:
                phone.system.locked, phone.system.trusted, phone.system.denied = False, True, False
            case control.Tap():
                raise ValueError("nothing is installed that could ask")
        return phone

    def _free_socket(self) -> SocketPath:
        number = next(number for number in count(1) if self._bus.at(SocketPath(f"1-1.{number}")) is None)
        return SocketPath(f"1-1.{number}")


def report(phone: VirtualPhone) -> PhoneReport:
    """A phone as the control socket shows it."""
    return PhoneReport(
        socket=phone.socket,
        ecid=phone.identity.ecid,
        udid=phone.identity.udid,
        product_type=phone.identity.product_type,
        mode=phone.mode if phone.running is not None else None,
        installed=None if phone.system is None else Installed.of(phone.system),
        history=tuple(phone.history),
        destructions=tuple(phone.destructions),
    )
