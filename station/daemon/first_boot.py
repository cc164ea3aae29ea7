"""What is set on the boot partition: `station.toml`, which any computer can edit before the card is in the station.

It holds whatever the settings have (settings.py), and beside them what is not a setting of the daemon's: the PIN,
language and rotation, which an operator may change later at the station, and the machine's time zone, Wi-Fi and who may
log in. It is taken once; what is secret in it is taken out of it then. The same file, changed, is taken again.

Everything is looked at before anything is done, and the settings are read as the daemon will read them.
"""

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import tomlkit
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from msgspec.structs import replace
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from station.adapters import durable, once, pin_hash, unit_places
from station.adapters.choices import ChoicesFile
from station.adapters.machine import Machine, Wifi, host_name
from station.daemon.lease import lease
from station.daemon.setting_words import LONGEST, meant, one_of
from station.daemon.settings import Settings, load
from station.errors import ConfigError
from station.model.face import Language, Turn
from station.model.operator import PIN_DIGITS

OWN = ("pin", "language", "rotation", "timezone", "ssh_keys", "wifi")
"""What is not a setting of the daemon's."""
OF_WIFI = ("name", "password", "hidden", "country")
SYSTEM = ("state", "socket", "runtime", "virtual")
"""Settings that the units must know too."""
SECRETS = (("pin",), ("wifi", "password"))
MAX_BYTES = 64 << 10
HEAD = "Written from station.toml on the boot partition. All that can be set: station/daemon/settings.py."
SSID_BYTES = 32
PASSWORD = range(8, 64)
KEY_REMEDY = 'A key is the one line of a file such as id_ed25519.pub: ssh_keys = ["ssh-ed25519 AAAA… me@laptop"].'


