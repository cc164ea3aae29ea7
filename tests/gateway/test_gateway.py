"""The gateway: where a tunnel may lead, what may be said in it, and what nobody gets more of."""

import asyncio
import os
import socket
import ssl
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from station.adapters.gateway import dial
from station.errors import Refused, Unreachable
from station.gateway import tunnels
from station.gateway.hello import MAX_HELLO, Hello
from station.gateway.places import Place, Speech, places
from station.gateway.tunnels import LIMITS
from station.model.job import Reach
from tests.gateways import gateway_to

SECONDS = 15.0
APPLE = places(Reach(usbmuxd=""))
FAMILY = [(socket.AF_INET, socket.SOCK_STREAM, 6, "")]


class Server:
    """Says back what it is told, in capitals."""

    def __init__(self) -> None:
        self.port = 0
        self.heard = b""
        self.connections = 0
        self._ends: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._ends.append(writer)
        while said := await reader.read(1 << 16):
            self.heard += said
            writer.write(said.upper())
            await writer.drain()
        writer.close()

    async def close(self) -> None:
        """Let go of whoever is still there."""
        for end in self._ends:
            end.transport.abort()
            with suppress(OSError):
                await end.wait_closed()

    def place(self, host: str = "127.0.0.1", speech: Speech = Speech.ANYTHING, *, near: bool = True) -> Place:
        return Place(host, self.port, speech, near)


@pytest.fixture
async def server() -> AsyncGenerator[Server, None]:
    server = Server()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server
        await server.close()


@asynccontextmanager
async def gateway(*listed: Place, **limits: float) -> AsyncGenerator[str, None]:
    by_name = {(place.host, place.port): place for place in listed}
    async with gateway_to(by_name, replace(LIMITS, **limits)) as path:  # type: ignore[arg-type]  # tests know
        yield path


