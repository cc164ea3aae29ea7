"""What `station doctor` says of the network: whether there is one, and who of those that are needed is reached.

Connected is not enough. A guest network answers in everybody's place with its login page, and some firewalls open
encrypted connections to look into them: both are told by name, from how a host ends the conversation.
"""

import errno
import socket
import ssl
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from cryptography import x509
from cryptography.x509.oid import NameOID

from station.adapters.catalogs.asking import tls
from station.cli.finding import Finding

ANSWER_SECONDS = 5.0
"""How long a host may take to answer."""
LEAST_SECONDS = 1.0
"""How long each of a host's addresses has at least, where it has many."""
PORTAL = "http://captive.apple.com/hotspot-detect.html"
"""What phones ask to find out whether a network wants a login first. Apple answers `Success`."""
HERE = ("localhost", "127.", "[::1]", "::1")
"""How the addresses of virtual phones' servers begin, which need no network."""

_UP = 0x1  # RTF_UP, of <linux/route.h>
_DATED = (9, 10)
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
_MANY = 3
"""Hosts of which it says something that none of them is reached."""
_WITHOUT = "Without the internet nothing is installed that is not here; erasing works."
_NOWHERE = "No cable and no Wi-Fi leads out of here."


class Ill(Enum):
    """Why a host is not reached, the first to be mended first."""

    CLOCK = "Set the clock first: until then nobody can prove who they are."
    LOGIN = "This network wants a login, which a station cannot give: take another one, or have it let in without."
    INSPECTED = (
        "Have whoever looks after the network exempt these hosts from inspection: the station does not accept it."
    )
    NAME = "See to the network's name server (DNS): it does not work, or it blocks these names."
    SILENT = "Have the firewall let the station through to these hosts, or wait: they may be down."


@dataclass(frozen=True, kw_only=True)
class Server:
    """Somebody that is needed."""

    what: str
    """For what, as people call it."""
    addresses: tuple[str, ...]
    """URLs, or HOST, or HOST:PORT; the last two are spoken to over TLS."""
    without: str
    """What does not work without."""
    any_of_them: bool = False
    """Whether one of the addresses is enough."""
    authorities: str = ""
    """A file with the authorities that count (PEM); empty: those of the machine."""
    phones_own: bool = False
    """Whether the phone itself speaks with it, who knows authorities of Apple's that nobody else does."""


@dataclass(frozen=True)
class _Reached:
    host: str
    ill: Ill | None = None
    says: str = ""


def examine_network(servers: Sequence[Server], *, root: Path = Path("/"), portal: str = PORTAL) -> Iterator[Finding]:
    """Look whether all of them are reached. Takes some seconds; where no name server answers, the resolver's patience.

    Args:
        servers: who is needed.
        root: where the kernel's files are.
        portal: what is asked to find out about a login page.

    Raises:
        ConfigError: a file with authorities cannot be used.
    """
    addresses = list(dict.fromkeys(address for server in servers for address in server.addresses))
    away = [address for address in addresses if not _host(address).startswith(HERE)]
    if away and not _may_be_used():
        words = "cannot be looked at from here: whoever asks may use none (the daemon, by its unit)"
        yield Finding("network", fine=True, found=f"{words}. To look: sudo station doctor")
        return
    if away and not has_way_out(root):
        remedy = f"Plug in a network cable, or set up Wi-Fi (sudo nmtui). {_WITHOUT}"
        yield Finding("network", fine=False, found=_NOWHERE, remedy=remedy)
        return
    if away:
        yield Finding("network", fine=True, found="there is a way out")
    asked = [(server, address) for server in servers for address in server.addresses]
    plain = all(address.startswith("http://") for address in addresses)
    trusting = {each: tls(each, plain=plain) for each in {server.authorities for server in servers}}
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        found = pool.map(lambda each: _ask(each[0], each[1], trusting[each[0].authorities]), asked)
        answers = dict(zip(asked, found, strict=True))
    login = bool(away) and any(answer.ill for answer in answers.values()) and wants_login(portal)
    if nobody := _nobody([*answers.values()], login=login):
        yield nobody
        return
    for server in servers:
        yield _finding(server, [answers[server, address] for address in server.addresses], login=login)


def _may_be_used() -> bool:
    """Whether this process may have sockets of a network at all (RestrictAddressFamilies=, systemd.exec(5))."""
    try:
        socket.socket(socket.AF_INET).close()
    except OSError as error:
        return error.errno not in (errno.EAFNOSUPPORT, errno.EPERM)
    return True


def has_way_out(root: Path = Path("/")) -> bool:
    """Whether the kernel knows where to send what is not for this machine or its neighbours."""
    with suppress(OSError):
        for line in (root / "proc/net/route").read_text().splitlines()[1:]:
            fields = line.split()
            if len(fields) > 7 and fields[1] == fields[7] == "00000000" and int(fields[3], 16) & _UP:
                return True
    with suppress(OSError):
        for line in (root / "proc/net/ipv6_route").read_text().splitlines():
            fields = line.split()  # the kernel's own refusal of everything is a route of the loopback's
            if fields[0] == "0" * 32 and fields[1] == "00" and fields[-1] != "lo":
                return True
    return False


