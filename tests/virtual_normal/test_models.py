"""The models, held against the library's own table."""

import pytest
from pymobiledevice3.irecv_devices import IRECV_DEVICES

from station.model.base import Ecid
from station.virtual.models import MODELS, find_model

KNOWN = {device.product_type: device for device in IRECV_DEVICES}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_is_a_real_model(model):
    known = KNOWN[model.product_type]
    assert (known.chip_id, known.board_id) == (model.chip_id, model.board_id)
    assert known.hardware_model == model.hardware_model.lower()
    assert known.display_name.split(" (")[0] == model.name.split(" (")[0]


def test_is_found_by_its_name_or_product_type():
    assert find_model("iphone 12") is find_model("iPhone13,2")
    with pytest.raises(KeyError, match="iPhone 15"):
        find_model("Nokia")


def test_identities_are_invented_and_well_formed():
    one, two = (find_model("iPhone 12").identity(Ecid(number)) for number in (1, 2))
    assert one.serial_number != two.serial_number
    assert one.imei is not None
    assert one.imei.startswith("00")
    digits = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(one.imei)]
    assert sum(digit // 10 + digit % 10 for digit in digits) % 10 == 0
    assert len(one.imei) == 15
    assert find_model("iPad13,18").identity(Ecid(1)).imei is None
    assert len(find_model("iPhone 8").identity(Ecid(1)).udid) == 40
