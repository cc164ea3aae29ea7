"""A baseband takes firmware that the library had signed for it, and nothing else."""

import io
import plistlib
import zipfile

import pytest
from pymobiledevice3.restore.restore import Restore
from pymobiledevice3.restore.tss import TSSRequest, TSSResponse

from station.model.base import Ecid
from station.model.phone import PhoneMode
from station.virtual.apple.signing.server import SigningServer
from station.virtual.faults.kinds import StatusError
from station.virtual.firmware.baseband import FAMILIES, TICKET, make_bbfw
from station.virtual.phones.chips import ICE19, MAV13, MAV17, MAV20, MAV25, Baseband
from station.virtual.phones.installed import System
from station.virtual.phones.models import find_model
from station.virtual.phones.phone import Boots, VirtualPhone
from station.virtual.restore import requests
from station.virtual.restore.updaters.baseband import Modem
from station.virtual.system import values
from tests.virtual_restore.helpers import comes_back, in_restore_mode

pytestmark = pytest.mark.system  # whole restores

IDENTITY = find_model("iPhone 12").identity(Ecid(0x1234))
KINDS = pytest.mark.parametrize("baseband", [MAV13, MAV17, MAV20, MAV25, ICE19], ids=lambda baseband: baseband.family)


class Host:
    """The library's part: it asks for the ticket and stitches; Apple's server signs."""

    def __init__(self, directory, baseband: Baseband) -> None:
        path = directory / f"Firmware/{baseband.family}.bbfw"
        says = make_bbfw(path, baseband, "seed")
        self.original = path.read_bytes()
        self.identity = {
            "ApBoardID": "0x0C",
            "ApChipID": "0x8101",
            "ApSecurityDomain": "0x01",
            "BbChipID": f"0x{baseband.chip_id:X}",
            "Info": {"BuildNumber": "23C71"},
            "Manifest": {"BasebandFirmware": {**says, "Info": {"Path": path.name}}},
            "UniqueBuildID": b"\1" * 20,
        }
        (directory / "BuildManifest.plist").write_bytes(plistlib.dumps({"BuildIdentities": [self.identity]}))
        self.signing = SigningServer()
        self.signing.sign_build(directory)

    def answer(self, arguments, **changes) -> str:
        """Apple's answer to what the library asks when the phone says `arguments`."""
        request = TSSRequest()
        parameters = {
            "ApECID": IDENTITY.ecid,
            "BbChipID": arguments["ChipID"],
            "BbGoldCertId": arguments["CertID"],
            "BbSNUM": arguments["ChipSerialNo"],
            "Manifest": self.identity["Manifest"],
            "UniqueBuildID": self.identity["UniqueBuildID"],
        }
        if "Nonce" in arguments:
            parameters["BbNonce"] = arguments["Nonce"]
        request.add_common_tags(parameters)
        request.add_baseband_tags(parameters | changes)
        return self.signing.answer(plistlib.dumps(request.tags()))

    def firmware(self, arguments, **changes) -> bytes:
        """What the library sends."""
        answer = plistlib.loads(self.answer(arguments, **changes).split("REQUEST_STRING=")[1].encode())
        library = Restore.__new__(Restore)  # it needs nothing of a restore here but a task to log the name of
        return library.sign_bbfw(self.original, TSSResponse(answer), arguments["ChipID"])


def test_is_the_same_one_in_normal_and_restore_mode():
    phone = VirtualPhone(IDENTITY, system := System("18.5", "22F76"), Boots())
    told, says = values.root(phone, system), Modem(IDENTITY, MAV20, SigningServer().public_key).arguments()
    names = {"BasebandCertId": "CertID", "BasebandChipID": "ChipID", "BasebandSerialNumber": "ChipSerialNo"}
    assert {name: told[name] for name in names} == {name: says[same] for name, same in names.items()}


@KINDS
async def test_both_rounds(tmp_path, baseband):
    host = Host(tmp_path, baseband)
    modem = Modem(IDENTITY, baseband, host.signing.public_key)
    modem.take(host.firmware(modem.arguments()))
    first = host.firmware(modem.arguments())
    modem.make_nonce()
    with pytest.raises(StatusError, match="-1"):
        modem.take(first)
    modem.take(host.firmware(modem.arguments()))
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert set(archive.namelist()) == {element.file for element in FAMILIES[baseband.family]} | {"bbticket.der"}


