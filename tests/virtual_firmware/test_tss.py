"""What unmodified clients ask the signing server, and what it refuses: the requests are made by the library."""

import copy
import plistlib
from pathlib import Path
from typing import Any

import pytest
from pymobiledevice3.restore.tss import TSSRequest

from station.virtual.apple.signing.server import SigningServer
from station.virtual.firmware.image4 import Ticket

MANIFESTS = Path(__file__).parents[3] / "shared/facts/real/manifests"
ECID = 0x000012345678ABCD
DIGEST = b"\x5d" * 32
COMMON = {"ApChipID": 0x8101, "ApBoardID": 0x0C, "ApSecurityDomain": 1, "UniqueBuildID": b"\1" * 20}
IDS: dict[str, Any] = {
    "BMU,BoardID": 5715,
    "BMU,ChipID": 57601,
    "Baobab,BoardID": 1,
    "Baobab,ChipID": 2,
    "Baobab,ManifestEpoch": 0,
    "Baobab,SecurityDomain": 1,
    "Cellular1,BoardID": 3,
    "Cellular1,ChipID": 4,
    "Cellular1,SecurityDomain": 1,
    "Cryptex1,ChipID": "0xFF10",
    "Cryptex1,NonceDomain": 1,
    "Cryptex1,PreauthorizationVersion": "23.3.71.0.0,0",
    "Cryptex1,ProductClass": "0xF2",
    "Cryptex1,SubType": 1,
    "Cryptex1,Type": 1,
    "Cryptex1,UseProductClass": True,
    "Cryptex1,Version": "23.3.71.0.0,0",
    "Rap,BoardID": 264,
    "Rap,ChipID": 8198,
    "Rap,SecurityDomain": 1,
    "SE,ChipID": "0xD2",
    "Savage,ChipID": "0x01",
    "Savage,PatchEpoch": "0x00",
    "Timer,BoardID,1": 5,
    "Timer,ChipID,1": 6,
    "Timer,SecurityDomain,1": 1,
    "Wireless1,BoardID": 7,
    "Wireless1,ChipID": 8,
    "Wireless1,SecurityDomain": 1,
    "Yonkers,BoardID": 0,
    "Yonkers,ChipID": "0x414",
    "Yonkers,PatchEpoch": 0,
    "eUICC,ChipID": 6,
}
COMPONENTS = (
    "BMU,FirmwareMap",
    "Baobab,TCON",
    "Cellular1,LLB",
    "Cryptex1,SystemVolume",
    "Rap,RTKitOS",
    "SE,RapRTKitOS",
    "SEP",
    "Savage,BA-Prod-Patch",
    "Timer,RTKitOS,1",
    "Wireless1,RTKitOS",
    "eUICC,Gold",
    "eUICC,Main",
)
IDENTITY: dict[str, Any] = {
    "ApBoardID": "0x0C",
    "ApChipID": "0x8101",
    "ApSecurityDomain": "0x01",
    "UniqueBuildID": COMMON["UniqueBuildID"],
    **IDS,
    "Info": {"BuildNumber": "23C71"},
    "Manifest": {
        **{name: {"Digest": DIGEST, "Info": {"Personalize": True}} for name in COMPONENTS},
        "SE,UpdatePayload": {"ProductionUpdatePayloadHash": DIGEST, "DevelopmentUpdatePayloadHash": DIGEST, "Info": {}},
        "Yonkers,SysTopPatch9": {"Digest": DIGEST, "EPRO": True, "FabRevision": 0xEA01, "Info": {}},
    },
}
PARAMETERS = {
    **{key: int(value, 16) if str(value).startswith("0x") else value for key, value in IDS.items()},
    **COMMON,
    "ApECID": ECID,
    "ApSupportsImg4": True,
    "ApProductionMode": True,
    "ApSecurityMode": True,
    "Manifest": IDENTITY["Manifest"],
}


def bytes_of(prefix: str, **fields: int) -> dict[str, bytes]:
    return {f"{prefix},{name}": value.to_bytes(8, "little") for name, value in fields.items()}


