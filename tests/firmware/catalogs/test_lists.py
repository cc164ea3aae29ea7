"""Lists over real HTTP: what they say together, what is kept of it, and every way in which asking goes wrong."""

import asyncio
import gzip
import json
import tracemalloc

import pytest
from msgspec.structs import replace

from station.adapters.catalogs.lists import MODELS_AT_ONCE
from station.core.catalog import Choice, choose
from station.errors import ConfigError
from station.model.catalog import FirmwareHosts, Source
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.certificates import Authority
from station.virtual.apple.servers import LOOPBACK, AppleServers
from tests.firmware.catalogs.conftest import CDN, DAY, OTHER, PHONE, Station, alone, build, crooked, hosts


async def test_three_lists_agree(station, apple):
    known = await station.refresh(PHONE, OTHER)
    assert [(offer.version, offer.build, offer.beta) for offer in known.offers] == [
        ("26.3", "23D5103d", True),
        ("26.2.1", "23C71", False),
        ("26.2", "23C55", False),
    ]
    newest = known.offers[1]
    assert newest.sources == (Source.IPSW_ME, Source.APPLEDB, Source.APPLE)
    assert (newest.product_types, newest.size, newest.released) == ((PHONE, OTHER), 9_000_000_000, "2026-01-26")
    assert (newest.confirmed, newest.signed) == (True, True)
    assert newest.url == apple.origin + build("23C71", "26.2.1", PHONE, OTHER).path
    assert known.offers[0].sources == (Source.APPLEDB,)
    assert (known.troubles, known.contradictions) == ((), ())
    assert known.reached == known.configured == tuple(Source)
    assert station.known() == type(known)(**{**vars(known), "reached": ()})
    assert choose(known.offers, PHONE, Choice()).offer == newest


async def test_what_is_known_is_not_sent_again(station, apple):
    await station.refresh()
    before = len(apple.requests)
    station.now += 3 * DAY
    known = await station.refresh()
    assert len(apple.requests) == before + 3
    assert set(known.checked.values()) == {station.now}
    assert len(known.offers) == 3
    assert station.known().checked == known.checked


async def test_what_came_with_an_answer_is_sent_back(tmp_path):
    heads: list[str] = []
    firmware = {"version": "26.1", "buildid": "23B85", "url": f"{CDN}/ipsw/a.ipsw", "sha1sum": "a" * 40}
    tags = ('ETag: W/"1"', "Last-Modified: Mon, 26 Jan 2026 18:00:00 GMT")

    def script(_: str, writer: asyncio.StreamWriter) -> None:
        body = json.dumps({"firmwares": [firmware]}).encode()
        again = 'if-none-match: w/"1"' in heads[-1].lower()
        writer.write(http(b"", status="304 Not Modified") if again else http(body, *tags))

    async with crooked(script, heads) as origin:
        station = Station(tmp_path / "lists", alone(origin))
        assert (await station.refresh()).offers == (await station.refresh()).offers != ()
    assert "if-modified-since: mon, 26 jan 2026 18:00:00 gmt" in heads[1].lower()
    assert 'if-none-match: w/"1"' in heads[1].lower()
    assert "if-none-match" not in heads[0].lower()


async def test_a_new_release_is_seen(station, apple):
    await station.refresh()
    apple.catalog.builds.insert(0, build("23D127", "26.3", PHONE, OTHER))
    apple.catalog.claims["23D127"] = True
    known = await station.refresh()
    assert known.offers[0].build == "23D127"
    assert known.offers[0].confirmed


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (Behaviour.UNAVAILABLE, "does not answer as it should (HTTP 503)"),
        (Behaviour.REFUSE, "does not answer as it should (HTTP 403)"),
        (Behaviour.PORTAL, "is no list of firmware. Look whether this network asks for a login first"),
        (Behaviour.GARBAGE, "is no list of firmware"),
        (Behaviour.HANG, "did not answer within 0.2 seconds"),
    ],
)
async def test_what_was_said_before_counts_while_they_misbehave(station, apple, behaviour, words, tmp_path):
    before = await station.refresh()
    apple.behaviours[AppleService.CATALOG] = behaviour
    impatient = Station(tmp_path / "lists", hosts(apple), seconds=0.2 if behaviour is Behaviour.HANG else 10.0)
    impatient.now += DAY
    known = await impatient.refresh()
    assert known.offers == before.offers
    assert known.reached == ()
    assert len(known.troubles) == 3
    assert all(words in trouble for trouble in known.troubles), known.troubles
    assert known.checked == before.checked


