"""Apple's signing server, and what else may answer in its place."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pymobiledevice3.restore.tss import TSSRequest, TSSResponse

from station.model.causes import Cause
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.servers import AppleServers
from station.virtual.firmware.image4 import SigningKey, sign_ticket
from station.worker import signing
from station.worker.failures import JobFailed
from station.worker.signing import SigningServer, check_ticket
from tests.gateways import gateway_to, reach


@asynccontextmanager
async def serving(patience: float = 0.5) -> AsyncGenerator[tuple[AppleServers, SigningServer], None]:
    """Apple's servers, and the way to them."""
    async with AppleServers() as apple, gateway_to(reach(signing_url=apple.signing_url)) as gateway:
        yield apple, SigningServer(apple.signing_url, gateway, lambda: patience)


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [
        (Behaviour.REFUSE, Cause.SIGNING_REFUSED),
        (Behaviour.UNAVAILABLE, Cause.SIGNING_UNREACHABLE),
        (Behaviour.PORTAL, Cause.SIGNING_GARBLED),
        (Behaviour.GARBAGE, Cause.SIGNING_GARBLED),
        (Behaviour.HANG, Cause.SIGNING_UNREACHABLE),
    ],
)
async def test_no_ticket(behaviour, cause):
    async with serving() as (apple, server):
        apple.behaviours[AppleService.SIGNING] = behaviour
        with pytest.raises(JobFailed) as failed:
            await server.sign({"@ApImg4Ticket": True})
        assert failed.value.cause is cause
        if behaviour is Behaviour.REFUSE:
            assert "isn't eligible" in str(failed.value)
            assert len(apple.requests) == 1
        if behaviour is Behaviour.UNAVAILABLE:
            assert len(apple.requests) > 1


async def test_a_server_that_comes_back_is_asked_again():
    async with serving(10) as (apple, server):
        apple.behaviours[AppleService.SIGNING] = Behaviour.UNAVAILABLE
        asking = asyncio.create_task(server.sign({"@ApImg4Ticket": True}))
        async with asyncio.timeout(10):
            await apple.arrival(AppleService.SIGNING)
            apple.behaviours[AppleService.SIGNING] = Behaviour.REFUSE
            with pytest.raises(JobFailed) as failed:
                await asking
        assert failed.value.cause is Cause.SIGNING_REFUSED


async def test_nobody_there():
    url = "http://127.0.0.1:9/TSS"
    async with gateway_to(reach(signing_url=url)) as gateway:
        with pytest.raises(JobFailed, match=r"127\.0\.0\.1:9 does not answer") as failed:
            await SigningServer(url, gateway, lambda: 0.2).sign({})
    assert failed.value.cause is Cause.SIGNING_UNREACHABLE


async def test_no_gateway_there(tmp_path: Path):
    with pytest.raises(JobFailed, match="The way out of this station is closed") as failed:
        await SigningServer("http://127.0.0.1:9/TSS", str(tmp_path / "none"), lambda: 0.2).sign({})
    assert failed.value.cause is Cause.SIGNING_UNREACHABLE


async def test_where_the_gateway_lets_nobody_there_is_no_second_try():
    async with AppleServers() as apple, gateway_to(reach()) as gateway:
        began = time.monotonic()
        with pytest.raises(JobFailed, match="Nothing of this station may reach") as failed:
            await SigningServer(apple.signing_url, gateway, lambda: 30.0).sign({})
    assert failed.value.cause is Cause.SIGNING_UNREACHABLE
    assert time.monotonic() - began < 15
    assert not apple.requests


async def test_an_answer_without_end_is_not_read(monkeypatch):
    monkeypatch.setattr(signing, "MAX_ANSWER", 1000)
    async with serving() as (apple, server):
        apple.behaviours[AppleService.SIGNING] = Behaviour.GARBAGE
        with pytest.raises(JobFailed, match="more than 1000 bytes") as failed:
            await server.sign({})
        assert failed.value.cause is Cause.SIGNING_GARBLED


async def test_the_library_asks_through_it(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(TSSRequest, "send_receive", TSSRequest.send_receive)  # put back afterwards
    async with serving() as (apple, server):
        server.serve()
        with pytest.raises(JobFailed) as failed:
            await TSSRequest().send_receive()
        assert failed.value.cause is Cause.SIGNING_REFUSED
        assert len(apple.requests) == 1


def ticket(**changes):
    facts: dict[str, Any] = {"ecid": 5, "chip": 0x8101, "board": 12, "nonce": b"n" * 32, "sep_nonce": b"s" * 20}
    return sign_ticket(SigningKey.create(), **(facts | changes), digests={"krnl": b"d" * 48})


def test_a_ticket_for_this_phone_and_boot():
    check_ticket(TSSResponse({"ApImg4Ticket": ticket()}), ecid=5, ap_nonce=b"n" * 32)
    check_ticket(TSSResponse({"ApImg4Ticket": ticket()}), ecid=5, ap_nonce=None)


@pytest.mark.parametrize("response", [{}, {"ApImg4Ticket": b"junk"}, {"ApImg4Ticket": 3}])
def test_no_ticket_at_all(response):
    with pytest.raises(JobFailed, match="cannot be read"):
        check_ticket(TSSResponse(response), ecid=5, ap_nonce=None)


@pytest.mark.parametrize("changes", [{"ecid": 6}, {"nonce": b"m" * 32}])
def test_a_ticket_for_something_else(changes):
    with pytest.raises(JobFailed, match="not for"):
        check_ticket(TSSResponse({"ApImg4Ticket": ticket(**changes)}), ecid=5, ap_nonce=b"n" * 32)
