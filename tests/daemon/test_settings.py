"""station.toml, the environment above it, and words for what is wrong."""

from pathlib import Path

import msgspec
import pytest

from station.daemon import settings as settings_module
from station.daemon.settings import load
from station.errors import ConfigError
from station.model.api import Lamp
from station.model.job import DEADLINES, Phase, Reach
from station.model.panel import Control


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    monkeypatch.setattr(settings_module, "DEFAULT_FILE", tmp_path / "nowhere.toml")
    for name in ("STATION_CONFIG", "STATION_NAME", "STATION_CAP", "STATION_SOCKET", "STATION_VIRTUAL"):
        monkeypatch.delenv(name, raising=False)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "station.toml"
    file.write_text(text)
    return file


def test_without_a_file_there_are_defaults():
    settings = load()
    assert settings.cap == 4
    assert settings.touch_confirms is False
    assert settings.operator_confirm is False
    assert settings.phase_deadlines == DEADLINES
    assert settings.firmware_store == settings.state / "firmware"
    assert settings.gpio.buttons == {Control.START: 5, Control.CONFIRM: 6}
    assert settings.gpio.lamps[Lamp.FAULT] == 19


def test_a_file_is_read(tmp_path):
    file = written(
        tmp_path,
        'name = "Bench 3"\n[bays]\nA1 = "1-1.1"\nA2 = "1-1.2"\n[deadlines]\nimage = 90\n[gpio]\nstart = "GPIO17"\n',
    )
    settings = load(file)
    assert settings.name == "Bench 3"
    assert settings.bay_sockets == {"A1": "1-1.1", "A2": "1-1.2"}
    assert settings.phase_deadlines[Phase.IMAGE] == 90
    assert settings.phase_deadlines[Phase.FIRMWARE] == DEADLINES[Phase.FIRMWARE]
    assert settings.gpio.start == "GPIO17"


def test_the_environment_outweighs_the_file(tmp_path, monkeypatch):
    file = written(tmp_path, 'name = "from the file"\ncap = 2\n')
    monkeypatch.setenv("STATION_NAME", "from the environment")
    monkeypatch.setenv("STATION_GPIO__ENABLED", "false")
    monkeypatch.setenv("STATION_BAYS", '{"1": "1-1"}')
    settings = load(file, cap=3)
    assert (settings.name, settings.cap, settings.gpio.enabled) == ("from the environment", 3, False)
    assert settings.bay_sockets == {"1": "1-1"}


def test_the_environment_names_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("STATION_CONFIG", str(written(tmp_path, 'name = "named"\n')))
    assert load().name == "named"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("touch_confirm = true", "touch_confirm"),
        ("[gpio]\nblinking = 3", "gpio.blinking"),
        ("cap = 0", "cap"),
        ('cap = "many"', "cap"),
        ("[deadlines]\nlunch = 60", "deadlines"),
        ("[deadlines]\nimage = 0", "deadlines"),
        ('[bays]\n1 = "1-1"\n2 = "1-1"', "bays"),
        ("name = ", "station.toml"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path, text, named):
    with pytest.raises(ConfigError, match=named):
        load(written(tmp_path, text))


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        load(tmp_path / "missing.toml")


def test_a_virtual_host_says_how_it_is_reached(tmp_path):
    reach = Reach(usbmuxd="/v/usbmuxd", usbip="/v/usbip", signing_url="http://localhost:1/")
    settings = load(virtual=tmp_path)
    with pytest.raises(ConfigError, match="no virtual host"):
        settings.reach()
    (tmp_path / "reach.json").write_bytes(msgspec.json.encode(reach))
    assert settings.reach() == reach


def test_real_phones_are_reached_as_the_machine_reaches_them(monkeypatch):
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "127.0.0.1:27015")
    reach = load().reach()
    assert (reach.usbmuxd, reach.usbip) == ("127.0.0.1:27015", None)