async def test_one_that_fails_hurts_no_other(apple, tmp_path):
    station = Station(tmp_path / "lists", hosts(apple, ipsw_me="http://127.0.0.1:9/v4"))
    known = await station.refresh(PHONE, OTHER)
    assert known.reached == (Source.APPLEDB, Source.APPLE)
    (trouble,) = known.troubles
    assert trouble.startswith("ipsw.me cannot be reached: nothing answers at its address.")
    assert choose(known.offers, PHONE, Choice()).offer is not None


async def test_one_that_is_not_asked(apple, tmp_path):
    station = Station(tmp_path / "lists", hosts(apple, apple="", ipsw_me=""))
    known = await station.refresh()
    assert (known.configured, known.reached, known.troubles) == ((Source.APPLEDB,), (Source.APPLEDB,), ())


async def test_it_counts_no_longer_than_the_operator_allows(station, apple):
    before = await station.refresh()
    station.now += 29 * DAY
    assert station.known().offers == before.offers
    station.now += 2 * DAY
    known = station.known()
    assert (known.offers, dict(known.checked), known.asked) == ((), {}, None)
    assert known.troubles[0] == "What ipsw.me said is more than 30 days old, and does not count any more."


async def test_a_clock_that_is_far_behind_is_named(station):
    before = await station.refresh()
    right, station.now = station.now, 12.0
    known = station.known()
    assert (known.asked, known.clock_wrong) == (None, True)
    wrong = "The station's clock is wrong: it says 1970-01-01. Until it is right no list of firmware counts."
    assert known.troubles == (wrong,)
    station.now = right
    assert station.known().offers == before.offers


async def test_a_list_that_cannot_be_read_now_stays(station, tmp_path):
    await station.refresh()
    (path,) = (tmp_path / "lists").glob("AppleDB-*.json")
    path.unlink()
    path.symlink_to(path)  # no user may read it, root neither
    (trouble,) = station.known().troubles
    assert trouble.startswith(f"The list {path.stem} cannot be read now: ")
    assert path.is_symlink()


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5://127.0.0.1:1", "nothing"])
async def test_what_the_environment_says_of_proxies_does_not_count(station, monkeypatch, proxy):
    """As for the firmware itself."""
    for name in ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("NO_PROXY", "")
    known = await station.refresh()
    assert known.reached == known.configured


async def test_a_clock_that_was_far_ahead(station):
    await station.refresh()
    station.now -= 3 * DAY
    assert station.known().offers == ()


async def test_what_another_network_said_does_not_count(station, apple, tmp_path):
    await station.refresh()
    elsewhere = Station(tmp_path / "lists", FirmwareHosts(origins=("http://127.0.0.1:1",)))
    assert (elsewhere.known().offers, elsewhere.known().troubles) == ((), ())
    moved = Station(tmp_path / "lists", replace(hosts(apple), origins=("http://127.0.0.1:1",)))
    assert moved.known().offers == ()
    other = Station(tmp_path / "lists", hosts(apple, ipsw_me="http://127.0.0.1:1/v4"))
    assert Source.IPSW_ME not in other.known().checked
    assert Source.IPSW_ME not in other.known().offers[1].sources


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"source": "ipsw.me"}', bytes(1000)])
async def test_a_damaged_file_is_dropped_and_the_rest_counts(station, damage):
    await station.refresh()
    (station.directory / f"ipsw.me-{PHONE}.json").write_bytes(damage)
    known = station.known()
    assert known.troubles == (f"The list ipsw.me-{PHONE} was damaged. It is asked for anew.",)
    assert {source for offer in known.offers for source in offer.sources} == {Source.APPLEDB, Source.APPLE}
    assert station.known().troubles == ()
    assert len((await station.refresh()).offers[1].sources) == 3


