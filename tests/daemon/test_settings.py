"""station.toml, the environment above it, and words for what is wrong."""

import re
from pathlib import Path

import msgspec
import pytest

from station.cli.plainly import in_words
from station.core.policy import BackupRule
from station.daemon import settings as settings_module
from station.daemon.main import policy_of
from station.daemon.presets import PRESETS, Preset
from station.daemon.settings import load
from station.errors import ConfigError
from station.model.api import Lamp
from station.model.base import BayId
from station.model.catalog import Fetching
from station.model.gates import Purpose
from station.model.job import DEADLINES, Phase, Reach
from station.model.lights import Bulb
from station.model.panel import Button, Control


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    monkeypatch.setattr(settings_module, "DEFAULT_FILE", tmp_path / "nowhere.toml")
    for name in ("STATION_CONFIG", "STATION_NAME", "STATION_CAP", "STATION_SOCKET", "STATION_VIRTUAL"):
        monkeypatch.delenv(name, raising=False)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "station.toml"
    file.write_text(text)
    return file


def test_supply_is_read(tmp_path):
    text = (
        '[supply]\nfetch = "ahead"\nhours = "01:00-05:30"\ndenied = ["23B85"]\nmirrors = ["http://192.168.1.20:8000/fw"]\n'
        'nearby = ["http://192.168.1.20:8750"]\n[supply.pins]\n"iPhone13,2" = "26.1"\nall = "23C55"\n'
    )
    supply = load(written(tmp_path, text)).supply
    assert (supply.fetch, supply.hours) == (Fetching.AHEAD, "01:00-05:30")
    assert supply.pins == {"iPhone13,2": "26.1", "all": "23C55"}
    assert (supply.denied, supply.mirrors) == (["23B85"], ["http://192.168.1.20:8000/fw"])
    assert supply.nearby == ["http://192.168.1.20:8750"]
    assert (supply.kbytes_per_second, supply.catalog_days, supply.keep) == (0, 30, 1)


def test_without_a_file_there_are_defaults():
    settings = load()
    assert settings.cap == 4
    assert settings.touch_confirms is False
    assert settings.operator_confirm is False
    assert settings.phase_deadlines == DEADLINES
    assert settings.firmware_store == settings.state / "firmware"
    assert settings.gpio.buttons == {Button(Control.START): 5, Button(Control.CONFIRM): 6}
    assert settings.gpio.lamps[Bulb(Lamp.FAULT)] == 19


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


def test_what_is_wired_to_each_bay(tmp_path, monkeypatch):
    monkeypatch.setenv("STATION_GPIO__BAYS", '{"2": {"start": 7}}')
    text = 'gpio.buzzer = 18\n[gpio.bays.1]\nstart = "gpiochip2:0"\ndone = "gpiochip2:1"\n'
    gpio = load(written(tmp_path, text)).gpio
    one, two = BayId("1"), BayId("2")
    assert gpio.buttons == {
        Button(Control.START): 5,
        Button(Control.CONFIRM): 6,
        Button(Control.START, one): "gpiochip2:0",
        Button(Control.START, two): 7,
    }
    assert {bulb: pin for bulb, pin in gpio.lamps.items() if bulb.bay is not None} == {
        Bulb(Lamp.DONE, one): "gpiochip2:1"
    }
    assert gpio.buzzer == 18


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        load(tmp_path / "missing.toml")


def test_a_virtual_host_says_how_it_is_reached(tmp_path):
    reach = Reach(usbmuxd="/v/usbmuxd", usbip="/v/usbip", signing_url="http://localhost:1/")
    settings = load(virtual=tmp_path)
    with pytest.raises(ConfigError, match="no virtual host"):
        settings.reach()
    (tmp_path / "reach.json").write_bytes(msgspec.json.encode(reach))
    gateway = "/run/restore-station/gateway.sock"
    assert settings.reach() == msgspec.structs.replace(reach, gateway=gateway)


def test_real_phones_are_reached_as_the_machine_reaches_them(monkeypatch):
    monkeypatch.setenv("USBMUXD_SOCKET_ADDRESS", "127.0.0.1:27015")
    reach = load().reach()
    assert (reach.usbmuxd, reach.usbip) == ("127.0.0.1:27015", None)


@pytest.mark.parametrize("preset", list(Preset))
def test_every_preset_is_values_for_settings(preset, tmp_path):
    settings = load(written(tmp_path, f'policy = "{preset.value}"\n'))
    for name, value in PRESETS[preset].items():
        assert getattr(settings, name) == value
    assert PRESETS[preset].keys() == PRESETS[Preset.BENCH].keys()


