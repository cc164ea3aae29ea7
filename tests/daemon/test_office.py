"""What an operator does at the station, over the socket; what of it is kept, and what broke of it."""

import asyncio
import errno
import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from station.adapters import bundle, pin_hash, power, sticks
from station.adapters.choices import ChoicesFile
from station.adapters.upkeep import Notes
from station.cli.main import app
from station.core.operator import FREE_TRIES
from station.daemon import settings as settings_module
from station.daemon.lease import lease
from station.daemon.loop import StartsAnew
from station.daemon.office import Office
from station.daemon.presets import Preset
from station.daemon.settings import load, settled
from station.errors import Refused, StorageError
from station.model.api import (
    ForgetBay,
    LearnBay,
    Lock,
    SaveLogs,
    SetFace,
    SetPin,
    Snapshot,
    SwitchOff,
    Unlock,
    UsePolicy,
)
from station.model.base import BayId, SocketPath
from station.model.choices import LOST_PIN, Choices
from station.model.face import Face, Language, Turn
from station.model.operator import PinState, Power
from station.model.upkeep import TROUBLE, Chore, ChoreNote
from tests.core.helpers import ONE, TWO
from tests.daemon.helpers import PATIENCE, Daemon, House, arrived
from tests.daemon.test_operator import station

pytestmark = pytest.mark.system  # PINs are slow to try, so that they are slow to guess

PIN, WRONG = "2580", "0000"
FACE = Face(language=Language.TURKISH, turn=Turn.OVER, large=True, brightness=40)


async def until(daemon: Daemon, fits) -> Snapshot:
    """Wait until the station looks so."""
    async with asyncio.timeout(PATIENCE):
        shown = daemon.client.latest or await daemon.client.snapshot()
        while not fits(shown):
            shown = await daemon.client.snapshot()
    return shown


async def opened(daemon: Daemon) -> None:
    assert not await daemon.command(Unlock, pin=PIN)
    await until(daemon, lambda shown: shown.operator is not None)


