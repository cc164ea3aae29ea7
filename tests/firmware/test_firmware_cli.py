"""`station firmware` as a person uses it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from station.adapters.firmware import FirmwareStore
from station.cli.firmware import app


@pytest.fixture
def station(tmp_path):
    def run(*arguments: str):
        return CliRunner().invoke(app, [*arguments, "--store", str(tmp_path / "store")])

    return run


def test_import_list_verify(station, ipsw):
    imported = station("import", str(ipsw))
    assert (imported.exit_code, imported.stdout) == (0, "iOS 26.2.1 (23C71) for iPhone13,2 is in the store.\n")
    assert "23C71" in station("list").stdout
    verified = station("verify", "23C71")
    assert (verified.exit_code, verified.stdout) == (0, "iOS 26.2.1 (23C71) for iPhone13,2 is undamaged.\n")


def test_damage_is_told_and_is_a_failure(station, ipsw, tmp_path):
    station("import", str(ipsw))
    firmware = FirmwareStore(tmp_path / "store").list()[0]
    (Path(firmware.directory) / "RestoreVersion.plist").write_bytes(b"")
    verified = station("verify")
    assert verified.exit_code == 1
    assert "is damaged: 'RestoreVersion.plist' differs. Import or download it again." in verified.stderr
    (Path(firmware.directory).parent / "digests.json").unlink()
    for command, code in (("verify", 1), ("list", 0)):
        told = station(command)
        assert (told.exit_code, "cannot be used" in told.stderr) == (code, True)


def test_what_is_not_there(station, tmp_path):
    for arguments in (("import", str(tmp_path / "nothing.ipsw")), ("verify", "1A1")):
        told = station(*arguments)
        assert told.exit_code == 1
        assert told.stderr.strip()
        assert "Traceback" not in told.output
