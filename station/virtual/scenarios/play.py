"""Plays a scenario on a virtual host: plugs in its phones, and does what its timeline says."""

import asyncio
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from station.model.base import SocketPath
from station.virtual.faults.troubles import find_trouble
from station.virtual.firmware.ipsw import make_ipsw, zip_ipsw
from station.virtual.hosting import control
from station.virtual.hosting.control import Installed
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.buttons import Hold
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import VirtualPhone
from station.virtual.scenarios import scenario
from station.virtual.scenarios.scenario import NOTHING, Member, Scenario, parse_version

Tell = Callable[[str], None]
"""Is told, in words, of everything that the player does."""


class Player:
    """One performance."""

    def __init__(self, played: Scenario, host: VirtualHost, *, tell: Tell = lambda _: None) -> None:
        """Prepare.

        Args:
            played: what.
            host: where; it has been entered. Its pace is the scenario's, or another.
            tell: is told.
        """
        self.phones: dict[str, VirtualPhone] = {}
        """Every phone that was plugged in so far, by its name in the scenario."""
        self.on_stage = asyncio.Event()
        """Every phone that is there from the start is plugged in."""
        self._scenario = played
        self._host = host
        self._tell = tell
        self._cast = played.cast
        self._steps: list[tuple[str, str]] = []
        """Every step of every phone, with the phone's name."""
        self._moved = asyncio.Event()

    async def make_firmware(self, directory: Path) -> list[Path]:
        """Make the scenario's firmware, each in a directory of its own, and have Apple sign and offer it."""
        models = list({member.model: find_model(member.model) for member in self._cast.values()}.values())
        made = []
        for one in self._scenario.firmware:
            place = directory / one.build
            await asyncio.to_thread(make_ipsw, place, version=one.version, build=one.build, models=models)
            zipped = directory / f"{one.version}_{one.build}_Restore.ipsw"
            await asyncio.to_thread(self._host.apple.release, await asyncio.to_thread(zip_ipsw, place, zipped))
            made.append(place)
        return made

    async def play(self) -> None:
        """Play it to the end: until the last event has happened.

        Raises:
            ValueError, KeyError: what it asks for cannot be.
        """
        for service, behaviour in self._scenario.apple.items():
            self._host.apple.behaviours[service] = behaviour
        try:
            async with asyncio.TaskGroup() as group:
                for name, member in self._cast.items():
                    if not member.phone.later and not member.arrives:
                        self._plug(name)
                    elif not member.phone.later:
                        group.create_task(self._plug_in_time(name, member.arrives))
                self.on_stage.set()
                await self._follow_timeline()
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _plug_in_time(self, name: str, seconds: float) -> None:
        await self._host.hands.pause(seconds)
        self._plug(name)

    async def _follow_timeline(self) -> None:
        now, seen = 0.0, 0
        for event in self._scenario.events:
            if event.after:
                name, _, step = event.after.partition(" ")
                seen = await self._passed(name, step, seen)
                await self._host.hands.pause(event.at)
            elif event.at > now:
                await self._host.hands.pause(event.at - now)
                now = event.at
            await self._do(event)

    async def _passed(self, name: str, step: str, seen: int) -> int:
        """Wait until a phone is at a step, among those after `seen`; how many there were then."""
        told = False
        while True:
            for number, (who, what) in enumerate(self._steps[seen:], start=seen + 1):
                if who == name and fnmatchcase(what, step):
                    return number
            if not told:
                self._tell(f"nothing more happens before {name} is at {step}")
                told = True
            seen = len(self._steps)
            self._moved.clear()
            await self._moved.wait()

    async def _do(self, event: scenario.AnyEvent) -> None:
        hands = self._host.hands
        match event:
            case scenario.Plug(phone=name):
                self._plug(name, event.socket)
            case scenario.Misbehave():
                await hands.obey(control.Misbehave(service=event.service, behaviour=event.behaviour))
                self._tell(f"Apple’s {event.service.value} server: {event.behaviour.value}")
            case scenario.DropHub():
                self._tell(f"the hub at {event.hub} drops everything")
                await hands.drop_hub(event.hub, seconds=event.seconds)
            case scenario.Unplug() | scenario.Tap() | scenario.Press() | scenario.Strike():
                await self._touch(event)

    async def _touch(self, event: scenario.Unplug | scenario.Tap | scenario.Press | scenario.Strike) -> None:
        """Do something to a phone that is plugged in; to one that is not any more, nothing."""
        phone = self.phones.get(event.phone)
        if phone is None or phone.socket is None:
            self._tell(f"{event.phone} is not plugged in")
            return
        match event:
            case scenario.Unplug():
                self._tell(f"{event.phone} is unplugged")
                await self._host.hands.obey(control.Unplug(socket=phone.socket))
            case scenario.Tap():
                self._tell(f"{event.phone} is unlocked, somebody taps “Trust”")
                await self._host.hands.obey(control.Tap(socket=phone.socket))
            case scenario.Press(holds=holds):
                self._tell(f"{event.phone}: {', '.join(_in_words(hold) for hold in holds)}")
                self._host.hands.press(phone, holds)
            case scenario.Strike(fault=fault):
                self._tell(f"{event.phone}: {fault.kind.value}")
                await self._host.hands.strike(phone, fault)

    def _plug(self, name: str, socket: SocketPath | None = None) -> None:
        member = self._cast[name]
        phone = self.phones.get(name)
        if phone is not None:
            self._host.hands.replug(phone, socket or member.phone.socket)
        else:
            phone = self._make(name, member, socket or member.phone.socket)
        self._tell(f"{name} in {phone.socket}: {phone.identity.product_type} {phone.identity.udid}")

    def _make(self, name: str, member: Member, socket: SocketPath | None) -> VirtualPhone:
        hands = self._host.hands
        if member.phone.gadget:
            assert socket is not None
            phone = hands.plug_gadget(socket)
        else:
            phone = hands.plug(_order(member, socket))
        self.phones[name] = phone

        def look_on(step: str) -> None:
            self._steps.append((name, step))
            self._moved.set()

        phone.passers_by.add(look_on)
        for trouble in map(find_trouble, member.phone.troubles):
            for service, behaviour in trouble.apple.items():
                self._host.apple.exceptions[service, member.ecid] = behaviour
        return phone


def _in_words(hold: Hold) -> str:
    return f"{' and '.join(key.value for key in hold.keys) or 'nothing'} for {hold.seconds:g} s"


def _order(member: Member, socket: SocketPath | None) -> control.Plug:
    """How a phone of the scenario is ordered."""
    phone = member.phone
    troubles = [find_trouble(name) for name in phone.troubles]
    installed = None
    if phone.ios != NOTHING:
        version, build = parse_version(phone.ios)
        installed = Installed(version=version, build=build, name=phone.device_name)
    return control.Plug(
        model=member.model,
        installed=installed,
        ecid=member.ecid,
        clone=member.clone,
        socket=socket,
        people=(*phone.people, *(person for trouble in troubles for person in trouble.people)),
        auto_boot=not phone.recovery,
        faults=(*phone.faults, *(fault for trouble in troubles for fault in trouble.faults)),
    )