async def test_a_disk_that_is_full_costs_what_is_kept_only(station, apple):
    station.directory.parent.joinpath("lists").write_bytes(b"a file in its place")
    known = await station.refresh()
    assert known.offers[1].confirmed
    assert "cannot be kept" in known.troubles[0]


async def test_a_list_that_was_turned_back(station, apple):
    await station.refresh()
    gone = apple.catalog.builds.pop(1)
    station.now += DAY
    known = await station.refresh()
    assert known.offers[1].build == "23C71"
    assert known.offers[1].confirmed
    assert known.troubles[0] == f"ipsw.me lists older iOS than before for {PHONE}. What it said before counts."
    assert f"AppleDB lists older iOS than before for {PHONE}, {OTHER}." in known.troubles[1]
    station.now += 28 * DAY
    assert "23C71" in [offer.build for offer in (await station.refresh()).offers]
    # What was believed last no longer counts, and neither does what was newest then.
    station.now += 2 * DAY
    assert "23C71" not in [offer.build for offer in station.known().offers]
    assert choose(station.known().offers, PHONE, Choice()).offer is None
    known = await station.refresh()
    offer = choose(known.offers, PHONE, Choice()).offer
    assert (offer is not None and offer.build, known.troubles) == ("23C55", ())
    apple.catalog.builds.insert(1, gone)
    assert (await station.refresh()).offers[1].build == "23C71"


async def test_a_list_that_says_it_is_not_signed_any_more_is_believed(station, apple):
    await station.refresh()
    apple.catalog.claims["23C71"] = False
    known = await station.refresh()
    assert known.troubles == ()
    assert known.offers[1].signed is False


async def test_lists_that_contradict_each_other(apple, tmp_path):
    other = build("23C71", "26.2.1", PHONE)
    firmware = {
        "identifier": PHONE,
        "version": "26.2.1",
        "buildid": "23C71",
        "sha1sum": "1" * 40,
        "filesize": other.size,
        "url": apple.origin + build("23C71", "26.2.1", PHONE, OTHER).path,
        "signed": True,
    }
    async with serving_json({"firmwares": [firmware]}) as origin:
        station = Station(tmp_path / "lists", hosts(apple, ipsw_me=origin))
        known = await station.refresh()
    (contradiction,) = known.contradictions
    assert contradiction.says == (
        f"Apple and AppleDB and ipsw.me do not agree about the SHA-1 of iOS 26.2.1 (23C71) for {PHONE}, {OTHER}."
        " It is not used."
    )
    assert "23C71" not in [offer.build for offer in known.offers]
    chosen = choose(known.offers, PHONE, Choice(build="23C71"), known.contradictions)
    assert (chosen.offer, chosen.reason) == (None, contradiction.says)


def serving_json(answer: object):
    return crooked(lambda _, writer: writer.write(http(json.dumps(answer).encode())))


