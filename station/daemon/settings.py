"""The settings: `station.toml`, and STATION_… in the environment above it. A misspelt key is refused by name."""

import os
from pathlib import Path
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from station.errors import ConfigError
from station.model.api import DEFAULT_SOCKET, Lamp
from station.model.base import BayId, SocketPath
from station.model.job import DEADLINES, Phase, Reach
from station.model.panel import Control

DEFAULT_FILE = Path("/etc/restore-station/station.toml")

Pin = int | str


class Gpio(BaseModel):
    """Which pins (BCM numbers) the buttons and lamps are wired to."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = True
    start: Pin = 5
    confirm: Pin = 6
    ready: Pin = 16
    person: Pin = 20
    working: Pin = 21
    done: Pin = 26
    fault: Pin = 19

    @property
    def buttons(self) -> dict[Control, Pin]:
        """The pin of each button."""
        return {Control.START: self.start, Control.CONFIRM: self.confirm}

    @property
    def lamps(self) -> dict[Lamp, Pin]:
        """The pin of each lamp."""
        return {
            Lamp.READY: self.ready,
            Lamp.PERSON: self.person,
            Lamp.WORKING: self.working,
            Lamp.DONE: self.done,
            Lamp.FAULT: self.fault,
        }


class Settings(BaseSettings):
    """Everything that can be set. The file's path itself: STATION_CONFIG."""

    model_config = SettingsConfigDict(extra="forbid", env_prefix="STATION_", env_nested_delimiter="__")

    name: str = Field(default="Restore Station", min_length=1, max_length=64)
    """As screens and records call this station."""
    state: Path = Path("/var/lib/restore-station")
    """Jobs, records and keys live here; it must survive power cuts."""
    socket: Path = Path(DEFAULT_SOCKET)
    """Where clients connect."""
    firmware: Path | None = None
    """The firmware store; by default in the state directory."""
    bays: dict[str, str] = {}
    """Bay name to USB socket (`1 = "1-1.4"`); empty: sockets become bays as phones appear in them."""
    cap: int = Field(default=4, ge=1, le=64)
    """How many restores run at once."""
    touch_confirms: bool = False
    """A hold on the screen confirms: only for a station without buttons."""
    operator_confirm: bool = False
    """The command line may confirm."""
    deadlines: dict[str, float] = {}
    """Phase name to seconds, where the default does not fit."""
    observe_seconds: float = Field(default=30.0, gt=0)
    """How long a phone that is away after a failure is waited for."""
    virtual: Path | None = None
    """Directory of a virtual host: phones, USB and Apple come from there, and nothing real is touched."""
    gpio: Gpio = Gpio()

    @field_validator("deadlines")
    @classmethod
    def _known_phases(cls, deadlines: dict[str, float]) -> dict[str, float]:
        for name, seconds in deadlines.items():
            Phase(name)
            if seconds <= 0:
                raise ValueError(f"the deadline of {name} must be positive")
        return deadlines

    @field_validator("bays")
    @classmethod
    def _distinct_sockets(cls, bays: dict[str, str]) -> dict[str, str]:
        if len(set(bays.values())) != len(bays):
            raise ValueError("two bays have the same socket")
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
        """The environment outweighs the file."""
        del dotenv_settings, file_secret_settings
        file = settings_cls.model_config.get("toml_file")
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=file)

    @property
    def firmware_store(self) -> Path:
        """Where the firmware store is."""
        return self.firmware or self.state / "firmware"

    @property
    def bay_sockets(self) -> dict[BayId, SocketPath]:
        """The bays, typed."""
        return {BayId(name): SocketPath(socket) for name, socket in self.bays.items()}

    @property
    def phase_deadlines(self) -> dict[Phase, float]:
        """Every phase's deadline."""
        return DEADLINES | {Phase(name): seconds for name, seconds in self.deadlines.items()}

    def reach(self) -> Reach:
        """How workers reach phones and Apple. Raises ConfigError when the virtual host is not there."""
        if self.virtual is None:
            return Reach(usbmuxd=os.environ.get("USBMUXD_SOCKET_ADDRESS", "/var/run/usbmuxd"))
        try:
            return msgspec.json.decode((self.virtual / "reach.json").read_bytes(), type=Reach)
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError(f"There is no virtual host at {self.virtual}: {error}") from error


def load(file: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings.

    Args:
        file: the TOML file; by default STATION_CONFIG's, or /etc/restore-station/station.toml where it exists.
        overrides: values above everything else.

    Raises:
        ConfigError: the file is missing or cannot be read, or a setting is unknown or makes no sense.
    """
    named = file or (Path(os.environ["STATION_CONFIG"]) if "STATION_CONFIG" in os.environ else None)
    if named is not None and not named.is_file():
        raise ConfigError(f"There is no settings file {named}.")

    class FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=named or DEFAULT_FILE)

    try:
        return FromFile(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{named or DEFAULT_FILE}: setting “{where}”: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{named or DEFAULT_FILE} cannot be read: {error}") from error
