"""Trying the buttons and lamps: they mean nothing else meanwhile, and it does not go on for ever."""

import pytest

from station.core.actions import StartWorker
from station.core.events import ButtonChanged
from station.core.trial import TRIAL_SECONDS
from station.core.view import lights_of
from station.errors import Refused
from station.model import api
from station.model.api import BayState, HoldBegan, Lamp, LightLamp, OperatorConfirm, Start
from station.model.base import BayId
from station.model.operator import SESSION_SECONDS
from station.model.panel import Button, Control, ControlState
from station.model.service import Service
from tests.core.helpers import ONE, TWO, A, Bench

DOWN, UP = ControlState.DOWN, ControlState.UP
BUTTONS = (Button(Control.START), Button(Control.CONFIRM), Button(Control.START, TWO))
BEGIN, END = api.TestPanel(id=1, on=True), api.TestPanel(id=2, on=False)


def lights(bench: Bench) -> dict[BayId | None, Lamp | None]:
    return dict(bench.station.trial.lights(lambda: lights_of(bench.view())))


def restores(bench: Bench) -> list[StartWorker]:
    return [action for action in bench.all(StartWorker) if action.spec.consent is not None]


@pytest.fixture
def bench() -> Bench:
    """An operator is there, and a phone in the first bay."""
    bench = Bench(operator_confirm=True, touch_confirms=True, buttons=BUTTONS)
    bench.plug(A, ONE)
    return bench


def test_only_an_operator_may():
    bench = Bench(buttons=BUTTONS)
    for command in (BEGIN, END, LightLamp(id=3, lamp=Lamp.DONE)):
        with pytest.raises(Refused):
            bench.do(command)
    assert not bench.station.trial.on


def test_lamps_show_what_they_are_told_and_then_what_is(bench):
    assert lights(bench) == {None: Lamp.READY, ONE: Lamp.READY, TWO: None}
    bench.do(BEGIN)
    assert lights(bench) == {None: None, ONE: None, TWO: None}
    bench.do(LightLamp(id=2, lamp=Lamp.FAULT))
    assert lights(bench) == {None: Lamp.FAULT, ONE: None, TWO: None}
    bench.do(LightLamp(id=3, lamp=Lamp.DONE, bay=TWO))
    assert lights(bench) == {None: None, ONE: None, TWO: Lamp.DONE}
    bench.do(LightLamp(id=4, lamp=None))
    assert lights(bench) == {None: None, ONE: None, TWO: None}
    bench.do(END)
    assert lights(bench) == {None: Lamp.READY, ONE: Lamp.READY, TWO: None}


@pytest.mark.parametrize(
    "command", [LightLamp(id=1, lamp=Lamp.DONE), LightLamp(id=1, lamp=Lamp.DONE, bay=BayId("9"))], ids=str
)
def test_what_cannot_be_lit(bench, command):
    if command.bay is not None:
        bench.do(BEGIN)
    with pytest.raises(Refused):
        bench.do(command)


@pytest.mark.parametrize("bay", [None, ONE])
def test_no_button_arms_or_confirms(bench, bay):
    bench.do(BEGIN)
    bench.press(bay=bay)
    bench.hold()
    assert bench.bay().state is BayState.READY
    assert not restores(bench)


@pytest.mark.parametrize(
    "command",
    [
        Start(id=1, bay=ONE, service=Service.RESTORE),
        HoldBegan(id=1, bay=ONE),
        OperatorConfirm(id=1, bay=ONE, ecid=A),
    ],
    ids=lambda command: type(command).__name__,
)
def test_nor_does_anybody_else(bench, command):
    bench.do(BEGIN)
    with pytest.raises(Refused, match="being tried"):
        bench.do(command)


def test_it_is_refused_while_something_waits_to_be_confirmed(bench):
    bench.press()
    with pytest.raises(Refused, match="waits to be confirmed"):
        bench.do(BEGIN)
    bench.hold()
    assert len(restores(bench)) == 1


@pytest.mark.parametrize("control", Control)
def test_a_button_that_is_down_when_it_ends_must_be_let_go_first(bench, control):
    bench.do(BEGIN, ButtonChanged(control=control, state=DOWN), END)
    bench.wait(3)
    assert bench.bay().state is BayState.READY
    if control is Control.CONFIRM:
        bench.press()
        bench.wait(5)
        assert not restores(bench), "it was down before START"
    bench.do(ButtonChanged(control=control, state=UP))
    bench.press()
    bench.hold()
    assert len(restores(bench)) == 1


def test_every_button_is_told_as_it_is(bench):
    bench.do(BEGIN, ButtonChanged(control=Control.START, state=DOWN, bay=TWO))
    told = {Button(line.control, line.bay): line.state for line in bench.station.trial.controls}
    assert told == {BUTTONS[0]: UP, BUTTONS[1]: UP, BUTTONS[2]: DOWN}


def test_it_ends_by_itself(bench):
    bench.do(BEGIN)
    bench.wait(TRIAL_SECONDS - 1)
    bench.press()
    assert bench.bay().state is BayState.READY
    bench.wait(1)
    assert not bench.station.trial.on
    bench.press()
    assert bench.bay().state is BayState.ARMED


@pytest.mark.parametrize("by_button", [True, False])
def test_what_is_over_swallows_nothing_although_nobody_told_the_time(bench, by_button):
    bench.do(BEGIN)
    bench.now += TRIAL_SECONDS  # no Tick
    if by_button:
        bench.press()
    else:
        bench.do(Start(id=2, bay=ONE, service=Service.RESTORE))
    assert bench.bay().state is BayState.ARMED


def test_a_bench_of_many_lamps_can_be_tried_to_the_end(bench):
    bench.do(BEGIN)
    for lamp in [*Lamp, *Lamp]:
        bench.wait(TRIAL_SECONDS - 1)
        bench.do(LightLamp(id=2, lamp=lamp))
    bench.wait(TRIAL_SECONDS)
    assert not bench.station.trial.on


def test_it_ends_when_the_operators_pages_close():
    assert SESSION_SECONDS > TRIAL_SECONDS, "or the pages would close first"
    bench = Bench(buttons=BUTTONS)
    situation = bench.station.desk.situation
    situation.operator = True
    bench.do(BEGIN)
    situation.operator = False
    bench.press()
    assert not bench.station.trial.on


def test_a_broken_button_is_known_all_the_while(bench):
    bench.do(BEGIN, ButtonChanged(control=Control.CONFIRM, state=ControlState.FAULT), END)
    bench.press()
    bench.wait(1)
    assert "CONFIRM" in bench.view().notice
