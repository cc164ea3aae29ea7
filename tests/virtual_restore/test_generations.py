"""The unmodified library restores and updates a phone of each generation, by that generation's script."""

from dataclasses import dataclass, replace

import pytest
from pymobiledevice3.restore.base_restore import Behavior

from station.model.phone import PhoneMode
from station.virtual.firmware.ipsw import make_ipsw
from station.virtual.phones.models import find_model
from station.virtual.restore.ramdisk import make_options
from station.virtual.restore.script import steps
from tests.virtual_restore.helpers import comes_back, in_restore_mode, spoilt

pytestmark = pytest.mark.system  # whole restores

KIB = 1024


@dataclass(frozen=True)
class Generation:
    """A restore that was possible once."""

    version: str
    build: str
    model: str

    @property
    def ios(self) -> int:
        return int(self.version.partition(".")[0])


GENERATIONS = (
    Generation("13.5.1", "17F80", "iPhone 8"),
    Generation("14.8.1", "18H107", "iPhone 6s"),
    Generation("15.7", "19H12", "iPhone 6s"),
    Generation("16.6", "20G75", "iPhone X"),
    Generation("17.7", "21H16", "iPhone 15"),
    Generation("18.6.2", "22G100", "iPhone 11"),
    Generation("26.2.1", "23C71", "iPhone 17"),
    Generation("27.0", "24A5408d", "iPhone 18 Pro"),
)
ALL = [pytest.param(each, id=each.version) for each in GENERATIONS]
ENDS = [
    pytest.param(each, id=each.version, marks=[] if each in (GENERATIONS[0], GENERATIONS[-1]) else pytest.mark.long)
    for each in GENERATIONS
]


@pytest.fixture(scope="session")
def firmwares(tmp_path_factory):
    """Makes the IPSW of a generation, once."""
    made = {}

    def firmware(generation: Generation):
        if generation not in made:
            made[generation] = make_ipsw(
                tmp_path_factory.mktemp("firmware") / "ipsw",
                version=generation.version,
                build=generation.build,
                models=[find_model(generation.model)],
                os_bytes=300 * KIB,
                cryptex_bytes=100 * KIB,
                ramdisk_bytes=20 * KIB,
            )
        return made[generation]

    return firmware


@pytest.fixture
def prepare(plug_in, apple, firmwares):
    """Plugs a phone of a generation in, as iBoot leaves it that was sent its ramdisk."""

    def prepare(generation: Generation, behavior: Behavior = Behavior.Erase):
        ipsw = firmwares(generation)
        apple.register(ipsw)
        ramdisk = make_options(behavior.value, version=generation.version, build=generation.build)
        return plug_in(generation.model, ramdisk), ipsw

    return prepare


@pytest.mark.parametrize("generation", ALL)
async def test_an_erase_restore(prepare, generation):
    phone, ipsw = prepare(generation)
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 0
    assert await comes_back(phone) is PhoneMode.NORMAL
    system = phone.system
    assert (system.version, system.build) == (generation.version, generation.build)
    assert (system.activation_state, system.canary) == ("Unactivated", None)
    assert phone.destructions == ["restored format_media"]
    assert_as_written(phone, restore, generation)


@pytest.mark.parametrize("generation", ENDS)
async def test_an_update(prepare, generation):
    phone, ipsw = prepare(generation, Behavior.Update)
    before = phone.system
    restore = await in_restore_mode(phone, ipsw, Behavior.Update)
    assert await restore.status() == 0
    assert await comes_back(phone) is PhoneMode.NORMAL
    assert phone.system == replace(before, version=generation.version, build=generation.build)
    assert phone.system.canary is not None
    assert phone.destructions == []
    assert_as_written(phone, restore, generation, "Update")


def assert_as_written(phone, restore, generation, behavior="Erase"):
    """The phone did what its script says and the messages are those of its time."""
    history = [step for step in dict.fromkeys(phone.history) if not step.startswith("connect:")]
    history = [step for step in history if not _of_a_chip(step)]
    script = [
        step for step in steps(behavior, ios=generation.ios, chip_id=phone.identity.chip_id) if not _of_a_chip(step)
    ]
    assert set(history) == set(script)
    checkpoints = [step for step in history if "checkpoint" in step]
    assert checkpoints == [step for step in script if "checkpoint" in step]
    asked = restore.said("DataRequestMsg")
    ports = {message["DataType"] for message in asked if "DataPort" in message}
    if generation.ios < 18:
        assert not ports
        assert not restore.said("AsyncDataRequestMsg") + restore.said("AsyncWait")
        assert max(message["CHECKPOINT_ID"] for message in restore.said("CheckpointMsg")) > 2**64 - 2**32
    else:
        assert {"BuildIdentityDict", "SourceBootObjectV5" if generation.ios >= 27 else "SourceBootObjectV4"} <= ports
        assert max(message["CHECKPOINT_ID"] for message in restore.said("CheckpointMsg")) < 2**16
    protocols = [message["Arguments"]["RestoreProtocol"] for message in restore.said("RestoreProtocol")]
    assert protocols == (["MuxSocket"] if generation.ios >= 27 else [])


def _of_a_chip(step: str) -> bool:
    """Whether a step is that of a chip that not every phone has."""
    return any(word in step for word in ("Updater", "Baseband", "SourceBootObjectV4:"))


@pytest.mark.parametrize("generation", ALL[:2])
async def test_an_image_that_is_not_sealed_is_held_against_its_trust_cache(prepare, tmp_path, generation):
    phone, ipsw = prepare(generation)
    restore = await in_restore_mode(phone, spoilt(ipsw, tmp_path / "ipsw", "000-00001-001.dmg"))
    assert await restore.status() == 1100
    assert phone.system is None


def test_older_restores_ask_for_less():
    """What restored asks for grows from one generation to the next."""
    asked = {
        each.ios: {step.split(":")[1] for step in steps(ios=each.ios) if "restored:" in step} for each in GENERATIONS
    }
    assert "SystemImageRootHash" not in asked[14]
    assert "SystemImageRootHash" in asked[15]
    assert "BuildIdentityDict" not in asked[15]
    assert {"BuildIdentityDict", "SourceBootObjectV4", "FirmwareUpdaterPreflight"} <= asked[16]
    assert "URLAsset" not in asked[17]
    assert "URLAsset" in asked[18]
    assert "DeviceRestoreInfoPreflight" in asked[27] - asked[26]