async def tunnel(path: str, place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    connection = await asyncio.to_thread(dial, path, place.host, place.port, SECONDS)
    return await asyncio.open_connection(sock=connection)


def hello(name: str | None) -> bytes:
    """What a client says first."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    said = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=name).do_handshake()
    return said.read()


# -- where it may lead


def test_apples_hosts_are_listed_and_nobody_else():
    names = {"gs.apple.com", "albert.apple.com", "wkms-public.apple.com", "gg.apple.com", "skl.apple.com"}
    assert set(APPLE) == {(name, 443) for name in names}
    assert not any(place.near for place in APPLE.values())
    phones = {place.host for place in APPLE.values() if place.speech is Speech.PHONES_TLS}
    assert phones == {"gg.apple.com", "skl.apple.com"}
    assert {place.speech for place in APPLE.values()} == {Speech.TLS, Speech.PHONES_TLS}


def test_a_virtual_hosts_servers_are_near_and_plain():
    reach = Reach(
        usbmuxd="",
        signing_url="http://127.0.0.1:8001/TSS",
        activation_url="https://Test:8002/",
        asset_hosts=("127.0.0.1:8003",),
        fdr_hosts=("127.0.0.1:8004",),
    )
    assert set(places(reach).values()) == {
        Place("127.0.0.1", 8001, Speech.ANYTHING, near=True),
        Place("test", 8002, Speech.TLS, near=True),
        Place("127.0.0.1", 8003, Speech.ANYTHING, near=True),
        Place("127.0.0.1", 8004, Speech.ANYTHING, near=True),
    }


@pytest.mark.parametrize("url", ["", "gs.apple.com", "ftp://gs.apple.com/", "http:///x", "http://a:x/"])
def test_an_address_that_is_none_is_told(url):
    with pytest.raises(ValueError, match=r".+"):
        places(Reach(usbmuxd="", signing_url=url))


async def test_a_tunnel_carries_both_ways_until_both_ends_are_done(server: Server):
    async with gateway(place := server.place()) as path:
        reader, writer = await tunnel(path, place)
        sent = b"abc" * 200_000
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == sent.upper()
        writer.close()
    assert server.heard == sent


@pytest.mark.parametrize(
    ("host", "port"),
    [("gs.apple.com", 80), ("gs.apple.com.evil.com", 443), ("evil.com", 443), ("::1", 443), ("127.0.0.1", 22)],
)
async def test_nobody_else_is_reached(host, port, server: Server):
    async with gateway_to(APPLE) as path:
        with pytest.raises(Refused, match="Nothing of this station may reach"):
            await asyncio.to_thread(dial, path, host, port, SECONDS)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1",
        "100.64.0.1",
        "64:ff9b::10.0.0.1",
    ],
)
async def test_apples_names_never_lead_into_the_local_network(monkeypatch, address):
    async def lies(host, port, **_):
        return [(*FAMILY[0], (place, port)) for place in ("17.0.0.1", address)]

    async def connects(*_, **__):
        raise AssertionError("it connects")

    async with gateway_to(APPLE) as path:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lies)
        monkeypatch.setattr(tunnels, "connect_to", connects)
        with pytest.raises(Unreachable, match=f"is said to be in this network, at {address}"):
            await asyncio.to_thread(dial, path, "gs.apple.com", 443, SECONDS)


async def test_the_next_address_is_tried_when_the_first_does_not_answer(monkeypatch, server: Server):
    async def tells(host, port, **_):
        return [(*FAMILY[0], (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

    place = server.place("two.test")
    async with gateway(place) as path:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", tells)
        reader, writer = await tunnel(path, place)
        writer.write(b"x")
        assert await reader.read(1) == b"X"
        writer.close()


async def test_addresses_that_say_nothing_do_not_take_the_time_of_the_others(monkeypatch, server: Server):
    async def tells(host, port, **_):
        v6 = [(socket.AF_INET6, *FAMILY[0][1:], (f"::{number}", port, 0, 0)) for number in range(2, 9)]
        return [*v6, (*FAMILY[0], ("127.0.0.1", port))]

    async def connects(address, port, **more):
        if ":" in address:
            await asyncio.Event().wait()
        return await asyncio.open_connection(address, port, **more)

    place = server.place("two.test")
    async with gateway(place, address_seconds=0.02) as path:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", tells)
        monkeypatch.setattr(tunnels, "connect_to", connects)
        reader, writer = await tunnel(path, place)
        writer.write(b"x")
        assert await reader.read(1) == b"X"
        writer.close()


@pytest.mark.parametrize("host", ["exä.com", "a b", "a\r\nX: y"])
def test_what_names_nobody_is_refused_before_anybody_is_asked(host, tmp_path):
    with pytest.raises(Refused, match="Nothing of this station may reach"):
        dial(str(tmp_path / "nobody"), host, 443, SECONDS)


async def test_a_name_that_is_not_there(monkeypatch):
    async def nothing(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with gateway_to(APPLE) as path:
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nothing)
        with pytest.raises(Unreachable, match=r"gs\.apple\.com was not found"):
            await asyncio.to_thread(dial, path, "gs.apple.com", 443, SECONDS)


async def test_a_server_that_is_not_there(unused_tcp_port: int):
    async with gateway(Place("127.0.0.1", unused_tcp_port, Speech.ANYTHING, near=True)) as path:
        with pytest.raises(Unreachable, match="does not answer"):
            await asyncio.to_thread(dial, path, "127.0.0.1", unused_tcp_port, SECONDS)


# -- what may be said in it


@pytest.mark.parametrize("speech", [Speech.TLS, Speech.PHONES_TLS])
async def test_tls_to_the_host_goes_through_byte_by_byte(speech, server: Server):
    said = hello("localhost")
    async with gateway(place := server.place("localhost", speech)) as path:
        reader, writer = await tunnel(path, place)
        for number in range(0, len(said), 50):
            writer.write(said[number : number + 50])
            await writer.drain()
        assert await reader.readexactly(len(said)) == said.upper()
        writer.close()
    assert server.heard == said


@pytest.mark.parametrize(
    ("speech", "said"),
    [
        (Speech.TLS, hello("evil.com")),
        (Speech.TLS, hello(None)),
        (Speech.PHONES_TLS, hello("evil.com")),
        (Speech.TLS, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        (Speech.PHONES_TLS, b"SSH-2.0-OpenSSH\r\n"),
        (Speech.TLS, bytes(100)),
    ],
)
async def test_nothing_else_goes_through_and_not_a_byte_of_it(speech, said, server: Server):
    async with gateway(place := server.place("localhost", speech)) as path:
        reader, writer = await tunnel(path, place)
        writer.write(said)
        assert await reader.read() == b""
        writer.close()
    assert server.heard == b""


async def test_a_phone_may_leave_the_name_out(server: Server):
    said = hello(None)
    async with gateway(place := server.place("localhost", Speech.PHONES_TLS)) as path:
        reader, writer = await tunnel(path, place)
        writer.write(said)
        assert await reader.readexactly(len(said)) == said.upper()
        writer.close()


def test_a_beginning_without_end_is_refused():
    listening = Hello(Place("localhost", 443, Speech.TLS, near=False))
    endless = b"\x16\x03\x01\x40\x00\x01\x00\xff\xff\x03\x03" + bytes(MAX_HELLO)
    assert not listening.hear(endless[:MAX_HELLO])
    with pytest.raises(Refused):
        listening.hear(endless[MAX_HELLO:])


# -- what nobody gets more of


@pytest.mark.parametrize(
    "said",
    [
        b"GET http://gs.apple.com/ HTTP/1.1\r\nHost: gs.apple.com\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT gs.apple.com HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT user@gs.apple.com:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT gs.apple.com:443 HTTP/1.1\r\n" + b"X: y\r\n" * 2000,
        b"\x16\x03\x01" + bytes(5000),
        b"CONNECT gs.apple.com:443 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n",
        b"CONNECT gs.apple.com:443 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnever\r\n",
    ],
)
async def test_what_is_no_request_is_answered_so(said):
    async with gateway_to(APPLE) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(said)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_only_so_many_at_once(server: Server):
    async with gateway(place := server.place(), tunnels=2) as path:
        first = [await tunnel(path, place) for _ in range(2)]
        with pytest.raises(Unreachable, match="too many"):
            await tunnel(path, place)
        first[0][1].close()
        await first[0][1].wait_closed()
        async with asyncio.timeout(SECONDS):
            while True:  # until the gateway has seen that, too
                try:
                    _, another = await tunnel(path, place)
                except Unreachable:
                    continue
                break
        for writer in (first[1][1], another):
            writer.close()


async def test_who_asks_nothing_is_hung_up_on():
    async with gateway_to(APPLE, replace(LIMITS, ask_seconds=0.05)) as path:
        reader, writer = await asyncio.open_unix_connection(path)
        assert await reader.read() == b""
        writer.close()


async def test_who_says_nothing_in_the_tunnel_is_hung_up_on(server: Server):
    async with gateway(place := server.place(), idle_seconds=0.05) as path:
        reader, writer = await tunnel(path, place)
        assert await reader.read() == b""
        writer.close()


async def test_who_does_not_begin_tls_is_hung_up_on(server: Server):
    async with gateway(place := server.place("localhost", Speech.TLS), ask_seconds=0.2) as path:
        reader, writer = await tunnel(path, place)
        assert await reader.read() == b""
        writer.close()


async def test_who_does_not_read_makes_the_other_wait(server: Server):
    async with gateway(place := server.place()) as path:
        reader, writer = await tunnel(path, place)
        writer.write(bytes(64 << 20))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await writer.drain()
        assert len(server.heard) < 32 << 20
        writer.transport.abort()
        del reader


async def test_a_gateway_that_talks_nonsense_or_nothing_is_no_way_out(tmp_path):
    endless = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 999999\r\n\r\n" + bytes(40_000)
    nothing_yet = b"HTTP/1.1 100 Continue\r\n\r\n"
    for said in (b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 4000, endless, nothing_yet):

        async def talks(_: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes = said) -> None:
            writer.write(said)
            writer.close()

        path = tmp_path / "gate.sock"
        async with await asyncio.start_unix_server(talks, path):
            with pytest.raises(Unreachable, match="The way out of this station is closed"):
                await asyncio.to_thread(dial, str(path), "gs.apple.com", 443, SECONDS)


@pytest.mark.system
async def test_it_tells_systemd_that_it_serves_and_does_not_hang(tmp_path: Path):
    place = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told, socket.socket(socket.AF_UNIX) as listening:
        told.bind(place)
        listening.bind(str(tmp_path / "gateway"))
        listening.listen()
        environment = os.environ | {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "300000"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "station.gateway"), stdin=listening.fileno(), env=environment
        )
        try:
            said = {(await asyncio.to_thread(told.recv, 100)).split(b"\n")[0] for _ in range(3)}
            assert said == {b"READY=1", b"WATCHDOG=1"}
        finally:
            process.terminate()
            assert await process.wait() == 0
