"""What an operator decides, through the command line, the daemon, its records, and the next daemon."""

import asyncio

import pytest
from typer.testing import CliRunner

from station.cli.main import app
from station.core.policy import BackupRule
from station.core.situation import Health
from station.model.api import BayState, Dismiss, OperatorConfirm, Start
from station.model.base import format_ecid
from station.model.gates import CHECKLIST, Choice, Gate
from station.model.job import Phase
from station.model.record import Outcome
from station.model.service import Service
from tests.core.helpers import ONE, A
from tests.daemon.helpers import Daemon, House, arrived
from tests.daemon.test_loop import record
from tests.daemon.test_operator import station

pytestmark = pytest.mark.system  # real workers

ECID = format_ecid(A)


@pytest.fixture
def house(house: House) -> House:
    house.changes |= {
        "operator_confirm": True,
        "backup": BackupRule.ASK,
        "min_battery": 90,
        "quarantine_after": 1,
        "observe_seconds": 0.1,
    }
    return house


async def read(house: House, daemon: Daemon) -> None:
    daemon.tell(arrived())
    await (await house.conductor.worker()).inspect()
    await daemon.until(lambda bay: bay.state is BayState.READY and bay.offers)


async def begin(daemon: Daemon) -> None:
    assert await daemon.command(Start, bay=ONE, service=Service.RESTORE) == ""
    assert await daemon.command(OperatorConfirm, bay=ONE, ecid=A) == ""


async def test_gates_are_seen_opened_and_put_on_record(house):
    async with house.daemon() as daemon:
        await read(house, daemon)
        shown = (await station(house, "offers", "1")).output
        assert "The phone's battery is at 80 percent." in shown
        assert f"station overrule 1 {ECID} battery" in shown
        assert "Nobody has decided about a backup." in shown
        assert all(line in shown for line in CHECKLIST)
        assert "✔ restart" in shown
        assert (await station(house, "start", "1")).exit_code == 1

        assert (await station(house, "decide", "1", ECID, "made-elsewhere")).exit_code == 0
        assert (await station(house, "decide", "1", ECID, "made-here")).exit_code == 1
        refused = await station(house, "overrule", "1", ECID, "mode", "--reason", "why not")
        assert "Nothing needs to be overruled" in refused.output
        opened = await station(house, "overrule", "1", ECID, "battery", "--reason", "It is charging.")
        assert opened.exit_code == 0
        assert "✔ restore" in (await station(house, "offers", "1")).output
        assert (await station(house, "start", "1", "--no-keep-esim")).exit_code == 0  # what is chosen: a restore
        await daemon.until(lambda bay: bay.confirm and not bay.confirm.options.keep_esim)
        assert await daemon.command(OperatorConfirm, bay=ONE, ecid=A) == ""
        worker = await house.conductor.worker()

    async with house.daemon() as daemon:  # it died: the words live with the job
        daemon.tell(arrived())
        await worker.exit(1)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record)
    sealed = record(house)
    assert sealed.decision is not None
    assert sealed.decision.choice is Choice.MADE_ELSEWHERE
    assert [(opened.gate, opened.reason) for opened in sealed.overruled] == [(Gate.BATTERY, "It is charging.")]
    shown = await records(house, "show", "1")
    assert "It is charging." in shown
    assert "made elsewhere" in shown
    assert "It is charging." in await records(house, "export", "--format", "jsonl")


async def test_a_failed_wipe_sets_a_phone_aside_until_it_is_released(house):
    house.changes |= {"backup": BackupRule.STANDING, "min_battery": 0}
    async with house.daemon() as daemon:
        await read(house, daemon)
        await begin(daemon)
        worker = await house.conductor.worker()
        await worker.begin(Phase.RECOVERY)
        await worker.erase()
        await worker.exit(1)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record)
        assert record(house).outcome is Outcome.FAILED_ERASED
        await daemon.command(Dismiss, bay=ONE)
        bay = await daemon.until(lambda bay: bay.state is BayState.READY)
        assert bay.title.startswith("Not ready")
        assert "set aside" in await daemon.command(Start, bay=ONE, service=Service.RESTORE)

    async with house.daemon() as daemon:  # whoever restarts it does not get around that
        await read(house, daemon)
        assert "set aside" in await daemon.command(Start, bay=ONE, service=Service.RESTART)
        assert f"station release {ECID}" in (await station(house, "offers", "1")).output
        (house.state / "releases").write_text("in the way")
        failed = await station(house, "release", ECID, "--reason", "The cable was loose.")
        assert "cannot be kept" in failed.output
        assert "set aside" in await daemon.command(Start, bay=ONE, service=Service.RESTORE)
        (house.state / "releases").unlink()
        released = await station(house, "release", ECID, "--reason", "The cable was loose.")
        assert released.exit_code == 0, released.output
        await daemon.until(lambda bay: bay.title == "Ready")

    async with house.daemon() as daemon:
        await read(house, daemon)
        await begin(daemon)
        await (await house.conductor.worker()).exit(1)
        await (await house.conductor.worker()).inspect()
        await daemon.until(lambda bay: bay.result and bay.result.record == 2)
        assert [(opened.gate, opened.reason) for opened in record(house, 2).overruled] == [
            (Gate.QUARANTINE, "The cable was loose.")
        ]


async def test_the_machine_is_looked_at_while_nobody_presses(house, monkeypatch):
    monkeypatch.setattr("station.daemon.loop.HEALTH_SECONDS", 0.01)
    async with house.daemon() as daemon:
        house.health = Health(temperature=95)
        while "too hot: 95 °C" not in (daemon.client.latest or await daemon.client.snapshot()).notice:
            await daemon.client.snapshot()


async def records(house: House, *arguments: str) -> str:
    """What `station records` prints."""
    command = ["records", *arguments, "--emulated", "--state", str(house.state)]
    return (await asyncio.to_thread(CliRunner().invoke, app, command)).output
