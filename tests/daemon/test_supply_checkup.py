"""What `station doctor` says of where firmware comes from."""

import socket
from collections.abc import Iterator

import msgspec
import pytest

from station.cli.supply_checkup import examine_supply
from station.daemon.settings import Settings
from station.model.catalog import Fetching, FirmwareHosts
from station.model.job import Reach


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
    (tmp_path / "firmware-hosts.json").write_bytes(msgspec.json.encode(hosts))
    (tmp_path / "reach.json").write_bytes(msgspec.json.encode(Reach(usbmuxd="/nowhere", signing_url=signing)))
    return Settings(state=tmp_path, virtual=tmp_path, supply=supply)  # type: ignore[arg-type]  # as a file has it


def test_all_is_well(tmp_path, listening):
    found = list(examine_supply(settings(tmp_path, lists=listening, origin=listening, signing=listening)))
    assert all(seen.fine for seen in found)
    assert [seen.what for seen in found] == [
        "Apple's signing server",
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
        assert found[what].found == "not reached: localhost"
        assert "Check the network" in found[what].remedy


def test_mirrors_are_looked_at(tmp_path, listening, silent):
    given = settings(tmp_path, lists=listening, origin=listening, signing=listening, mirrors=[silent])
    found = {seen.what: seen for seen in examine_supply(given)}
    assert not found["mirrors"].fine


def test_a_station_that_fetches_nothing_asks_nobody_but_the_signing_server(tmp_path, listening, silent):
    given = settings(tmp_path, lists=silent, origin=silent, signing=listening, fetch=Fetching.NEVER)
    assert [seen.fine for seen in examine_supply(given)] == [True, True]
