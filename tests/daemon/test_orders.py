"""A standing order through a daemon with real workers, real files and real records, and over its sudden end."""

import asyncio
import json
import os
import signal
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from station.adapters.order_report import text_of
from station.adapters.orders import OrderShelf
from station.cli.main import app
from station.errors import StorageError
from station.model.api import BayState, EndOrder, Order, Snapshot
from station.model.consent import Hand
from station.model.job import Phase
from station.model.order import OrderNote, OrderReport
from station.model.service import Service
from tests.core.helpers import ONE, TWO, A, B, clean_facts, facts, gone
from tests.daemon.helpers import RESTORED, Conducted, Daemon, House, arrived, spec_of
from tests.screen.operator_samples import REPORT

pytestmark = pytest.mark.system  # files are made durable, over and over


@pytest.fixture
def house(house: House) -> House:
    house.changes["operator_confirm"] = True
    return house


async def give(daemon: Daemon, *, count: int = 1) -> None:
    assert await daemon.command(Order, service=Service.RESTORE, bays=(), count=count, seconds=600.0) == ""


async def turn(house: House, daemon: Daemon) -> Conducted:
    """A phone is plugged in and read; the worker of its turn."""
    daemon.tell(arrived())
    await (await house.conductor.worker()).inspect()
    return await house.conductor.worker()


async def restored(house: House, daemon: Daemon, worker: Conducted) -> None:
    await worker.begin(Phase.RECOVERY)
    await worker.erase()
    await worker.succeed()
    daemon.tell(*RESTORED)
    await (await house.conductor.worker()).inspect(clean_facts())
    await daemon.until(lambda bay: bay.state is BayState.DONE)


async def over(daemon: Daemon) -> None:
    """Wait until no order holds."""
    snapshot: Snapshot = daemon.client.latest or await daemon.client.snapshot()
    async with asyncio.timeout(10):
        while snapshot.order is not None:
            snapshot = await daemon.client.snapshot()


def kept(house: House) -> OrderNote:
    note = OrderShelf(house.state).newest()
    assert note is not None
    return note


def report(house: House) -> tuple[OrderReport, str]:
    path = house.state / "orders" / f"{kept(house).id}.report.json"
    return msgspec.json.decode(path.read_bytes(), type=OrderReport), path.with_suffix(".txt").read_text()


def invoke(house: House, *more: str) -> Any:
    """Run `station order --report`."""
    return CliRunner().invoke(app, ["order", "--report", "--state", str(house.state), *more], catch_exceptions=False)


@pytest.mark.system  # takes seconds
async def test_a_night(house):
    async with house.daemon() as daemon:
        await give(daemon)
        worker = await turn(house, daemon)
        consent = spec_of(house.state, worker.job).consent
        assert consent is not None
        assert consent.by is Hand.ORDER
        assert (await asyncio.to_thread(kept, house)).consents == (consent,)
        meanwhile = (await asyncio.to_thread(invoke, house)).output
        assert "1 phone, every bay" in meanwhile
        assert "It still holds." in meanwhile
        assert "Not done: 0. Not come: 0." in meanwhile
        assert "It is being worked on." in meanwhile
        assert "Needs somebody" not in meanwhile
        await restored(house, daemon, worker)
        await over(daemon)
    found, text = await asyncio.to_thread(report, house)
    assert (found.done, found.failed, found.left, found.why_ended) == (1, 0, 0, "every phone it covers had its turn")
    assert [(line.ecid, line.record, line.model_name, line.tries) for line in found.phones] == [(A, 1, "iPhone 12", 1)]
    assert "Done and verified: 1. Not done: 0. Not come: 0." in text
    assert "EMULATED" in text
    said = await asyncio.to_thread(invoke, house)
    assert said.output == text
    said = await asyncio.to_thread(invoke, house, "--json")
    assert json.loads(said.output)["done"] == 1


