"""Where a tunnel may lead."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from urllib.parse import urlsplit

from station.model.job import Reach

HTTPS = 443


class Speech(Enum):
    """What must be spoken in a tunnel."""

    TLS = "tls"
    """TLS under the host's name."""
    PHONES_TLS = "phones_tls"
    """TLS; a phone may leave the name out, but may say no other."""
    ANYTHING = "anything"
    """Whatever was agreed with who listed the port."""


@dataclass(frozen=True)
class Place:
    """A host's port, and what goes with it."""

    host: str
    port: int
    speech: Speech
    near: bool
    """Whether it may be in this network. Apple's is not, whatever answers for its name where the station stands."""


Places = dict[tuple[str, int], Place]
"""By host, in small letters, and port."""


def places(reach: Reach) -> Places:
    """What workers need for this way of reaching Apple. One that is listed with a port is no server of Apple's own.

    Raises ValueError: an address makes no sense.
    """
    every = [_of_url(reach.signing_url), _of_url(reach.activation_url)]
    every += [_of_entry(entry, Speech.TLS) for entry in reach.asset_hosts]
    # The last one counts where a host is for both: what a phone speaks is admitted with it.
    every += [_of_entry(entry, Speech.PHONES_TLS) for entry in reach.fdr_hosts]
    return {(place.host, place.port): place for place in every}


def _of_url(url: str) -> Place:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is no address of a web server")
    secure = parts.scheme == "https"
    speech = Speech.TLS if secure and not _is_number(parts.hostname) else Speech.ANYTHING
    port = parts.port
    return Place(parts.hostname, port or (HTTPS if secure else 80), speech, near=port is not None)


def _of_entry(entry: str, speech: Speech) -> Place:
    host, _, port = entry.rpartition(":")
    if not host:
        return Place(entry.lower(), HTTPS, speech, near=False)
    return Place(host.lower(), int(port), Speech.ANYTHING, near=True)


def _is_number(host: str) -> bool:
    """Whether a host is an address, which TLS names nobody by."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