RAP = bytes_of("Rap", ECID=9, ProductionMode=1, SecurityMode=1) | {"Rap,Nonce": b"\2" * 32}
WIRELESS = bytes_of("Wireless1", ECID=9, ProductionMode=1, SecurityMode=1) | {"Wireless1,Nonce": b"\2" * 32}
CELLULAR = bytes_of("Cellular1", ECID=9, ProductionMode=1, SecurityMode=1) | {"Cellular1,Nonce": b"\2" * 32}
SE = {"SE,ID": b"\3" * 24, "SE,Nonce": b"\2" * 20, "SE,RootKeyIdentifier": b"\4" * 20}
SAVAGE = {
    "Savage,UID": b"\3" * 16,
    "Savage,Nonce": b"\2" * 16,
    "Savage,ProductionMode": True,
    "Savage,Revision": b"\xac",
}
YONKERS = {"Yonkers,ECID": b"\3" * 16, "Yonkers,Nonce": b"\2" * 16, "Yonkers,ProductionMode": True}
YONKERS |= {"Yonkers,FabRevision": 0xEA01} | dict.fromkeys(
    ("Yonkers,AllowOfflineBoot", "Yonkers,ReadECKey", "Yonkers,ReadFWKey"), True
)
VERIDIAN = {"ChipID": 57601, "UniqueID": 9, "ProductionMode": True, "Nonce": b"\2" * 32}
VINYL = {"eUICC,EID": b"\3" * 16, "EUICCGoldNonce": b"\2" * 16, "EUICCMainNonce": b"\5" * 16}
TCON = {"Baobab,ECID": 9, "Baobab,UpdateNonce": b"\2" * 32, "Baobab,ProductionMode": True, "Baobab,Life": 1}
TIMER = {"TagNumber": 1, "TicketName": "Timer,Ticket,1", "Timer,ECID,1": 9, "Timer,Nonce,1": b"\2" * 32}
TIMER |= {"Timer,ProductionMode,1": b"\1", "Timer,SecurityMode,1": b"\1"}

# The ticket, the library's method that asks for it, what the device says, the nonce, and who it is for.
CORPUS: list[tuple[str, str, dict[str, Any], str, str]] = [
    ("BMU,Ticket", "add_veridian_tags", VERIDIAN, "BMU,Nonce", "BMU,UniqueID"),
    ("Baobab,Ticket", "add_tcon_tags", TCON, "Baobab,UpdateNonce", "Baobab,ECID"),
    ("Cellular1,Ticket", "add_cellular_tags", CELLULAR, "Cellular1,Nonce", "Cellular1,ECID"),
    ("Rap,Ticket", "add_rose_tags", RAP, "Rap,Nonce", "Rap,ECID"),
    ("SE,Ticket", "add_se_tags", SE, "SE,Nonce", "SE,ID"),
    ("SE2,Ticket", "add_se2_tags", SE, "SE,Nonce", "SE,ID"),
    ("Savage,Ticket", "add_savage_tags", SAVAGE, "Savage,Nonce", "Savage,UID"),
    ("Timer,Ticket,1", "add_timer_tags", TIMER, "Timer,Nonce,1", "Timer,ECID,1"),
    ("Wireless1,Ticket", "add_centauri_tags", WIRELESS, "Wireless1,Nonce", "Wireless1,ECID"),
    ("Yonkers,Ticket", "add_yonkers_tags", YONKERS, "Yonkers,Nonce", "Yonkers,ECID"),
    ("eUICC,Ticket", "add_vinyl_tags", VINYL, "", "eUICC,EID"),
]
EVERY = pytest.mark.parametrize(
    ("ticket", "method", "info", "nonce", "subject"), CORPUS, ids=[row[0] for row in CORPUS]
)
NOT_ELIGIBLE = "STATUS=94&MESSAGE=This device isn't eligible for the requested build."


def internal(status: int) -> str:
    return f"STATUS={status}&MESSAGE=An internal error occurred."


@pytest.fixture(scope="module")
def signing(tmp_path_factory) -> SigningServer:
    directory = tmp_path_factory.mktemp("build")
    (directory / "BuildManifest.plist").write_bytes(plistlib.dumps({"BuildIdentities": [IDENTITY]}))
    server = SigningServer()
    server.sign_build(directory)
    return server


def request_of(method: str, info: dict[str, Any]) -> dict[str, Any]:
    """What the library sends for a chip that says `info`."""
    request = TSSRequest()
    parameters = copy.deepcopy(PARAMETERS | info)
    request.add_common_tags(parameters)
    getattr(request, method)(parameters, None)
    return request.tags()


def response(signing: SigningServer, request: dict[str, Any]) -> dict[str, Any]:
    head, _, body = signing.answer(plistlib.dumps(request)).partition("&REQUEST_STRING=")
    assert head == "STATUS=0&MESSAGE=SUCCESS"
    answer: dict[str, Any] = plistlib.loads(body.encode())
    return answer


@EVERY
def test_every_ticket_is_bound_to_its_request(signing, ticket, method, info, nonce, subject):
    request = request_of(method, info)
    answer = response(signing, request)
    assert set(answer) == {"@ServerVersion", ticket}
    signed = Ticket.parse(answer[ticket])
    signed.verify(signing.public_key)
    prefix = ticket.split(",")[0].rstrip("2")
    assert signed.properties["SUBJ"] == request[subject]
    assert signed.nonce_digest == (request[nonce] if nonce else VINYL["EUICCGoldNonce"] + VINYL["EUICCMainNonce"])
    assert signed.chip == request.get(f"{prefix},ChipID", request.get(f"{prefix},ChipID,1"))
    assert set(signed.digests.values()) == {DIGEST}


