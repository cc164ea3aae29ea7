"""The settings: `station.toml`, and STATION_… in the environment above it. A misspelt key is refused by name.

Between the two lies what an operator chose at the station (adapters/choices.py). Below all lies the preset that
`policy` names (presets.py), and below that the defaults here.

It is long because every setting stands here once, with its limits and its words.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from station.adapters.choices import ChoicesFile
from station.core.policy import BackupRule
from station.daemon.presets import PRESETS, Preset
from station.daemon.setting_words import PREFIX, TABLES, faults, meant, phases
from station.daemon.supply_settings import Supply
from station.errors import ConfigError
from station.model.api import DEFAULT_SOCKET, Lamp
from station.model.base import BayId, SocketPath
from station.model.catalog import FirmwareHosts
from station.model.gates import Purpose
from station.model.job import DEADLINES, Phase, Reach
from station.model.lights import Bulb
from station.model.panel import Button, Control, Pin, chip_line, no_line

DEFAULT_FILE = Path("/etc/restore-station/station.toml")

NOT_SETTINGS = frozenset({"STATION_CONFIG"})
"""What else begins so in the environment: where the file is."""

REACH = "reach.json"

Told = TypeVar("Told", Reach, FirmwareHosts)


class BayPins(BaseModel):
    """Which pins a bay's own button and lamps are wired to; what is not named is not there."""

    model_config = ConfigDict(extra="forbid")

    start: Pin | None = None
    ready: Pin | None = None
    person: Pin | None = None
    working: Pin | None = None
    done: Pin | None = None
    fault: Pin | None = None


class Gpio(BaseModel):
    """Which pins the buttons, lamps and the buzzer are wired to: BCM numbers, or lines of an expander."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = True
    start: Pin = 5
    confirm: Pin = 6
    ready: Pin = 16
    person: Pin = 20
    working: Pin = 21
    done: Pin = 26
    fault: Pin = 19
    buzzer: Pin | None = None
    """A piezo disc, on the header: it needs tones."""
    bays: dict[str, BayPins] = {}
    """Bay name to what is wired there."""

    @model_validator(mode="after")
    def _distinct_pins(self) -> Self:
        pins: dict[str, str] = {}
        for name, pin in self._wired():
            if wrong := no_line(pin):
                raise ValueError(f"{name} is “{pin}”. {wrong}")
            if (other := pins.setdefault(_plain(pin), name)) != name:
                raise ValueError(f"{other} and {name} have the same pin, {pin}. Each needs one of its own.")
        if self.buzzer is not None and chip_line(self.buzzer) is not None:
            raise ValueError(f"buzzer is “{self.buzzer}”. It needs tones, and so a pin of the Raspberry Pi's own.")
        return self

    def _wired(self) -> Iterator[tuple[str, Pin]]:
        """Everything that is wired, by its name in the settings."""
        tables: list[tuple[str, BaseModel]] = [("", self)]
        tables += [(f"bays.{bay}.", pins) for bay, pins in self.bays.items()]
        for prefix, table in tables:
            for name in type(table).model_fields:
                if name not in ("enabled", "bays") and (pin := getattr(table, name)) is not None:
                    yield f"{prefix}{name}", pin

    @property
    def buttons(self) -> dict[Button, Pin]:
        """The pin of each button."""
        own = {Button(Control.START): self.start, Button(Control.CONFIRM): self.confirm}
        starts = {Button(Control.START, BayId(bay)): pins.start for bay, pins in self.bays.items()}
        return own | {button: pin for button, pin in starts.items() if pin is not None}

    @property
    def lamps(self) -> dict[Bulb, Pin]:
        """The pin of each lamp."""
        sets: dict[BayId | None, Gpio | BayPins] = {None: self}
        sets |= {BayId(bay): pins for bay, pins in self.bays.items()}
        every: dict[Bulb, Pin | None] = {
            Bulb(lamp, bay): getattr(pins, lamp.value) for bay, pins in sets.items() for lamp in Lamp
        }
        return {bulb: pin for bulb, pin in every.items() if pin is not None}


def _plain(pin: Pin) -> str:
    """One name for a pin that has more than one."""
    word = str(pin).upper()
    return word if chip_line(pin) is not None else word.removeprefix("GPIO").removeprefix("BCM")


class PresetSource(PydanticBaseSettingsSource):
    """Below all that somebody set: what the chosen preset says."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: the preset is known only when all sources above were read."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The preset's values; none when there is no such preset, which is refused by name afterwards."""
        name = self.current_state.get("policy", self.settings_cls.model_fields["policy"].default)
        try:
            return PRESETS[Preset(name)]
        except ValueError:
            return {}


