"""A person's path through each kind of station, on the kernel's own display, touchscreen and pins: from plug to result.

The service is ERASE, the quickest that destroys something. Phones are USB devices of the guest's kernel; udev, usbmuxd,
the daemon, its workers and the screen are the delivered ones, see `tests.vm.kiosk`.
"""

from collections.abc import AsyncIterator, Callable

import pygame
import pytest
import pytest_asyncio

from station.model.api import BayState, BayView, Choose, Decide, Describe, Dismiss, Lamp, Order
from station.model.gates import Choice
from station.model.job import Phase
from station.model.phone import PhoneMode
from station.model.record import Outcome
from station.model.service import Service
from station.model.symptoms import Symptom
from station.screen.canvas import Target
from station.screen.office import ENTER, Key, NightDraft, Office, Room
from station.screen.pages import Page, Turn
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.phone import VirtualPhone
from tests.vm.guest import DISPLAY, Guest
from tests.vm.kiosk import DAEMONS_USER, USER, Kiosk, kiosk_in
from tests.vm.person import Meant, opens, sends
from tests.vm.sockets import Sockets

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(1200)]

PHONE = ("iPhone 12", "18.5", "22F76")
BAYS = '{"1": "1-1", "2": "1-2"}'
"""vhci's USB sockets, in the order in which phones are plugged in."""
HANGS = 90.0
"""Seconds for what takes ten on a busy machine."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def kiosk(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kiosk]:
    """A kiosk that is switched on, without a daemon."""
    pygame.display.init()
    pygame.display.set_mode(DISPLAY)
    async with kiosk_in(guest, tmp_path_factory.mktemp("pictures")) as kiosk:
        yield kiosk
    pygame.display.quit()


def key(name: Key | str) -> Meant:
    """A key of the operator's."""
    return lambda target: target.command == (Key(name) if isinstance(name, str) else name)


def settles_on(service: Service) -> Meant:
    """What makes this the service of the night."""

    def meant(target: Target) -> bool:
        to = target.command.to if isinstance(target.command, Turn) else None
        return isinstance(to, Office) and isinstance(to.draft, NightDraft) and to.draft.service is service

    return meant


def in_state(*states: BayState) -> Callable[[BayView], bool]:
    """A bay in one of these states."""
    return lambda bay: bay.state in states


async def erased(kiosk: Kiosk, sockets: Sockets, phone: VirtualPhone, bay: str = "1") -> None:
    """Wait for the result: it is verified, and the phone was indeed erased, once."""
    await kiosk.until(lambda view: view.job is not None and view.job.phase is not Phase.CONNECT, bay)
    try:
        await kiosk.until(
            lambda view: view.job is None or view.job.phase is not Phase.ERASE_CONTENT, bay, seconds=HANGS
        )
    except AssertionError:
        await sockets.mend_usbmuxd()  # it has not told anybody that the phone hung up
    done = await kiosk.until(lambda view: view.result is not None and view.result.record > 0, bay)
    assert done.result is not None
    if done.result.outcome is not Outcome.VERIFIED:
        raise AssertionError(f"{done.result}\n{await kiosk.logs()}")
    assert done.state is BayState.DONE
    assert phone.system is not None
    assert phone.system.canary is None
    assert len(phone.destructions) == 1
    await kiosk.person.sees()
    await kiosk.person.pins.show(Lamp.DONE)


async def test_the_screen_is_nobody_in_particular_and_needs_no_console(kiosk: Kiosk, guest: Guest):
    del kiosk  # it runs
    look = "cd /proc/$(systemctl show --property=MainPID --value station-screen) && stat -c %U . && readlink fd/*"
    user, *opened = (await guest.check("sh", "-c", look)).splitlines()
    assert user == USER
    assert "/dev/dri/card0" in opened
    assert not [file for file in opened if file.startswith(("/dev/tty", "/dev/console"))]


async def test_usbmuxd_is_nobody_in_particular_and_only_its_group_may_speak_with_it(kiosk: Kiosk, guest: Guest):
    del kiosk  # it has said how usbmuxd runs
    start = "systemctl start usbmuxd; until test -S /run/usbmuxd; do sleep 0.1; done"  # other tests end it
    await guest.check("sh", "-c", start, seconds=HANGS)
    look = "stat -c %U /proc/$(systemctl show --property=MainPID --value usbmuxd)"
    assert (await guest.check("sh", "-c", look)).strip() == "usbmux"
    assert (await guest.check("stat", "-c", "%a %U:%G", "/run/usbmux")).strip() == "750 usbmux:plugdev"
    speak = "import socket; socket.socket(socket.AF_UNIX).connect('/var/run/usbmuxd')"
    for user, may in (("nobody", False), (USER, False), (DAEMONS_USER, True)):
        said = await guest.run("runuser", "-u", user, "--", "/usr/bin/python3", "-c", speak)
        assert (said.code == 0) is may, (user, said)