@EVERY
def test_what_is_not_this_builds_is_not_signed(signing, ticket, method, info, nonce, subject):
    request = request_of(method, info)
    prefix = ticket.split(",")[0].rstrip("2") + ","
    for name, entry in [(n, e) for n, e in request.items() if isinstance(e, dict) and n.startswith(prefix)]:
        spoilt = {k: bytes(32) if isinstance(v, bytes) and k != "Nonce" else v for k, v in entry.items()}
        assert signing.answer(plistlib.dumps(request | {name: spoilt})) == NOT_ELIGIBLE
        assert signing.answer(plistlib.dumps(request | {f"{prefix}Invented": entry})) == NOT_ELIGIBLE
    for key in [key for key in request if key in IDS and key != nonce]:
        assert signing.answer(plistlib.dumps(request | {key: 77})) == NOT_ELIGIBLE
    for key in [key for key in request if key.startswith(f"{prefix}ProductionMode")]:
        assert signing.answer(plistlib.dumps(request | {key: False})) == NOT_ELIGIBLE
    assert signing.answer(plistlib.dumps(request | {"ApChipID": 0x8110})) == NOT_ELIGIBLE
    missing = {key: value for key, value in request.items() if key != subject}
    assert signing.answer(plistlib.dumps(missing)) == internal(128)
    if nonce:
        assert signing.answer(plistlib.dumps(request | {nonce: "text"})) == internal(100)


def test_a_cryptex_ticket(signing):
    request = TSSRequest()
    chip = {"img4_chip_chip": 0x8101, "img4_chip_ecid": ECID, "img4_chip_cpro": True}
    request.add_cryptex1_tags(IDENTITY, chip, b"\2" * 32)
    signed = Ticket.parse(response(signing, request.tags())["Cryptex1,Ticket"])
    assert (signed.ecid, signed.chip) == (ECID, 0xFF10)
    assert signed.properties["UDID"] == request.tags()["Cryptex1,UDID"]


def test_several_tickets_in_one_request(signing):
    request = request_of("add_rose_tags", RAP) | request_of("add_veridian_tags", VERIDIAN)
    assert {"Rap,Ticket", "BMU,Ticket"} < set(response(signing, request))
    refused = request | {"BMU,Nonce": b""}
    assert signing.answer(plistlib.dumps(refused)) == internal(100)


def test_a_ticket_nobody_knows(signing):
    assert signing.answer(plistlib.dumps({"@Unheard,Ticket": True})) == internal(100)
    assert signing.answer(plistlib.dumps({"@BBTicket": True})) == internal(100)


@pytest.mark.parametrize(
    "name", ["12H321-iPhone7,2", "19H12-iPhone8,1", "19E241-iPhone9,1_9,3_10,1_10,4", "15C114-iPhone10,3_10,6"]
)
def test_builds_of_other_years(tmp_path, name):
    """SHA-1 and SHA-384, 20 and 32 bytes of nonce: Apple's own manifests, asked for as the library does."""
    file = MANIFESTS / f"{name}.plist"
    if not file.exists():
        pytest.skip("Apple's manifests (../shared/facts/real) are not here")
    (tmp_path / "BuildManifest.plist").write_bytes(file.read_bytes())
    signing = SigningServer()
    signing.sign_build(tmp_path)
    for identity in plistlib.loads(file.read_bytes())["BuildIdentities"]:
        ids = {key: int(identity[key], 16) for key in ("ApChipID", "ApBoardID", "ApSecurityDomain")}
        nonce = b"\6" * (20 if ids["ApChipID"] in (0x7000, 0x8000, 0x8003) else 32)
        parameters = PARAMETERS | ids | {"UniqueBuildID": identity["UniqueBuildID"], "Manifest": identity["Manifest"]}
        request = TSSRequest()
        request.add_common_tags(parameters)
        request.add_ap_tags(parameters)
        request.add_ap_img4_tags(parameters | {"ApNonce": nonce, "ApSepNonce": b"\7" * 20})
        signed = Ticket.parse(response(signing, request.tags())["ApImg4Ticket"])
        assert (signed.ecid, signed.nonce_digest, signed.sep_nonce) == (ECID, nonce, b"\7" * 20)
        assert signed.digests["ibec"] == identity["Manifest"]["iBEC"]["Digest"]
        sent = request.tags()
        assert signing.answer(plistlib.dumps(sent | {"ApNonce": b"\6" * 31})) == internal(100)
        assert signing.answer(plistlib.dumps(sent | {"ApProductionMode": False})) == NOT_ELIGIBLE
        assert signing.answer(plistlib.dumps(sent | {"iBEC": sent["iBEC"] | {"ESEC": False}})) == NOT_ELIGIBLE
        for key in ("ApECID", "ApNonce", "ApChipID", "UniqueBuildID"):
            missing = {name: value for name, value in sent.items() if name != key}
            assert signing.answer(plistlib.dumps(missing)) == internal(128)
