"""What firmware there is to be had, as catalogs on the internet tell it, and what of it is on its way here."""

from enum import Enum

from station.model.base import Message


class Source(Enum):
    """Who says that there is a firmware."""

    IPSW_ME = "ipsw.me"
    APPLEDB = "AppleDB"
    APPLE = "Apple"


class Offer(Message, frozen=True, kw_only=True):
    """One IPSW that can be fetched, as the catalogs that list it agree."""

    version: str
    build: str
    product_types: tuple[str, ...]
    """Every model it is for, sorted."""
    url: str
    size: int
    """Bytes of the zip file; 0: nobody says."""
    sha256: str = ""
    """Of the zip file, lower-case hex; empty: nobody says."""
    sha1: str = ""
    """The same. An offer has at least one of the two."""
    released: str = ""
    """Day, as in 2026-01-31; empty: nobody says."""
    signed: bool | None = None
    """Whether Apple signs it, as claimed; None: nobody says. The truth is only what Apple answers for a phone."""
    sources: tuple[Source, ...]
    """Who lists it so, at least one."""
    beta: bool = False
    """A beta, or a candidate for a release: only for whoever asks for this very build."""
    confirmed: bool = False
    """Two of the sources or more give the same digest of it."""

    @property
    def id(self) -> str:
        """Names this very file: its build, and the start of its digest."""
        return f"{self.build}-{(self.sha256 or self.sha1)[:12]}"


class Fetching(Enum):
    """When a station fetches firmware by itself."""

    NEVER = "never"
    NEEDED = "needed"
    """When a phone is there that could be given it."""
    AHEAD = "ahead"
    """Also at night, for every model this station has seen."""


class FirmwareHosts(Message, frozen=True, kw_only=True):
    """Where firmware is looked for and fetched: real or virtual is nothing but a different address."""

    ipsw_me: str = "https://api.ipsw.me/v4"
    """Version 4 of its API; empty: not asked. The same holds for the other two."""
    appledb: str = "https://api.appledb.dev/ios"
    apple: str = "https://itunes.apple.com/check/version"
    """Apple's own list, as iTunes reads it."""
    origins: tuple[str, ...] = (
        "https://updates.cdn-apple.com",
        "https://secure-appldnld.apple.com",
        "https://appldnld.apple.com",
    )
    """SCHEME://HOST[:PORT] that firmware may come from, whatever a catalog says."""
    authorities: str = ""
    """A file (PEM) with the authorities whose TLS certificates count; empty: those of the machine."""


class ArrivalState(Enum):
    """What is going on with a firmware that is on its way."""

    WAITING = "waiting"
    """For its hours, for its turn, or before it is tried again."""
    FETCHING = "fetching"
    CHECKING = "checking"
    """All of it is here, and is being put in its place."""
    FAILED = "failed"
    """It is not tried again by itself."""


class Arrival(Message, frozen=True, kw_only=True):
    """A firmware on its way into the store."""

    version: str
    build: str
    product_types: tuple[str, ...]
    state: ArrivalState
    done: int = 0
    """Bytes of the zip file that are here for good; from another station: of the files in it."""
    total: int = 0
    seconds_left: float | None = None
    """None: that cannot be told."""
    says: str = ""
    """Why it waits or failed, in plain words."""
    remedy: str = ""
    origin: str = ""
    """HOST[:PORT] of who sends it, or sent it last; empty: nobody yet."""
    nearby: bool = False
    """Whether that is another station."""
