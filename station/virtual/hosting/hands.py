"""What the commands of the control socket do to phones, sockets and servers."""

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from weakref import WeakKeyDictionary

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.apple.servers import AppleServers
from station.virtual.bus import Bus
from station.virtual.faults.kinds import ANSWERS, Fault, Faults, PhoneGoneError
from station.virtual.faults.strike import strike
from station.virtual.hosting import control
from station.virtual.hosting.control import Answer, Command, Done, Installed, PhoneReport, Rejected
from station.virtual.phones.buttons import Buttons, Hold, family_of
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.people import hand_over
from station.virtual.phones.phone import Boots, Pace, VirtualPhone
from station.virtual.usb.gadget import Gadget
from station.virtual.usb.standard import UsbOnly


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
        self._buttons: WeakKeyDictionary[VirtualPhone, Buttons] = WeakKeyDictionary()

    def plug(self, order: control.Plug) -> VirtualPhone:
        """Make a phone and plug it in. Raises KeyError or ValueError when that cannot be."""
        ecid = order.ecid if order.ecid is not None else Ecid(secrets.randbits(52))
        if ecid in self.phones and not order.clone:
            raise ValueError("there is a phone with this ECID: replug it")
        model = find_model(order.model)
        if order.installed is not None:
            model.refuse_version(order.installed.version)
        phone = VirtualPhone(
            model.identity(ecid, gigabytes=order.gigabytes),
            None if order.installed is None else order.installed.system(),
            self._boots,
            faults=Faults(order.faults),
            pace=Pace(self._pace if order.pace is None else order.pace),
        )
        if not order.auto_boot:
            phone.nvram["auto-boot"] = "false"
        hand_over(phone, order.people)
        self._bus.plug(phone, order.socket or self._free_socket())
        if not order.clone:
            self.phones[ecid] = phone
        return phone

    async def pause(self, seconds: float) -> None:
        """Let `seconds` pass, at the default pace."""
        await asyncio.sleep(seconds * self._pace)

    def replug(self, phone: VirtualPhone, socket: SocketPath | None = None) -> None:
        """Plug in a phone again, as it is now. Raises ValueError: it is plugged in, or the socket is taken."""
        self._bus.plug(phone, socket or self._free_socket())

    def plug_gadget(self, socket: SocketPath) -> VirtualPhone:
        """Plug in a keyboard that says that it is a phone. Raises ValueError: the socket is taken."""
        identity = find_model("iPhone 12").identity(Ecid(secrets.randbits(52)))
        boots = Boots(dict.fromkeys(PhoneMode, lambda phone: UsbOnly(Gadget(phone))))
        gadget = VirtualPhone(identity, System("0", "0"), boots)
        self._bus.plug(gadget, socket)
        return gadget

    async def strike(self, phone: VirtualPhone, fault: Fault) -> None:
        """Have something happen to a phone at once. Raises ValueError: it only can at a step."""
        if fault.kind in ANSWERS:
            raise ValueError(f"{fault.kind.value} needs a step to happen at")
        with suppress(PhoneGoneError):
            await strike(phone, fault, "now")

    async def drop_hub(self, hub: SocketPath, *, seconds: float) -> list[VirtualPhone]:
        """Have a hub drop its phones, and give them back one after the other, in the background."""
        phones = [phone for phone in self._bus.phones if str(phone.socket).startswith(f"{hub}.")]
        sockets = [phone.socket for phone in phones]
        for socket in sockets:
            assert socket is not None
            await self._bus.unplug(socket)

        async def give_back() -> None:
            for phone, socket in zip(phones, sockets, strict=True):
                await self.pause(seconds)
                if socket is not None and phone.socket is None and self._bus.at(socket) is None:
                    self._bus.plug(phone, socket)

        self._bus.spawn(give_back())
        return phones

    async def carry_out(self, command: Command) -> Answer:
        """Carry out one command."""
        try:
            return Done(phones=tuple(report(phone) for phone in await self.obey(command)))
        except (KeyError, ValueError, OSError) as error:
            return Rejected(reason=str(error.args[0]) if isinstance(error, KeyError) else str(error))

    async def obey(self, command: Command) -> list[VirtualPhone]:
        """Carry out a command; the phones it was about. Raises KeyError, ValueError or OSError: it cannot be."""
        phones: list[VirtualPhone] = []
        match command:
            case control.Plug():
                phones = [self.plug(command)]
            case control.PlugGadget(socket=socket):
                phones = [self.plug_gadget(socket)]
            case control.Replug(ecid=ecid):
                phones = [self._known(ecid)]
                self.replug(phones[0], command.socket)
            case control.DropHub(hub=hub, seconds=seconds):
                phones = await self.drop_hub(hub, seconds=seconds)
            case control.List():
                phones = list(self.phones.values())
            case control.Unplug() | control.AddFault() | control.Strike() | control.Tap() | control.Press():
                phones = [await self._touch(command)]
            case control.Sign() | control.Misbehave():
                await self._tell_apple(command)
            case control.Quit():
                self.quit.set()
        return phones

    async def _tell_apple(self, command: control.Sign | control.Misbehave) -> None:
        if isinstance(command, control.Sign):
            await asyncio.to_thread(self._apple.register, Path(command.ipsw))
        else:
            self._apple.behaviours[command.service] = command.behaviour

    def _known(self, ecid: Ecid) -> VirtualPhone:
        if ecid not in self.phones:
            raise KeyError("there never was a phone with this ECID")
        return self.phones[ecid]

    def press(self, phone: VirtualPhone, holds: Iterable[Hold]) -> asyncio.Task[None]:
        """Press a phone's own buttons, in the background: a task that ends when they are let go."""
        buttons = self._buttons.setdefault(phone, Buttons(family_of(phone)))
        return self._bus.spawn(buttons.press(phone, tuple(holds)))

    async def _touch(
        self, command: control.Unplug | control.AddFault | control.Strike | control.Tap | control.Press
    ) -> VirtualPhone:
        """Do something to a phone that is plugged in."""
        phone = self._bus.at(command.socket)
        if phone is None:
            raise KeyError(f"nothing is plugged in at {command.socket}")
        match command:
            case control.Unplug(socket=socket):
                await self._bus.unplug(socket)
            case control.AddFault(fault=fault):
                phone.faults.add(fault)
            case control.Strike(fault=fault):
                await self.strike(phone, fault)
            case control.Press(holds=holds):
                self.press(phone, holds)
            case control.Tap() if phone.system is not None:
                phone.system.locked, phone.system.trusted, phone.system.denied = False, True, False
                phone.system.recovering = False
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
