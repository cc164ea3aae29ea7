"""Names become addresses: here, and not in the worker."""

import asyncio
import socket
from ipaddress import IPv6Network, ip_address
from itertools import zip_longest

from station.errors import Unreachable
from station.gateway.places import Place

_NAT64 = IPv6Network("64:ff9b::/96")
"""IPv4 by way of a translator (RFC 6052): the last four bytes say where it leads."""


async def addresses(place: Place) -> list[str]:
    """The addresses a place may be connected to, in the order in which to try them: IPv6 and IPv4 by turns.

    One of the two may lead nowhere at all, however many addresses it has (RFC 8305 §4).

    Raises:
        Unreachable: the name leads nowhere, or not to the internet, where Apple is.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"{place.host} was not found: {error}") from error
    at = [str(address[0]) for *_, address in found]
    if not place.near and (local := [each for each in at if not _is_global(each)]):
        raise Unreachable(f"{place.host} is said to be in this network, at {local[0]}, and is not")
    first, second = ([each for each in at if (":" in each) is same] for same in (":" in at[0], ":" not in at[0]))
    return [each for pair in zip_longest(first, second) for each in pair if each is not None]


def _is_global(address: str) -> bool:
    at = ip_address(address)
    return (ip_address(at.packed[-4:]) if at in _NAT64 else at).is_global
