"""The unmodified library restores phones of several years; their chips take no ticket that is not for them."""

import plistlib
from functools import partial

import pytest

from station.model.base import Ecid, SocketPath
from station.model.phone import PhoneMode
from station.virtual.apple.behaviour import AppleService
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.firmware.components import VARIANTS
from station.virtual.firmware.image4 import parse_img4
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.phones.chips import FaceId, chips_of
from station.virtual.phones.installed import System
from station.virtual.phones.models import MODELS, find_model
from station.virtual.phones.phone import Boots, VirtualPhone
from station.virtual.restore import requests, restored
from station.virtual.restore.updaters import make_updater
from tests.virtual_restore.conftest import Idle
from tests.virtual_restore.helpers import comes_back, in_restore_mode

pytestmark = pytest.mark.system  # whole restores


@pytest.fixture
def restoring(bus, apple, tidy, tmp_path):
    """A phone of a model in restore mode, for the firmware of an iOS, and the library with it."""

    async def begin(name: str, version: str, build: str):
        model = find_model(name)
        ipsw = make_ipsw(
            tmp_path / "ipsw",
            version=version,
            build=build,
            models=[model],
            os_bytes=300_000,
            cryptex_bytes=100_000,
            ramdisk_bytes=10_000,
        )
        apple.register(ipsw)
        boots = Boots(dict.fromkeys(PhoneMode, Idle))
        boots.by_mode[PhoneMode.RESTORE] = partial(restored.boot, apple=apple, patience=1.0)
        phone = VirtualPhone(model.identity(Ecid(0x1234)), System("16.0", "20A362"), boots)
        phone.nvram["auto-boot"] = "false"
        bus.plug(phone, SocketPath("1-1.2"))
        image, _ = parse_img4((ipsw / VARIANTS[0].ramdisk).read_bytes())
        phone.ramdisk = image.payload
        return phone, await in_restore_mode(phone, ipsw)

    return begin


def asked(restore) -> list[str]:
    """The updaters that asked for firmware, in order."""
    messages = restore.said("DataRequestMsg")
    return [m["Arguments"]["MessageArgUpdaterName"] for m in messages if m["DataType"] == "FirmwareUpdaterData"]


@pytest.mark.parametrize(
    ("model", "version", "build", "updaters"),
    [
        ("iPhone X", "16.7", "20H19", ["SE", "Savage"]),
        ("iPhone 11", "17.7", "21H16", ["Rose", "SE", "Savage", "T200"]),
        ("iPhone 13", "26.2", "23C55", ["Rose", "SE", "Savage", "T200", "Vinyl"]),
        ("iPhone 17", "26.2", "23C55", ["Centauri", "SE", "Savage", "T200", "Vinyl"]),
        ("iPad (10th generation)", "26.2", "23C55", []),
    ],
)
async def test_a_restore_brings_every_chip_along(restoring, model, version, build, updaters):
    phone, restore = await restoring(model, version, build)
    chips = chips_of(phone.identity.product_type)
    assert await restore.status() == 0
    assert await comes_back(phone) is PhoneMode.NORMAL
    assert sorted(set(asked(restore)) - {"Cryptex1"}) == updaters
    told = [message["Accepted"] for message in restore.said("BBUpdateStatusMsg")]
    assert told == ([True] if chips.baseband else [])
    rounds = [m["Arguments"] for m in restore.said("DataRequestMsg") if m["DataType"] == "BasebandData"]
    assert ["Nonce" in arguments for arguments in rounds] == [False, True] * len(told)
    assert {arguments["ChipID"] for arguments in rounds} == ({chips.baseband.chip_id} if chips.baseband else set())


class Altered:
    """An updater that is answered with the ticket for a request that somebody changed on its way."""

    def __init__(self, updater, apple, change) -> None:
        self._updater = updater
        self._apple = apple
        self._change = change

    def __getattr__(self, name):
        return getattr(self._updater, name)

    async def take(self, receive):
        async def changed():
            message = await receive()
            response = message.get("FirmwareResponseData")
            for name in [key for key in response if key.endswith(",Ticket")] if isinstance(response, dict) else []:
                sent = [seen for seen in self._apple.requests if seen.service is AppleService.SIGNING]
                request = plistlib.loads(sent[-1].body) | self._change
                answer = self._apple.signing.answer(plistlib.dumps(request))
                signed = plistlib.loads(answer.split("REQUEST_STRING=")[1].encode())
                response[name] = signed[name] if self._change else b""
            return message

        await self._updater.take(changed)


@pytest.mark.parametrize(
    ("updater", "change"),
    [
        ("Savage", {"Savage,Nonce": b"\0" * 16}),
        ("Savage", {"Savage,UID": b"\0" * 16}),
        ("Savage", {}),
        ("SE", {"SE,Nonce": b"\0" * 20}),
        ("SE", {"SE,ID": b"\0" * 24}),
        ("Rose", {"Rap,Nonce": b"\0" * 32}),
        ("Rose", {"Rap,ECID": 1}),
        ("Vinyl", {"eUICC,EID": b"\0" * 16}),
        ("T200", {"BMU,Nonce": b"\0" * 32}),
        ("T200", {"BMU,UniqueID": 1}),
    ],
)
async def test_a_ticket_that_is_not_for_the_chip(phone, ipsw, apple, monkeypatch, updater, change):
    def altered(name, *arguments):
        made = make_updater(name, *arguments)
        return Altered(made, apple, change) if name == updater else made

    monkeypatch.setattr(requests, "make_updater", altered)
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 14
    assert asked(restore)[-1] == updater


async def test_a_camera_that_takes_nothing_makes_the_restore_loop(phone, ipsw):
    step = "restored:FirmwareUpdaterData:Savage:accept"
    phone.faults.add(Fault(at=step, kind=FaultKind.REFUSE, times=3))
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 0
    assert phone.history.count(step) == 4
    loops = [
        message["Arguments"]["MessageArgUpdaterLoopCount"]
        for message in restore.said("DataRequestMsg")
        if message["DataType"] == "FirmwareUpdaterData" and message["Arguments"]["MessageArgUpdaterName"] == "Savage"
    ]
    assert loops == [0, 1, 2, 3]


def test_what_models_have():
    for model in MODELS:
        assert (chips_of(model.product_type).baseband is not None) == model.cellular, model.name
    assert chips_of("iPhone10,6").face_id is FaceId.SAVAGE
    assert chips_of("iPhone11,2").face_id is FaceId.YONKERS
    assert chips_of("iPhone9,1").face_id is None
    assert chips_of("iPad13,18").baseband is None
