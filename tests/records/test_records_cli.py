"""`station records`, as somebody types it."""

import csv
import hashlib
import io
import json

import msgspec
import pytest
from typer.testing import CliRunner

from station.adapters import chain
from station.cli.records import app
from tests.records.samples import failed, record


@pytest.fixture
def station(state):
    """Runs a command on the station's state; the exit code and what it said."""

    def run(*words: object):
        result = CliRunner().invoke(app, [*map(str, words), "--state", str(state)], env={"COLUMNS": "200"})
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.output

    return run


def test_list_shows_the_newest(station):
    code, output = station("list", "--newest", 2)
    assert code == 0
    assert "job" not in output
    rows = [line.split()[0] for line in output.splitlines()[1:]]
    assert rows == ["3", "4"]
    assert "verified" in output
    assert "0x000A1B2C3D4E5F60" in output


def test_the_settings_say_where_the_records_are(state, monkeypatch):
    monkeypatch.setenv("STATION_STATE", str(state))
    assert CliRunner().invoke(app, ["verify"]).exit_code == 0


def test_show_is_the_whole_record(station, files):
    code, output = station("show", 2)
    shown = json.loads(output)
    (sealed,) = chain.read(files, number=2)
    assert code == 0
    assert shown["record"] == json.loads(sealed.payload)
    assert shown["digest"] == sealed.digest


def test_show_of_a_record_that_is_not_there(station):
    assert station("show", 99) == (1, "There is no record 99.\n")


def test_an_export_as_json_lines_can_still_be_verified(station, key):
    code, output = station("export", "--format", "jsonl")
    assert code == 0
    previous = chain.FIRST
    for number, line in enumerate(output.splitlines(), start=1):
        fields = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        payload = bytes(fields["record"])
        seal = json.loads(line)
        text = bytes.fromhex(previous) + number.to_bytes(8, "big") + payload
        assert hashlib.sha256(text).hexdigest() == seal["digest"]
        assert key.holds(seal["signature"], bytes.fromhex(seal["digest"]))
        previous = seal["digest"]
    assert number == 4


async def test_an_export_as_table_runs_no_formula(opened, tmp_path):
    async with opened(tmp_path) as store:
        await store.append(failed("a", detail='=HYPERLINK("http://evil")', title='one "two", three\nfour'))
        await store.append(record("b", before=None))
    result = CliRunner().invoke(app, ["export", "--state", str(tmp_path)])
    first, second = csv.DictReader(io.StringIO(result.stdout))
    assert first["detail"] == '\'=HYPERLINK("http://evil")'
    assert first["title"] == 'one "two", three\nfour'
    assert (first["number"], first["outcome"], first["cause"]) == ("1", "failed_erased", "disconnected")
    assert (second["build_before"], second["build_after"], second["imei"]) == ("", "21G80", "356789101234567")
    assert "Anna" not in result.stdout


def test_verify_says_that_all_is_well_and_what_it_cannot_know(station, key):
    code, output = station("verify")
    assert code == 0
    assert f"Records: 4. Certificates: 2. Key: {key.id}." in output
    assert "That key lay beside the records" in output
    assert "Everything is as it was written." in output
    assert "cannot show whether the whole directory was put back" in output


def test_verify_with_a_key_and_an_anchor_has_nothing_left_to_warn_of(station, files):
    digest = list(chain.read(files))[3].digest
    code, output = station("verify", files.path, "--key", files.public_key, "--expect-head", 4, digest)
    assert code == 0
    assert "lay beside" not in output
    assert "cannot show" not in output


def test_verify_names_what_is_wrong(station, files):
    files.pdf(1).unlink()
    code, output = station("verify")
    assert code == 1
    assert "- certificate-000001.pdf is missing." in output
    assert "Everything" not in output


def test_verify_of_a_chain_full_of_faults_stays_short(station, files):
    for number in range(30):
        (files.records / f"{number}.txt").touch()
    code, output = station("verify")
    assert code == 1
    assert "- and 10 more." in output


@pytest.mark.parametrize("kind", ["certificate", "pdf"])
def test_a_certificate_that_somebody_holds_is_looked_for(station, files, pristine, tmp_path, kind):
    held = tmp_path / getattr(files, kind)(4).name
    held.write_bytes(getattr(files, kind)(4).read_bytes())
    code, output = station("verify", "--certificate", held)
    assert (code, output.splitlines()[-1]) == (0, f"{held.name} is the certificate of record 4.")
    held.write_bytes(held.read_bytes().replace(b"2", b"3", 1))
    code, output = station("verify", "--certificate", held)
    assert code == 1
    assert held.name in output


def test_a_certificate_alone_is_checked_with_a_key_alone(files, key, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["verify", "--state", str(tmp_path / "nothing"), "--key", str(files.public_key), "--certificate"]
    result = CliRunner().invoke(app, [*arguments, str(files.certificate(1))])
    assert (result.exit_code, result.output) == (
        0,
        f"certificate-000001.json is signed with the key {key.id}, and unchanged.\n",
    )
    assert CliRunner().invoke(app, [*arguments, str(files.record(1))]).exit_code == 1


async def test_a_demonstration_is_called_one(opened, station, state):
    async with opened(state) as store:
        await store.append(failed("a", emulated=True))
    code, output = station("verify", "--emulated")
    assert code == 0
    assert output.startswith("EMULATED: these records are from a demonstration and prove nothing.")
    assert "emulated" not in station("list")[1]
    assert len(station("list", "--emulated")[1].splitlines()) == 2


@pytest.mark.parametrize("command", [("list",), ("show", "1"), ("export",), ("verify",)])
def test_a_station_without_records_says_so(tmp_path, command):
    result = CliRunner().invoke(app, [*command, "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert f"There are no records to read in {tmp_path}" in result.output
    assert "--state" in result.output


async def test_words_of_a_phone_are_no_markup(opened, station, state):
    phone = record().before
    assert phone is not None
    async with opened(state) as store:
        await store.append(failed("a", before=msgspec.structs.replace(phone, model_name="[bold]x[/nope]\x1b[2J")))
    code, output = station("list", "--newest", 1)
    assert code == 0
    assert "[bold]x[/nope]" in output
    assert "\x1b" not in output
    (state / "proof" / "station" / "records" / "\x1b[2J").touch()
    code, output = station("verify")
    assert code == 1
    assert "?[2J belongs to no record" in output