def full(monkeypatch) -> None:
    """The disk takes nothing any more."""

    def fsync(_fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


# -- the whole path


async def test_what_was_chosen_is_there_again_after_a_restart(house: House):
    async with house.daemon() as daemon:
        assert (await until(daemon, lambda _: True)).pin is PinState.UNSET
        await opened(daemon)
        assert not await daemon.command(SetFace, face=FACE)
        assert not await daemon.command(Lock)
        shown = await until(daemon, lambda shown: shown.operator is None)
        assert shown.face == FACE
    async with house.daemon() as daemon:
        shown = await until(daemon, lambda _: True)
        assert shown.face == FACE
        assert shown.pin is PinState.SET
        assert shown.operator is None
        assert "not the PIN" in await daemon.command(Unlock, pin=WRONG)
        await opened(daemon)


async def test_guesses_are_counted_over_restarts(house: House):
    async with house.daemon() as daemon:
        await opened(daemon)
        await daemon.command(Lock)
        for _ in range(FREE_TRIES - 1):
            assert "not the PIN" in await daemon.command(Unlock, pin=WRONG)
    async with house.daemon() as daemon:
        assert "not the PIN" in await daemon.command(Unlock, pin=WRONG)
        shown = await until(daemon, lambda shown: shown.pin is PinState.WAIT)
        assert shown.pin_until > shown.at
        assert "Too many" in await daemon.command(Unlock, pin=PIN)
    async with house.daemon() as daemon:
        assert "Too many" in await daemon.command(Unlock, pin=PIN)


async def test_an_operator_sees_the_machine_while_the_pages_are_open(house: House):
    async with house.daemon() as daemon:
        await opened(daemon)
        shown = await until(daemon, lambda shown: shown.operator and shown.operator.machine)
        assert shown.operator is not None
        assert shown.operator.machine is not None
        assert shown.operator.machine.software == "test 1"
        assert [line.bay for line in shown.operator.bays] == [ONE, TWO]


async def test_an_operator_is_told_what_went_wrong_while_nobody_was_there(house: House):
    chores = Notes(house.state)
    chores.keep(ChoreNote(chore=Chore.FIRMWARE, at="2026-03-01T03:00:00Z", good=True, detail=""))
    chores.keep(ChoreNote(chore=Chore.COPY, at="2026-03-01T02:00:00Z", good=False, detail="It is full."))
    async with house.daemon() as daemon:
        await opened(daemon)
        shown = await until(daemon, lambda shown: shown.operator and shown.operator.machine)
        assert shown.operator is not None
        assert shown.operator.machine is not None
        assert shown.operator.machine.upkeep == (TROUBLE[Chore.COPY],)


async def test_a_disk_that_cannot_be_looked_through_costs_the_papers_only(house: House, monkeypatch):
    look, failed = Office.look, asyncio.Event()
    loop = asyncio.get_running_loop()

    def fail_once(office: Office):
        if not failed.is_set():
            loop.call_soon_threadsafe(failed.set)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return look(office)

    monkeypatch.setattr(Office, "look", fail_once)
    async with house.daemon() as daemon:
        await opened(daemon)
        async with asyncio.timeout(PATIENCE):
            await failed.wait()
        assert not await daemon.command(SetFace, face=FACE)
        await until(daemon, lambda shown: shown.operator and shown.operator.machine)


async def test_the_pin_is_nowhere_in_clear(house: House, capsys):
    async with house.daemon() as daemon:
        await opened(daemon)
        await daemon.command(SetPin, pin="987654321")
        await daemon.command(Lock)
        await daemon.command(Unlock, pin="123456789")
    said = capsys.readouterr()
    for pin in ("987654321", "123456789"):
        assert pin not in said.out + said.err
        assert not any(pin.encode() in path.read_bytes() for path in house.state.rglob("*") if path.is_file())
    assert (house.state / "choices.json").stat().st_mode & 0o777 == 0o600


async def test_what_cannot_be_kept_does_not_hold(house: House, monkeypatch):
    house.changes |= {"presets": ("walk-up",)}
    async with house.daemon() as daemon:
        await opened(daemon)
        full(monkeypatch)
        assert "could not be kept" in await daemon.command(SetFace, face=FACE)
        assert "could not be kept" in await daemon.command(UsePolicy, policy="walk-up")
        assert (await until(daemon, lambda _: True)).face == Face()
        assert not daemon.running.done()


async def test_the_right_pin_opens_although_the_disk_is_full(house: House, monkeypatch):
    async with house.daemon() as daemon:
        await opened(daemon)
        await daemon.command(Lock)
        full(monkeypatch)
        await opened(daemon)


async def test_a_bay_is_taught_and_the_settings_know_it(house: House):
    async with house.daemon() as daemon:
        await opened(daemon)
        assert not await daemon.command(LearnBay, bay=BayId("3"))
        daemon.tell(arrived().__class__(socket=SocketPath("1-1.7"), product_id=0x12A8, serial="x", emulated=True))
        await daemon.until(lambda bay: bay.phone, BayId("3"))
        assert not await daemon.command(ForgetBay, bay=TWO)
    assert (await asyncio.to_thread(load, state=house.state)).bay_sockets == {ONE: "1-1.1", "3": "1-1.7"}


async def test_another_policy_starts_the_daemon_anew_once_it_is_kept(house: House):
    house.changes |= {"presets": tuple(preset.value for preset in Preset), "preset": "bench"}
    async with house.daemon() as daemon:
        await opened(daemon)
        assert not await daemon.command(UsePolicy, policy="walk-up")
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ExceptionGroup) as ended:
                await asyncio.shield(daemon.running)
        assert ended.group_contains(StartsAnew)
    assert (await asyncio.to_thread(load, state=house.state)).policy is Preset.WALK_UP


async def test_a_stick_that_was_pulled(house: House):
    async with house.daemon() as daemon:
        await opened(daemon)
        assert not await daemon.command(SaveLogs, stick="STICK")
        await until(daemon, lambda shown: shown.operator and "not there any more" in shown.operator.says)


async def test_the_machine_is_switched_off(house: House):
    async with house.daemon() as daemon:
        await opened(daemon)
        assert not await daemon.command(SwitchOff, how=Power.RESTART)
        await until(daemon, lambda shown: shown.operator and "being restarted" in shown.operator.says)
    assert house.switched == [Power.RESTART]


async def test_a_machine_that_stays_on_is_not_said_to_be_switched_off(house: House, monkeypatch):
    monkeypatch.setattr(power, "BOOTED", house.sockets / "none")
    monkeypatch.setattr(house, "switch", power.switch)
    async with house.daemon() as daemon:
        await opened(daemon)
        assert "cannot be switched off" in await daemon.command(SwitchOff, how=Power.OFF)
        shown = await until(daemon, lambda shown: shown.operator and shown.operator.machine)
        assert shown.operator is not None
        assert shown.operator.says == ""


# -- what was chosen, on the disk