class ChoicesSource(PydanticBaseSettingsSource):
    """Above the file: what an operator chose at the station itself, as far as it makes sense."""

    def __init__(self, settings_cls: type[BaseSettings], below: "FileSource") -> None:
        super().__init__(settings_cls)
        self._below = below

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Not asked: where the choices lie is known only when all sources were read."""
        del field
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """The chosen values; none that could not be used, of which the daemon tells."""
        default = self.settings_cls.model_fields["state"].default
        state = self.current_state.get("state") or self._below().get("state") or default
        if not isinstance(state, (str, Path)):
            return {}  # which is refused by name afterwards
        choices = ChoicesFile(Path(state)).read().choices
        chosen: dict[str, Any] = {}
        if choices.policy in {preset.value for preset in Preset}:
            chosen["policy"] = choices.policy
        if choices.bays is not None and "bays" not in self.current_state:
            chosen["bays"] = dict(choices.bays)
            self._below.hide("bays")  # tables are put together, and what was forgotten would come back
        return chosen


class FileSource(TomlConfigSettingsSource):
    """`station.toml`, but for what was chosen in its place."""

    def __init__(self, settings_cls: type[BaseSettings], file: Path) -> None:
        super().__init__(settings_cls, toml_file=file)
        self._hidden: set[str] = set()

    def hide(self, name: str) -> None:
        """Leave a setting out from now on."""
        self._hidden.add(name)

    def __call__(self) -> dict[str, Any]:
        """What the file says of all others."""
        return {name: value for name, value in super().__call__().items() if name not in self._hidden}


class Settings(BaseSettings):
    """Everything that can be set. The file's path itself: STATION_CONFIG."""

    model_config = SettingsConfigDict(extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__")

    name: str = Field(default="Restore Station", min_length=1, max_length=64)
    """As screens and records call this station."""
    state: Path = Path("/var/lib/restore-station")
    """Jobs, records and keys live here; it must survive power cuts."""
    socket: Path = Path(DEFAULT_SOCKET)
    """Where clients connect."""
    firmware: Path | None = None
    """The firmware store; by default in the state directory."""
    supply: Supply = Supply()
    """Where firmware comes from, and which."""
    vault: Path | None = None
    """Where backups are kept: a disk of its own, if there is one; by default in the state directory."""
    vault_days: int = Field(default=30, ge=1, le=3650)
    """How long a verified backup is kept."""
    records_copies: Path | None = None
    """Where the records are copied at night: a directory that somebody made on another disk. None: they are not."""
    records_copies_kept: int = Field(default=7, ge=1, le=1000)
    """How many of these copies there are at most."""
    runtime: Path = Path("/run/restore-station")
    """A directory in memory (tmpfs): passwords on their way to a worker never touch a disk."""
    bays: dict[str, str] = {}
    """Bay name to USB socket (`1 = "1-1.4"`); empty: sockets become bays as phones appear in them."""
    cap: int = Field(default=4, ge=1, le=64)
    """How many restores run at once."""
    touch_confirms: bool = False
    """A hold on the screen confirms: only for a station without buttons."""
    policy: Preset = Preset.BENCH
    """The kind of station: values for the settings from here to `operator_confirm`, where they are not set."""
    purpose: Purpose = Purpose.RECYCLING
    """What becomes of the phones (owner, sale, recycling): what an Activation Lock means here."""
    backup: BackupRule = BackupRule.STANDING
    """Whether it is asked about a backup for each phone (ask), or was decided against once (standing)."""
    min_battery: int = Field(default=0, ge=0, le=100)
    """Percent that a phone's battery must have before its data is put at risk."""
    max_temperature: int = Field(default=80, ge=30, le=110)
    """Degrees Celsius of the station's processor at which nothing heavy begins."""
    quarantine_after: int = Field(default=1, ge=0)
    """How many failed wipes in a row set a phone aside until an operator releases it; 0: none do."""
    operator_confirm: bool = False
    """The command line may confirm, overrule gates, release phones and give standing orders."""
    min_free_mb: int = Field(default=256, ge=1)
    """Megabytes of disk below which no job starts: its record must still fit."""
    deadlines: dict[str, float] = {}
    """Phase name to seconds, where the default does not fit."""
    observe_seconds: float = Field(default=30.0, gt=0)
    """How long a phone that is away after a failure is waited for."""
    leave_seconds: float = Field(default=120.0, gt=0)
    """How long a phone that was told to restart may stay before that means that it did not."""
    workers: Path | None = None
    """Where systemd listens for who wants a worker (station-worker.socket); without it they are child processes."""
    reaper: Path | None = None
    """Where systemd listens for who wants one of those to end (station-reaper.socket)."""
    gateway: Path | None = None
    """Where systemd listens for who wants out (station-gateway.socket); without it the daemon starts the gateway."""
    fetcher: Path | None = None
    """Where systemd listens for who wants firmware fetched (station-fetcher.socket), in place of a child."""
    virtual: Path | None = None
    """Directory of a virtual host: phones, USB and Apple come from there, and nothing real is touched."""
    gpio: Gpio = Gpio()

    @field_validator("deadlines")
    @classmethod
    def _known_phases(cls, deadlines: dict[str, float]) -> dict[str, float]:
        if wrong := phases(deadlines):
            raise ValueError(wrong)
        for name, seconds in deadlines.items():
            if not seconds > 0:
                raise ValueError(f"the deadline of {name} is {seconds:g}. It must be a number of seconds above 0.")
        return deadlines

    @field_validator("bays")
    @classmethod
    def _distinct_sockets(cls, bays: dict[str, str]) -> dict[str, str]:
        named: dict[str, str] = {}
        for name, socket in bays.items():
            if (other := named.setdefault(socket, name)) != name:
                raise ValueError(f"the bays {other} and {name} have the same socket, {socket}. Each needs its own.")
        return bays

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment outweighs what was chosen at the station, and that the file."""
        del dotenv_settings, file_secret_settings
        file = settings_cls.model_config.get("toml_file")
        toml = FileSource(settings_cls, file if isinstance(file, Path) else DEFAULT_FILE)
        choices = ChoicesSource(settings_cls, toml)
        return init_settings, env_settings, choices, toml, PresetSource(settings_cls)

    @property
    def firmware_store(self) -> Path:
        """Where the firmware store is."""
        return self.firmware or self.state / "firmware"

    @property
    def vault_directory(self) -> Path:
        """Where the vault is."""
        return self.vault or self.state / "vault"

    @property
    def vault_secret(self) -> Path:
        """The secret from which the passwords of backups are derived: what systemd hands in, else a file of ours."""
        given = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), "vault-secret")
        return given if given.exists() else self.state / "keys" / "vault-secret"

    @property
    def bay_sockets(self) -> dict[BayId, SocketPath]:
        """The bays, typed."""
        return {BayId(name): SocketPath(socket) for name, socket in self.bays.items()}

    @property
    def phase_deadlines(self) -> dict[Phase, float]:
        """Every phase's deadline."""
        return DEADLINES | {Phase(name): seconds for name, seconds in self.deadlines.items()}

    @property
    def gateway_socket(self) -> Path:
        """Where workers find the gateway."""
        return self.gateway or self.runtime / "gateway.sock"

    @property
    def reach_file(self) -> Path | None:
        """Where a virtual host says how its phones and its servers are reached."""
        return None if self.virtual is None else self.virtual / REACH

    def reach(self) -> Reach:
        """How workers reach phones and Apple. Raises ConfigError when the virtual host is not there."""
        gateway = str(self.gateway_socket)
        if self.virtual is None:
            usbmuxd = os.environ.get("USBMUXD_SOCKET_ADDRESS", "/var/run/usbmuxd")
            return Reach(usbmuxd=usbmuxd, gateway=gateway)
        return msgspec.structs.replace(self._virtual(REACH, Reach), gateway=gateway)

    def firmware_hosts(self) -> FirmwareHosts:
        """Where firmware is looked for and fetched. Raises ConfigError when the virtual host is not there."""
        return FirmwareHosts() if self.virtual is None else self._virtual("firmware-hosts.json", FirmwareHosts)

    def _virtual(self, name: str, kind: type[Told]) -> Told:
        """What the virtual host tells of itself. Raises ConfigError when it is not there."""
        assert self.virtual is not None
        try:
            return msgspec.json.decode((self.virtual / name).read_bytes(), type=kind)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"There is no virtual host at {self.virtual}.",
                remedy=f"Start one: station virtual --dir {self.virtual}",
            ) from error


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    Args:
        file: the TOML file; by default STATION_CONFIG's, or /etc/restore-station/station.toml where it exists.
        overrides: values above everything else.

    Raises:
        ConfigError: the file is missing or cannot be read, or a setting is unknown or makes no sense.
    """
    _refuse_misspelt(os.environ)
    named = file or (Path(os.environ["STATION_CONFIG"]) if "STATION_CONFIG" in os.environ else None)
    if named is not None and not named.is_file():
        raise ConfigError(f"There is no settings file {named}.")

    file = named or DEFAULT_FILE

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        return FromFile(**overrides)
    except ValidationError as error:
        raise ConfigError(faults(error, Settings, file=file, environment=os.environ)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not TOML: {error}.", remedy="Look at the example in README.md.") from error
    except SettingsError as error:
        raise ConfigError(_unreadable_variable(str(error))) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not text.", remedy="Save it as UTF-8.") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error


def settled(environment: Iterable[str]) -> frozenset[str]:
    """What can be chosen at the station, but is set in the environment, which outweighs it."""
    there = {name.upper().removeprefix(PREFIX).split("__")[0].lower() for name in environment}
    return frozenset({"policy", "bays"} & there)


def _unreadable_variable(says: str) -> str:
    """A variable for a table is JSON; of one that is not, the library says only which setting it is for."""
    setting = next((name for name in TABLES if re.search(rf"\b{name}\b", says)), "")
    example = {"bays": '{"1": "1-1.1"}', "deadlines": '{"image": 900}'}.get(setting, '{"start": 5}')
    return f"{PREFIX}{setting.upper()} in the environment cannot be read. It must be JSON, such as {example}."


def _refuse_misspelt(environment: Iterable[str]) -> None:
    """A misspelt variable would be passed over in silence, and a station be laxer than whoever set it up believes."""
    for name in sorted(environment):
        key = name.upper()
        if not key.startswith(PREFIX) or key in NOT_SETTINGS:
            continue
        setting = key.removeprefix(PREFIX).split("__")[0].lower()
        if setting not in Settings.model_fields:
            raise ConfigError(
                f"The environment has {name}, and there is no such setting.",
                remedy=meant(setting, Settings.model_fields),
            )