def test_what_each_kind_of_station_does(tmp_path):
    kinds = {
        preset: policy_of(load(written(tmp_path, f'policy = "{preset.value}"'), state=tmp_path)) for preset in Preset
    }
    walk_up, bench, overnight = kinds[Preset.WALK_UP], kinds[Preset.BENCH], kinds[Preset.OVERNIGHT]
    assert (walk_up.purpose, walk_up.backup) == (Purpose.OWNER, BackupRule.ASK)
    assert (bench.purpose, bench.backup) == (Purpose.RECYCLING, BackupRule.STANDING)
    assert (bench.quarantine_after, overnight.quarantine_after) == (1, 2)
    assert overnight.operator_confirm
    assert not walk_up.operator_confirm
    assert policy_of(load(state=tmp_path)) == bench


def test_a_single_setting_outweighs_the_preset(tmp_path, monkeypatch):
    file = written(tmp_path, 'policy = "walk-up"\npurpose = "sale"\nmin_free_mb = 1024\n')
    monkeypatch.setenv("STATION_MIN_BATTERY", "50")
    monkeypatch.setenv("STATION_BACKUP", "standing")
    policy = policy_of(load(file))
    assert (policy.purpose, policy.backup, policy.min_battery) == (Purpose.SALE, BackupRule.STANDING, 50)
    assert policy.min_free == 1 << 30
    assert policy.quarantine_after == 2  # as a walk-up station has it


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('policy = "bensh"', 'FILE: “policy” is "bensh". It must be "walk-up", "bench" or "overnight".'),
        ('purpose = "sail"', 'FILE: “purpose” is "sail". It must be "owner", "sale" or "recycling".'),
        ('backup = "maybe"', 'FILE: “backup” is "maybe". It must be "ask" or "standing".'),
        ("min_battery = 101", "FILE: “min_battery” is 101. It must be a whole number from 0 to 100."),
        ("min_batery = 20", "FILE: there is no setting “min_batery”. Is it “min_battery” that is meant?"),
        ("quarantine_after = -1", "FILE: “quarantine_after” is -1. It must be a whole number, 0 or more."),
        ("observe_seconds = 0", "FILE: “observe_seconds” is 0. It must be a number above 0."),
        ('touch_confirms = "perhaps"', 'FILE: “touch_confirms” is "perhaps". It must be true or false.'),
        ('name = ""', 'FILE: “name” is "". It must be text in quotes, 1 to 64 characters.'),
        ("state = 5", 'FILE: “state” is 5. It must be a path in quotes, such as "/media/disk".'),
        ("bays.1 = 5", 'FILE: “bays.1” is 5. It must be a USB socket in quotes, such as "1-1.1".'),
        ("deadlines.imge = 60", "FILE: “deadlines”: there is no phase “imge”. Is it “image” that is meant?"),
        ("gpio.start = [5]", "FILE: “gpio.start” is a list. It must be the number of a pin, such as 17, its name,"),
        ("supply = 3", 'FILE: “supply” is 3. It must be a table: [supply], and below it fetch = "needed".'),
        ("supply.fetsh = 3", "FILE: there is no setting “supply.fetsh”. Is it “fetch” that is meant?"),
        (
            'supply.fetch = "always"',
            'FILE: “supply.fetch” is "always". It must be "never", "needed" or "ahead".',
        ),
        (
            'supply.hours = "22-6"',
            'FILE: “supply.hours” is "22-6". It must be two times of a day, such as "22:00-06:00".',
        ),
        ("supply.hours = 22", "FILE: “supply.hours” is 22. It must be two times of a day, such as"),
        ('supply.hours = "22:00-22:00"', "FILE: “supply.hours”: from 22:00 to 22:00 is no time at all."),
        ("supply.pins = 5", "FILE: “supply.pins” is 5. It must be a table of models and the version or build of each:"),
        ("supply.pins.all = 26", "FILE: “supply.pins” is 26. It must be a table of models and the version or build"),
        (
            'supply.pins.iPhone = "26.1"',
            "FILE: “supply.pins”: “iPhone” is no model. Write it as in “iPhone13,2”, or “all” for every one.",
        ),
        (
            'supply.pins.all = "newest"',
            "FILE: “supply.pins”: “newest” is neither a version, such as “26.1”, nor a build, such as “23B85”.",
        ),
        ("supply.denied = 5", "FILE: “supply.denied” is 5. It must be a list of builds in quotes, such as"),
        ("supply.denied = [5]", "FILE: “supply.denied” is 5. It must be a list of builds in quotes, such as"),
        ('supply.denied = ["26.1"]', "FILE: “supply.denied”: “26.1” is no build, such as “23B85”."),
        ('supply.mirrors = "http://a/"', 'FILE: “supply.mirrors” is "http://a/". It must be a list of addresses in'),
        (
            'supply.mirrors = ["ftp://a/"]',
            "FILE: “supply.mirrors”: “ftp://a/” is no address, such as “http://192.168.1.20/firmware”.",
        ),
        ('supply.mirrors = ["http://a:x/"]', "FILE: “supply.mirrors”: “http://a:x/” is no address, such as"),
        ('supply.nearby = ["192.168.1.20:8750"]', "FILE: “supply.nearby”: “192.168.1.20:8750” is no address, such as"),
        ('supply.nearby = ["http://a@b:8750"]', "FILE: “supply.nearby”: “http://a@b:8750” is no address, such as"),
        ('supply.mirrors = ["/media/disk"]', "FILE: “supply.mirrors”: “/media/disk” is no address, such as"),
        (
            "supply.kbytes_per_second = -1",
            "FILE: “supply.kbytes_per_second” is -1. It must be a whole number, 0 or more.",
        ),
        ('supply.kbytes_per_second = "x"', 'FILE: “supply.kbytes_per_second” is "x". It must be a whole number, 0 or'),
        ("supply.catalog_days = 0", "FILE: “supply.catalog_days” is 0. It must be a whole number, 1 or more."),
        ("supply.keep = 0", "FILE: “supply.keep” is 0. It must be a whole number, 1 or more."),
        ("gpio.start = 6", "FILE: “gpio”: start and confirm have the same pin, 6. Each needs one of its own."),
        ("gpio.blink = 6", "FILE: there is no setting “gpio.blink”. There are enabled, start, confirm,"),
        ("gpio.bays.1.start = 16", "FILE: “gpio”: ready and bays.1.start have the same pin, 16. Each needs one of its"),
        ('gpio.bays.1.done = "gpio6"', "FILE: “gpio”: confirm and bays.1.done have the same pin, gpio6."),
        (
            '[gpio.bays]\n1.start = "gpiochip2:5"\n2.done = "gpiochip2:5"',
            "FILE: “gpio”: bays.1.start and bays.2.done have the same pin, gpiochip2:5.",
        ),
        ("gpio.buzzer = 5", "FILE: “gpio”: start and buzzer have the same pin, 5."),
        ('gpio.buzzer = "gpiochip2:5"', "It needs tones, and so a pin of the Raspberry Pi's own."),
        (
            'gpio.bays.1.start = "gpiochip2"',
            "FILE: “gpio”: bays.1.start is “gpiochip2”. A line of a chip is written “gpiochipN:LINE”",
        ),
        ("gpio.bays.1.strat = 7", "FILE: there is no setting “gpio.bays.1.strat”. Is it “start” that is meant?"),
        ("gpio.bays.1.confirm = 7", "FILE: there is no setting “gpio.bays.1.confirm”."),
        ("gpio.bays.1.start = [5]", "FILE: “gpio.bays.1.start” is a list. It must be the number of a pin, such as 17,"),
        ("gpio.bays.1 = 5", "FILE: “gpio.bays.1” is 5. It must be a table of pins for each bay: [gpio.bays.1]"),
        ("gpio.bays = 5", "FILE: “gpio.bays” is 5. It must be a table of pins for each bay: [gpio.bays.1]"),
        ("cap = 0\nvault_days = 0", "FILE: “vault_days” is 0."),
        ("name = Counter", "FILE is not TOML: Invalid value (at line 1, column 8). Look at the example"),
    ],
)
def test_what_is_wrong_is_said_plainly(tmp_path, text, words):
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load(file)
    assert words.replace("FILE", str(file)) in in_words(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("STATION_CAP", "many", "STATION_CAP in the environment: “cap” is"),
        ("STATION_BAYS", "1-1.1", 'STATION_BAYS in the environment cannot be read. It must be JSON, such as {"1": '),
        ("STATION_GPIO__START", "6", "station.toml and the environment: “gpio”: start and confirm have the same pin"),
    ],
)
def test_a_wrong_variable_is_named(tmp_path, monkeypatch, name, value, words):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=re.escape(words)):
        load(written(tmp_path, ""))


@pytest.mark.parametrize(
    ("name", "meant"),
    [("STATION_MIN_BATERY", "min_battery"), ("Station_Polcy", "policy"), ("STATION_X__Y", "settings.py")],
)
def test_a_misspelt_variable_is_refused(monkeypatch, name, meant):
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=name) as refused:
        load()
    assert meant in refused.value.remedy
