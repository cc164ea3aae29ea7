"""The numbers that people see after a restore: the unmodified library sees each of them."""

import pytest
from pymobiledevice3.exceptions import PyMobileDevice3Exception
from pymobiledevice3.restore.base_restore import Behavior

from station.model.phone import PhoneMode
from station.virtual.faults.kinds import FaultKind
from station.virtual.faults.troubles import TROUBLES
from station.virtual.restore.ramdisk import make_options
from station.virtual.restore.script import steps
from tests.virtual_restore.helpers import comes_back, in_restore_mode

pytestmark = pytest.mark.system

RESTORING = ("restored:", "fdr:", "asr:", "connect:12345")
PHONES = {trouble.name: trouble for trouble in TROUBLES if any(f.at.startswith(RESTORING) for f in trouble.faults)}
SIGNING = {trouble.name: trouble for trouble in TROUBLES if trouble.apple}


def told(kind):
    return [name for name, trouble in PHONES.items() if trouble.faults[0].kind is kind]


async def begin(phone, ipsw, name):
    """A restore that will meet a trouble."""
    trouble = PHONES[name]
    for fault in trouble.faults:
        phone.faults.add(fault)
    behavior = Behavior.Erase if trouble.where in steps("Erase") else Behavior.Update
    phone.ramdisk = make_options(behavior.value)
    return await in_restore_mode(phone, ipsw, behavior)


@pytest.mark.parametrize("name", told(FaultKind.STATUS))
async def test_ends_with_its_number(phone, ipsw, name):
    restore = await begin(phone, ipsw, name)
    assert str(await restore.status()) == PHONES[name].code
    assert await comes_back(phone) is PhoneMode.RECOVERY


@pytest.mark.parametrize("name", [*told(FaultKind.UNPLUG), *told(FaultKind.CUT)])
async def test_is_lost(phone, ipsw, bus, name):
    restore = await begin(phone, ipsw, name)
    assert await restore.status() is None
    assert bus.phones == []


@pytest.mark.parametrize("name", told(FaultKind.BATTERY))
async def test_runs_flat(phone, ipsw, bus, name):
    restore = await begin(phone, ipsw, name)
    assert await restore.status() is None
    assert bus.phones == [phone]
    assert phone.battery < 5
    assert phone.destructions == []


@pytest.mark.parametrize("name", SIGNING)
async def test_is_not_signed(phone, ipsw, apple, name):
    apple.behaviours |= SIGNING[name].apple
    with pytest.raises((PyMobileDevice3Exception, IndexError)):  # the library has no word for a page that is no answer
        await in_restore_mode(phone, ipsw)
    assert phone.destructions == []


def test_every_kind_of_trouble_in_a_restore_is_tried():
    tried = {trouble.faults[0].kind for trouble in PHONES.values()}
    assert tried == {FaultKind.STATUS, FaultKind.UNPLUG, FaultKind.CUT, FaultKind.BATTERY}