@pytest.mark.system  # takes seconds
async def test_the_daemon_dies_in_the_night(house):
    async with house.daemon() as daemon:
        await give(daemon, count=2)
        worker = await turn(house, daemon)
        await worker.begin(Phase.RECOVERY)
    async with house.daemon() as daemon:  # it adopts the worker, and the order
        daemon.tell(arrived())
        await daemon.until(lambda bay: bay.state is BayState.WORKING)
        assert daemon.client.latest is not None
        order = daemon.client.latest.order
        assert order is not None
        assert (order.left, order.done, order.failed) == (1, 0, 0)
        await worker.erase()
        await worker.succeed()
        daemon.tell(*RESTORED)
        await (await house.conductor.worker()).inspect(clean_facts())
        await daemon.until(lambda bay: bay.state is BayState.DONE)
        daemon.tell(gone())
        await daemon.until(lambda bay: bay.state is BayState.EMPTY)
        daemon.tell(arrived())  # it had its turn
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.state is BayState.READY)
        daemon.tell(arrived(B, TWO))
        await (await house.conductor.worker()).inspect(facts(B))
        second = await house.conductor.worker()
        assert spec_of(house.state, second.job).ecid == B
        os.kill(second.pid, signal.SIGKILL)


async def test_nothing_is_done_that_is_not_on_the_disk(house, monkeypatch):
    def full(*_args, **_kwargs):
        raise StorageError("No space.")

    async with house.daemon() as daemon:
        await give(daemon)
        monkeypatch.setattr(OrderShelf, "save", full)
        daemon.tell(arrived())
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.state is BayState.READY)
        assert house.conductor.nobody()
    assert kept(house).consents == ()


async def test_what_did_not_go_well_comes_first(house):
    house.changes["observe_seconds"] = 0.1
    async with house.daemon() as daemon:
        await give(daemon, count=2)
        worker = await turn(house, daemon)
        await worker.begin(Phase.RECOVERY)
        daemon.tell(gone())
        daemon.tell(arrived(B, TWO))
        house.firmware.firmware = None
        os.kill(worker.pid, signal.SIGKILL)
        await (await house.conductor.worker()).inspect(facts(B))
        await daemon.until(lambda bay: bay.state is BayState.READY, TWO)
        assert await daemon.command(EndOrder) == ""
        await daemon.until(lambda bay: bay.result is not None and bay.result.record > 0, ONE)
        await over(daemon)
    found, text = await asyncio.to_thread(report, house)
    assert (found.done, found.failed, found.left) == (0, 1, 1)
    assert text.index("Needs somebody:") < text.index("The program working on this phone ended unexpectedly.")
    assert [passed.ecid for passed in found.passed] == [B]


@pytest.mark.parametrize(
    ("ended", "why", "says"),
    [
        ("", "", "It still holds."),
        ("", "the operator ended it", "It ends with what has begun: the operator ended it."),
        ("2026-01-01T06:00:00Z", "its time is over", "Over at 2026-01-01T06:00:00Z: its time is over."),
    ],
)
def test_a_report_says_whether_the_order_holds(ended, why, says):
    assert says in text_of(msgspec.structs.replace(REPORT, ended=ended, why_ended=why))


def test_an_order_that_is_deleted_while_they_are_listed_is_none(tmp_path):
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "x.json").symlink_to("gone")
    assert OrderShelf(tmp_path).newest() is None


def test_a_file_that_is_no_order_is_none(tmp_path):
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "x.json").write_text("{}")
    assert OrderShelf(tmp_path).holding() is None
    assert OrderShelf(tmp_path).newest() is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["order"], "Say a service"),
        (["order", "erase", "--end"], "Say a service"),
        (["order", "erase", "--for", "soon"], "no duration"),
        (["order", "--report", "--state", "/nonexistent"], "There was no standing order."),
    ],
)
def test_the_command_line_says_what_is_wrong(arguments, says):
    said = CliRunner().invoke(app, arguments)
    assert said.exit_code != 0
    assert says in said.output


async def test_what_was_done_here_tells_how_long_it_takes(house):
    async with house.daemon() as daemon:
        await give(daemon)
        await restored(house, daemon, await turn(house, daemon))
        daemon.tell(gone())
        await daemon.until(lambda bay: bay.state is BayState.EMPTY)
        daemon.tell(arrived(B))
        await (await house.conductor.worker()).inspect(facts(B))
        view = await daemon.until(lambda bay: bay.state is BayState.READY)
        took = {offer.service: offer.seconds for offer in view.offers}
        assert took[Service.RESTORE] is not None
        assert took[Service.ERASE] is None