@dataclass(frozen=True)
class Given:
    """What the file says, looked at."""

    settings: Mapping[str, Any]
    """As in the settings; what is not there stays as it is."""
    pin: str | None = None
    language: Language | None = None
    turn: Turn | None = None
    timezone: str | None = None
    ssh_keys: tuple[str, ...] | None = None
    wifi: Wifi | None = None

    @property
    def nothing(self) -> bool:
        """Whether the file says nothing at all: it is the example, as it came."""
        return self == Given(settings={})


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where things are."""

    settings: Path
    state: Path
    machine: Machine
    mark: Path
    """What says that the file was taken."""


def take(file: Path, places: Places) -> bool:
    """Take what the file says, unless it was taken already. Returns whether anything was.

    Raises:
        ConfigError: something in it makes no sense, and nothing of it was taken.
        StorageError, OSError: it could not be kept; the next start tries it again.
    """
    if once.is_done(file, places.mark):
        return False
    data = _read(file)
    document = _parse(data)
    given = look_at(document.unwrap())
    _wifi_is_whole(given, places.machine)
    if given.ssh_keys and not places.machine.has_logins_of_ours:
        raise ConfigError(
            "“ssh_keys” cannot be set: this system was not made by deploy/image and has logins of its own.",
            remedy="Add the key as this system does it (ssh-copy-id), and take “ssh_keys” out of the file.",
        )
    if given.wifi is not None:
        places.machine.require_networks()
    after = _without_secrets(document)
    settings = _settings(given, places.settings) if given.settings else None
    if settings is not None:
        places.settings.parent.mkdir(parents=True, exist_ok=True)
        durable.write(places.settings, settings)
    _choose(given, places.state)
    if "name" in given.settings:
        places.machine.call(host_name(given.settings["name"]))
    if given.timezone is not None:
        places.machine.set_timezone(given.timezone)
    if given.ssh_keys is not None:
        places.machine.let_log_in(given.ssh_keys)
    if given.wifi is not None:
        places.machine.join(given.wifi)
    if after != data:
        _overwrite(file, after)
    once.set_done(file, places.mark)
    return not given.nothing


def look_at(values: Mapping[str, Any]) -> Given:
    """What a file says. Raises ConfigError for the first thing in it that makes no sense.

    The daemon's settings are looked at later, by the daemon's own code.
    """
    known = [name for name in (*Settings.model_fields, *OWN) if name not in SYSTEM]
    for name in values:
        if name in SYSTEM:
            raise ConfigError(f"“{name}” cannot be set here.", remedy="Leave it out: the image has a place for it.")
        if name not in known:
            raise ConfigError(f"There is no setting “{name}”.", remedy=meant(name, known))
    checks: dict[str, Callable[[Any], Any]] = {
        "pin": _pin,
        "language": _language,
        "rotation": _turn,
        "timezone": _timezone,
        "ssh_keys": _ssh_keys,
        "wifi": _wifi,
    }
    own = {name: check(values[name]) for name, check in checks.items() if name in values}
    if "rotation" in own:
        own["turn"] = own.pop("rotation")
    return Given(settings={name: value for name, value in values.items() if name not in OWN}, **own)


def _pin(value: Any) -> str:
    shortest, longest = PIN_DIGITS
    if not (
        isinstance(value, str) and value.isascii() and value.isdigit() and shortest <= len(value) <= longest
    ):  # which is not shown: it is one, or nearly
        raise ConfigError(f"“pin” must be {shortest} to {longest} digits in quotes.", remedy='As in pin = "2580".')
    return value


def _language(value: Any) -> Language:
    try:
        return Language(value)
    except ValueError:
        words = one_of(f'"{each.value}"' for each in Language)
        raise ConfigError(f"“language” is {_shown(value)}.", remedy=f"It must be {words}.") from None


def _turn(value: Any) -> Turn:
    try:
        return Turn(value)
    except ValueError:
        words = one_of(str(each.value) for each in Turn)
        raise ConfigError(f"“rotation” is {_shown(value)}.", remedy=f"It must be {words}: degrees clockwise.") from None


def _timezone(value: Any) -> str:
    known = available_timezones()
    if not isinstance(value, str) or value not in known:
        hint = meant(value, known) if isinstance(value, str) else ""
        remedy = hint if hint.startswith("Is it") else 'As in timezone = "Europe/Berlin".'
        raise ConfigError(f"There is no time zone {_shown(value)}.", remedy=remedy)
    return value


def _ssh_keys(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(key, str) for key in value):
        raise ConfigError("“ssh_keys” must be a list of lines in quotes.", remedy=KEY_REMEDY)
    return tuple(_ssh_key(number, key.strip()) for number, key in enumerate(value, 1))


def _ssh_key(number: int, key: str) -> str:
    """A line of authorized_keys(5), without options. What is none is not shown: it may be the private key."""
    try:
        load_ssh_public_key(key.encode())
        good = key.isprintable()  # of two lines, the second would be a key too
    except (ValueError, UnsupportedAlgorithm):
        good = False
    if not good:
        raise ConfigError(f"Number {number} of “ssh_keys” is no public key.", remedy=KEY_REMEDY)
    return key


def _wifi(value: Any) -> Wifi:
    if not isinstance(value, dict):
        raise ConfigError("“wifi” must be a table.", remedy='[wifi], and below it name = "…" and password = "…".')
    for name in value:
        if name not in OF_WIFI:
            raise ConfigError(f"There is no setting “wifi.{name}”.", remedy=meant(name, OF_WIFI))
    ssid, password = value.get("name"), value.get("password")
    hidden, country = value.get("hidden", False), value.get("country", "")
    if not (isinstance(ssid, str) and 1 <= len(ssid.encode()) <= SSID_BYTES):
        raise ConfigError("“wifi.name” must be the network's name, in quotes.", remedy="It has 1 to 32 letters.")
    if password is not None and not _is_password(password):
        raise ConfigError(
            "“wifi.password” must have 8 to 63 letters, digits and signs, in quotes.",
            remedy='A network without a password: password = "".',
        )
    if not isinstance(hidden, bool):
        raise ConfigError(f"“wifi.hidden” is {_shown(hidden)}.", remedy="It must be true or false.")
    if not isinstance(country, str) or re.fullmatch("([A-Z]{2})?", country) is None:
        raise ConfigError(f"“wifi.country” is {_shown(country)}.", remedy='It must be two letters, as in "DE".')
    return Wifi(ssid=ssid, password=password, hidden=hidden, country=country)


def _is_password(value: Any) -> bool:
    """WPA's are printable ASCII (IEEE 802.11, J.4)."""
    return isinstance(value, str) and (
        not value or (len(value) in PASSWORD and value.isascii() and value.isprintable())
    )


