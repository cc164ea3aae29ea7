"""`station virtual [SCENARIO]` and `--list`, as a person uses them."""

import shlex
import signal
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from station.cli.virtual import parse_fault, virtual
from station.virtual.faults.hostile import Garble
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.hosting import listing
from station.virtual.hosting.control import Control, List
from station.virtual.hosting.host import VirtualHost

TAKEN = """
shows = 'one socket for two'
phones = [{name = 'a', socket = '1-1.1'}, {name = 'b', socket = '1-1.1'}]
"""

app = typer.Typer()
app.command()(virtual)


def test_lists_everything():
    result = CliRunner().invoke(app, ["--list"])
    assert result.exit_code == 0
    assert result.output.splitlines() == list(listing.text())
    assert "iPhone 6s (TSMC)" in result.output
    assert "walk-up" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tea-party"], "no scenario 'tea-party'"),
        (["HERE/taken.toml"], "cannot go on: 1-1.1 is taken"),
        (["none.toml"], "none.toml cannot be read"),
        (["--dir", "/dev/null/x"], "Cannot serve in /dev/null/x"),
        (["--dir", "HERE/" + "x" * 120], "too long for a socket"),
        (["--ipsw", "/usr/share"], "there is no /usr/share/BuildManifest.plist"),
        (["--ipsw", "/etc/passwd"], "it is no zip file"),
    ],
)
def test_says_in_words_what_is_wrong(arguments, words, tmp_path):
    (tmp_path / "taken.toml").write_text(TAKEN)
    result = CliRunner().invoke(app, [argument.replace("HERE", str(tmp_path)) for argument in arguments])
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert words in result.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "iPhone 8"], "say which it has: --ios"),
        (["--fault", "x=explode"], "no fault 'explode'; there are unplug"),
        (["--fault", "x=unplug,colour=red"], "no field 'colour'"),
        (["--ios", "../x"], "VERSION/BUILD"),
    ],
)
def test_says_what_there_is_instead(options, words):
    result = CliRunner().invoke(app, options, terminal_width=1000)
    assert result.exit_code == 2
    assert words in " ".join(result.output.replace("│", " ").split())


async def test_leaves_a_directory_to_the_host_that_serves_there(tmp_path):
    async with VirtualHost(tmp_path / "v") as first:
        with pytest.raises(ValueError, match="another virtual host serves there"):
            await VirtualHost(tmp_path / "v").__aenter__()
        async with Control(first.directory / "control") as control:
            assert await control.ask(List()) == ()


@pytest.mark.parametrize("options", [["--model", "iPhone 8"], ["--count", "2"], ["--ios", "26.1/23B85"]])
def test_a_scenario_says_itself_what_there_is(options):
    result = CliRunner().invoke(app, ["walk-up", *options])
    assert result.exit_code == 2
    assert "which phones" in result.output


def test_reads_faults_with_all_that_they_need():
    cut = parse_fault("connect:62078=cut,after_bytes=3000")
    assert cut == Fault(at="connect:62078", kind=FaultKind.CUT, after_bytes=3000)
    garbled = parse_fault("lockdown:QueryType=garble,garble=deep,times=2")
    assert garbled == Fault(at="lockdown:QueryType", kind=FaultKind.GARBLE, garble=Garble.DEEP, times=2)
    with pytest.raises(ValueError, match="unplug has no rate"):
        parse_fault("x=unplug,rate=5")


@pytest.mark.system
def test_plays_a_scenario_until_interrupted(tmp_path):
    command = [sys.executable, "-m", "station", "virtual", "keyboard", "--fast", "--dir", str(tmp_path / "a v")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while "that was all" not in (line := process.stdout.readline()):
            assert line, lines
            lines.append(line.strip())
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 0
    assert lines[0] == "# a keyboard that says that it is a phone, beside a phone"
    exports = [shlex.split(line, comments=True) for line in lines]
    assert ["export", f"USBMUXD_SOCKET_ADDRESS={tmp_path / 'a v' / 'usbmuxd'}"] in exports
    assert any(line.startswith("# phone in 1-1.2: iPhone13,2 ") for line in lines)
