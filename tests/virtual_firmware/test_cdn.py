"""The CDN and the catalogs, read by `requests` as a host would; and every way in which a download goes wrong."""

import asyncio
import hashlib
import plistlib
from pathlib import Path

import pytest
import requests

from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.certificates import Authority
from station.virtual.apple.servers import LOOPBACK, AppleServers
from station.virtual.firmware.ipsw import zip_ipsw


@pytest.fixture(scope="session")
def zipped(ipsw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zip_ipsw(ipsw, tmp_path_factory.mktemp("cdn") / "iPhone_Restore.ipsw")


@pytest.fixture
async def firmware(apple: AppleServers, zipped: Path) -> Path:
    """A zipped IPSW on the CDN, in the catalogs, and signed."""
    await asyncio.to_thread(apple.offer, zipped)
    return zipped


async def get(apple: AppleServers, path: str, *, method: str = "GET", **headers: str) -> requests.Response:
    return await asyncio.to_thread(
        requests.request, method, f"{apple.origin}{path}", headers={"Accept-Encoding": "identity"} | headers, timeout=5
    )


async def test_a_download_can_go_on_where_it_was(apple, firmware):
    whole = firmware.read_bytes()
    answer = await get(apple, f"/ipsw/{firmware.name}", method="HEAD")
    assert (int(answer.headers["Content-Length"]), answer.headers["Accept-Ranges"]) == (len(whole), "bytes")
    tag = answer.headers["ETag"]
    rest = await get(apple, f"/ipsw/{firmware.name}", Range="bytes=1000-", **{"If-Range": tag})
    assert (rest.status_code, rest.content) == (206, whole[1000:])
    assert rest.headers["Content-Range"] == f"bytes 1000-{len(whole) - 1}/{len(whole)}"
    anew = await get(apple, f"/ipsw/{firmware.name}", Range="bytes=1000-", **{"If-Range": '"another"'})
    assert (anew.status_code, anew.content) == (200, whole)
    beyond = await get(apple, f"/ipsw/{firmware.name}", Range=f"bytes={len(whole)}-")
    assert beyond.status_code == 416
    assert (await get(apple, "/ipsw/nothing")).status_code == 404


async def test_a_download_breaks_at_the_byte_it_is_told_to(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.CUT
    apple.cut_after = 3001
    received = bytearray()

    def download() -> None:
        with requests.get(f"{apple.origin}/ipsw/{firmware.name}", stream=True, timeout=5) as answer:
            for piece in answer.iter_content(1):
                received.extend(piece)

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        await asyncio.to_thread(download)
    assert received == firmware.read_bytes()[:3001]


async def test_a_download_stalls(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.STALL
    apple.cut_after = 100
    with pytest.raises(requests.exceptions.RequestException):
        await asyncio.to_thread(requests.get, f"{apple.origin}/ipsw/{firmware.name}", timeout=0.5)
    assert apple.requests[-1].path == f"/ipsw/{firmware.name}"


async def test_a_server_ignores_ranges(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.WHOLE
    answer = await get(apple, f"/ipsw/{firmware.name}", Range="bytes=1000-")
    assert (answer.status_code, answer.content) == (200, firmware.read_bytes())


async def test_a_server_promises_more_than_there_is(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.LONGER
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="1000 more expected"):
        await get(apple, f"/ipsw/{firmware.name}")


async def test_one_bit_is_wrong(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.CORRUPT
    right, wrong = firmware.read_bytes(), (await get(apple, f"/ipsw/{firmware.name}")).content
    assert len(wrong) == len(right)
    assert (int.from_bytes(right) ^ int.from_bytes(wrong)).bit_count() == 1


async def test_a_server_redirects_to_itself(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.LOOP
    with pytest.raises(requests.exceptions.TooManyRedirects):
        await get(apple, f"/ipsw/{firmware.name}")


@pytest.mark.parametrize(
    ("behaviour", "status"), [(Behaviour.REFUSE, 403), (Behaviour.UNAVAILABLE, 503), (Behaviour.PORTAL, 200)]
)
@pytest.mark.parametrize("path", ["/v4/devices", "/ios/iOS/main.json", "/version"])
async def test_catalogs_misbehave_too(apple, firmware, behaviour, status, path):
    apple.behaviours[AppleService.CATALOG] = behaviour
    answer = await get(apple, path)
    assert answer.status_code == status
    assert firmware.name not in answer.text


async def test_the_catalogs_describe_what_the_cdn_has(apple, firmware):
    whole = firmware.read_bytes()
    url = f"{apple.origin}/ipsw/{firmware.name}"
    device = (await get(apple, "/v4/device/iPhone13,2?type=ipsw")).json()
    (offered,) = device["firmwares"]
    assert (device["name"], offered["url"], offered["filesize"]) == ("iPhone 12", url, len(whole))
    assert offered["sha256sum"] == hashlib.sha256(whole).hexdigest()
    assert (await get(apple, f"/v4/ipsw/iPhone13,2/{offered['buildid']}")).json() == offered
    assert (await get(apple, "/v4/device/iPhone1,1")).status_code == 404

    (build,) = (await get(apple, "/ios/iOS/main.json")).json()
    alone = (await get(apple, f"/ios/iOS;{offered['buildid']}.json")).json()
    assert [origin["type"] for origin in alone["sources"]] == ["ipsw", "ota"]
    assert alone | {"sources": alone["sources"][:1]} == build
    (source,) = build["sources"]
    assert (source["links"][0]["url"], source["size"]) == (url, len(whole))
    assert source["hashes"] == {"sha1": hashlib.sha1(whole).hexdigest(), "sha2-256": offered["sha256sum"]}

    versions = plistlib.loads((await get(apple, "/version")).content)["MobileDeviceSoftwareVersionsByVersion"]["1"]
    newest = versions["MobileDeviceSoftwareVersions"]["iPhone13,2"]["Unknown"]["Universal"]["Restore"]
    assert (newest["FirmwareURL"], newest["BuildVersion"]) == (url, offered["buildid"])


async def test_a_catalog_says_what_is_signed_or_something_else(apple, firmware):
    async def signed() -> bool:
        (offered,) = (await get(apple, "/v4/device/iPhone13,2")).json()["firmwares"]
        return bool(offered["signed"])

    assert firmware.exists()
    assert await signed()
    (build,) = apple.catalog.builds
    apple.signing.stop_signing(build.build)
    assert not await signed()
    apple.catalog.claims[build.build] = True
    assert await signed()


async def test_a_server_says_that_it_sends_another_part(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.ELSEWHERE
    answer = await get(apple, f"/ipsw/{firmware.name}", Range="bytes=1000-1999")
    whole = firmware.read_bytes()
    assert (answer.headers["Content-Range"], answer.content) == (f"bytes 999-1998/{len(whole)}", whole[1000:2000])
    assert apple.requests[-1].range == "bytes=1000-1999"


async def test_a_file_that_changes(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.CHANGING
    tags = {(await get(apple, f"/ipsw/{firmware.name}", method="HEAD")).headers["ETag"] for _ in range(3)}
    assert len(tags) == 3


async def test_a_trickle(apple, firmware):
    apple.behaviours[AppleService.CDN] = Behaviour.TRICKLE
    apple.cut_after = 0

    def few() -> bytes:
        with requests.get(f"{apple.origin}/ipsw/{firmware.name}", stream=True, timeout=5) as answer:
            return b"".join(piece for piece, _ in zip(answer.iter_content(1), range(3), strict=False))

    assert await asyncio.to_thread(few) == firmware.read_bytes()[:3]


async def test_one_bit_is_wrong_wherever_it_is_asked_for(apple, firmware):
    apple.behaviours[AppleService.CDN], apple.corrupt_at = Behaviour.CORRUPT, 1500
    wrong = bytearray(firmware.read_bytes())
    wrong[1500] ^= 1
    answer = await get(apple, f"/ipsw/{firmware.name}", Range="bytes=1000-1999")
    assert answer.content == wrong[1000:2000]


async def test_over_tls(tmp_path, zipped):
    authority = Authority()
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    certificate = authority.certify(tmp_path / "server.pem", LOOPBACK)
    async with AppleServers(certificate=certificate) as servers:
        url = servers.origin + servers.cdn.offer(zipped)
        verify = str(tmp_path / "authority.pem")
        answer = await asyncio.to_thread(requests.get, url, verify=verify, timeout=5)
        assert answer.content == zipped.read_bytes()
        with pytest.raises(requests.exceptions.SSLError):
            await asyncio.to_thread(requests.get, url, timeout=5)