@KINDS
async def test_no_element_may_be_altered(tmp_path, baseband):
    host = Host(tmp_path, baseband)
    modem = Modem(IDENTITY, baseband, host.signing.public_key)
    signed = host.firmware(modem.arguments())
    with zipfile.ZipFile(io.BytesIO(signed)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    unsigned = ("psi_ram.bin", "restorepsi.bin") if baseband is ICE19 else ()
    for name, content in files.items():
        for at in (100, -1):  # before the signature, and in it
            spoilt = bytearray(content)
            spoilt[at] ^= 1
            data = zipped(files | {name: bytes(spoilt)})
            if name in unsigned:  # for modems with another certificate
                modem.take(data)
            else:
                with pytest.raises(StatusError) as refusal:
                    modem.take(data)
                assert "update_baseband" in refusal.value.log
    for name in files if baseband is MAV25 else set(files) - {TICKET}:
        with pytest.raises(StatusError):
            modem.take(zipped({other: content for other, content in files.items() if other != name}))


@pytest.mark.parametrize("change", [{"BbSNUM": b"else"}, {"BbNonce": b"\0" * 20}, {"BbGoldCertId": 1}])
async def test_a_ticket_for_another(tmp_path, change):
    host = Host(tmp_path, MAV20)
    modem = Modem(IDENTITY, MAV20, host.signing.public_key)
    modem.make_nonce()
    modem.take(host.firmware(modem.arguments()))
    with pytest.raises(StatusError, match="-1"):
        modem.take(host.firmware(modem.arguments(), **change))


async def test_a_ticket_of_somebody_else(tmp_path):
    host = Host(tmp_path, MAV20)
    modem = Modem(IDENTITY, MAV20, SigningServer().public_key)
    with pytest.raises(StatusError, match="-1"):
        modem.take(host.firmware(modem.arguments()))


@pytest.mark.parametrize("data", [None, b"", b"PK", b"\0" * 1000])
def test_what_is_no_firmware(data):
    with pytest.raises(StatusError, match="-1"):
        Modem(IDENTITY, MAV20, SigningServer().public_key).take(data)


async def test_a_certificate_is_32_bits_however_a_host_writes_them(tmp_path):
    host = Host(tmp_path, MAV20)
    modem = Modem(IDENTITY, MAV20, host.signing.public_key)
    modem.take(host.firmware(modem.arguments(), BbGoldCertId=MAV20.cert_id - (1 << 32)))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"BbSNUM": b"123"}, 49),
        ({"BbSNUM": None}, 49),
        ({"BbChipID": 1}, 94),
        ({"BbNonce": b"1"}, 100),
        ({"BbGoldCertId": "3095201109"}, 100),
        ({"BbActivationManifestKeyHash": b"1"}, 94),
    ],
)
def test_what_apple_does_not_sign(tmp_path, change, status):
    host = Host(tmp_path, MAV20)
    modem = Modem(IDENTITY, MAV20, host.signing.public_key)
    change = {key: value or "none" for key, value in change.items()}
    assert host.answer(modem.arguments(), **change).startswith(f"STATUS={status}&")


async def test_a_rejected_baseband_is_told_and_survived(phone, ipsw, monkeypatch):
    monkeypatch.setattr(requests, "Modem", lambda identity, kind, _: Modem(identity, kind, SigningServer().public_key))
    restore = await in_restore_mode(phone, ipsw)
    assert await restore.status() == 0
    assert await comes_back(phone) is PhoneMode.NORMAL
    (told,) = restore.said("BBUpdateStatusMsg")
    assert told["Accepted"] is False
    assert told["Output"]["ChipID"] == MAV20.chip_id
    (failed,) = (message for message in restore.said("CheckpointMsg") if message["CHECKPOINT_RESULT"] == -1)
    assert failed["CHECKPOINT_NAME"] == "await_update_baseband_legacy"


def zipped(files) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()
