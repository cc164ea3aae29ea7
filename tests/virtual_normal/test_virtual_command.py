"""`station virtual`."""

import asyncio
import signal
import subprocess
import sys

import pytest
import typer
from pymobiledevice3.usbmux import list_devices
from typer.testing import CliRunner

from station.cli.virtual import parse_fault, parse_ios, virtual
from station.virtual.faults.kinds import Fault, FaultKind

PROGRAM = "import typer; from station.cli.virtual import virtual; typer.run(virtual)"

app = typer.Typer()
app.command()(virtual)


def test_reads_faults():
    assert parse_fault("lockdown:EnterRecovery=unplug") == Fault(at="lockdown:EnterRecovery", kind=FaultKind.UNPLUG)
    assert parse_fault("*=status,status=14,times=2") == Fault(at="*", kind=FaultKind.STATUS, status=14, times=2)


@pytest.mark.parametrize("text", ["unplug", "=unplug", "x=explode", "x=status,status=y", "x=stay,often=1"])
def test_refuses_what_is_no_fault(text):
    with pytest.raises(ValueError, match=r"."):
        parse_fault(text)


def test_reads_what_is_installed():
    assert (parse_ios("18.5/22F76").version, parse_ios("18.5/22F76").build) == ("18.5", "22F76")
    with pytest.raises(ValueError, match="VERSION/BUILD"):
        parse_ios("18.5")


@pytest.mark.parametrize("options", [["--model", "Nokia"], ["--fault", "unplug"], ["--ios", "18"]])
def test_explains_what_it_does_not_take(options):
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert "Invalid value" in result.output


@pytest.mark.system
def test_serves_until_interrupted(tmp_path):
    options = ["--dir", str(tmp_path / "v"), "--count", "2", "--model", "iPhone 15", "--fast"]
    with subprocess.Popen([sys.executable, "-c", PROGRAM, *options], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline().strip() for _ in range(4)]
        assert [line.split()[:4] for line in lines[:2]] == [["#", "in", f"1-1.{n}:", "iPhone15,4"] for n in (1, 2)]
        exported = dict(line.removeprefix("export ").split("=", 1) for line in lines[2:])
        assert exported["STATION_VIRTUAL"] == str(tmp_path / "v")
        devices = asyncio.run(list_devices(exported["USBMUXD_SOCKET_ADDRESS"]))
        assert [device.serial for device in devices] == [line.split()[-1] for line in lines[:2]]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    assert list((tmp_path / "v").iterdir()) == []
