"""What `station doctor` says of where firmware comes from, and of hosts that are not who they should be."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from station.cli.network_checkup import Server, _line, examine_network, has_way_out, wants_login
from station.cli.supply_checkup import examine_supply
from station.daemon.settings import Settings
from station.model.catalog import Fetching, FirmwareHosts
from station.model.job import Reach
from tests.cli.certificates import certificate


@pytest.fixture
def listening() -> Iterator[str]:
    """An address that takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def silent() -> str:
    """An address that takes none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://localhost:{server.getsockname()[1]}"


def settings(tmp_path, *, lists: str, origin: str, signing: str, **supply: object) -> Settings:
    hosts = FirmwareHosts(ipsw_me=lists, appledb="", apple=lists, origins=(origin,))
    here = signing.removeprefix("http://")
    reach = Reach(
        usbmuxd="/nowhere", signing_url=signing, activation_url=signing, asset_hosts=(here,), fdr_hosts=(here,)
    )
    (tmp_path / "firmware-hosts.json").write_bytes(msgspec.json.encode(hosts))
    (tmp_path / "reach.json").write_bytes(msgspec.json.encode(reach))
    return Settings(state=tmp_path, virtual=tmp_path, supply=supply)  # type: ignore[arg-type]  # as a file has it


def test_all_is_well(tmp_path, listening):
    found = list(examine_supply(settings(tmp_path, lists=listening, origin=listening, signing=listening)))
    assert all(seen.fine for seen in found)
    assert [seen.what for seen in found] == [
        "Apple's signing server",
        "Apple's activation server",
        "Apple's servers for restores",
        "Apple's calibration servers",
        "firmware lists",
        "firmware servers",
        "firmware lists, last read",
    ]
    assert found[-1].found.startswith("never")


def test_what_cannot_be_reached_is_named(tmp_path, listening, silent):
    found = {
        seen.what: seen for seen in examine_supply(settings(tmp_path, lists=listening, origin=silent, signing=silent))
    }
    assert found["firmware lists"].fine
    for what in ("Apple's signing server", "firmware servers"):
        assert not found[what].fine
        assert found[what].found == "localhost refuses the connection"
        assert "firewall" in found[what].remedy


def test_mirrors_are_looked_at(tmp_path, listening, silent):
    given = settings(tmp_path, lists=listening, origin=listening, signing=listening, mirrors=[silent])
    found = {seen.what: seen for seen in examine_supply(given)}
    assert not found["mirrors"].fine


def test_a_station_that_fetches_nothing_asks_nobody_but_apple(tmp_path, listening, silent):
    given = settings(tmp_path, lists=silent, origin=silent, signing=listening, fetch=Fetching.NEVER)
    assert all(seen.fine for seen in examine_supply(given))


@contextmanager
def tls_server(directory: Path, *, organization: str, days: str = "9") -> Iterator[str]:
    """Somebody who speaks TLS, and whom nobody vouches for but themselves."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(directory, organization=organization, days=days))
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            while True:
                try:
                    line, _ = server.accept()
                except OSError:
                    return
                with line:
                    line.settimeout(5)
                    try:
                        context.wrap_socket(line, server_side=True).close()
                    except OSError:  # who asks has seen enough
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown, socket.SHUT_RDWR)
        yield f"https://localhost:{server.getsockname()[1]}"


def test_who_answers_in_a_hosts_place_is_named(tmp_path):
    with tls_server(tmp_path, organization="Example Firewall\x1b[31m") as address:
        server = Server(what="signing", addresses=(address,), without="Nothing is installed.")
        (found,) = examine_network([server])
    assert not found.fine
    assert found.found == (
        "localhost is answered for by somebody else: the certificate is from “Example Firewall?[31m”"
    )
    assert "inspection" in found.remedy
    assert found.remedy.endswith("Nothing is installed.")


@pytest.mark.parametrize(("organization", "fine"), [("Apple Inc.", True), ("Example Firewall", False)])
def test_apples_own_authority_counts_for_what_only_the_phone_speaks_with(tmp_path, organization, fine):
    with tls_server(tmp_path, organization=organization) as address:
        server = Server(what="calibration", addresses=(address,), without="", phones_own=True)
        (found,) = examine_network([server])
    assert found.fine is fine


def test_whoever_speaks_no_tls_is_nobody_who_is_needed(tmp_path):
    with web_server(b"hello") as address:
        server = Server(what="signing", addresses=(address.replace("http:", "https:"),), without="")
        (found,) = examine_network([server])
    assert "speaks no TLS" in found.found


def test_a_certificate_that_is_not_for_today_is_the_clocks_fault(tmp_path):
    with tls_server(tmp_path, organization="Example", days="-9") as address:
        authorities = str(tmp_path / "certificate.pem")
        server = Server(what="signing", addresses=(address,), without="", authorities=authorities)
        (found,) = examine_network([server])
    assert "not for today" in found.found
    assert found.remedy.startswith("Set the clock")


@contextmanager
def web_server(answer: bytes) -> Iterator[str]:
    """A web server that always answers the same."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(("page", "login"), [(b"<TITLE>Success</TITLE>", False), (b"Welcome to our hotel", True)])
def test_a_login_page_is_known(page, login):
    with web_server(page) as address:
        assert wants_login(address) is login


def test_a_login_page_without_end_is_known():
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:

        def talk() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):  # until whoever asks has seen enough
                line.recv(4096)
                line.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    line.sendall(b"Welcome! " * 1000)

        thread = threading.Thread(target=talk)
        thread.start()
        stack.callback(thread.join)
        assert wants_login(f"http://127.0.0.1:{server.getsockname()[1]}")


def test_all_of_a_hosts_addresses_are_tried(monkeypatch, listening):
    port = int(listening.rpartition(":")[2])
    real = socket.getaddrinfo

    def several(host: str, *rest: object, **more: object) -> list[Any]:
        others = ("127.0.0.2", "127.0.0.1") if host == "many.test" else (host,)
        return [found for other in others for found in real(other, *rest, **more)]  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(socket, "getaddrinfo", several)
    _line("many.test", port).close()


def test_nobody_at_all_is_no_login_page(silent):
    assert not wants_login(silent)


ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
SIX = "00000000000000000000000000000000 00 " + "0" * 32 + " 00 " + "0" * 32 + " ffffffff 00000001 00000000 00200200 "


@pytest.mark.parametrize(
    ("four", "six", "out"),
    [
        ("", "", False),
        ("eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n", "", True),
        ("eth0\t00000000\t0101A8C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n", "", False),
        ("eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n", "", False),
        ("", SIX + "lo\n", False),
        ("", SIX + "wlan0\n", True),
    ],
)
def test_a_way_out_is_a_default_route(tmp_path, four, six, out):
    net = tmp_path / "proc/net"
    net.mkdir(parents=True)
    (net / "route").write_text(ROUTES + four)
    (net / "ipv6_route").write_text(six)
    assert has_way_out(tmp_path) is out
