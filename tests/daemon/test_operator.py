"""An operator's commands against a running daemon, and what is wrong with a machine."""

import asyncio
import socket as sockets_module
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from station.cli import checkup, machine_checkup
from station.cli.finding import Finding
from station.cli.main import COMMANDS, app
from station.daemon.settings import load
from station.model.api import BayState, Snapshot
from station.model.base import format_ecid
from station.model.catalog import FirmwareHosts
from station.model.job import Reach
from tests.core.helpers import ONE, A, B
from tests.daemon.helpers import Daemon, House, arrived

pytestmark = pytest.mark.system  # PINs are slow to try, so that they are slow to guess


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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["confirm", "1", "my phone"], "“my phone” is no ECID."),
        (["confirm", "1", "0x0"], "“0x0” is no ECID."),
        (["start", "1", "melt"], "for 'service': 'melt' is not one of 'restart'"),
        (["start", "1", "erase", "--build", "23C71"], "only reinstall and restore can have it"),
        (["records", "show", "first"], "it must be a whole number"),
        (["order", "erase", "--count", "0"], "it must be 1 or more"),
    ],
)
def test_what_is_typed_wrong_is_not_sent(arguments, says):
    shown = CliRunner().invoke(app, arguments, terminal_width=1000)
    assert shown.exit_code == 2
    assert says in " ".join(shown.output.replace("│", " ").split())


async def test_a_bay_that_is_not_there(house):
    async with house.daemon() as daemon:
        await plugged(house, daemon)
        shown = await station(house, "offers", "9")
        assert shown.exit_code == 1
        assert "There is no bay 9." in shown.output
        assert f"There is: {ONE}" in shown.output


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


def virtual_host(directory: Path) -> None:
    """What one tells of itself; nobody answers where it says."""
    reach, hosts = (
        Reach(usbmuxd="x", signing_url="http://127.0.0.1:9/"),
        FirmwareHosts(ipsw_me="", appledb="", apple=""),
    )
    (directory / "reach.json").write_bytes(msgspec.json.encode(reach))
    (directory / "firmware-hosts.json").write_bytes(msgspec.json.encode(hosts))


NOWHERE = Path("/nonexistent")
"""The root of a machine without a network: nobody on the internet is asked."""


def test_the_doctor_finds_what_is_wrong(tmp_path):
    virtual_host(tmp_path)
    nothing = {"fetch": "never"}
    settings = load(virtual=tmp_path, state=tmp_path, socket=tmp_path / "none", firmware=tmp_path, supply=nothing)
    found = {finding.what: finding for finding in checkup.examine(settings, root=NOWHERE)}
    assert not found["daemon"].fine
    assert "No such file" in found["daemon"].found
    assert not found["firmware"].fine
    disks = {f"disk for {what}" for what in ("state", "firmware", "vault")}
    others = {"confirming", "keys", "firmware", "memory for passwords", "clock"}
    others |= {"network", "firmware lists", "records, read again", "firmware, read again", "copy of the records"}
    assert set(found) - {"power supply", "heat"} == {"daemon", *disks, *others}
    assert all(finding.remedy for finding in found.values() if not finding.fine)


def test_the_doctor_sees_what_nobody_would(tmp_path):
    virtual_host(tmp_path)
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "station.pem").touch(mode=0o644)
    unplugged, nobody = tmp_path / "unplugged", {"enabled": False}
    settings = load(virtual=tmp_path, state=tmp_path, socket=tmp_path / "none", vault=unplugged, gpio=nobody)
    found = {finding.what: finding for finding in checkup.examine(settings, root=NOWHERE)}
    assert "nobody can" in found["confirming"].found
    assert "station.pem" in found["keys"].found
    assert f"{unplugged} is not there" in found["disk for vault"].found


async def test_the_doctor_hears_the_daemon(house):
    def look() -> dict[str, Finding]:
        settings = load(state=house.state, socket=house.socket, gpio={"enabled": False})
        return {finding.what: finding for finding in checkup.examine(settings, root=NOWHERE)}

    async with house.daemon():
        found = await asyncio.to_thread(look)
    assert found["daemon"].fine
    assert found["daemon's word"].found == "nothing is in its way"


def test_the_doctor_finds_what_is_right(sockets, monkeypatch):
    monkeypatch.setattr(machine_checkup, "LOW_STATE", 0)
    monkeypatch.setattr(checkup, "TIMEOUT", 0.1)  # of a daemon that answers nobody
    path = Path(sockets) / "s"
    with sockets_module.socket(sockets_module.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", str(path))
        settings = load(state=sockets, socket=path, firmware=sockets, gpio={"enabled": False})
        found = {finding.what: finding.fine for finding in checkup.examine(settings, root=NOWHERE)}
    assert found["daemon"]
    assert found["usbmuxd"]
    assert found["disk for state"]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense:port"])
def test_the_doctor_understands_addresses(address, tmp_path, monkeypatch):
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", address)
    settings = load(state=tmp_path, socket=tmp_path / "none")
    found = {finding.what: finding for finding in checkup.examine(settings, root=NOWHERE)}
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
