"""The buttons of a virtual phone: what a person's presses bring about, whatever the phone runs."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.core import guides
from station.model.guide import Family, Key, Target
from station.model.phone import PhoneMode, UsbArrived, UsbEvent
from station.virtual.hosting import control
from station.virtual.hosting.control import Control, Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.buttons import SOS, Effect, Hold, Panel, family_of
from station.virtual.phones.models import MODELS
from station.virtual.phones.phone import PRODUCT_IDS, VirtualPhone

NORMAL, DFU = PRODUCT_IDS[PhoneMode.NORMAL], PRODUCT_IDS[PhoneMode.DFU]
END = {
    Target.RESTART: [Effect.RESET, Effect.BOOT],
    Target.RECOVERY: [Effect.RESET, Effect.RECOVERY],
    Target.DFU: [Effect.RESET, Effect.DFU],
}


def holds(*steps: tuple[str, float]) -> tuple[Hold, ...]:
    """("side down", 3) and so on."""
    names = {"side": Key.SIDE, "top": Key.TOP, "up": Key.UP, "down": Key.DOWN, "home": Key.HOME}
    return tuple(Hold(keys=tuple(names[name] for name in keys.split()), seconds=seconds) for keys, seconds in steps)


def guided(family: Family, target: Target) -> tuple[Hold, ...]:
    """The presses of the station's own guide."""
    return tuple(Hold(keys=press.keys, seconds=press.seconds) for press in guides.GUIDES[family, target])


def effects(family: Family, presses: tuple[Hold, ...], *, on: bool = True) -> list[Effect]:
    """What presses bring about, in order; at the end all is let go."""
    panel, found = Panel(family, on=on), []
    for hold in presses:
        found.append(panel.press(hold.keys))
        left = hold.seconds
        while left > 0:
            due = panel.due()
            wait = left if due is None else min(due, left)
            found.append(panel.elapse(wait))
            left -= wait
    found.append(panel.press(()))
    return [effect for effect in found if effect is not None]


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("target", Target)
def test_the_stations_guides_lead_where_they_say(family, target):
    assert effects(family, guided(family, target)) == END[target]


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("target", [Target.RECOVERY, Target.DFU])
def test_they_lead_there_from_off_too(family, target):
    assert effects(family, guided(family, target), on=False)[-1] is END[target][-1]


@pytest.mark.parametrize(
    ("family", "presses", "expected"),
    [
        (Family.FACE, holds(("side", 20)), []),
        (Family.FACE, holds(("down", 1), ("up", 1), ("side", 20)), []),
        (Family.FACE, holds(("up", 4), ("down", 1), ("side", 20)), []),
        (Family.FACE, holds(("up", 1), ("", 9), ("down", 1), ("side", 20)), []),
        (Family.FACE, holds(("up", 1), ("down", 1), ("side", 9)), []),
        (Family.FACE, holds(("up", 1), ("down", 1), ("side", 10), ("side down", 3), ("down", 10)), END[Target.RESTART]),
        (Family.FACE, holds(("up", 1), ("down", 1), ("side", 10), ("side down", 12)), END[Target.RESTART]),
        (Family.FACE, holds(("up", 1), ("down", 1), ("side", 10), ("side down", 5), ("down", 5)), END[Target.RESTART]),
        (Family.FACE, holds(("side down", 9), ("down", 12)), [Effect.SOS]),
        (Family.PAD, holds(("top down", 9), ("down", 12)), []),
        (Family.SEVEN, holds(("up", 1), ("down", 1), ("side", 20)), []),
        (Family.SEVEN, holds(("side down", 7)), []),
        (Family.SEVEN, holds(("side down", 9), ("side", 12)), END[Target.RESTART]),
        (Family.HOME, holds(("top home", 9), ("home", 12)), END[Target.DFU]),
        (Family.HOME, holds(("side home", 9), ("home", 3)), END[Target.RESTART]),
    ],
)
def test_wrong_presses_lead_elsewhere(family, presses, expected):
    assert effects(family, presses) == expected


@pytest.mark.parametrize("family", Family)
def test_the_lock_button_turns_it_on(family):
    lock = "top" if family in (Family.PAD, Family.PAD_HOME) else "side"
    assert effects(family, holds((lock, 2)), on=False) == []
    assert effects(family, holds((lock, 4)), on=False) == [Effect.BOOT]


@given(
    st.sampled_from(Family),
    st.booleans(),
    st.lists(st.tuples(st.sets(st.sampled_from(Key), max_size=3), st.floats(0, 30)), max_size=12),
)
def test_nothing_but_a_reset_leads_anywhere(family, on, presses):
    found = effects(family, tuple(Hold(keys=tuple(keys), seconds=seconds) for keys, seconds in presses), on=on)
    for effect in found:
        match effect:
            case Effect.RESET:
                on = False
            case Effect.SOS:
                assert on
            case _:
                assert not on
                on = True
    assert on or not found, "a phone that went off starts when all is let go"


def test_every_model_has_the_buttons_that_the_station_thinks():
    for model in MODELS:
        identity = model.identity(1)  # type: ignore[arg-type]  # any number
        phone = VirtualPhone.__new__(VirtualPhone)
        phone.identity = identity
        assert family_of(phone) is guides.family_of(model.product_type), model.name


async def seen(news: asyncio.Queue[UsbEvent], product_id: int) -> None:
    """Wait until a phone enumerates so."""
    async with asyncio.timeout(5):
        while not (isinstance(event := await news.get(), UsbArrived) and event.product_id == product_id):
            pass


@pytest.mark.parametrize(
    ("people", "off"), [(("locked",), False), (("frozen",), False), ((), True)], ids=["dead screen", "frozen", "off"]
)
async def test_buttons_work_whatever_the_phone_does(tmp_path, people, off):
    installed = Installed(version="26.1", build="23B85")
    async with VirtualHost(tmp_path / "v") as host, Control(host.directory / "control") as hands:
        async with host.bus.watch() as news:
            (plugged,) = await hands.ask(Plug(installed=installed, people=people))
            phone = host.hands.phones[plugged.ecid]
            await seen(news, NORMAL)
            if off:
                await phone.power_off()
            assert plugged.socket is not None
            await hands.ask(control.Press(socket=plugged.socket, holds=guided(Family.FACE, Target.DFU)))
            await seen(news, DFU)
            await hands.ask(control.Press(socket=plugged.socket, holds=guided(Family.FACE, Target.RESTART)))
            await seen(news, NORMAL)
        assert not phone.frozen
        assert not phone.destructions
        await asyncio.wait_for(host.hands.press(phone, holds(("side down", 9))), 5)
        assert phone.history.count(SOS) == 1
        assert phone.running is not None


async def test_an_empty_phone_does_nothing(tmp_path):
    async with VirtualHost(tmp_path / "v") as host:
        phone = host.hands.plug(Plug(installed=Installed(version="26.1", build="23B85")))
        phone.battery = 0
        await phone.power_off()
        await asyncio.wait_for(host.hands.press(phone, guided(Family.FACE, Target.RECOVERY)), 5)
        assert phone.running is None
