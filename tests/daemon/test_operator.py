"""An operator's commands against a running daemon, and what is wrong with a machine."""

import asyncio
import socket as sockets_module
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from station.cli import doctor
from station.cli.main import COMMANDS, app
from station.daemon.settings import load
from station.model.api import BayState, Snapshot
from station.model.base import format_ecid
from station.model.job import Reach
from tests.core.helpers import ONE, A, B
from tests.daemon.helpers import Daemon, House, arrived


async def station(house: House, *arguments: str):
    """Run `station ARGUMENTS`, as a process of its own would."""
    command = [*arguments, "--socket", str(house.socket)]
    return await asyncio.to_thread(CliRunner().invoke, app, command)


async def plugged(house: House, daemon: Daemon) -> None:
    daemon.tell(arrived())
    await (await house.conductor.worker()).inspect()
    await daemon.until(lambda bay: bay.state is BayState.READY and "START" in bay.hint)


async def test_an_operator_looks_starts_confirms_and_cancels(house):
    house.changes["operator_confirm"] = True
    async with house.daemon() as daemon:
        await plugged(house, daemon)
        shown = await station(house, "status")
        assert shown.exit_code == 0
        assert "iPhone 12" in shown.output
        assert format_ecid(A) in shown.output
        assert "EMULATED" in shown.output
        assert (await station(house, "start", "1", "restore")).exit_code == 0
        await daemon.until(lambda bay: bay.state is BayState.ARMED)
        wrong = await station(house, "confirm", "1", format_ecid(B))
        assert wrong.exit_code == 1
        assert format_ecid(A) in wrong.output
        assert (await station(house, "confirm", "1", format_ecid(A))).exit_code == 0
        worker = await house.conductor.worker()
        assert (await station(house, "cancel", "1")).exit_code == 0
        await worker.gone()
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record)
        assert (await station(house, "dismiss", "1")).exit_code == 0
        await daemon.until(lambda bay: bay.state is BayState.READY)


async def test_programs_get_the_whole_snapshot(house):
    async with house.daemon() as daemon:
        await plugged(house, daemon)
        shown = await station(house, "status", "--json")
        snapshot = msgspec.json.decode(shown.output, type=Snapshot)
        assert [bay.bay for bay in snapshot.bays if bay.phone] == [ONE]


async def test_the_command_line_may_not_confirm_by_default(house):
    async with house.daemon() as daemon:
        await plugged(house, daemon)
        await station(house, "start", "1", "restore")
        refused = await station(house, "confirm", "1", format_ecid(A))
        assert refused.exit_code == 1
        assert "command line" in refused.output
        assert house.conductor.nobody()


async def test_a_misspelt_ecid_is_not_sent(house):
    assert (await station(house, "confirm", "1", "my phone")).exit_code == 2


async def test_without_a_daemon_an_operator_is_told_so(house):
    shown = await station(house, "status")
    assert shown.exit_code == 1
    assert "No station answers" in shown.output


def test_every_command_is_there():
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    for name in COMMANDS:
        assert name in shown.output
    assert CliRunner().invoke(app, ["no-such-command"]).exit_code == 2


def test_the_doctor_finds_what_is_wrong(tmp_path):
    (tmp_path / "reach.json").write_bytes(msgspec.json.encode(Reach(usbmuxd="x")))
    settings = load(virtual=tmp_path, state=tmp_path, socket=tmp_path / "none", firmware=tmp_path)
    found = {finding.what: finding for finding in doctor.examine(settings)}
    assert not found["daemon"].fine
    assert "No such file" in found["daemon"].found
    disks = {f"disk for {what}" for what in ("state", "firmware", "vault")}
    assert set(found) == {"daemon", *disks, "memory for passwords", "clock"}


def test_the_doctor_finds_what_is_right(sockets, monkeypatch):
    monkeypatch.setattr(doctor, "LOW_DISK", 0)
    path = Path(sockets) / "s"
    with sockets_module.socket(sockets_module.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(path))
        settings = load(state=sockets, socket=path, firmware=sockets, gpio={"enabled": False})
        found = {finding.what: finding.fine for finding in doctor.examine(settings)}
    assert found["daemon"]
    assert found["usbmuxd"]
    assert found["disk for state"]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense:port"])
def test_the_doctor_understands_addresses(address, tmp_path, monkeypatch):
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", address)
    found = {finding.what: finding for finding in doctor.examine(load(state=tmp_path, socket=tmp_path / "none"))}
    assert not found["usbmuxd"].fine
    assert address in found["usbmuxd"].found


def test_the_doctor_says_which_setting_is_wrong(tmp_path):
    file = tmp_path / "station.toml"
    file.write_text("touch_confirm = true")
    shown = CliRunner().invoke(app, ["doctor", "--config", str(file)])
    assert shown.exit_code == 1
    assert "touch_confirm" in shown.output


def test_the_daemon_says_which_setting_is_wrong(tmp_path):
    file = tmp_path / "station.toml"
    file.write_text("touch_confirm = true")
    shown = CliRunner().invoke(app, ["daemon", "--config", str(file)])
    assert shown.exit_code == 1
    assert "touch_confirm" in shown.output
