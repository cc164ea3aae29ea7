"""`station.toml` on the boot partition: what becomes of each thing in it, and of what is wrong."""

import asyncio
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from typer.testing import CliRunner

from station.adapters import pin_hash
from station.adapters.choices import ChoicesFile
from station.adapters.machine import Machine, Wifi, host_name
from station.cli.main import app
from station.core.situation import Health
from station.daemon import first_boot
from station.daemon.first_boot import Places, take
from station.daemon.office import BOOT_PROBLEM, Office
from station.daemon.presets import Preset
from station.daemon.settings import load
from station.errors import ConfigError, StorageError
from station.model.base import BayId, SocketPath
from station.model.choices import Choices
from station.model.face import Face, Language, Turn
from tests.deploy.conftest import ROOT

EXAMPLE = ROOT / "deploy/files/boot/station.toml"
KEYS = [
    Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + comment
    for comment in (" me@laptop", "")
]
NETWORK = '[wifi]\nname = "Café"\npassword = "a pass\\\\word"\ncountry = "DE"\n'


class Card:
    """A card with a boot partition and a system."""

    def __init__(self, root: Path) -> None:
        self.file = root / "boot/station.toml"
        self.root = root / "system"
        self.state = root / "state"
        self.sshd = self.root / "etc/ssh/sshd_config.d/restore-station.conf"
        for directory in (self.file.parent, self.root / "etc/NetworkManager", self.sshd.parent):
            directory.mkdir(parents=True)
        self.sshd.touch()
        (self.root / "etc/hostname").write_text("station\n")
        (self.root / "etc/hosts").write_text("127.0.0.1 localhost\n127.0.1.1 station\n")
        settings = self.root / "etc/restore-station/station.toml"
        self.places = Places(
            settings=settings,
            state=self.state,
            machine=Machine(self.root, keep=settings.with_name("machine.json")),
            mark=settings.with_name("taken"),
        )

    def take(self, text: str) -> bool:
        self.file.write_text(text, encoding="utf-8")
        return take(self.file, self.places)

    @property
    def settings(self) -> dict[str, Any]:
        return tomllib.loads(self.places.settings.read_text())

    @property
    def choices(self) -> Choices:
        return ChoicesFile(self.state).read().choices

    @property
    def let_in(self) -> list[str]:
        """Whose keys open it."""
        file = self.root / "etc/restore-station/authorized_keys"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def network(self) -> str:
        return (self.root / "etc/NetworkManager/system-connections/restore-station.nmconnection").read_text()


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Card:
    monkeypatch.setenv("STATION_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(pin_hash, "COST", 1 << 4)  # slow is what it is meant to be
    return Card(tmp_path)


def test_the_example_says_nothing(card: Card):
    assert not card.take(EXAMPLE.read_text())
    assert not card.places.settings.exists()
    assert card.choices == Choices()


def test_every_line_of_the_example_can_be_taken(card: Card):
    lines = [re.sub(r"^# (?=\[|\w+ = )", "", line) for line in EXAMPLE.read_text().splitlines()]
    text = "\n".join(lines)
    with pytest.raises(ConfigError, match="no public key"):  # nobody's key opens the station of who leaves it as it is
        card.take(text)
    assert card.take(text.replace("ssh-ed25519 AAAA... me@laptop", KEYS[0]))
    assert card.let_in == [KEYS[0]]
    assert card.settings.keys() == {"name", "policy", "touch_confirms", "bays", "supply", "gpio"}


def test_the_daemons_settings_are_the_daemons(card: Card):
    assert card.take('name = "Counter 1"\npolicy = "walk-up"\n[bays]\n1 = "1-1.1"\n[supply]\nfetch = "never"\n')
    settings = load(card.places.settings)
    assert (settings.name, settings.policy, settings.bays) == ("Counter 1", Preset.WALK_UP, {"1": "1-1.1"})
    assert settings.supply.fetch.value == "never"
    assert card.places.settings.stat().st_mode & 0o777 == 0o644  # the daemon is not root


def test_what_is_not_given_stays_with_its_comments(card: Card):
    card.places.settings.parent.mkdir()
    card.places.settings.write_text('# mine\nname = "Old"\ncap = 2 # slow hub\n[gpio]\nenabled = false\n')
    card.take('name = "New"\n[gpio]\nstart = 9\n')
    assert card.settings == {"name": "New", "cap": 2, "gpio": {"enabled": False, "start": 9}}
    assert "# mine" in card.places.settings.read_text()
    assert "# slow hub" in card.places.settings.read_text()


def test_pin_language_and_rotation_are_as_if_chosen_at_the_station(card: Card):
    card.take('pin = "2580"\nlanguage = "de"\nrotation = 90\n')
    choices = card.choices
    assert choices.pin is not None
    assert pin_hash.is_right("2580", choices.pin)
    assert (choices.face.language, choices.face.turn) == (Language.GERMAN, Turn.RIGHT)
    assert (card.state / "choices.json").stat().st_mode & 0o777 == 0o600


def test_what_the_file_says_now_counts_more_than_what_was_chosen_before(card: Card):
    bays = {BayId("9"): SocketPath("1-9")}
    ChoicesFile(card.state).write(Choices(policy="overnight", bays=bays, face=Face(large=True)))
    card.take('policy = "bench"\nlanguage = "fr"\n[bays]\n1 = "1-1"\n')
    assert (card.choices.policy, card.choices.bays) == ("", None)
    assert card.choices.face == Face(large=True, language=Language.FRENCH)
    settings = load(card.places.settings)
    assert (settings.policy, settings.bays) == (Preset.BENCH, {"1": "1-1"})


def test_the_machine_is_called_as_the_station_is(card: Card):
    card.take('name = "Counter 1, Zürich"\ntimezone = "Europe/Zurich"\n')
    assert (card.root / "etc/hostname").read_text() == "counter-1-z-rich\n"
    assert (card.root / "etc/hosts").read_text() == "127.0.0.1 localhost\n127.0.1.1 counter-1-z-rich\n"
    assert str((card.root / "etc/localtime").readlink()) == "/usr/share/zoneinfo/Europe/Zurich"


def test_a_system_that_an_update_brought_is_told_again(card: Card):
    card.take('name = "Counter 1"\ntimezone = "Europe/Zurich"\n' + NETWORK)
    (card.root / "etc/hostname").write_text("station\n")
    for name in ("localtime", "timezone", "modprobe.d/restore-station.conf"):
        (card.root / "etc" / name).unlink()
    card.places.machine.restore()
    assert (card.root / "etc/hostname").read_text() == "counter-1\n"
    assert (card.root / "etc/localtime").is_symlink()
    assert "regdom=DE" in (card.root / "etc/modprobe.d/restore-station.conf").read_text()


def test_wifi_is_networkmanagers(card: Card):
    card.take(NETWORK)
    assert "ssid=67;97;102;195;169;\n" in card.network  # Café, byte by byte
    assert "psk=a\\spass\\\\word\n" in card.network
    (file,) = (card.root / "etc/NetworkManager/system-connections").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_open_network_and_a_hidden_one(card: Card):
    card.take('[wifi]\nname = "Open"\npassword = ""\nhidden = true\n')
    assert "hidden=true" in card.network
    assert "wifi-security" not in card.network


def test_who_may_log_in_is_who_has_one_of_the_keys(card: Card):
    card.take(f"ssh_keys = {KEYS}\n")
    assert card.let_in == KEYS
    card.take('name = "Counter 1"\n')  # says nothing of them
    assert card.let_in == KEYS
    card.take(f'ssh_keys = ["  {KEYS[1]}\\n"]\n')
    assert card.let_in == [KEYS[1]]
    card.take("ssh_keys = []\n")
    assert not card.let_in
    assert not (card.root / "etc/restore-station/authorized_keys").exists()  # without the file no server runs
    assert card.take("ssh_keys = [ ]\n")  # nor is that an error


def test_a_system_that_has_logins_of_its_own_says_so_and_takes_nothing(card: Card):
    card.sshd.unlink()
    with pytest.raises(ConfigError, match="logins of its own"):
        card.take(f'name = "Counter 1"\nssh_keys = {KEYS}\n')
    assert not card.let_in
    assert not card.places.settings.exists()
    assert card.take('name = "Counter 1"\nssh_keys = []\n')


def test_the_radio_is_let_on(card: Card):
    switch = card.root / "sys/class/rfkill/rfkill0"
    switch.mkdir(parents=True)
    (switch / "type").write_text("wlan\n")
    (switch / "soft").write_text("1\n")
    card.take(NETWORK)
    assert (switch / "soft").read_text() == "0"


def test_secrets_are_taken_out_and_the_rest_stays(card: Card):
    text = f'# Mine.\nname = "One" # a name\npin = "2580"\n{NETWORK}'
    card.take(text)
    after = card.file.read_text()
    assert "2580" not in after
    assert "pass" not in after.replace("# password: taken", "")
    assert '# Mine.\nname = "One" # a name\n' in after
    assert tomllib.loads(after) == {"name": "One", "wifi": {"name": "Café", "country": "DE"}}


@pytest.mark.parametrize(
    "text",
    [
        'wifi = { name = "N", password = "12345678" }\npin = "2580"\n',
        'wifi.name = "N"\nwifi.password = "12345678"\n"pin" = """2580"""\n',
        '\ufeffpin = "2580"\r\n[wifi]\r\nname = "N"\r\npassword = \'12345678\'\r\n',
    ],
)
def test_secrets_are_found_however_they_are_written(card: Card, text: str):
    card.file.write_bytes(text.encode())
    assert take(card.file, card.places)
    assert "psk=12345678" in card.network
    left = card.file.read_bytes()
    assert b"2580" not in left
    assert b"12345678" not in left
    assert len(left) >= len(text.encode())  # nothing of the old file stays behind the new one's end


def test_it_is_taken_once_and_again_when_it_is_changed(card: Card):
    card.take('pin = "2580"\nlanguage = "de"\n' + NETWORK)
    ChoicesFile(card.state).write(Choices(face=Face(language=Language.FRENCH)))  # somebody chose, at the station
    assert not take(card.file, card.places)
    assert card.choices.face == Face(language=Language.FRENCH)
    assert card.take(card.file.read_text() + "hidden = true\n")  # the last table is [wifi], without its password
    assert card.choices.face == Face(language=Language.GERMAN)
    assert "psk=" in card.network


def test_a_power_cut_before_the_secrets_are_out_costs_nothing(card: Card, monkeypatch: pytest.MonkeyPatch):
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(first_boot, "_overwrite", cut)
        with pytest.raises(KeyboardInterrupt):
            card.take('pin = "2580"\n')
    assert take(card.file, card.places)
    assert b"2580" not in card.file.read_bytes()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = Counter", "It cannot be read"),
        ('name = "A"\nname = "B"', "It cannot be read"),
        ('polcy = "bench"', "Is it “policy” that is meant?"),
        ('pim = "2580"', "Is it “pin” that is meant?"),
        ('policy = "bensch"', 'station.toml: “policy” is "bensch". It must be "walk-up", "bench" or "overnight"'),
        ('name = ""', "1 to 64 characters"),
        ("cap = 0", "a whole number from 1 to 64"),
        ('state = "/tmp"', "“state” cannot be set here"),
        ('vault = "/home/pi/backups"', "people's homes are hidden from the station"),
        ("pin = 2580", "4 to 12 digits in quotes"),
        ('pin = "12"', "4 to 12 digits"),
        ('pin = "12ab"', "4 to 12 digits"),
        ('language = "Klingon"', '“language” is "Klingon". It must be "en", "de"'),
        ("rotation = 45", "“rotation” is 45. It must be 0, 90, 180 or 270"),
        ("rotation = [1]", "“rotation” is [1]"),
        ('timezone = "Europe/Berlim"', "Is it “Europe/Berlin” that is meant?"),
        ("timezone = 1", "There is no time zone 1"),
        (f'ssh_keys = "{KEYS[0]}"', "must be a list"),
        ("ssh_keys = [1]", "must be a list"),
        (f'ssh_keys = ["{KEYS[0]}", "ssh-ed25519 AAAA"]', "Number 2 of “ssh_keys” is no public key"),
        (f'ssh_keys = ["{KEYS[0]}\\n{KEYS[1]}"]', "Number 1"),
        (f"ssh_keys = ['command=\"reboot\" {KEYS[0]}']", "Number 1"),
        ('ssh_keys = [""]', "Number 1"),
        ('wifi = "Shop"', "“wifi” must be a table"),
        ('[wifi]\npassword = "12345678"', "the network's name"),
        ('[wifi]\nname = "N"', "“wifi.password” is missing"),
        ('[wifi]\nname = "N"\npassword = "short"', "8 to 63"),
        ('[wifi]\nname = "N"\npassword = "pässwörter"', "8 to 63"),
        ('[wifi]\nname = "N"\npassword = ""\nhidden = 1', "“wifi.hidden” is 1"),
        ('[wifi]\nname = "N"\npassword = ""\ncountry = "Germany"', "two letters"),
        ('[wifi]\nname = "N"\npasword = "12345678"', "Is it “password” that is meant?"),
        ('[bays]\n1 = "1-1"\n2 = "1-1"', "Each needs its own"),
        ("[gpio]\nstart = 6", "start and confirm have the same pin"),
        ('[supply]\nmirrors = ["nowhere"]', "is no address"),
        ("x" * 70_000, "too long"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_taken(card: Card, text: str, says: str):
    good = "quarantine_after = 3\n"
    with pytest.raises(ConfigError) as caught:
        card.take(good + text)
    said = f"{caught.value} {caught.value.remedy}"
    assert says in said
    assert "/tmp" not in said
    assert not card.places.settings.exists()
    assert card.choices == Choices()
    assert (card.root / "etc/hostname").read_text() == "station\n"
    assert not (card.root / "etc/NetworkManager/system-connections").exists()


@pytest.mark.parametrize("line", ['pin = "SECRET"', "ssh_keys = ['-----BEGIN OPENSSH PRIVATE KEY----- SECRET']"])
def test_a_wrong_secret_is_not_shown(card: Card, line: str):
    with pytest.raises(ConfigError) as caught:
        card.take(f"{line}\n")
    assert "SECRET" not in f"{caught.value} {caught.value.remedy}"


def test_letters_that_are_none(card: Card):
    card.file.write_bytes(b'name = "\xff"\n')
    with pytest.raises(ConfigError, match="not text"):
        take(card.file, card.places)


def test_a_system_without_networkmanager_says_so(card: Card):
    (card.root / "etc/NetworkManager").rmdir()
    told = f'name = "One"\npin = "123456"\n{NETWORK}'
    with pytest.raises(ConfigError, match="no NetworkManager"):
        card.take(told)
    assert card.file.read_text() == told
    assert not card.places.settings.exists()
    assert not card.state.exists()
    assert (card.root / "etc/hostname").read_text() == "station\n"


@pytest.fixture
def owned() -> Iterator[Path]:
    """A state directory of somebody who is not root, where that one can reach it."""
    with TemporaryDirectory(dir="/tmp") as directory:
        Path(directory).chmod(0o711)
        state = Path(directory, "state")
        state.mkdir(0o700)
        os.chown(state, 12345, 12345)
        yield state


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do as another")
def test_what_root_makes_in_the_state_directory_is_the_stations(card: Card, owned: Path):
    card.state, card.places = owned, replace(card.places, state=owned)
    card.take('pin = "2580"\n')
    assert card.choices.pin is not None
    assert {path.name: path.stat().st_uid for path in owned.iterdir()} == {"choices.json": 12345, "daemon.lock": 12345}
    assert os.geteuid() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can do as another")
@pytest.mark.parametrize("name", ["choices.json", ".choices.json.part", "daemon.lock"])
def test_a_link_in_the_state_directory_does_not_lead_root_to_others_files(card: Card, owned: Path, name: str):
    others = card.root / "etc/shadow"
    others.write_text("root:*")
    (owned / name).symlink_to(others)
    card.places = replace(card.places, state=owned)
    with suppress(ConfigError, StorageError):
        card.take('pin = "2580"\n')
    assert others.read_text() == "root:*"
    assert others.stat().st_uid == 0


@pytest.mark.parametrize(
    ("name", "called"), [("Counter 1", "counter-1"), ("  A--b. ", "a-b"), ("ÄÖ", ""), ("x" * 64, "x" * 63)]
)
def test_a_name_for_the_network(name: str, called: str):
    assert host_name(name) == called


def test_a_network_is_known_by_its_name(card: Card):
    card.take(NETWORK)
    assert card.places.machine.knows(Wifi(ssid="Café"))
    assert not card.places.machine.knows(Wifi(ssid="Caf"))


def test_what_is_wrong_is_beside_the_file_and_on_the_screen_until_it_is_mended(card: Card, tmp_path: Path):
    runtime, problem = tmp_path / "run", card.file.with_name("station-problem.txt")
    options = ["--settings", str(card.places.settings), "--state", str(card.state), "--root", str(card.root)]
    command = ["configure", str(card.file), *options, "--runtime", str(runtime)]
    card.file.write_text('polcy = "bench"\n')
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "Is it “policy” that is meant?\r\n" in problem.read_bytes().decode()
    office = Office(
        card.state,
        software="",
        firmware=cast("Any", None),
        health=Health,
        sticks=dict,
        switch=print,
        environment={},
        problem=runtime / BOOT_PROBLEM,
    )
    shown = asyncio.run(office.found()).trouble
    assert shown.startswith("station.toml on the boot partition was not taken. There is no setting “polcy”.")
    card.file.write_text('policy = "bench"\n')
    assert CliRunner().invoke(app, command).exit_code == 0
    assert not problem.exists()
    assert asyncio.run(office.found()).trouble == ""
    assert "Nothing new" in CliRunner().invoke(app, command).output
