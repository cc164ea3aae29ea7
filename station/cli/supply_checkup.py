"""Whether phones could be restored and firmware had: Apple's servers, the lists of firmware, and how old those are."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import certifi

from station.adapters.catalogs import Catalogs
from station.cli.finding import AS_ROOT, Finding
from station.cli.network_checkup import PORTAL, Server, examine_network
from station.daemon.settings import Settings
from station.errors import ConfigError, StationError
from station.model.catalog import Fetching

_NOT_INSTALLED = "Without it nothing can be installed. Erasing works."


def examine_supply(settings: Settings, *, root: Path = Path("/"), portal: str = PORTAL) -> Iterator[Finding]:
    """Look at who is needed for restoring, and where firmware comes from. Takes as long as `examine_network`."""
    try:
        yield from examine_network(tuple(_servers(settings)), root=root, portal=portal)
    except ConfigError as error:
        yield Finding("firmware hosts", fine=False, found=str(error), remedy=error.remedy)
        return
    if settings.supply.fetch is Fetching.NEVER:
        yield Finding("firmware lists", fine=True, found="not asked (supply.fetch is never)")
    else:
        yield _age(settings)


def _servers(settings: Settings) -> Iterator[Server]:
    """Everybody that this station speaks with. Raises ConfigError."""
    reach, hosts = settings.reach(), settings.firmware_hosts()
    ours = certifi.where()  # workers trust these, through requests, and no authority that was added to the machine
    signing, activation = (reach.signing_url,), (reach.activation_url,)
    yield Server(what="Apple's signing server", addresses=signing, without=_NOT_INSTALLED, authorities=ours)
    without = "Without it a phone is not activated here; it asks for that itself when it is set up."
    yield Server(what="Apple's activation server", addresses=activation, without=without, authorities=ours)
    without = "Without them some models' restores fail."
    yield Server(what="Apple's servers for restores", addresses=reach.asset_hosts, without=without, authorities=ours)
    fdr = reach.fdr_hosts
    without = "Without them restores fail in their last part."
    yield Server(what="Apple's calibration servers", addresses=fdr, without=without, authorities=ours, phones_own=True)
    if settings.supply.fetch is Fetching.NEVER:
        return
    lists = tuple(address for address in (hosts.ipsw_me, hosts.appledb, hosts.apple) if address)
    without = "Without any of them no new firmware is known of."
    theirs = hosts.authorities
    yield Server(what="firmware lists", addresses=lists, without=without, any_of_them=True, authorities=theirs)
    without = "Without them no firmware is fetched; it can be imported: station firmware import."
    yield Server(
        what="firmware servers", addresses=hosts.origins, without=without, any_of_them=True, authorities=theirs
    )
    if mirrors := tuple(settings.supply.mirrors):
        without = "Without them all comes over the internet."
        yield Server(what="mirrors", addresses=mirrors, without=without, authorities=theirs)
    if nearby := tuple(settings.supply.nearby):
        without = "Without them all comes over the internet."
        yield Server(what="stations nearby", addresses=nearby, without=without, authorities=theirs)


def _age(settings: Settings) -> Finding:
    """How old what the lists said is."""
    days = settings.supply.catalog_days
    catalogs = Catalogs(settings.state / "catalogs", settings.firmware_hosts(), timedelta(days=days))
    what = "firmware lists, last read"
    try:
        asked = catalogs.known().asked
    except (StationError, OSError) as error:
        return Finding(what, fine=False, found=str(error), remedy=AS_ROOT)
    if asked is None:
        return Finding(what, fine=True, found="never: the daemon reads them when a phone is plugged in")
    age = max(0.0, time.time() - asked)
    found = f"{round(age / 3600)} hours ago" if age < 2 * 86400 else f"{round(age / 86400)} days ago"
    remedy = f"After {days} days they do not count any more. See to the network, and that the daemon runs."
    return Finding(what, fine=age < 0.5 * days * 86400, found=found, remedy=remedy)