def http(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + body


async def flood(_path: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n[")
    while True:
        writer.write(b" " * (1 << 20))
        await writer.drain()


async def flood_behind(_path: str, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"[]"))
    while True:
        writer.write(bytes(1 << 20))
        await writer.drain()


BOMB = gzip.compress(bytes(20 << 20), compresslevel=1)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (lambda _, writer: writer.write(http(b"[]", length=100)), "it broke off in the middle of its answer"),
        (lambda _, writer: writer.write(b"SSH-2.0-OpenSSH\r\n"), "it broke off in the middle of its answer"),
        (lambda _, writer: writer.close(), "it broke off in the middle of its answer"),
        (flood, "sends more than 4 MiB. It is not read."),
        (flood_behind, "cannot be unpacked"),
        (lambda _, writer: writer.write(http(BOMB, "Content-Encoding: gzip")), "sends more than 4 MiB"),
        (lambda _, writer: writer.write(http(b"no", "Content-Encoding: gzip")), "cannot be unpacked"),
        (lambda _, writer: writer.write(http(BOMB[:900], "Content-Encoding: gzip")), "broke off in the middle"),
        (lambda _, writer: writer.write(http(b"x", "Content-Encoding: br")), "in a way that nobody asked for"),
        (
            lambda _, writer: writer.write(http(b"", "Location: http://192.168.1.1/", status="302 Found")),
            "sends us to another server (192.168.1.1)",
        ),
        (
            lambda path, writer: writer.write(http(b"", f"Location: {path}", status="302 Found")),
            "from one place to another without end",
        ),
        (lambda _, writer: writer.write(http(b"", status="304 Not Modified")), "(HTTP 304)"),
        (lambda _, writer: writer.write(http(b"[" * 100_000)), "is no list of firmware"),
        (lambda _, writer: writer.write(http(b"", status="404 Not Found")), f"ipsw.me has no list for {PHONE}."),
    ],
)
async def test_crooked_servers(tmp_path, script, words):
    async with crooked(script) as origin:
        known = await Station(tmp_path / "lists", alone(origin)).refresh()
    (trouble,) = known.troubles
    assert words in trouble
    assert (known.offers, known.asked) == ((), None)


