"""The operator's door: who gets in, how long guessing takes, and what is chosen behind it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.adapters.api import MAX_FRAME
from station.core.actions import (
    AskForNewest,
    DiscardFirmware,
    KeepChoices,
    StartAnew,
    StopFetching,
    SwitchMachine,
    WriteLogs,
)
from station.core.bays import MAX_BAYS
from station.core.events import ChoicesFound, OperatorTold, Papers, PapersSeen
from station.core.operator import FIRST_WAIT, FREE_TRIES, LONGEST_WAIT, distinct, waiting
from station.errors import Refused
from station.model.api import (
    BayState,
    Cancel,
    Command,
    EndOrder,
    FetchNewest,
    ForgetBay,
    LearnBay,
    LightLamp,
    Lock,
    Order,
    Overrule,
    Release,
    RemoveFirmware,
    SaveLogs,
    Select,
    SetFace,
    SetPin,
    StopFetch,
    SwitchOff,
    Unlock,
    UsePolicy,
)
from station.model.api import (
    TestPanel as TryPanel,
)
from station.model.base import BayId, SocketPath
from station.model.causes import Cause
from station.model.choices import LOST_PIN, Choices
from station.model.face import DARKEST, Face, Language, Turn
from station.model.gates import Gate
from station.model.operator import RECORDS_SHOWN, SESSION_SECONDS, FirmwareLine, PinState, Power, RecordLine
from station.model.order import MAX_COUNT
from station.model.phone import UsbArrived
from station.model.record import Outcome
from station.model.service import Service
from tests.core.helpers import FIRMWARE, NORMAL, ONE, SOCKETS, TWO, A, B, Bench, facts, gone, hash_of, serial

PIN, WRONG = "2580", "0000"
PRESETS = ("walk-up", "bench", "overnight")
THREE = BayId("3")
OPERATORS: tuple[Command, ...] = (
    SetPin(id=1, pin="1111"),
    SetFace(id=1, face=Face(large=True)),
    UsePolicy(id=1, policy="walk-up"),
    LearnBay(id=1, bay=THREE),
    ForgetBay(id=1, bay=TWO),
    TryPanel(id=1, on=True),
    LightLamp(id=1, lamp=None),
    SaveLogs(id=1, stick="STICK"),
    SwitchOff(id=1, how=Power.OFF),
    FetchNewest(id=1),
    StopFetch(id=1, build="23C55"),
    RemoveFirmware(id=1, name="23C55-0123456789ab"),
    Order(id=1, service=Service.RESTORE, bays=(), count=1, seconds=60.0),
    EndOrder(id=1),
    Overrule(id=1, bay=ONE, ecid=A, gate=Gate.BATTERY, reason="so it is"),
    Release(id=1, ecid=A, reason="so it is"),
)


def station(**changes) -> Bench:
    return Bench(preset="bench", presets=PRESETS, **changes)


def locked(**changes) -> Bench:
    """With a PIN, and closed."""
    bench = station(**changes)
    bench.do(ChoicesFound(choices=Choices(pin=hash_of(PIN))))
    return bench


def opened(**changes) -> Bench:
    bench = locked(**changes)
    bench.do(Unlock(id=1, pin=PIN))
    assert bench.view().operator is not None
    return bench


def refused(bench: Bench, command: Command) -> Refused:
    with pytest.raises(Refused) as found:
        bench.do(command)
    return found.value


def guess(bench: Bench, times: int) -> None:
    for _ in range(times):
        refused(bench, Unlock(id=1, pin=WRONG))


def in_socket(socket: str, ecid=A) -> UsbArrived:
    return UsbArrived(socket=SocketPath(socket), product_id=NORMAL, serial=serial(ecid))


def says(bench: Bench) -> str:
    view = bench.view().operator
    assert view is not None
    return view.says


def bays(bench: Bench) -> dict[str, str]:
    return {bay.id: bay.socket for bay in bench.station.bays}


# -- the door


def test_whoever_opens_it_first_chooses_the_pin():
    bench = station()
    assert bench.view().pin is PinState.UNSET
    bench.do(Unlock(id=1, pin=PIN))
    assert bench.view().operator is not None
    bench.do(Lock(id=2))
    assert bench.view().operator is None
    assert bench.view().pin is PinState.SET
    refused(bench, Unlock(id=3, pin=WRONG))
    bench.do(Unlock(id=4, pin=PIN))
    assert bench.view().operator is not None


@pytest.mark.parametrize("pin", ["", "123", "1234567890123", "12 34", "١٢٣٤", "abcd"])
def test_what_no_pin_can_be_is_no_guess(pin):
    bench = locked()
    assert "digits" in str(refused(bench, Unlock(id=1, pin=pin)))
    assert bench.station.operator.choices.wrong == 0


@pytest.mark.parametrize("command", [Unlock(id=1, pin=PIN), SetPin(id=1, pin=PIN)])
def test_a_pin_is_in_no_text_about_what_carries_it(command):
    assert PIN not in repr(command)


def test_it_closes_by_itself_and_stays_open_for_whoever_works():
    bench = opened()
    bench.wait(SESSION_SECONDS - 1)
    bench.do(SetFace(id=1, face=Face(large=True)))
    bench.wait(SESSION_SECONDS - 1)
    assert bench.view().operator is not None
    bench.do(Select(id=2, bay=ONE))  # anybody's
    bench.wait(2)
    assert bench.view().operator is None


@pytest.mark.parametrize("command", OPERATORS, ids=lambda command: type(command).__name__)
def test_behind_it_nothing_happens_without_the_pin(command):
    bench = locked()
    bench.plug()
    before = bench.view()
    assert "Only an operator" in str(refused(bench, command))
    assert bench.view() == before
    assert not bench.all(KeepChoices)


@pytest.mark.parametrize("command", OPERATORS, ids=lambda command: type(command).__name__)
def test_nothing_happens_after_it_was_closed_although_nobody_told_the_time(command):
    bench = opened()
    bench.plug()
    bench.now += SESSION_SECONDS + 1  # no Tick
    assert "Only an operator" in str(refused(bench, command))


def test_an_operator_may_give_orders_and_end_them():
    bench = opened()
    bench.do(Order(id=1, service=Service.RESTORE, bays=(), count=1, seconds=60.0))
    bench.do(EndOrder(id=2))


def test_where_the_policy_allows_it_no_pin_is_needed():
    bench = locked(operator_confirm=True)
    bench.do(SetFace(id=1, face=Face(language=Language.GERMAN)))
    assert bench.view().face.language is Language.GERMAN
    assert bench.view().operator is None


def test_guessing_takes_longer_each_time():
    bench = locked()
    guess(bench, FREE_TRIES)
    expected = FIRST_WAIT
    for _ in range(9):
        shown = bench.view()
        assert shown.pin is PinState.WAIT
        assert shown.pin_until == bench.now + expected
        for pin in (PIN, WRONG):  # the right one does not get in either, and none of these counts
            assert "Too many" in str(refused(bench, Unlock(id=1, pin=pin)))
        bench.wait(expected - 0.5)
        refused(bench, Unlock(id=1, pin=PIN))
        bench.wait(1)
        assert bench.view().pin is PinState.SET
        guess(bench, 1)
        expected = min(expected * 2, LONGEST_WAIT)
    bench.wait(LONGEST_WAIT)
    bench.do(Unlock(id=1, pin=PIN))
    assert bench.view().operator is not None
    bench.do(Lock(id=1))
    guess(bench, FREE_TRIES - 1)
    assert bench.view().pin is PinState.SET


def test_pulling_the_plug_does_not_make_guessing_quicker():
    bench = locked()
    guess(bench, FREE_TRIES)
    kept = bench.choices_on_disk
    assert kept is not None
    again = station()
    again.do(ChoicesFound(choices=kept))
    assert again.view().pin is PinState.WAIT
    assert again.view().pin_until == again.now + FIRST_WAIT


def test_a_try_counts_before_it_is_looked_at():
    bench = locked()
    actions = bench.do(Unlock(id=1, pin=PIN))
    kept = [action.choices.wrong for action in actions if isinstance(action, KeepChoices)]
    assert kept == [1, 0]


def test_nobody_waits_longer_than_an_hour():
    assert waiting(FREE_TRIES - 1) == 0
    assert waiting(1_000_000) == LONGEST_WAIT


def test_a_pin_that_cannot_be_read_any_more_lets_nobody_in():
    bench = station()
    bench.do(ChoicesFound(choices=Choices(pin=LOST_PIN), trouble="It cannot be read."))
    assert bench.view().pin is PinState.SET
    assert "It cannot be read." in bench.view().notice
    refused(bench, Unlock(id=1, pin=PIN))


tries = st.lists(
    st.one_of(
        st.sampled_from((Unlock(id=1, pin=WRONG), Unlock(id=1, pin=""), Unlock(id=1, pin="99999"), Lock(id=1))),
        st.sampled_from(OPERATORS),
        st.floats(0, 2 * LONGEST_WAIT),
    ),
    max_size=60,
)


@given(tries)
def test_no_sequence_of_commands_opens_it_without_the_pin(sequence):
    bench = locked()
    began, guesses = bench.now, 0
    for each in sequence:
        if isinstance(each, float):
            bench.wait(each)
        elif isinstance(each, Lock):
            bench.do(each)
        else:
            before = bench.station.operator.choices.wrong
            refused(bench, each)
            guesses += bench.station.operator.choices.wrong - before
        assert bench.view().operator is None
        assert bench.station.operator.choices.pin == hash_of(PIN)
    assert bench.now - began >= sum(waiting(wrong) for wrong in range(guesses))


# -- choices


def test_a_face_is_chosen_and_kept():
    bench = opened()
    face = Face(language=Language.ARABIC, turn=Turn.LEFT, brightness=DARKEST, dim_seconds=0, sound=True)
    bench.do(SetFace(id=1, face=face))
    assert bench.view().face == face
    assert bench.choices_on_disk is not None
    assert bench.choices_on_disk.face == face


@pytest.mark.parametrize(
    "face",
    [
        Face(brightness=DARKEST - 1),
        Face(brightness=101),
        Face(dim_seconds=-1),
        Face(dim_seconds=float("nan")),
        Face(dim_seconds=float("inf")),
    ],
)
def test_a_face_that_nobody_could_see_is_refused(face):
    bench = opened()
    refused(bench, SetFace(id=1, face=face))
    assert bench.view().face == Face()


def test_another_pin_takes_its_place_and_none_opens_the_door():
    bench = opened()
    bench.do(SetPin(id=1, pin="1111"), Lock(id=2))
    refused(bench, Unlock(id=3, pin=PIN))
    bench.do(Unlock(id=4, pin="1111"), SetPin(id=5, pin=""), Lock(id=6))
    assert bench.view().pin is PinState.UNSET
    refused(bench, SetFace(id=7, face=Face()))


def test_another_policy_is_kept_and_then_the_daemon_starts_anew():
    bench = opened()
    bench.do(UsePolicy(id=1, policy="bench"))
    assert not bench.all(StartAnew)
    assert "There is no such policy" in str(refused(bench, UsePolicy(id=1, policy="casino")))
    actions = bench.do(UsePolicy(id=1, policy="overnight"))
    assert [action.choices.policy for action in actions if isinstance(action, KeepChoices)] == ["overnight"]
    assert bench.all(StartAnew)


def test_the_daemon_does_not_start_anew_over_a_phone_that_waits_for_its_turn():
    """It is not on the disk before it begins: whoever confirmed it would wait in vain."""
    bench = opened(cap=1)
    bench.confirm()
    bench.do(Select(id=1, bay=TWO))
    bench.plug(B, TWO)
    bench.press()
    bench.hold()
    assert bench.bay(TWO).state is BayState.QUEUED
    assert "Bay 2 waits" in str(refused(bench, UsePolicy(id=2, policy="overnight")))
    bench.do(Cancel(id=3, bay=TWO), UsePolicy(id=4, policy="overnight"))
    assert bench.all(StartAnew)


def test_what_the_environment_decides_is_not_chosen_here():
    bench = opened(settled=frozenset({"policy", "bays"}))
    for command in (UsePolicy(id=1, policy="overnight"), LearnBay(id=1, bay=THREE), ForgetBay(id=1, bay=TWO)):
        assert "STATION_" in str(refused(bench, command))


# -- bays


def test_a_phone_in_a_socket_that_is_no_bay_teaches_it():
    bench = opened()
    bench.do(in_socket("1-1.7"))
    assert len(bays(bench)) == 2
    bench.do(LearnBay(id=1, bay=THREE))
    view = bench.view().operator
    assert view is not None
    assert view.learning == THREE
    bench.plug()  # in a socket that is a bay: not what is waited for
    bench.do(in_socket("1-1.8", B))
    assert bays(bench) == {ONE: "1-1.1", TWO: "1-1.2", THREE: "1-1.8"}
    assert bench.bay(THREE).phone is not None
    assert "bay 3" in says(bench)
    assert bench.choices_on_disk is not None
    assert bench.choices_on_disk.bays == bays(bench)
    bench.do(in_socket("1-1.9"))
    assert len(bays(bench)) == 3


def test_a_bay_moves_to_another_socket():
    bench = opened()
    bench.do(LearnBay(id=1, bay=TWO), in_socket("1-1.8"))
    assert bays(bench) == {ONE: "1-1.1", TWO: "1-1.8"}


def test_a_bay_that_is_in_use_stays_where_it_is():
    bench = opened()
    bench.do(LearnBay(id=1, bay=ONE))
    bench.plug()
    bench.do(in_socket("1-1.8", B))
    assert bays(bench) == SOCKETS
    assert "in use" in says(bench)
    for command in (LearnBay(id=1, bay=ONE), ForgetBay(id=1, bay=ONE)):
        assert "in use" in str(refused(bench, command))


def test_a_station_that_takes_every_socket_keeps_to_its_bays_once_it_was_taught():
    bench = opened(bays={})
    bench.do(in_socket("1-1.4"))
    bench.inspect(facts())
    bench.do(LearnBay(id=1, bay=BayId("A")), in_socket("1-1.5", B))
    assert bays(bench) == {"1": "1-1.4", "A": "1-1.5"}
    bench.do(in_socket("1-1.6", B))
    assert len(bays(bench)) == 2


def test_nothing_is_learned_when_the_pages_are_closed():
    bench = opened()
    bench.do(LearnBay(id=1, bay=THREE))
    bench.wait(SESSION_SECONDS)
    bench.do(in_socket("1-1.8"))
    assert bays(bench) == SOCKETS


def test_nothing_is_learned_when_the_operator_thinks_better_of_it():
    bench = opened()
    bench.do(LearnBay(id=1, bay=THREE), LearnBay(id=2, bay=None), in_socket("1-1.8"))
    assert bays(bench) == SOCKETS


@pytest.mark.parametrize("name", ["", "bay 3", "123456789", "ü", "../1", "1\n"])
def test_a_bay_needs_a_name_that_can_be_printed_beside_it(name):
    refused(opened(), LearnBay(id=1, bay=BayId(name)))


def test_a_bay_that_the_settings_named_keeps_its_name():
    bench = opened(bays={BayId("left shelf"): SocketPath("1-1.1"), TWO: SocketPath("1-1.2")})
    bench.do(LearnBay(id=1, bay=BayId("left shelf")), in_socket("1-1.8"))
    assert bays(bench) == {"left shelf": "1-1.8", TWO: "1-1.2"}
    assert bench.choices_on_disk is not None
    assert bench.choices_on_disk.bays is not None
    assert distinct(bench.choices_on_disk.bays)


def test_there_are_only_so_many_bays():
    bench = opened(bays={BayId(str(n)): SocketPath(f"1-{n}") for n in range(1, MAX_BAYS + 1)})
    assert "bays already" in str(refused(bench, LearnBay(id=1, bay=BayId("X"))))


def test_a_bay_is_forgotten():
    bench = opened()
    bench.do(Select(id=1, bay=TWO), ForgetBay(id=2, bay=TWO))
    assert bays(bench) == {ONE: "1-1.1"}
    bench.do(in_socket("1-1.2"))
    assert bays(bench) == {ONE: "1-1.1"}
    assert "no bay 2" in str(refused(bench, ForgetBay(id=3, bay=TWO)))
    bench.do(ForgetBay(id=4, bay=ONE), in_socket("1-1.2", B))
    assert bays(bench) == {"1": "1-1.2"}  # as on a station that was never taught


def test_a_bay_with_a_result_is_not_forgotten():
    bench = opened()
    bench.fail(bench.confirm().job, Cause.INTERNAL)
    bench.inspect(facts())
    bench.do(gone())
    assert "result" in str(refused(bench, ForgetBay(id=1, bay=ONE)))


# -- the machine


def test_it_is_not_switched_off_over_a_phone():
    bench = opened()
    bench.confirm()
    assert "at work" in str(refused(bench, SwitchOff(id=1, how=Power.RESTART)))
    assert not bench.all(SwitchMachine)


def test_it_is_switched_off():
    bench = opened()
    bench.do(SwitchOff(id=1, how=Power.OFF))
    assert [action.how for action in bench.all(SwitchMachine)] == [Power.OFF]


def test_logs_are_written_once_at_a_time_and_what_became_of_it_is_said():
    bench = opened()
    bench.do(SaveLogs(id=1, stick="STICK"))
    assert [action.stick for action in bench.all(WriteLogs)] == ["STICK"]
    for command in (
        SaveLogs(id=2, stick="STICK"),
        UsePolicy(id=2, policy="overnight"),  # each would leave half a file on the stick
        SwitchOff(id=2, how=Power.OFF),
    ):
        assert "already" in str(refused(bench, command))
    bench.do(OperatorTold(says="The stick is full.", wrote=True))
    assert says(bench) == "The stick is full."
    bench.do(SaveLogs(id=3, stick="STICK"))


def test_trying_the_panel_ends_with_the_session():
    bench = opened()
    bench.do(TryPanel(id=1, on=True))
    view = bench.view().operator
    assert view is not None
    assert view.testing
    bench.do(Lock(id=2))
    assert not bench.station.trial.on


def test_what_was_gathered_is_forgotten_with_the_session():
    bench = opened()
    papers = Papers(firmware=(FirmwareLine(version="26.2", build="23C55", size=1, models=1),))
    bench.do(PapersSeen(papers=papers))
    view = bench.view().operator
    assert view is not None
    assert view.firmware == papers.firmware
    bench.do(Lock(id=1), PapersSeen(papers=papers), Unlock(id=2, pin=PIN))
    view = bench.view().operator
    assert view is not None
    assert not view.firmware


def test_a_full_bench_with_open_pages_fits_a_frame():
    names = {BayId(str(n)): SocketPath(f"1-1.{n}") for n in range(1, 17)}
    bench = opened(bays=names, cap=16)
    bench.firmware = msgspec.structs.replace(FIRMWARE, product_types=("iPhone13,2",) * 40)
    for n in range(1, 17):
        ecid = type(A)(A + n)
        bench.do(in_socket(f"1-1.{n}", ecid))
        bench.inspect(facts(ecid, name="邱" * 64))
    line = RecordLine(
        number=123456,
        ended="2026-01-01T00:00:00Z",
        bay=ONE,
        ecid=A,
        model_name="iPhone 15 Pro Max",
        service=Service.RESTORE,
        outcome=Outcome.FAILED_UNTOUCHED,
        title="ü" * 120,
        certificate=True,
    )
    firmware = tuple(FirmwareLine(version="26.2.1", build="23C5512a", size=1 << 40, models=99) for _ in range(24))
    bench.do(PapersSeen(papers=Papers(firmware=firmware, records=(line,) * RECORDS_SHOWN, record_count=MAX_COUNT)))
    assert len(msgspec.json.encode(bench.view())) < MAX_FRAME


def test_firmware_is_asked_for_stopped_and_removed():
    bench = opened(fetches=True)
    assert "No phone is here" in str(refused(bench, FetchNewest(id=1)))
    bench.plug()
    bench.do(FetchNewest(id=1))
    assert says(bench) == "The station is looking up what is the newest."
    bench.do(StopFetch(id=1, build="23C55"), RemoveFirmware(id=1, name="23B85-1"))
    assert len(bench.all(AskForNewest)) == 1
    assert [action.build for action in bench.all(StopFetching)] == ["23C55"]
    assert [action.name for action in bench.all(DiscardFirmware)] == ["23B85-1"]


def test_a_station_that_fetches_nothing_says_so_and_removes_all_the_same():
    bench = opened()
    bench.plug()
    for command in (FetchNewest(id=1), StopFetch(id=1, build="23C55")):
        assert str(refused(bench, command)) == "This station fetches no firmware."
    bench.do(RemoveFirmware(id=1, name="23B85-1"))
    assert bench.all(DiscardFirmware)


def test_what_a_job_installs_is_shown_as_used():
    bench = opened()
    line = FirmwareLine(version="26.2", build="23C55", size=1, models=1, name="23C55")
    bench.confirm()
    bench.do(PapersSeen(papers=Papers(firmware=(line, msgspec.structs.replace(line, name="other")))))
    view = bench.view().operator
    assert view is not None
    assert [each.in_use for each in view.firmware] == [True, False]
