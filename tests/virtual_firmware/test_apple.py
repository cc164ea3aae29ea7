"""Apple's servers, asked by the unmodified library; and all the ways they can be told to misbehave."""

import asyncio
import hashlib
import plistlib
from typing import Any

import pytest
import pytest_asyncio
import requests
from ipsw_parser.ipsw import IPSW
from pymobiledevice3.exceptions import TSSError
from pymobiledevice3.restore import tss as library_tss
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.recovery import Recovery
from pymobiledevice3.restore.restore import Restore
from pymobiledevice3.restore.tss import TSSRequest

from station.model.base import Ecid
from station.virtual.apple.behaviour import AppleService, Behaviour
from station.virtual.apple.servers import AppleServers
from station.virtual.apple.signing.server import SigningServer
from station.virtual.firmware.components import COMPONENTS, FOURCCS
from station.virtual.firmware.image4 import Ticket, parse_img4

ECID = 0x000012345678ABCD
NONCE, SEP_NONCE, CRYPTEX_NONCE = b"\x91" * 32, b"\x92" * 20, b"\x93" * 32


class Phone:
    """What the library's request maker asks a device in recovery."""

    lockdown = None
    irecv = None
    nonce: bytes | None = NONCE

    def get_hardware_model_value(self):
        return "d53gap"

    async def get_hardware_model(self):
        return "d53gap"

    async def get_ecid(self):
        return ECID

    async def get_ap_nonce(self):
        return self.nonce

    async def get_sep_nonce(self):
        return SEP_NONCE

    async def get_is_image4_supported(self):
        return True

    async def get_ap_parameters(self):
        return {}


def library_on(kind: type, ipsw, behavior: Behavior = Behavior.Erase) -> Any:
    """The library's half of a restore of that phone."""
    return kind(IPSW.create_from_path(str(ipsw)), Phone(), behavior=behavior)


@pytest.fixture
def reachable(apple, monkeypatch) -> AppleServers:
    monkeypatch.setattr(library_tss, "TSS_CONTROLLER_ACTION_URL", apple.signing_url)
    servers: AppleServers = apple
    return servers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def request_body(ipsw) -> dict[str, Any]:
    """What the library would send, to be spoilt."""
    sent: list[dict[str, Any]] = []

    async def catch(self: TSSRequest) -> None:
        sent.append(self.tags())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TSSRequest, "send_receive", catch)
        await library_on(Recovery, ipsw).get_tss_response()
    return sent[0]


@pytest.fixture(scope="module")
def signing(ipsw) -> SigningServer:
    server = SigningServer()
    server.sign_build(ipsw)
    return server


@pytest.mark.parametrize("behavior", Behavior)
async def test_the_library_gets_a_ticket_that_covers_all_it_sends(ipsw, reachable, behavior):
    recovery = library_on(Recovery, ipsw, behavior)
    tss = await recovery.get_tss_response()
    ticket = Ticket.parse(tss.ap_img4_ticket)
    ticket.verify(reachable.public_key)
    assert (ticket.ecid, ticket.chip, ticket.board) == (ECID, 0x8101, 0x0C)
    assert (ticket.nonce_digest, ticket.sep_nonce) == (NONCE, SEP_NONCE)
    sent = 0
    for component in COMPONENTS:
        if not (component.image4 and component.personalized and component.rules) or "Cryptex1" in component.name:
            continue
        image, stitched = parse_img4(await recovery.get_personalized_data(component.name, tss=tss))
        assert stitched == ticket
        assert image.digest == ticket.digests[image.fourcc], component.name
        sent += 1
    assert sent > 25
    assert ticket.digests["OS\0\0"] == recovery.build_identity["Manifest"]["OS"]["Digest"]


async def test_a_cryptex_ticket_is_made_from_the_phones_own_request(ipsw, reachable):
    restore = library_on(Restore, ipsw)
    manifest = restore.build_identity["Manifest"]
    names = [name for name in FOURCCS if name.startswith("Cryptex1,")]
    response = await restore.get_device_generated_firmware_data(
        "Cryptex1",
        {},
        {
            "DeviceGeneratedTags": {
                "ResponseTags": ["Cryptex1,Ticket"],
                "BuildIdentityTags": ["Cryptex1,ChipID", "Cryptex1,Type", "Cryptex1,Version"],
            },
            "MessageArgInfo": {"Cryptex1,ProductionMode": True},
            "DeviceGeneratedRequest": {
                "@Cryptex1,Ticket": True,
                "Cryptex1,Nonce": CRYPTEX_NONCE,
                "Cryptex1,UDID": (0x8101).to_bytes(8) + ECID.to_bytes(8),
                **{name: {"Digest": manifest[name]["Digest"]} for name in names},
            },
        },
    )
    ticket = Ticket.parse(response["Cryptex1,Ticket"])
    ticket.verify(reachable.public_key)
    assert (ticket.ecid, ticket.chip, ticket.nonce_digest) == (ECID, 0xFF10, CRYPTEX_NONCE)
    assert ticket.digests == {FOURCCS[name]: manifest[name]["Digest"] for name in names}