def test_choices_are_read_as_they_were_written(tmp_path):
    choices = Choices(pin=pin_hash.make(PIN), wrong=2, face=FACE, policy="bench", bays={ONE: SocketPath("1-1.4")})
    file = ChoicesFile(tmp_path)
    file.write(choices)
    assert file.read().choices == choices
    assert not file.read().trouble


def test_before_anything_was_chosen(tmp_path):
    assert ChoicesFile(tmp_path / "nowhere").read().choices == Choices()


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\0" * 4096, b"[" * 100_000, b'"' + b"x" * 1_000_000, b'{"\xff": 1}']
)
def test_a_file_that_broke_opens_no_door(tmp_path, data):
    file = ChoicesFile(tmp_path)
    file.path.write_bytes(data)
    assert file.read().choices == Choices(pin=LOST_PIN)
    assert "No PIN opens it" in file.read().trouble
    assert not pin_hash.is_right("", LOST_PIN)
    assert load(state=tmp_path).policy is Preset.BENCH


@pytest.mark.parametrize(
    ("text", "wrong", "expected"),
    [
        ('{"face": {"brightness": 0}}', "face", Choices()),
        ('{"face": {"language": "tlh"}}', "face", Choices()),
        ('{"bays": {"1": "1-1", "2": "1-1"}}', "bays", Choices()),
        ('{"bays": {"": "1-1"}}', "bays", Choices()),
        ('{"pin": "2580", "policy": "bench"}', "pin", Choices(pin=LOST_PIN, policy="bench")),
        ('{"wrong": "many"}', "wrong", Choices()),
        ('{"policy": "b\udcffnch"}', "policy", Choices()),  # a byte that is no letter
        ('{"pin": {"salt": "\udcff", "digest": ""}}', "pin", Choices(pin=LOST_PIN)),
    ],
)
def test_what_broke_costs_what_broke(tmp_path, text, wrong, expected):
    file = ChoicesFile(tmp_path)
    file.path.write_bytes(text.encode(errors="surrogateescape"))
    assert file.read().choices == expected
    assert file.read().wrong == (wrong,)
    assert file.read().trouble
    load(state=tmp_path)


@given(data=st.binary(max_size=200))
def test_no_file_keeps_the_daemon_from_starting(tmp_path_factory, data):
    file = ChoicesFile(tmp_path_factory.mktemp("state"))
    file.path.write_bytes(data)
    file.read()
    load(state=file.path.parent)


async def test_a_file_that_broke_is_told_of(house: House):
    house.state.mkdir()
    (house.state / "choices.json").write_text("{")
    async with house.daemon() as daemon:
        shown = await until(daemon, lambda shown: "No PIN opens it" in shown.notice)
        assert shown.pin is PinState.SET


def test_choices_lie_between_the_file_and_the_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(settings_module, "DEFAULT_FILE", tmp_path / "nowhere.toml")
    toml = tmp_path / "station.toml"
    toml.write_text(f'state = "{tmp_path}"\npolicy = "bench"\n[bays]\n1 = "1-1"\n')
    ChoicesFile(tmp_path).write(Choices(policy="overnight", bays={BayId("A"): SocketPath("1-2")}))
    chosen = load(toml)
    assert chosen.policy is Preset.OVERNIGHT
    assert chosen.operator_confirm is True
    assert chosen.bays == {"A": "1-2"}
    monkeypatch.setenv("STATION_POLICY", "walk-up")
    monkeypatch.setenv("STATION_BAYS", '{"B": "1-3"}')
    forced = load(toml)
    assert forced.policy is Preset.WALK_UP
    assert forced.bays == {"1": "1-1", "B": "1-3"}  # file and environment are put together, as ever
    assert settled(os.environ) == {"policy", "bays"}


def test_a_policy_that_is_none_any_more_is_not_chosen(tmp_path):
    ChoicesFile(tmp_path).write(Choices(policy="casino"))
    assert load(state=tmp_path).policy is Preset.BENCH


# -- sticks, and the machine


def test_mounted_sticks_are_found(tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "36 35 98:0 / / rw,noatime shared:1 - ext4 /dev/root rw\n"
        "40 35 8:1 / /media/pi/MY\\040STICK rw,nosuid shared:2 - vfat /dev/sda1 rw\n"
        "41 35 8:17 / /run/media/pi/B ro,nosuid shared:3 - vfat /dev/sdb1 ro\n"
        "42 35 8:33 / /media/DISK rw,nosuid shared:4 - ext4 /dev/sdc1 rw\n"
        "43 35 8:49 / /boot/firmware rw - vfat /dev/sdd1 rw\n"
        "44 35 0:31 / /media/root-rw rw - tmpfs tmpfs rw\n"
        "52 50 8:33 / /media/DISK rw,nosuid master:4 - ext4 /dev/sdc1 rw\n"
        "broken\n"
    )
    assert sticks.mounted(mounts=mounts) == {"MY STICK": Path("/media/pi/MY STICK"), "DISK": Path("/media/DISK")}