async def test_a_server_that_drips(tmp_path):
    """A byte now and then, in the head already."""
    sent = 0

    async def drip(_path: str, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b" " * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            sent += 1
            await asyncio.sleep(0.05)

    async with crooked(drip) as origin:
        station = Station(tmp_path / "lists", alone(origin), seconds=0.2)
        known = await station.refresh()
    assert "did not answer within 0.2 seconds" in known.troubles[0]
    assert sent < 20


@pytest.mark.system
async def test_what_is_packed_is_unpacked_no_further_than_needed(tmp_path):
    bomb = gzip.compress(bytes(200 << 20), compresslevel=1)
    async with crooked(lambda _, writer: writer.write(http(bomb, "Content-Encoding: gzip"))) as origin:
        station = Station(tmp_path / "lists", alone(origin))
        tracemalloc.start()
        known = await station.refresh()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert "sends more than 4 MiB" in known.troubles[0]
    assert peak < 20 << 20


async def test_a_server_that_fails_for_one_model_is_not_asked_for_all(tmp_path):
    heads: list[str] = []
    async with crooked(lambda _, writer: writer.write(http(b"", status="503 Busy")), heads) as origin:
        known = await Station(tmp_path / "lists", alone(origin)).refresh(*(f"iPhone{n},1" for n in range(8, 40)))
    assert known.troubles == (
        "ipsw.me does not answer as it should (HTTP 503). Look at the network, or try again later.",
    )
    assert 1 <= len(heads) <= MODELS_AT_ONCE


async def test_it_follows_redirects_on_the_same_host(tmp_path):
    def script(path: str, writer: asyncio.StreamWriter) -> None:
        firmware = {"version": "26.1", "buildid": "23B85", "url": f"{CDN}/ipsw/a.ipsw", "sha1sum": "a" * 40}
        body = json.dumps({"firmwares": [firmware]}).encode()
        writer.write(http(body) if path == "/there" else http(b"", "Location: /there", status="301 Moved"))

    async with crooked(script) as origin:
        station = Station(tmp_path / "lists", alone(origin))
        known = await station.refresh()
    assert [offer.build for offer in known.offers] == ["23B85"]


async def test_packed_answers(tmp_path):
    firmware = {"version": "26.1", "buildid": "23B85", "url": f"{CDN}/ipsw/a.ipsw", "sha1sum": "a" * 40}
    body = gzip.compress(json.dumps({"firmwares": [firmware]}).encode())
    async with crooked(lambda _, writer: writer.write(http(body, "Content-Encoding: gzip"))) as origin:
        station = Station(tmp_path / "lists", alone(origin))
        known = await station.refresh()
    assert [offer.build for offer in known.offers] == ["23B85"]


async def test_a_model_whose_name_is_an_attack(station, apple):
    known = await station.refresh("../../etc/passwd", "iPhone13,2/../x", "")
    assert known.reached == (Source.APPLE,)
    assert sorted(path.name for path in station.directory.glob("[!.]*")) == ["Apple-all.json"]


async def test_firmware_that_is_elsewhere(apple, tmp_path):
    firmware = {"version": "26.9", "buildid": "23H99", "url": "https://evil.example/a.ipsw", "sha1sum": "a" * 40}
    other = firmware | {"version": "26.1", "buildid": "23B85", "url": f"{apple.origin}/ipsw/a.ipsw"}
    old = firmware | {"version": "9.0", "buildid": "13A344", "url": "https://archive.org/download/a.ipsw"}
    async with serving_json({"firmwares": [firmware, other, old]}) as origin:
        station = Station(tmp_path / "lists", hosts(apple, ipsw_me=origin))
        known = await station.refresh()
    assert known.troubles == ("ipsw.me names firmware that is not on Apple's servers (evil.example). It is left out.",)
    assert known.offers[0].build == "23D5103d"


@pytest.mark.system
@pytest.mark.parametrize(
    ("host", "expired", "knows", "words"),
    [
        (LOOPBACK, False, True, ""),
        (LOOPBACK, False, False, "its certificate is not trusted (unable to get local issuer certificate)."),
        ("apple.test", False, True, "its certificate is not trusted (IP address mismatch"),
        (LOOPBACK, True, True, "(certificate has expired). Is the station's clock right?"),
    ],
)
async def test_over_tls(tmp_path, host, expired, knows, words):
    authority = Authority()
    (tmp_path / "authority.pem").write_bytes(authority.certificate)
    certificate = authority.certify(tmp_path / "server.pem", host, expired=expired)
    async with AppleServers(certificate=certificate) as servers:
        servers.catalog.builds[:] = [build("23C71", "26.2.1")]
        authorities = str(tmp_path / "authority.pem") if knows else ""
        station = Station(tmp_path / "lists", hosts(servers, authorities=authorities))
        known = await station.refresh()
    assert bool(known.offers) == (not words)
    assert len(known.troubles) == (3 if words else 0)
    assert all(words in trouble for trouble in known.troubles), known.troubles


async def test_nobody_is_led_from_tls_to_none(tmp_path):
    """Nor from none to a server whose certificate nobody knows."""
    authority = Authority()
    certificate = authority.certify(tmp_path / "server.pem", LOOPBACK)
    async with AppleServers(certificate=certificate) as servers:

        def away(_: str, writer: asyncio.StreamWriter) -> None:
            writer.write(http(b"", f"Location: {servers.origin}/v4", status="302 Found"))

        async with crooked(away) as origin:
            station = Station(tmp_path / "lists", alone(origin))
            known = await station.refresh()
    (trouble,) = known.troubles
    assert trouble.startswith("ipsw.me sends us to another server (127.0.0.1). Nobody goes there. Look whether")


def test_authorities_that_are_not_there(tmp_path):
    station = Station(tmp_path / "lists", FirmwareHosts(authorities=str(tmp_path / "none.pem")))
    with pytest.raises(ConfigError, match=r"none\.pem cannot be used: No such file"):
        station.catalogs.refresh([PHONE])
