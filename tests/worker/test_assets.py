"""What a phone may have fetched, and what it may not."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from station.errors import InputRejected
from station.model.causes import Cause
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.servers import AppleServers
from station.worker import assets
from station.worker.assets import Assets, allowed
from station.worker.failures import JobFailed
from station.worker.fdr import FdrProxy
from station.worker.fetch import NotAllowed
from tests.gateways import gateway_to, reach

APPLE = ("wkms-public.apple.com",)


def get(url: object) -> dict[str, object]:
    return {"RequestMethod": "GET", "RequestURL": url}


@pytest.mark.parametrize(
    "url",
    [
        "http://wkms-public.apple.com/fcs-keys/x",
        "http://wkms-public.apple.com:443/x",
        "https://wkms-public.apple.com:8443/x",
        "https://wkms-public.apple.com@10.0.0.1/x",
        "https://user:word@wkms-public.apple.com/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1:22/",
        "https://evil.wkms-public.apple.com/",
        "https://wkms-public.apple.com.evil.com/",
        "https://wkms-public.apple.com\\@evil.com/",
        "https://wkms-public.apple.com\r\nHost: evil.com/",
        "https://wkms-public.apple.com:99999/",
        "https://[::1]/",
        "https://[",
        "file:///etc/passwd",
        "gopher://wkms-public.apple.com:443/",
        "https://",
        "",
        None,
        7,
    ],
)
async def test_forbidden(url):
    with pytest.raises(JobFailed) as failed:
        await Assets(APPLE, "/nowhere").get(get(url))
    assert failed.value.cause is Cause.ASSET_REFUSED


def test_hosts_with_and_without_port():
    hosts = ("gg.apple.com", "127.0.0.1:8000")
    assert allowed(hosts, "gg.apple.com", 443)
    assert allowed(hosts, "127.0.0.1", 8000)
    assert not allowed(hosts, "gg.apple.com", 80)
    assert not allowed(hosts, "127.0.0.1", 443)
    assert not allowed(hosts, "127.0.0.1:8000", 443)


async def test_where_the_gateway_lets_nobody_there_the_phone_gets_no_answer():
    async with AppleServers() as apple, gateway_to(reach()) as gateway:
        with pytest.raises(JobFailed, match="Nothing of this station may reach") as failed:
            await Assets(apple.asset_hosts, gateway).get(get(apple.asset_url("key")))
        assert failed.value.cause is Cause.ASSET_REFUSED
        async with asyncio.TaskGroup() as group:
            with pytest.raises(NotAllowed):
                await FdrProxy("udid", APPLE, gateway, group, 1.0).reach(APPLE[0], 443)
        assert not apple.requests


@asynccontextmanager
async def serving() -> AsyncGenerator[tuple[AppleServers, str], None]:
    async with AppleServers() as apple, gateway_to(reach(asset_hosts=apple.asset_hosts)) as gateway:
        yield apple, gateway


async def test_a_key_is_fetched_once():
    async with serving() as (apple, gateway):
        client = Assets(apple.asset_hosts, gateway)
        url = apple.asset_url("key")
        first, second = await client.get(get(url)), await client.get(get(url))
        assert first == second
        assert (first["ResponseStatus"], first["ResponseBodyDone"]) == (200, True)
        assert first["ResponseBody"] == apple.asset_key
        assert len(apple.requests) == 1


async def test_an_answer_that_does_not_come_is_a_gateways():
    async with serving() as (apple, gateway):
        apple.behaviours[AppleService.ASSETS] = Behaviour.HANG
        answer = await Assets(apple.asset_hosts, gateway, patience=0.3).get(get(apple.asset_url("key")))
        assert answer["ResponseStatus"] == 504


async def test_too_large(monkeypatch):
    monkeypatch.setattr(assets, "MAX_ASSET", 10)
    async with serving() as (apple, gateway):
        with pytest.raises(JobFailed, match="more than 10 bytes"):
            await Assets(apple.asset_hosts, gateway).get(get(apple.asset_url("key")))


@pytest.mark.parametrize(
    "arguments",
    [
        {"RequestMethod": "DELETE", "RequestURL": "https://wkms-public.apple.com/"},
        {"RequestURL": "https://wkms-public.apple.com/"},
    ],
)
async def test_other_methods(arguments):
    with pytest.raises(InputRejected):
        await Assets(APPLE, "/nowhere").get(arguments)


@pytest.mark.parametrize(
    "changes",
    [
        {"RequestMethod": "GET"},
        {"RequestBody": "text"},
        {"RequestBody": b"x" * (1 << 20) + b"x"},
        {"RequestAdditionalHeaders": {"X": "a\r\nHost: evil"}},
        {"RequestAdditionalHeaders": {"X Y": "a"}},
        {"RequestAdditionalHeaders": {"X": 1}},
        {"RequestAdditionalHeaders": [1]},
        {"RequestAdditionalHeaders": {str(number): "a" for number in range(17)}},
    ],
)
async def test_unacceptable_posts(changes):
    arguments = {"RequestMethod": "POST", "RequestURL": "https://wkms-public.apple.com/", "RequestBody": b"x"}
    with pytest.raises(InputRejected):
        await Assets(APPLE, "/nowhere").post(arguments | changes)


def test_a_phone_does_not_shape_the_request():
    wanted = {"Host": "evil", "Content-Length": "0", "Transfer-Encoding": "chunked", "X-Key": "a"}
    assert assets._headers(wanted) == {"X-Key": "a"}
