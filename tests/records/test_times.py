"""How long services take here, from the station's own records."""

from msgspec.structs import replace

from station.adapters import history
from station.adapters.history import History
from station.adapters.records import RecordStore
from station.model.record import Observed, Outcome
from station.model.service import Service
from tests.records.samples import BEFORE, failed, record


def taking(seconds: float, job: str = "job", **changes):
    return record(job, duration_seconds=seconds, **changes)


def test_the_median_of_the_last_ones():
    times = History()
    for seconds in (1.0, 100.0, 102.0, 5000.0, 101.0):
        times.add(taking(seconds))
    assert times.times().of(Service.RESTORE, "iPhone13,2", emulated=False) == 101.0
    for _ in range(history.LAST):
        times.add(taking(7.0))
    assert times.times().of(Service.RESTORE, "iPhone13,2", emulated=False) == 7.0


def test_another_model_is_the_best_guess_there_is():
    times = History()
    times.add(taking(60.0))
    other = replace(BEFORE, product_type="iPad13,1")
    times.add(taking(80.0, before=other, observed=Observed(mode=None, facts=other)))
    assert times.times().of(Service.RESTORE, "iPad13,1", emulated=False) == 80.0
    assert times.times().of(Service.RESTORE, "iPhone17,1", emulated=False) == 70.0
    assert times.times().of(Service.ERASE, "iPhone13,2", emulated=False) is None


def test_neither_failures_nor_virtual_phones_count():
    times = History()
    times.add(failed("a"))
    times.add(taking(5.0, outcome=Outcome.NOT_VERIFIED))
    times.add(taking(2.0, emulated=True))
    assert times.times().of(Service.RESTORE, "iPhone13,2", emulated=False) is None
    assert times.times().of(Service.RESTORE, "iPhone13,2", emulated=True) == 2.0


async def test_a_new_daemon_knows_from_the_records(tmp_path):
    store = await RecordStore.open(tmp_path)
    await store.append(taking(10.0, "one"))
    await store.append(taking(30.0, "two"))
    await store.append(taking(3.0, "three", emulated=True))
    await store.close()
    for file in (tmp_path / "proof" / "station" / "records").glob("*2.json"):
        file.write_text("{}")  # what cannot be read tells nothing
    times = History.read(tmp_path).times()
    assert times.of(Service.RESTORE, "iPhone13,2", emulated=False) == 10.0
    assert times.of(Service.RESTORE, "iPhone13,2", emulated=True) == 3.0
    assert History.read(tmp_path / "nowhere").times().seconds == {}


def test_kinds_are_bounded(monkeypatch):
    monkeypatch.setattr(history, "MAX_KINDS", 4)
    times = History()
    for number in range(20):
        model = replace(BEFORE, product_type=f"iPhone{number}")
        times.add(taking(1.0, before=model, observed=Observed(mode=None, facts=model)))
    assert len(times.times().seconds) == 4