def _wifi_is_whole(given: Given, machine: Machine) -> None:
    """A file of which the password was taken may come again, for another change in it."""
    if given.wifi is not None and given.wifi.password is None and not machine.knows(given.wifi):
        raise ConfigError(
            "“wifi.password” is missing.",
            remedy='A network without a password: password = "". One that changes its name needs its password again.',
        )


def _settings(given: Given, file: Path) -> bytes:
    """The whole settings file with what is given, as the daemon accepts it. Raises ConfigError."""
    document = _parse(_read(file)) if file.exists() else tomlkit.document()
    if not file.exists():
        document.add(tomlkit.comment(HEAD))
    for name, value in given.settings.items():
        if isinstance(value, dict) and name != "bays" and isinstance(document.get(name), dict):
            document[name].update(value)
        else:
            document[name] = value
    written = tomlkit.dumps(document).encode()
    with tempfile.TemporaryDirectory() as directory:
        trial = Path(directory, file.name)
        trial.write_bytes(written)
        try:
            chosen = load(trial)
            unit_places.wanted(
                unit_places.Places(vault=chosen.vault, firmware=chosen.firmware, records_copies=chosen.records_copies)
            )
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(trial), file.name), remedy=error.remedy) from error
    return written


def _choose(given: Given, state: Path) -> None:
    """What an operator chose before gives way to what the file says now. Raises ConfigError while a daemon runs."""
    with _as_its_owner(state), lease(state):
        file = ChoicesFile(state)
        before = file.read().choices
        choices = before
        if given.pin is not None:
            choices = replace(choices, pin=pin_hash.make(given.pin), wrong=0)
        if given.language is not None:
            choices = replace(choices, face=replace(choices.face, language=given.language))
        if given.turn is not None:
            choices = replace(choices, face=replace(choices.face, turn=given.turn))
        if "policy" in given.settings:
            choices = replace(choices, policy="")
        if "bays" in given.settings:
            choices = replace(choices, bays=None)
        if choices != before:
            file.write(choices)


@contextmanager
def _as_its_owner(directory: Path) -> Iterator[None]:
    """Do as the directory's owner what is done in it: what is made is that one's, and root follows nobody's links."""
    if os.geteuid() != 0 or not directory.exists():  # systemd hands over what is not there yet (StateDirectory=)
        yield
        return
    owner = directory.stat()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def _without_secrets(document: tomlkit.TOMLDocument) -> bytes:
    """The file as it is afterwards."""
    rest = _parse(tomlkit.dumps(document).encode())
    for *tables, name in SECRETS:
        table: Any = rest
        for each in tables:
            table = table.get(each, {})
        if name in table:
            del table[name]
            if isinstance(table, (tomlkit.TOMLDocument, Table)):  # a table in one line can have no comment
                table.add(tomlkit.comment(f"{name}: taken, and no longer here"))
    return tomlkit.dumps(rest).encode()


def _overwrite(file: Path, data: bytes) -> None:
    """In place, and as long as before: beside a file that is made anew, the old one would stay on the card."""
    with file.open("r+b") as open_file:
        length = os.fstat(open_file.fileno()).st_size
        open_file.write(data.ljust(length, b"\n"))
        open_file.flush()
        os.fsync(open_file.fileno())


def _read(file: Path) -> bytes:
    with file.open("rb") as open_file:
        data = open_file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{file.name} is too long.", remedy="It has a few lines: look at the example in README.md.")
    return data


def _parse(data: bytes) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(data.decode("utf-8-sig"))  # with the mark that Windows' Editor may put in front
    except UnicodeDecodeError:
        raise ConfigError("The file is not text.", remedy="Save it as UTF-8.") from None
    except TOMLKitError as error:
        raise ConfigError(
            f"It cannot be read: {error}.", remedy="Text is in quotes, and each setting on a line of its own."
        ) from error


def _shown(value: Any) -> str:
    words = json.dumps(value, ensure_ascii=False, default=str)
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}…"
