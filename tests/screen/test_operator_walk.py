"""A finger at the operator's pages, from the gear in the corner on; what it touches reaches the station's decisions."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pygame
import pytest
from pygame import Rect, Surface

from station.core.actions import StartAnew, SwitchMachine, WriteLogs
from station.core.events import ButtonChanged, ChoicesFound, OperatorTold, Papers, PapersSeen
from station.core.operator import FIRST_WAIT, FREE_TRIES
from station.core.policy import BackupRule
from station.model.api import BayState, Choose, Dismiss, Lock, OrderView
from station.model.base import BayId, SocketPath
from station.model.causes import Cause
from station.model.choices import Choices
from station.model.consent import Act, Options
from station.model.events import Intent
from station.model.face import Language
from station.model.face import Turn as Turned
from station.model.gates import Gate, Purpose
from station.model.job import Phase
from station.model.operator import SESSION_SECONDS, Power
from station.model.panel import Button, Control, ControlState
from station.model.phone import UsbArrived
from station.model.service import Service
from station.screen.album import Album
from station.screen.app import DOOR_SECONDS, PAGE_SECONDS, Kiosk
from station.screen.office import DELETE, ENTER, HOME, Key, Office, Room
from station.screen.pages import Turn
from station.screen.scenes.operator.furniture import HOLD_SECONDS
from station.screen.scenes.operator.overrule import RELEASED
from tests.core.helpers import NORMAL, ONE, SOCKETS, TWO, A, arrived, facts, gone, hash_of, serial
from tests.screen.operator_samples import FIRMWARE, MACHINE, OPERATOR, REPORT
from tests.screen.test_screen_walk import Visitor

pytestmark = [pytest.mark.usefixtures("utc"), pytest.mark.system]
PIN = "2580"
PAPERS = Papers(
    firmware=FIRMWARE, records=OPERATOR.records, record_count=OPERATOR.record_count, machine=MACHINE, report=REPORT
)


class Keeper(Visitor):
    """A robot that runs a station."""

    def __init__(self, **policy: Any) -> None:
        usual: dict[str, Any] = {
            "bays": SOCKETS,
            "preset": "bench",
            "presets": ("walk-up", "bench", "overnight"),
            "touch_confirms": False,
            "buttons": (Button(control=Control.START), Button(control=Control.CONFIRM)),
        }
        super().__init__(**(usual | policy))

    def has_a_pin(self) -> None:
        """Somebody chose one before."""
        self.bench.do(ChoicesFound(choices=Choices(pin=hash_of(PIN))))

    def to_the_door(self) -> None:
        """Tap the gear."""
        self.tap(self.place(lambda command: command == Turn(Office(Room.DOOR))))

    def type(self, pin: str) -> None:
        """Touch digits, one after the other without a pause, and then the check mark."""
        self.look()
        for digit in pin:
            self.key(Key(digit))
        self.look()
        self.key(ENTER)

    def key(self, key: Key) -> None:
        """Tap a key. What it does to the page does not keep it from being tapped again at once."""
        self.tap(self.place(lambda command: command == key, look=False))

    def place(self, wanted: Any, *, look: bool = True) -> Rect:
        """Where something can be touched."""
        targets = self.look().targets if look else self.glance().targets
        return next(box for box, target in targets if wanted(target.command))

    def come_in(self) -> None:
        """Type the PIN, and see what there is to see."""
        self.to_the_door()
        self.type(PIN)
        self.bench.do(PapersSeen(papers=PAPERS))
        self.look()
        assert self.is_here()

    def keep(self, said: str, seconds: float = HOLD_SECONDS + 0.1) -> None:
        """Keep a finger on what this is written on."""
        eyes = self.look()
        spot = next(place for line, place in eyes.read if line == said)
        box = next(box for box, _ in eyes.targets if box.collidepoint(spot.center))
        self.post(pygame.FINGERDOWN, box)
        self.bench.wait(seconds)
        self._steps()
        self.post(pygame.FINGERUP, box)

    def order(self) -> OrderView | None:
        """The standing order."""
        return self.bench.view().order

    def is_here(self) -> bool:
        """Whether the daemon takes the operator to be here."""
        return self.bench.view().operator is not None


def left(keeper: Keeper) -> int | None:
    """How many phones the standing order still covers."""
    order = keeper.order()
    return None if order is None else order.left


@pytest.fixture
def keeper(display: Surface) -> Iterator[Keeper]:
    """Before a station with a PIN."""
    del display
    robot = Keeper()
    robot.has_a_pin()
    yield robot
    pygame.event.clear()


# -- the door


def test_the_first_who_comes_chooses_the_pin_twice(display: Surface) -> None:
    del display
    robot = Keeper()
    robot.to_the_door()
    assert robot.reads("Choose a PIN")
    robot.type("1234")
    assert robot.reads("Type it once more")
    robot.type("1235")
    assert robot.reads("The two were not the same.")
    assert not robot.is_here()
    for _ in range(2):
        robot.type("123456")
    assert robot.is_here()
    assert robot.reads("Kind of station")
    robot.back()
    assert not robot.is_here()
    robot.to_the_door()
    assert robot.reads("Type the PIN")


def test_a_wrong_pin_is_said_and_too_many_must_wait(keeper: Keeper) -> None:
    keeper.to_the_door()
    keeper.type("0000")
    assert keeper.reads("That is not the PIN.")
    for _ in range(FREE_TRIES - 1):
        keeper.type("0000")
    assert keeper.reads("Too many were wrong")
    assert not [target for _, target in keeper.look().targets if isinstance(target.command, Key)]
    keeper.bench.wait(FIRST_WAIT)
    keeper.to_the_door()
    keeper.type(PIN)
    assert keeper.is_here()


def test_a_digit_can_be_taken_back(keeper: Keeper) -> None:
    keeper.to_the_door()
    keeper.look()
    for digit in "99":
        keeper.key(Key(digit))
    keeper.look()
    for _ in range(2):
        keeper.key(DELETE)
    keeper.type(PIN)
    assert keeper.is_here()


def test_nobody_leaves_digits_behind(keeper: Keeper) -> None:
    keeper.to_the_door()
    keeper.look()
    for digit in "258":
        keeper.key(Key(digit))
    assert "258" not in repr(keeper.kiosk._last)
    keeper.bench.wait(DOOR_SECONDS)
    assert not keeper.reads("Type the PIN")
    keeper.to_the_door()
    keeper.look()
    keeper.key(Key("0"))
    assert not [target for _, target in keeper.look().targets if target.command == ENTER]


def test_no_picture_of_the_door_is_kept(display: Surface, tmp_path: Path) -> None:
    del display
    robot = Keeper()
    robot.kiosk = Kiosk(robot.counter, clock=lambda: robot.bench.now, album=Album(tmp_path))
    robot.to_the_door()
    before = set(tmp_path.iterdir())
    robot.bench.plug()
    robot.look()
    robot.key(Key("1"))
    assert set(tmp_path.iterdir()) == before
    robot.back()
    robot.look()
    assert set(tmp_path.iterdir()) > before


# -- the session


def test_the_pages_close_with_the_session_and_say_why(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Records")
    assert keeper.reads("Records: 142 in all")
    keeper.bench.wait(SESSION_SECONDS - 15)
    assert keeper.reads("These pages close in ")
    keeper.bench.wait(20)
    assert not keeper.is_here()
    assert keeper.reads("Nobody touched the operator's pages for a while")


def test_a_daemon_that_begins_anew_has_nobody_before_it(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Machine")
    keeper.bench.do(Lock(id=9))
    assert keeper.reads("The operator's pages have closed.")
    assert not keeper.reads("Temperature")


def test_an_operator_among_the_phones_who_goes_is_locked_out(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("To the phones")
    assert keeper.reads("Plug in a phone")
    assert keeper.is_here()
    keeper.bench.wait(PAGE_SECONDS)
    keeper.look()
    assert not keeper.is_here()


def test_the_way_back_in_takes_no_pin(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("To the phones")
    keeper.touch("Operator")
    assert keeper.reads("Kind of station")


def test_the_pin_is_changed(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("PIN")
    for _ in range(2):
        keeper.type("777777")
    assert keeper.reads("The PIN is changed.")
    keeper.back()
    keeper.to_the_door()
    keeper.type(PIN)
    assert not keeper.is_here()
    keeper.type("777777")
    assert keeper.is_here()


# -- the night


def test_a_night_is_armed_by_a_hold_followed_and_ended(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Night")
    keeper.touch("Erase and restore")
    keeper.touch("Erase")
    keeper.touch("Every bay")
    keeper.touch("Bay 2")
    keeper.touch("Done")
    keeper.look()
    for _ in range(3):
        keeper.key(Key("more"))
    keeper.look()
    keeper.key(Key("fewer"))
    keeper.key(Key("longer"))
    assert keeper.reads("The next 3 phones in bay 2 get “Erase” by themselves, until 07:14.")
    assert keeper.reads("Everything on them will be gone for good. Nobody is asked again.")
    keeper.touch("Hold to arm the night")
    assert keeper.order() is None
    keeper.keep("Hold to arm the night", HOLD_SECONDS * 0.7)
    assert keeper.order() is None
    began = keeper.bench.now
    keeper.keep("Hold to arm the night")
    order = keeper.order()
    assert order is not None
    assert (order.service, order.bays, order.left) == (Service.ERASE, (TWO,), 3)
    assert order.until == pytest.approx(began + 11 * 3600, abs=10)

    assert keeper.reads("“Erase” in bays 2")
    keeper.bench.plug(A, TWO)
    (spec,) = keeper.bench.all_jobs()
    assert spec.service is Service.ERASE
    assert left(keeper) == 2
    keeper.touch("Report so far")
    keeper.back()
    keeper.keep("Hold to end the night")
    assert left(keeper) == 0


def test_the_report_has_what_needs_somebody_first(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Night")
    keeper.touch("Last report")
    lines = [line for line, _ in keeper.look().read]
    assert lines.index("2") < next(n for n, line in enumerate(lines) if line.startswith("Bay 4 · iPhone SE"))
    assert not keeper.reads("Erased, restored and verified.")
    keeper.tap(keeper.place(lambda command: isinstance(command, Turn) and command.to == Office(Room.REPORT, part=1)))
    assert keeper.reads("Erased, restored and verified.")


# -- bays


def test_a_bay_is_taught_by_plugging_a_phone_in(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Bays")
    keeper.touch("Add a bay")
    assert keeper.reads("Plug a phone into the socket that shall be bay 3.")
    keeper.bench.do(UsbArrived(socket=SocketPath("1-1.7"), product_id=NORMAL, serial=serial(A)))
    assert keeper.reads("This socket is bay 3 now.")
    assert {bay.id: bay.socket for bay in keeper.bench.station.bays}[BayId("3")] == "1-1.7"
    keeper.touch("Done")
    assert keeper.reads("In use")


def test_a_bay_is_removed_by_a_hold(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Bays")
    keeper.touch("Bay 2")
    keeper.touch("Hold to remove it")
    assert len(keeper.bench.view().bays) == 2
    keeper.keep("Hold to remove it")
    assert [bay.bay for bay in keeper.bench.view().bays] == [ONE]
    assert keeper.reads("Bay 2 is no more.")


def test_who_leaves_waits_for_no_phone(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Bays")
    keeper.touch("Add a bay")
    keeper.back()
    view = keeper.bench.view().operator
    assert view is not None
    assert view.learning is None


# -- buttons and lamps


def test_buttons_are_tried_and_mean_nothing_meanwhile(keeper: Keeper) -> None:
    keeper.bench.plug()
    keeper.come_in()
    keeper.touch("Buttons")
    keeper.touch("Begin")
    assert keeper.reads("Press START now.")
    keeper.bench.do(ButtonChanged(control=Control.START, state=ControlState.DOWN))
    assert keeper.reads("It is pressed.")
    keeper.bench.do(ButtonChanged(control=Control.START, state=ControlState.UP))
    assert keeper.reads("It works.")
    assert keeper.bench.bay().state is BayState.READY
    keeper.touch("Now the lamps")
    for colour, answer in (("white", "Yes"), ("blue", "No"), ("yellow", "Yes"), ("green", "Yes"), ("red", "Yes")):
        assert keeper.reads(f"Is the {colour} lamp lit, and no other?")
        keeper.touch(answer)
    assert keeper.reads("CONFIRM was not pressed.")
    assert keeper.reads("The blue lamp is not right.")
    keeper.touch("Done")
    assert not keeper.bench.station.trial.on
    keeper.bench.press()
    assert keeper.bench.bay().state is BayState.ARMED


# -- how it looks


def test_how_it_looks_is_chosen_and_seen_at_once(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Screen")
    keeper.touch("Large print")
    keeper.touch("Large print")
    keeper.touch("High contrast")
    keeper.touch("Sound")
    face = keeper.bench.view().face
    assert (face.large, face.contrast, face.sound) == (False, True, True)
    targets = keeper.look().targets
    keeper.tap(targets[1][0])  # darker
    assert keeper.bench.view().face.brightness == 90
    keeper.touch("Try the touch")
    keeper.look()
    for number in range(32):
        keeper.key(Key(str(number)))
    assert keeper.reads("The whole glass feels a finger.")


def test_the_picture_is_turned(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Screen")
    eyes = keeper.look()
    spot = next(place for line, place in eyes.read if line == "Not turned")
    row = [box for box, _ in eyes.targets if box.top <= spot.centery <= box.bottom]
    keeper.tap(row[1])
    assert keeper.bench.view().face.turn is Turned.RIGHT


def test_the_language_is_chosen_by_its_own_name(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Language")
    keeper.touch("Deutsch")
    assert keeper.bench.view().face.language is Language.GERMAN


# -- the machine


def test_logs_go_to_a_stick(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Logs")
    keeper.touch("KINGSTON")
    assert [action.stick for action in keeper.bench.all(WriteLogs)] == ["KINGSTON"]
    keeper.bench.do(OperatorTold(says="The logs are on the stick. You can unplug it.", wrote=True))
    assert keeper.reads("The logs are on the stick. You can unplug it.")


def test_it_is_switched_off_by_a_hold(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Shut down")
    keeper.touch("Hold to shut down")
    assert not keeper.bench.all(SwitchMachine)
    keeper.keep("Hold to shut down")
    assert [action.how for action in keeper.bench.all(SwitchMachine)] == [Power.OFF]
    assert keeper.reads("The station shuts down.")


def test_it_is_not_switched_off_over_a_phone(keeper: Keeper) -> None:
    keeper.bench.confirm()
    keeper.come_in()
    keeper.touch("Shut down")
    assert keeper.reads("A phone is being worked on. Wait until it is done.")
    assert not [target for _, target in keeper.look().targets if target.hold]


def test_another_kind_of_station_begins_anew(keeper: Keeper) -> None:
    keeper.come_in()
    keeper.touch("Kind of station")
    keeper.touch("Counter in a shop")
    assert not keeper.bench.all(StartAnew)
    keeper.keep("Hold to use it")
    assert keeper.bench.all(StartAnew)
    assert keeper.bench.choices_on_disk is not None
    assert keeper.bench.choices_on_disk.policy == "walk-up"


@pytest.mark.parametrize("title", ["Firmware", "Machine", "Records"])
def test_what_is_only_read(keeper: Keeper, title: str) -> None:
    keeper.come_in()
    keeper.touch(title)
    shown = {"Firmware": "iOS 26.2 (23C55)", "Machine": "192.168.1.42", "Records": "Record 142"}
    assert keeper.reads(shown[title])
    keeper.back()
    assert keeper.reads("Kind of station")


# -- a phone that must not go on


def test_a_gate_is_opened_with_a_reason_on_record(display: Surface) -> None:
    del display
    keeper = Keeper(bays={ONE: SOCKETS[ONE]}, purpose=Purpose.OWNER, backup=BackupRule.STANDING, min_battery=30)
    keeper.has_a_pin()
    keeper.bench.do(arrived(A))
    keeper.bench.inspect(facts(battery_percent=3))
    assert not keeper.reads("Overrule")
    keeper.come_in()
    keeper.touch("To the phones")
    keeper.touch("Overrule")
    keeper.touch("It is being charged here.")
    assert keeper.reads("It is on record: this phone may go on.")
    stay = keeper.bench.station.bays.get(ONE)
    assert stay is not None
    assert stay.stay is not None
    assert stay.stay.overruled[Gate.BATTERY].reason == "It is being charged here."
    assert keeper.reads("Start restore")


def test_a_phone_that_was_set_aside_is_released(display: Surface) -> None:
    del display
    keeper = Keeper(bays={ONE: SOCKETS[ONE]}, quarantine_after=1)
    keeper.has_a_pin()
    spec = keeper.bench.confirm()
    keeper.bench.phase(spec.job, Phase.PREPARE)
    keeper.bench.say(spec.job, Intent(at=keeper.bench.now, act=Act.ERASE, ecid=A))
    keeper.bench.fail(spec.job, Cause.DEADLINE)
    keeper.bench.wait(300)
    keeper.bench.do(gone(), Dismiss(id=1, bay=ONE))
    keeper.bench.plug()
    keeper.bench.do(Choose(id=2, bay=ONE, service=Service.ERASE))
    assert not keeper.reads("Release")
    keeper.come_in()
    keeper.touch("To the phones")
    keeper.touch("Release")
    keeper.touch(RELEASED[0])
    assert keeper.reads("It is on record: this phone is free again.")
    assert keeper.reads("Start erase")


def test_an_older_ios_is_the_operators_to_choose(display: Surface) -> None:
    del display
    keeper = Keeper(bays={ONE: SOCKETS[ONE]})
    keeper.has_a_pin()
    keeper.bench.plug()
    assert not keeper.reads("iOS: the newest")
    keeper.come_in()
    keeper.touch("To the phones")
    keeper.touch("iOS: the newest")
    keeper.touch("iOS 26.1 (23B85)")
    assert keeper.bench.bay().options == Options(build="23B85")
    assert keeper.reads("iOS: build 23B85")


def test_the_list_of_reasons_closes_with_the_session(display: Surface) -> None:
    del display
    keeper = Keeper(bays={ONE: SOCKETS[ONE]}, min_battery=30)
    keeper.has_a_pin()
    keeper.bench.do(arrived(A))
    keeper.bench.inspect(facts(battery_percent=3))
    keeper.come_in()
    keeper.touch("To the phones")
    keeper.touch("Overrule")
    assert keeper.reads("Why may it go on?")
    keeper.bench.do(Lock(id=9))
    assert keeper.reads("The operator's pages have closed.")
    assert not keeper.reads("It is being charged here.")


# -- everything


@pytest.mark.parametrize("seed", range(2))
def test_no_tap_on_these_pages_starts_anything(display: Surface, seed: int) -> None:
    del display
    keeper = Keeper()
    keeper.has_a_pin()
    keeper.bench.plug()
    keeper.come_in()
    dice = random.Random(seed)
    for _ in range(60):
        if not isinstance(keeper.kiosk._place, Office) or keeper.kiosk._place.room is Room.DOOR:
            if not keeper.is_here():
                keeper.kiosk._place = None
                keeper.come_in()
            else:
                keeper.tap(keeper.place(lambda command: command == Turn(HOME)))
        boxes = [box for box, _ in keeper.look().targets]
        keeper.tap(dice.choice(boxes))
        assert keeper.look().targets, "there is always a way on"
    assert not keeper.bench.all_jobs()
    assert keeper.order() is None
    assert not keeper.bench.all(SwitchMachine)
    assert not keeper.bench.all(StartAnew)
    assert keeper.bench.bay().state is BayState.READY
