"""One guest for all tests of a run: booting takes longer than each of them. They share one event loop with it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from station.virtual.apple.servers import AppleServers
from station.virtual.hosting.host import VirtualHost
from station.virtual.sockets import TcpAddress
from tests.vm.firmware import Release
from tests.vm.guest import HOST, Guest
from tests.vm.program import PROGRAM, PYTHON, write_program
from tests.vm.sockets import Sockets

running = pytest.StashKey[Guest]()
lines = pytest.StashKey[list[str]]()

Measured = Callable[[str], None]
"""Takes a line of what was measured, which is shown at the end also when everything is as it should be."""


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The disk with the project, as it is now."""
    disk = write_program(tmp_path_factory.mktemp("program"))
    yield disk
    disk.unlink()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def guest(
    program: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Guest]:
    """A machine that has booted. What a test changes in it, it puts back."""
    async with Guest(tmp_path_factory.mktemp("guest"), program=program) as guest:
        request.config.stash[running] = guest
        yield guest


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def host(guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[VirtualHost]:
    """Virtual phones, in this process, that the guest's kernel has as USB devices."""
    async with VirtualHost(tmp_path_factory.mktemp("host"), tcp=True, name=HOST) as host:
        assert host.tcp is not None
        assert isinstance(host.tcp.feed, TcpAddress)
        assert isinstance(host.tcp.usbip, TcpAddress)
        addresses = [f"{HOST}:{address.port}" for address in (host.tcp.feed, host.tcp.usbip)]
        service = ["systemd-run", "--unit=attacher", f"--working-directory={PROGRAM}"]
        await guest.check(*service, str(PYTHON), "-m", "station.virtual.usb.vhci", *addresses)
        yield host


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def apple(guest: Guest, host: VirtualHost) -> AppleServers:
    """Apple's servers, which the guest's programs reach at Apple's name and ports."""
    tls = "OPENSSL-LISTEN:443,fork,reuseaddr,cert=/etc/apple.pem,verify=0"
    for unit, listen in (("apple", "TCP-LISTEN:80,fork,reuseaddr"), ("apple-tls", tls)):
        await guest.check("systemd-run", f"--unit={unit}", "socat", listen, f"TCP:{host.apple.host}")
    return host.apple


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def firmware(guest: Guest, apple: AppleServers) -> Callable[[Release], Awaitable[Path]]:
    """Makes an IPSW that the guest can read, and that Apple signs; once for each release."""
    made: dict[Release, Path] = {}

    async def firmware(release: Release) -> Path:
        if release not in made:
            unpacked, made[release] = await asyncio.to_thread(release.make, guest.out)
            apple.register(unpacked)
        return made[release]

    return firmware


@pytest_asyncio.fixture(loop_scope="session")
async def sockets(guest: Guest, host: VirtualHost) -> AsyncIterator[Sockets]:
    """The guest's USB sockets, which are empty; whatever a test plugs in is unplugged after it."""
    sockets = Sockets(guest, host)
    yield sockets
    await sockets.clear()
    await sockets.end_usbmuxd()


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Measured:
    """Shows what was measured."""
    return request.config.stash.setdefault(lines, []).append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show it."""
    for line in config.stash.get(lines, []):
        terminalreporter.write_line(f"measured: {line}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that are one story stay in order."""
    places = [place for place, item in enumerate(items) if item.get_closest_marker("story") is not None]
    story = sorted((items[place] for place in places), key=lambda item: item.location)
    for place, item in zip(places, story, strict=True):
        items[place] = item


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failure what the guest said last."""
    report = yield
    if report.failed and (guest := item.config.stash.get(running, None)) is not None:
        report.sections.append((f"Guest's console ({guest.console})", "\n".join(guest.last_words())))
    return report
