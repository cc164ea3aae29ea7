"""The models, held against the library's own table."""

import re

import pytest
from pymobiledevice3.irecv_devices import IRECV_DEVICES
from pymobiledevice3.lockdown import create_using_usbmux

from station.model.base import Ecid
from station.model.phone import PhoneMode
from station.virtual.phones.models import MODELS, find_model
from station.virtual.phones.phone import Boots, VirtualPhone
from station.virtual.phones.soc import SOCS

KNOWN = {(device.product_type, device.hardware_model): device for device in IRECV_DEVICES}
each_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.hardware_model)


def phone_of(name: str, ecid: int = 1) -> VirtualPhone:
    return VirtualPhone(find_model(name).identity(Ecid(ecid)), None, Boots())


def shortened(serial: str) -> str:
    """Without what is the same on all."""
    return serial.replace("CPFM:03 SCEP:01", "…").replace("ECID:0000000000000001", "…")


@each_model
def test_is_a_real_model(model):
    known = KNOWN[model.product_type, model.hardware_model.lower()]
    assert (known.chip_id, known.board_id) == (model.chip_id, model.board_id)
    assert known.display_name.split(" (")[0] == model.name.split(" (")[0]
    assert ("cellular" in known.display_name.lower() or "iPhone" in model.name) is model.cellular


@each_model
async def test_tells_the_library_who_it_is(plug, model):
    version = "27.0" if model.last is None else f"{model.last}.1"
    model.refuse_version(version)
    phone = plug(7, model=model.hardware_model, version=version)
    async with await create_using_usbmux(phone.identity.udid, autopair=False) as lockdown:  # pairing takes a while
        assert lockdown.product_type == model.product_type
        assert lockdown.display_name is not None
        values = lockdown.all_values
        assert (values["ChipID"], values["BoardId"]) == (model.chip_id, model.board_id)
        assert values["HardwareModel"] == model.hardware_model
        assert values["TelephonyCapability"] is model.cellular
        assert ("BasebandSerialNumber" in values) <= model.cellular
    assert phone.system.files.capacity == model.capacities[0] * 10**9
    if model.chip_id >= 0x8020:
        assert phone.identity.udid == f"{model.chip_id:08X}-{7:016X}"
    else:
        assert re.fullmatch("[0-9a-f]{40}", phone.identity.udid)


def test_there_are_enough_of_them():
    phones = [model for model in MODELS if model.name.startswith("iPhone")]
    tablets = [model for model in MODELS if model.name.startswith("iPad")]
    assert (phones[0].name, phones[0].product_type) == ("iPhone 6s", "iPhone8,1")
    newest = max(
        int(device.product_type[6:].split(",")[0]) for device in IRECV_DEVICES if "iPhone1" in device.product_type
    )
    assert phones[-1].product_type.startswith(f"iPhone{newest},")
    assert len(phones) >= 16
    assert {model.cellular for model in tablets} == {True, False}
    assert len({model.name for model in MODELS}) == len({model.hardware_model for model in MODELS}) == len(MODELS)
    assert {model.chip_id for model in MODELS} == SOCS.keys()


def test_is_found_by_its_name_product_type_or_hardware_model():
    assert find_model("iphone 12") is find_model("iPhone13,2") is find_model("d53gap")
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
    assert [len(find_model(name).identity(Ecid(1)).serial_number) for name in ("iPhone 12", "iPhone 13")] == [12, 10]


def test_has_the_storage_it_is_sold_with():
    assert find_model("iPhone 17").identity(Ecid(1), gigabytes=512).capacity == 512 * 10**9
    with pytest.raises(ValueError, match="no iPhone 17 has 128 GB; there are 256, 512"):
        find_model("iPhone 17").identity(Ecid(1), gigabytes=128)


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("iPhone 8", "17.0", "no iOS 17.0 for the iPhone 8: its last is 16"),
        ("iPhone 8", "10.3.3", "its first is 11.0"),
        ("iPhone SE (3rd gen)", "15.3.1", "its first is 15.4"),
        ("iPhone 18 Pro", "26.9", "its first is 27.0"),
    ],
)
def test_takes_no_system_that_was_never_made_for_it(name, version, reason):
    with pytest.raises(ValueError, match=reason):
        find_model(name).refuse_version(version)


@pytest.mark.parametrize(("name", "version"), [("iPhone 8", "16.7.11"), ("iPhone 8", "11.0"), ("iPhone 12", "99.0")])
def test_takes_every_other(name, version):
    find_model(name).refuse_version(version)


@pytest.mark.parametrize(
    ("name", "serial"),
    [  # as real ones are, but for the ECID
        ("iPhone 13", "SDOM:01 CPID:8110 CPRV:11 … BDID:0A … IBFL:3C SRTG:[iBoot-6338.0.0.200.19]"),
        ("iPhone X", "CPID:8015 CPRV:11 … BDID:0E … IBFL:3C SRTG:[iBoot-3332.0.0.1.23]"),
        ("N71mAP", "CPID:8003 CPRV:01 … BDID:04 … IBFL:1C SRTG:[iBoot-2234.0.0.2.22]"),
        ("iPhone XS", "CPID:8020 CPRV:11 … BDID:0E … IBFL:3C SRTG:[iBoot-3865.0.0.4.7]"),
    ],
)  # fmt: skip
def test_shows_itself_in_dfu_mode_as_real_ones_do(name, serial):
    phone = phone_of(name)
    phone.mode = PhoneMode.DFU
    assert shortened(phone.usb_serial) == serial


@pytest.mark.parametrize(
    ("name", "serial"),
    [
        ("iPhone X", "SDOM:01 CPID:8015 CPRV:11 … BDID:0E … IBFL:3D SRNM:[VRT000000001]"),
        ("iPhone 15", "SDOM:01 CPID:8120 CPRV:11 … BDID:08 … IBFL:3D SIKA:00 SRNM:[VR00000001]"),
    ],
)  # fmt: skip
def test_shows_itself_in_recovery_mode_as_real_ones_do(name, serial):
    phone = phone_of(name)
    phone.mode = PhoneMode.RECOVERY
    assert shortened(phone.usb_serial) == serial


def test_has_the_nonce_of_its_chip():
    assert [len(phone_of(name).ap_nonce) for name in ("iPhone 6s", "iPhone 7", "iPhone 17")] == [20, 32, 32]
