"""The settings of where firmware comes from: the table `supply`."""

import re
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from station.core.pruning import EVERY_MODEL
from station.core.versions import is_build, is_version
from station.model.catalog import Fetching

_MODEL = re.compile(r"(iPhone|iPad|iPod)\d{1,3},\d{1,3}", re.ASCII)


class Supply(BaseModel):
    """Where firmware comes from, and which."""

    model_config = ConfigDict(extra="forbid")

    fetch: Fetching = Fetching.NEEDED
    """Whether firmware is fetched never, when a phone needs it (needed), or at night for all models seen (ahead)."""
    hours: str = Field(default="22:00-06:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$")
    """Local time in which it is fetched ahead of need."""
    pins: dict[str, str] = {}
    """Model (“iPhone13,2”, or “all”) to the version or build that this station installs, until it is said otherwise."""
    denied: list[str] = []
    """Builds that are never installed nor fetched."""
    mirrors: list[str] = []
    """Addresses below which firmware is looked for first, by its file's name: a server nearby."""
    nearby: list[str] = []
    """Addresses of other stations that share their firmware (station firmware share); they are asked before anybody."""
    kbytes_per_second: int = Field(default=0, ge=0)
    """What a download may take of the network; 0: all it can."""
    catalog_days: int = Field(default=30, ge=1)
    """How old the list of firmware may be when no server can be reached."""
    keep: int = Field(default=1, ge=1)
    """How many builds are kept for each model when room is needed; those that jobs or pins name always are."""

    @field_validator("hours")
    @classmethod
    def _some_time(cls, hours: str) -> str:
        begin, end = hours.split("-")
        if begin == end:
            raise ValueError(f"from {begin} to {end} is no time at all. For the whole day write 00:00-23:59.")
        return hours

    @field_validator("pins")
    @classmethod
    def _models_and_firmware(cls, pins: dict[str, str]) -> dict[str, str]:
        for model, firmware in pins.items():
            if model != EVERY_MODEL and not _MODEL.fullmatch(model):
                raise ValueError(
                    f"“{model}” is no model. Write it as in “iPhone13,2”, or “{EVERY_MODEL}” for every one."
                )
            if not (is_version(firmware) or is_build(firmware)):
                raise ValueError(f"“{firmware}” is neither a version, such as “26.1”, nor a build, such as “23B85”.")
        return pins

    @field_validator("denied")
    @classmethod
    def _builds(cls, denied: list[str]) -> list[str]:
        for build in denied:
            if not is_build(build):
                raise ValueError(f"“{build}” is no build, such as “23B85”.")
        return denied

    @field_validator("mirrors")
    @classmethod
    def _addresses(cls, mirrors: list[str]) -> list[str]:
        for mirror in mirrors:
            if not _is_address(mirror):
                raise ValueError(f"“{mirror}” is no address, such as “http://192.168.1.20/firmware”.")
        return mirrors

    @field_validator("nearby")
    @classmethod
    def _stations(cls, nearby: list[str]) -> list[str]:
        for station in nearby:
            if not _is_address(station):
                raise ValueError(f"“{station}” is no address, such as “http://192.168.1.20:8750”.")
        return nearby


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        more = parts.query or parts.fragment or parts.username
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and not more
    except ValueError:  # what is no port, for example
        return False