@pytest.mark.parametrize(
    ("updater", "prefix", "subject", "names"),
    [
        ("Rose", "Rap", {"Rap,ECID": 7}, ("Rap,RTKitOS", "Rap,SoftwareBinaryDsp1")),
        ("SE", "SE", {"SE,ID": bytes(24)}, ("SE,RapRTKitOS", "SE,UpdatePayload")),
    ],
)
async def test_peripheral_tickets(ipsw, reachable, updater, prefix, subject, names):
    restore = library_on(Restore, ipsw)
    manifest = restore.build_identity["Manifest"]
    entries = {
        name: {key: value for key, value in manifest[name].items() if key.endswith(("Digest", "Hash"))}
        for name in names
    }
    arguments: dict[str, Any] = {
        "DeviceGeneratedTags": {"ResponseTags": [f"{prefix},Ticket"], "BuildIdentityTags": [f"{prefix},ChipID"]},
        "MessageArgInfo": {},
        "DeviceGeneratedRequest": {f"@{prefix},Ticket": True, f"{prefix},Nonce": b"\x94" * 32, **subject, **entries},
    }
    response = await restore.get_device_generated_firmware_data(updater, {}, arguments)
    ticket = Ticket.parse(response[f"{prefix},Ticket"])
    ticket.verify(reachable.public_key)
    assert ticket.nonce_digest == b"\x94" * 32
    assert ticket.chip == {"Rap": 8198, "SE": 0xD2}[prefix]
    entries[names[1]] = {key: value[::-1] for key, value in entries[names[1]].items()}
    arguments["DeviceGeneratedRequest"] |= entries
    with pytest.raises(TSSError, match="isn't eligible"):
        await restore.get_device_generated_firmware_data(updater, {}, arguments)


REFUSED = "STATUS=94&MESSAGE=This device isn't eligible for the requested build."
MALFORMED = "STATUS=100&MESSAGE=An internal error occurred."


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ({"ApBoardID": 0x0E}, REFUSED),
        ({"ApChipID": 0x8110}, REFUSED),
        ({"ApSecurityDomain": 0}, REFUSED),
        ({"UniqueBuildID": b"\0" * 20}, REFUSED),
        ({"iBEC": {"Digest": b"\0" * 48}}, REFUSED),
        ({"iBEC": {"Trusted": True}}, REFUSED),
        ({"Invented": {"Digest": b"\0" * 48}}, REFUSED),
        ({"ApECID": "0x12"}, MALFORMED),
        ({"ApECID": -1}, MALFORMED),
        ({"ApNonce": b""}, MALFORMED),
        ({"ApNonce": b"\0" * 100_000}, MALFORMED),
        ({"@ApImg4Ticket": False}, MALFORMED),
    ],
)
def test_what_does_not_fit_is_not_signed(request_body, signing, change, answer):
    assert signing.answer(plistlib.dumps(request_body)).startswith("STATUS=0&MESSAGE=SUCCESS&REQUEST_STRING=")
    assert signing.answer(plistlib.dumps(request_body | change)) == answer


def test_a_closed_signing_window(request_body, ipsw):
    signing = SigningServer()
    signing.sign_build(ipsw)
    signing.stop_signing("23C71")
    assert signing.answer(plistlib.dumps(request_body)) == REFUSED


@pytest.mark.parametrize("body", [b"", b"<plist>", b"bplist00\xff", b"<plist><array/></plist>", b"x" * 2_000_000])
def test_hostile_requests_are_answered(signing, body):
    assert signing.answer(body) == MALFORMED


async def test_the_library_hears_a_refusal(ipsw, reachable):
    reachable.behaviours[AppleService.SIGNING] = Behaviour.REFUSE
    with pytest.raises(TSSError, match="isn't eligible"):
        await library_on(Recovery, ipsw).get_tss_response()


async def get(url: str, **options: Any) -> requests.Response:
    return await asyncio.to_thread(requests.get, url, timeout=10, **options)


async def test_asset_keys(apple):
    response = await get(apple.asset_url("000-00001-001.dmg.aea"))
    assert (response.status_code, response.content) == (200, apple.asset_key)
    assert response.content.startswith(b"-----BEGIN PRIVATE KEY-----")


async def test_factory_data(apple):
    response = await asyncio.to_thread(requests.post, f"http://{apple.fdr_host}/fdr", data=b"who am I", timeout=10)
    assert response.text == hashlib.sha256(b"who am I").hexdigest()
    assert [(seen.service, seen.body) for seen in apple.requests] == [(AppleService.FDR, b"who am I")]


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [(Behaviour.REFUSE, 403), (Behaviour.UNAVAILABLE, 503), (Behaviour.PORTAL, 200), (Behaviour.GARBAGE, 200)],
)
async def test_misbehaviour(apple, behaviour, status):
    apple.behaviours[AppleService.ASSETS] = behaviour
    response = await get(apple.asset_url("key"))
    assert (response.status_code, response.content == apple.asset_key) == (status, False)
    assert ("<html>" in response.text) == (behaviour is Behaviour.PORTAL)


async def test_misbehaviour_to_one_phone_alone(apple):
    apple.exceptions[AppleService.FDR, Ecid(7)] = Behaviour.UNAVAILABLE

    async def ask(ecid: int) -> int:
        question = plistlib.dumps({"ECID": ecid})
        answer = await asyncio.to_thread(requests.post, f"http://{apple.host}/fdr", data=question, timeout=5)
        return answer.status_code

    assert [await ask(7), await ask(77), await ask(8)] == [503, 200, 200]


async def test_slow_is_right_in_the_end(apple):
    apple.behaviours[AppleService.ASSETS] = Behaviour.SLOW
    apple.slow_seconds = 0.01
    assert (await get(apple.asset_url("key"))).content == apple.asset_key


async def test_a_request_that_hangs_is_let_go_at_the_end():
    async with asyncio.timeout(10):
        async with AppleServers() as servers:
            servers.behaviours[AppleService.ASSETS] = Behaviour.HANG
            hanging = asyncio.create_task(get(servers.asset_url("key")))
            await servers.arrival(AppleService.ASSETS)
            assert not hanging.done()
        assert (await hanging).status_code == 503


async def test_an_endless_body_is_cut_off(apple):
    response = await asyncio.to_thread(requests.post, apple.signing_url, data=b"x" * 2_000_000, timeout=10)
    assert response.status_code == 413
