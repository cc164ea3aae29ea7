"""The settings of where firmware comes from: the table `supply`."""

from pydantic import BaseModel, ConfigDict, Field

from station.model.catalog import Fetching


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
    """Addresses below which firmware is looked for first, by its file's name: another station, or a server nearby."""
    kbytes_per_second: int = Field(default=0, ge=0)
    """What a download may take of the network; 0: all it can."""
    catalog_days: int = Field(default=30, ge=1)
    """How old the list of firmware may be when no server can be reached."""
    keep: int = Field(default=1, ge=1)
    """How many builds are kept for each model when room is needed; those that jobs or pins name always are."""
