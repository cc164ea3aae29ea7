"""What pictures a demo leaves behind."""

from pathlib import Path

from pygame import Surface

from station.model.service import Service
from station.screen.album import Album
from tests.screen.samples import LOCKED, offered, station


def test_a_phone_that_cannot_be_begun_with_yet_is_not_called_ready(tmp_path: Path) -> None:
    album, surface = Album(tmp_path), Surface((8, 8))
    for bay in (offered(Service.RESTORE, LOCKED), offered(Service.RESTORE), offered(Service.RESTORE)):
        album.consider(station(bay), surface)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["001-bay-1-not-yet.png", "002-bay-1-ready.png"]
