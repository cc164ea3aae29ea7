"""Whether firmware could be had: the lists of it, and the hosts that it comes from."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from station.adapters.catalogs import Catalogs
from station.daemon.settings import Settings
from station.errors import ConfigError, StationError
from station.model.catalog import Fetching

ANSWER_SECONDS = 5.0
"""How long a host may take to take a connection."""
_NETWORK = "Check the network, and whether something between (a firewall, a guest network's login) keeps it from there."


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One thing that was looked at."""

    what: str
    fine: bool
    found: str
    remedy: str = ""


def examine_supply(settings: Settings) -> Iterator[Seen]:
    """Look at where firmware comes from. Takes some seconds at most."""
    try:
        hosts = settings.firmware_hosts()
    except ConfigError as error:
        yield Seen(what="firmware hosts", fine=False, found=str(error), remedy=error.remedy)
        return
    signing = settings.reach().signing_url
    yield _reached("Apple's signing server", (signing,), all_of_them=True)
    if settings.supply.fetch is Fetching.NEVER:
        yield Seen(what="firmware lists", fine=True, found="not asked (supply.fetch is never)")
        return
    lists = tuple(address for address in (hosts.ipsw_me, hosts.appledb, hosts.apple) if address)
    yield _reached("firmware lists", lists, all_of_them=False)
    yield _reached("firmware servers", hosts.origins, all_of_them=False)
    if settings.supply.mirrors:
        yield _reached("mirrors", tuple(settings.supply.mirrors), all_of_them=True)
    yield _age(settings)


def _age(settings: Settings) -> Seen:
    """How old what the lists said is."""
    days = settings.supply.catalog_days
    catalogs = Catalogs(settings.state / "catalogs", settings.firmware_hosts(), timedelta(days=days))
    what = "firmware lists, last read"
    try:
        asked = catalogs.known().asked
    except (StationError, OSError) as error:
        return Seen(what=what, fine=False, found=str(error), remedy="Run this as root, or as the station's user.")
    if asked is None:
        return Seen(what=what, fine=True, found="never: the daemon reads them when a phone is plugged in")
    age = max(0.0, time.time() - asked)
    found = f"{round(age / 3600)} hours ago" if age < 2 * 86400 else f"{round(age / 86400)} days ago"
    fine = age < 0.5 * days * 86400
    return Seen(what=what, fine=fine, found=found, remedy=f"After {days} days they do not count any more. {_NETWORK}")


def _reached(what: str, addresses: tuple[str, ...], *, all_of_them: bool) -> Seen:
    """Which of some hosts take a connection."""
    if not addresses:
        return Seen(what=what, fine=True, found="none are set")
    names = list(dict.fromkeys(urlsplit(address).hostname or address for address in addresses))
    with ThreadPoolExecutor(max_workers=len(addresses)) as pool:
        found = dict(zip(addresses, pool.map(_takes_a_connection, addresses), strict=True))
    silent = list(dict.fromkeys(urlsplit(each).hostname or each for each, good in found.items() if not good))
    fine = not silent if all_of_them else any(found.values())
    told = f"reached: {', '.join(name for name in names if name not in silent)}" if len(silent) < len(names) else ""
    lost = f"not reached: {', '.join(silent)}" if silent else ""
    return Seen(what=what, fine=fine, found="; ".join(filter(None, (told, lost))), remedy=_NETWORK)


def _takes_a_connection(address: str) -> bool:
    with suppress(OSError, ValueError):
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=ANSWER_SECONDS):
            return True
    return False
