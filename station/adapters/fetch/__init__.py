"""Fetches firmware from the internet, or from a mirror, straight into its unpacked form.

An IPSW is a zip. Its table of contents is fetched first, from its end (`plan`), so that what is wrong with it is known
before gigabytes move. Then all of it comes once, in its order (`sources`, `download`): each entry is unpacked to where
it belongs (`unpack`) while the digest of the whole runs over every byte (`pipeline`). It is written down every few
seconds from where all of this could go on (`checkpoint`), in the middle of a packed entry too (`inflate`, `digests`);
what a crash costs is what came since. Only what has the right digest is put in the store.

Other stations in the same network are asked before all that (`nearby`, `gather`), file by file. What began to come as a
zip goes on so, as long as anybody gives it.
"""

import re
import threading
from collections.abc import Callable
from contextlib import suppress

from station.adapters.fetch.download import Download, in_words
from station.adapters.fetch.limits import LIMITS, FetchRules, Limits
from station.adapters.fetch.progress import PREFIX, Leftover, Progress, arrival_of, arrivals, discard, held, leftovers
from station.adapters.firmware import FirmwareStore
from station.core.versions import age
from station.errors import InputRejected, StationError
from station.model.catalog import Arrival, ArrivalState, Offer
from station.model.firmware import Firmware

__all__ = [
    "LIMITS",
    "FetchRules",
    "Leftover",
    "Limits",
    "arrival_of",
    "arrivals",
    "discard",
    "fetch",
    "leftovers",
]

_DIGEST = re.compile(r"([0-9a-f]{64})?")
_SHORT_DIGEST = re.compile(r"([0-9a-f]{40})?")


def fetch(
    store: FirmwareStore,
    offer: Offer,
    how: FetchRules,
    advance: Callable[[Arrival], None],
    stop: threading.Event,
    limits: Limits = LIMITS,
) -> Firmware:
    """Have a firmware in the store: fetch it, or what is missing of it. Blocks for as long as that takes.

    Args:
        store: where it is to be.
        offer: what is to be fetched.
        how: from where, and how fast.
        advance: told how far it is, at most twice a second and when something else begins.
        stop: set it to have this end soon; it goes on where it was when it is called again.
        limits: how long it waits for what.

    Raises:
        Refused: somebody fetches it already (follow `arrivals`), or it was told to stop.
        Unreachable: no server gives it. What is here stays.
        InputRejected: what the servers have is not what was offered, or could do harm. Nothing of it stays.
        StorageError: the disk is full or fails. What is here stays.
    """
    _check(offer)
    directory = store.path / f"{PREFIX}{offer.id}"
    try:
        with held(directory, stop):
            progress = Progress(directory, offer, advance)
            try:
                return Download(store, directory, offer, how, limits, progress, stop).run()
            except OSError as error:
                trouble: StationError = in_words(error)
                progress.say(ArrivalState.FAILED, str(trouble), trouble.remedy)
                raise trouble from error
            except StationError as error:
                state = ArrivalState.WAITING if stop.is_set() else ArrivalState.FAILED
                progress.say(state, str(error), error.remedy)
                raise
    except OSError as error:
        raise in_words(error) from error
    finally:
        with suppress(OSError):  # what is left when root fetched by hand is for the station to go on with
            store.hand_over(directory)


def _check(offer: Offer) -> None:
    """Refuse an offer whose words would be used for names of files, or that nothing could be checked with."""
    age(offer.version, offer.build)
    digests = _DIGEST.fullmatch(offer.sha256) and _SHORT_DIGEST.fullmatch(offer.sha1)
    if not digests or not (offer.sha256 or offer.sha1) or offer.size < 0:
        raise InputRejected(
            "The list of firmware does not say how to recognise this one.", remedy="Choose another build."
        )