def wants_login(portal: str = PORTAL) -> bool:
    """Whether somebody else answers in Apple's place, as networks do that want a login."""
    with suppress(httpx.HTTPError, httpx.InvalidURL):
        plainly = {"Accept-Encoding": "identity"}
        with httpx.stream("GET", portal, headers=plainly, timeout=ANSWER_SECONDS, trust_env=False) as answer:
            # Apple's page is one short line; whoever answers in its place may go on for ever.
            return answer.status_code != httpx.codes.OK or b"Success" not in next(answer.iter_raw(), b"")
    return False


def _nobody(answers: Sequence[_Reached], *, login: bool) -> Finding | None:
    """One thing that is wrong is said once; None: somebody is reached, or each is missed for a reason of its own."""
    hosts = {answer.host for answer in answers}
    if len(hosts) < _MANY or len({answer.ill for answer in answers}) > 1 or answers[0].ill is None:
        return None
    first = answers[0]
    one = "a login page answers in their place" if login else f"{first.host}, for one, {first.says}"
    found = f"none of the {len(hosts)} servers that a station needs is reached; {one}"
    ill = Ill.LOGIN if login else first.ill
    assert ill is not None
    return Finding("internet", fine=False, found=found, remedy=f"{ill.value} {_WITHOUT}")


def _finding(server: Server, answers: list[_Reached], *, login: bool) -> Finding:
    if not answers:
        return Finding(server.what, fine=True, found="none are set")
    good = list(dict.fromkeys(answer.host for answer in answers if answer.ill is None))
    bad = {answer.host: answer for answer in answers if answer.ill is not None}
    fine = not bad or (server.any_of_them and bool(good))
    told = [f"reached: {', '.join(good)}"] if good else []
    if login and bad:
        told.append(f"a login page answers instead of {', '.join(bad)}")
    else:
        told += [f"{host} {answer.says}" for host, answer in bad.items()]
    ills = {answer.ill for answer in bad.values()}
    worst = Ill.LOGIN if login else next((ill for ill in Ill if ill in ills), Ill.SILENT)
    return Finding(server.what, fine, "; ".join(told), f"{worst.value} {server.without}".strip())


def _host(address: str) -> str:
    return urlsplit(address if "//" in address else f"//{address}").hostname or address


def _ask(server: Server, address: str, trusting: ssl.SSLContext) -> _Reached:
    """Speak with a host just as far as it takes to know who it is."""
    host = _host(address)
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        # Of virtual phones' servers, those that are known by host and port speak in plain.
        encrypted = parts.scheme == "https" or not (parts.scheme or host.startswith(HERE))
        port = parts.port or (80 if parts.scheme == "http" else 443)
        with _line(host, port) as line:
            if encrypted:
                trusting.wrap_socket(line, server_hostname=host).close()
    except ssl.SSLError as error:
        return _stranger(server, address, error)
    except (OSError, ValueError) as error:
        ill = Ill.NAME if isinstance(error, socket.gaierror) else Ill.SILENT
        return _Reached(host, ill, _words(error))
    return _Reached(host)


def _line(host: str, port: int) -> socket.socket:
    """A connection to one of a host's addresses: all of them together have the time. Raises OSError."""
    failed = OSError(f"{host} has no address")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, _, address in found:
        line = socket.socket(family, kind, protocol)
        try:
            line.settimeout(max(LEAST_SECONDS, ANSWER_SECONDS / len(found)))
            line.connect(address)
        except OSError as error:
            line.close()
            failed = error
        else:
            line.settimeout(ANSWER_SECONDS)
            return line
    raise failed


def _words(error: OSError | ValueError) -> str:
    """Why there is no connection."""
    match error:
        case socket.gaierror():
            return "is a name that nobody here knows"
        case TimeoutError():
            return f"does not answer within {ANSWER_SECONDS:.0f} seconds"
        case ConnectionRefusedError():
            return "refuses the connection"
        case OSError(strerror=str(why)):
            return f"cannot be reached ({why})"
        case _:
            return f"cannot be reached ({error})"


def _stranger(server: Server, address: str, error: ssl.SSLError) -> _Reached:
    """Somebody answers who could not prove to be the host."""
    host = _host(address)
    if not isinstance(error, ssl.SSLCertVerificationError):
        return _Reached(host, Ill.INSPECTED, "is answered for by somebody who speaks no TLS")
    if error.verify_code in _DATED:
        return _Reached(host, Ill.CLOCK, f"has a certificate that is not for today ({error.verify_message})")
    other = _issuer(host, address)
    if server.phones_own and other.startswith("Apple"):
        return _Reached(host)
    by = f"from “{other}”" if other else f"wrong ({error.verify_message})"
    return _Reached(host, Ill.INSPECTED, f"is answered for by somebody else: the certificate is {by}")


def _issuer(host: str, address: str) -> str:
    """Who vouches for a host that could not prove who it is; empty: it does not say."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # only to tell a person who it is: nothing is said to it
    port = urlsplit(address if "//" in address else f"//{address}").port or 443
    with suppress(OSError, ValueError):
        with (
            _line(host, port) as line,
            context.wrap_socket(line, server_hostname=host) as shown,
        ):
            certificate = x509.load_der_x509_certificate(shown.getpeercert(binary_form=True) or b"")
        for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
            for name in certificate.issuer.get_attributes_for_oid(kind):
                said = "".join(letter if letter.isprintable() else "?" for letter in str(name.value))
                return said[:60]
    return ""
