"""Chains as every version of the database has left them: still verified, still opened, still continued.

Each directory in `history` is the state directory of a demonstration, written by the program of that time and
never changed since. A new migration adds one (`fill_history`), before it is committed.
"""

import shutil
from pathlib import Path

import pytest

from station.adapters import audit, certificate, chain
from station.adapters.chain import migrations
from station.adapters.records import RecordStore, chain_files
from station.adapters.signing import DemonstrationKey, PublicKey
from tests.records.samples import failed, record

HISTORY = Path(__file__).parent / "history"
VERSIONS = [f"version-{number}" for number, _ in enumerate(migrations(), start=1)]


async def fill_history() -> None:
    """Write the newest version's directory."""
    store = await RecordStore.open(HISTORY / VERSIONS[-1])
    await certificate.issue(store, await store.append(record("job-1", emulated=True)))
    await store.append(failed("job-2", emulated=True))
    await store.close()


def test_every_version_is_kept():
    assert sorted(path.name for path in HISTORY.iterdir()) == VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_old_chain_is_verified_and_continued(opened, tmp_path, version):
    state = tmp_path / "state"
    shutil.copytree(HISTORY / version, state)
    files = chain_files(state, DemonstrationKey)
    key = PublicKey.read(files.public_key)
    report = audit.verify(files.path, key)
    assert report.findings == ()
    assert (report.records, report.certificates) == (2, 1)
    async with opened(state) as store:
        again = await store.append(record("job-1", emulated=True))
        added = await store.append(failed("job-3", emulated=True))
    assert (again.number, added.number) == (1, 3)
    assert audit.verify(files.path, key).findings == ()
    assert [chain.record_of(sealed).job for sealed in chain.read(files)] == ["job-1", "job-2", "job-3"]