async def test_a_phone_in_recovery_mode_is_the_workers(kiosk: Kiosk, guest: Guest, sockets: Sockets):
    del kiosk  # it has brought udev's rules
    await sockets.plug(mode=PhoneMode.RECOVERY)
    node = (await sockets.enumerated(PhoneMode.RECOVERY))["DEVNAME"]
    assert (await guest.check("stat", "-c", "%a %U:%G", node)).strip() == "660 root:plugdev"
    for user, may in ((USER, False), (DAEMONS_USER, True)):
        said = await guest.run("runuser", "-u", user, "--", "test", "-w", node)
        assert (said.code == 0) is may, (user, said)


async def test_walk_up(kiosk: Kiosk, host: VirtualHost, sockets: Sockets):
    """By touch: what is wrong, what can help, no backup. By the buttons: START, and a hold of CONFIRM."""
    person = kiosk.person
    await person.sees()  # one moment
    await sockets.keep_usbmuxd()
    async with kiosk.station(policy="walk-up", bays='{"1": "1-1"}'):
        await person.sees()
        await person.pins.show(Lamp.READY)
        phone = await sockets.plug_known(*PHONE)
        await kiosk.until(lambda bay: bay.state is BayState.READY and bay.phone is not None and bool(bay.phone.facts))
        await person.touch(opens(Page.ASK))
        await person.touch(sends(Describe, symptom=Symptom.SELLING))
        await kiosk.until(lambda bay: bay.advice is not None)
        await person.touch(sends(Choose, service=Service.ERASE))
        await kiosk.until(lambda bay: bay.chosen is Service.ERASE)
        await person.touch(opens(Page.BACKUP))
        await person.touch(sends(Decide, choice=Choice.DECLINED))
        await kiosk.until(lambda bay: not any(one.findings for one in bay.offers if one.service is Service.ERASE))
        await kiosk.start_and_confirm()
        await person.pins.show(Lamp.WORKING)
        await erased(kiosk, sockets, phone)
        await person.touch(sends(Dismiss))
        await kiosk.until(lambda bay: bay.result is None)
        assert phone.socket is not None
        await host.bus.unplug(phone.socket)
        await kiosk.until(in_state(BayState.EMPTY))
        await person.sees()
    await person.sees()  # one moment


async def test_bench(kiosk: Kiosk, host: VirtualHost, sockets: Sockets):
    """Two bays. But for the service, which is chosen once, nobody touches the screen."""
    person = kiosk.person
    await sockets.keep_usbmuxd()
    async with kiosk.station(policy="bench", bays=BAYS):
        phone = await sockets.plug_known(*PHONE)
        await kiosk.until(lambda bay: bay.state is BayState.READY and bool(bay.offers))
        await person.go(opens(Page.PHONE), opens(Page.SERVICES), sends(Choose, service=Service.ERASE))
        await kiosk.until(lambda bay: bay.chosen is Service.ERASE)
        await kiosk.start_and_confirm()
        await erased(kiosk, sockets, phone)
        assert phone.socket is not None
        await host.bus.unplug(phone.socket)
        await kiosk.until(in_state(BayState.EMPTY, BayState.DONE))
        await kiosk.restart_screen()
        await person.sees()


async def test_overnight(kiosk: Kiosk, host: VirtualHost, sockets: Sockets):
    """An operator chooses a PIN and arms the night by touch; a phone is plugged in, and nobody does anything."""
    person = kiosk.person
    await sockets.keep_usbmuxd()
    async with kiosk.station(policy="overnight", bays=BAYS):
        await person.touch(opens(Room.DOOR))
        for _ in range(2):
            for digit in "2580":
                await person.touch(key(digit))
            await person.touch(key(ENTER))
        await kiosk.until_station(lambda snapshot: snapshot.operator is not None)
        await person.touch(opens(Room.NIGHT))
        await person.touch(opens(Room.NIGHT_SERVICE))
        await person.touch(settles_on(Service.ERASE))
        await person.touch(sends(Order, service=Service.ERASE), hold=4.0)
        await kiosk.until_station(lambda snapshot: snapshot.order is not None)
        phone = await sockets.plug_known(*PHONE)
        await erased(kiosk, sockets, phone)
        await kiosk.until_station(lambda snapshot: snapshot.order is None or snapshot.order.done == 1)
        assert phone.socket is not None
        await host.bus.unplug(phone.socket)
