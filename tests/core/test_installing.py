"""What is installed is what was asked for; and what a person is told before a reinstall."""

import pytest
from msgspec.structs import replace

from station.core.actions import StartWorker
from station.core.events import FirmwareFound
from station.errors import Refused
from station.model.api import OperatorConfirm, Start
from station.model.base import Ecid
from station.model.consent import Options
from station.model.phone import UsbArrived
from station.model.service import Service
from tests.core.helpers import FIRMWARE, ONE, RECOVERY, A, Bench, arrived, facts

OLDER = replace(FIRMWARE, version="26.1", build="23B85", directory="/firmware/23B85/ipsw")
BOTH = FirmwareFound(product_type="iPhone13,2", firmware=FIRMWARE, older=(OLDER,))


def start(bench: Bench, service: Service, build: str, ecid: Ecid = A) -> str:
    """Give START and the confirmation; the build that the worker is to install."""
    bench.do(Start(id=1, bay=ONE, service=service, options=Options(build=build)))
    bench.do(OperatorConfirm(id=2, bay=ONE, ecid=ecid))
    spec = bench.all(StartWorker)[-1].spec
    assert spec.firmware is not None
    return spec.firmware.build


@pytest.mark.parametrize(("build", "installed"), [("", "23C55"), ("23C55", "23C55"), ("23B85", "23B85")])
def test_the_newest_is_installed_unless_another_is_named(build, installed):
    bench = Bench(operator_confirm=True)
    bench.plug()
    bench.do(BOTH)
    assert start(bench, Service.RESTORE, build) == installed


def test_a_build_that_is_not_there_is_refused_by_name():
    bench = Bench(operator_confirm=True)
    bench.plug()
    bench.do(BOTH)
    with pytest.raises(Refused, match="23A341"):
        start(bench, Service.RESTORE, "23A341")


def test_what_keeps_the_data_never_goes_back():
    bench = Bench(operator_confirm=True)
    bench.do(arrived(A))
    bench.inspect(facts(version="26.2", build="23C55"))
    bench.do(BOTH)
    with pytest.raises(Refused, match="older"):
        start(bench, Service.REINSTALL, "23B85")
    assert start(bench, Service.REINSTALL, "") == "23C55"


@pytest.mark.parametrize(("arrival", "told"), [(arrived(A), False), (arrived(A, product_id=RECOVERY), True)])
def test_where_nobody_can_be_asked_for_the_passcode_it_is_said_before(arrival: UsbArrived, told: bool):
    bench = Bench()
    bench.do(arrival)
    if not told:
        bench.inspect(facts())
    offers = {offer.service: offer for offer in bench.bay().offers}
    said = [finding.title for finding in offers[Service.REINSTALL].told]
    assert any("passcode" in title for title in said) is told
    assert not any("passcode" in finding.title for finding in offers[Service.RESTORE].told)
