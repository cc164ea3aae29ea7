"""A person at the counter is led through a phone's buttons; the phone is pressed, and the station says what it sees.

Everything is real but the phone's silicon: the daemon, its bus, its clock, its socket and its command line. The
buttons are pressed through the virtual host's hands, at a twentieth of the time that a real phone takes.
"""

import asyncio
import os
import sys
import time

import pytest

from station.adapters.firmware import FirmwareStore
from station.core import guides
from station.model.api import BayState, BayView, Describe, DidNotHelp, Guide, GuideNext
from station.model.guide import Family, Key, Seen, Target
from station.model.phone import PhoneMode
from station.model.symptoms import Symptom
from station.virtual.hosting import control
from station.virtual.hosting.control import Control
from station.virtual.phones.buttons import SOS, Hold
from station.virtual.phones.phone import VirtualPhone
from tests.system.rig import Rig, Station, make_rig

pytestmark = [pytest.mark.system, pytest.mark.timeout(90)]

PACE = 0.05
DFU = tuple(Hold(keys=press.keys, seconds=press.seconds) for press in guides.GUIDES[Family.FACE, Target.DFU])
RESTART = tuple(Hold(keys=press.keys, seconds=press.seconds) for press in guides.GUIDES[Family.FACE, Target.RESTART])
OLD_GESTURE = (Hold(keys=(Key.SIDE, Key.DOWN), seconds=9), Hold(keys=(Key.DOWN,), seconds=12))


async def press(rig: Rig, phone: VirtualPhone, holds: tuple[Hold, ...]) -> None:
    assert phone.socket is not None
    async with Control(rig.host.directory / "control") as hands:
        await hands.ask(control.Press(socket=phone.socket, holds=holds))


def led(bay: BayView, target: Target, seen: Seen) -> bool:
    return bay.guide is not None and bay.guide.target is target and bay.guide.seen is seen


async def arrived(station: Station, phone: VirtualPhone, target: Target) -> tuple[BayView, float]:
    """The bay once it says so, and how many seconds after the phone last appeared or left on USB."""
    when = 0.0
    bus = phone.bus
    assert bus is not None

    async def watch() -> None:
        nonlocal when
        async with bus.watch() as news:
            while True:
                await news.get()
                when = time.monotonic()

    watching = asyncio.create_task(watch())
    try:
        view = await station.until_bay("1", lambda bay: led(bay, target, Seen.ARRIVED))
        return view, time.monotonic() - when
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def test_a_phone_whose_screen_is_dead_is_led_into_dfu_mode_and_out_again(store: FirmwareStore):
    async with make_rig(store, bays=("1",), pace=PACE) as rig, rig.station() as station:
        phone = rig.plug("1", people=("locked",))  # nobody can type its passcode: its screen is dead
        await station.until_state("1", BayState.NEEDS_PERSON)

        await station.obeyed(Describe, "1", symptom=Symptom.DEAD_SCREEN)
        view = await station.until_bay("1", lambda bay: bay.advice is not None)
        assert view.advice is not None
        assert (view.advice.guide, view.advice.services) == (Target.RESTART, ())
        for _ in range(3):
            await station.obeyed(DidNotHelp, "1")
        await station.until_bay("1", lambda bay: bay.advice is not None and bay.advice.guide is Target.DFU)

        # The gesture of older phones calls for help on this one, and leads nowhere.
        await station.obeyed(Guide, "1", target=Target.DFU, family=Family.SEVEN)
        await press(rig, phone, OLD_GESTURE)
        await station.obeyed(GuideNext, "1")
        await rig.host.hands.press(phone, ())
        assert SOS in phone.history

        await station.obeyed(Guide, "1", target=Target.DFU)
        view = await station.until_bay("1", lambda bay: bay.guide is not None and bay.guide.family is Family.FACE)
        assert view.guide is not None
        assert view.guide.seen is Seen.UNMOVED
        await station.obeyed(GuideNext, "1")
        await press(rig, phone, DFU)
        view, seconds = await arrived(station, phone, Target.DFU)
        assert seconds < 1.0, "whoever holds the buttons is told within a second"
        assert view.guide is not None
        assert "DFU mode. Let go" in view.guide.says
        assert phone.mode is PhoneMode.DFU
        assert view.state is BayState.READY, "in DFU mode it can be given something"

        await station.obeyed(Guide, "1", target=Target.RESTART)
        for _ in range(3):
            await station.obeyed(GuideNext, "1")
        await press(rig, phone, RESTART)
        _, seconds = await arrived(station, phone, Target.RESTART)
        assert seconds < 1.0
        assert not phone.destructions, "nothing of it is lost"


async def test_a_phone_that_is_off_is_led_from_the_command_line(store: FirmwareStore):
    async with make_rig(store, bays=("1",), pace=PACE) as rig, rig.station() as station:
        phone = rig.plug("1")
        await station.until_state("1", BayState.READY)
        await phone.power_off()
        await station.until_empty("1")

        advised = await command(rig, "advise", "1", "black")
        assert "station guide 1 restart" in advised
        assert "station did-not-help 1" in advised
        leading = asyncio.create_task(command(rig, "guide", "1", "recovery"))
        await station.until_bay("1", lambda bay: bay.guide is not None)
        recovery = guides.GUIDES[Family.FACE, Target.RECOVERY]
        await press(rig, phone, tuple(Hold(keys=step.keys, seconds=step.seconds) for step in recovery))
        said = await leading
        assert "iPhone 8 or newer: recovery mode." in said
        assert "Emergency SOS" in said
        assert "It is in recovery mode. Let go." in said
        assert "Reinstall iOS (station start 1 reinstall)" in await command(rig, "did-not-help", "1")


async def command(rig: Rig, *arguments: str) -> str:
    """What a command of the station says; it must end well."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "station",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | rig.environment,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()