def test_sticks_have_names_that_can_be_shown(tmp_path):
    for name in ("A\x1b[2J", "B" * 200, "C"):
        (tmp_path / name).mkdir()
    found = sticks.below(tmp_path)
    assert set(found) == {"A[2J", "B" * 32, "C"}


def test_a_bundle_is_whole_or_not_there(tmp_path, monkeypatch):
    assert bundle.write(tmp_path, "a.zip", [("x", b"y")]).exists()
    full(monkeypatch)
    with pytest.raises(StorageError, match="It is full"):
        bundle.write(tmp_path, "b.zip", [("x", b"y")])
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_a_link_on_a_stick_leads_nowhere(tmp_path):
    ours, stick = tmp_path / "station-key.pem", tmp_path / "stick"
    ours.write_text("key")
    stick.mkdir()
    for name in (".a.zip.part", "a.zip"):
        (stick / name).symlink_to(ours)
    assert not bundle.write(stick, "a.zip", [("x", b"y")]).is_symlink()
    assert ours.read_text() == "key"


def test_a_stick_that_is_gone_is_told_of(tmp_path):
    with pytest.raises(StorageError, match="It is gone"):
        bundle.write(tmp_path / "gone", "a.zip", [])


def test_a_bundle_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "MAX_PART", 8192)
    monkeypatch.setattr(bundle, "MAX_ALL", 20_000)
    parts = [(str(n), os.urandom(9000)) for n in range(4)]
    with zipfile.ZipFile(bundle.write(tmp_path, "a.zip", parts)) as archive:
        assert [len(archive.read(name)) for name, _ in parts] == [8192, 8192, 20_000 - 2 * 8192, 0]
        assert archive.read("0") == parts[0][1][-8192:]


def test_a_machine_without_systemd_is_switched_off_by_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(power, "BOOTED", tmp_path / "none")
    with pytest.raises(Refused, match="cannot be switched off"):
        power.switch(Power.OFF)


# -- the command line


async def typed(house: House, *arguments: str, answers: str = ""):
    command = [*arguments, "--socket", str(house.socket)]
    return await asyncio.to_thread(lambda: CliRunner().invoke(app, command, input=answers))


async def test_an_operator_types(house: House):
    async with house.daemon() as daemon:
        assert (await typed(house, "pin", answers=f"{PIN}\n{PIN}\n")).exit_code == 0
        shown = await until(daemon, lambda shown: shown.pin is PinState.SET and shown.operator is None)
        assert shown.operator is None
        refused = await station(house, "face", "--large")
        assert refused.exit_code == 1
        assert "--unlock" in refused.output
        done = await typed(house, "face", "--language", "de", "--turn", "90", "--unlock", answers=f"{PIN}\n")
        assert done.exit_code == 0, done.output
        assert "Deutsch, turned by 90°" in done.output
        assert "Deutsch" in (await station(house, "face")).output
        assert (await typed(house, "bays", "forget", "2", "--unlock", answers=f"{WRONG}\n")).exit_code == 1
        assert (await typed(house, "bays", "forget", "2", "--unlock", answers=f"{PIN}\n")).exit_code == 0
        listed = await typed(house, "bays", "list", "--unlock", answers=f"{PIN}\n")
        assert "1-1.1" in listed.output
        assert (await typed(house, "pin", "--remove", "--unlock", answers=f"{PIN}\n")).exit_code == 0
        await until(daemon, lambda shown: shown.pin is PinState.UNSET and shown.operator is None)


def _refused_while_a_daemon_lives(house: House, arguments: list[str]) -> bool:
    with lease(house.state):
        return CliRunner().invoke(app, arguments).exit_code == 1


async def test_a_pin_that_was_forgotten_is_removed_beside_a_stopped_station(house: House):
    async with house.daemon() as daemon:
        await opened(daemon)
    arguments = ["pin", "--remove", "--state", str(house.state)]
    assert await asyncio.to_thread(_refused_while_a_daemon_lives, house, arguments)
    assert (await asyncio.to_thread(CliRunner().invoke, app, arguments)).exit_code == 0
    async with house.daemon() as daemon:
        assert (await until(daemon, lambda _: True)).pin is PinState.UNSET
