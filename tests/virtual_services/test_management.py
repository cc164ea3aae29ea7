"""MCInstall, asked by the unmodified library."""

import plistlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pymobiledevice3 import exceptions
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.services.mobile_config import MobileConfigService

from station.model.phone import PhoneMode, UsbArrived, UsbGone
from station.virtual.faults.kinds import Fault, FaultKind
from tests.virtual_services.helpers import started, trusted

NEW = {"activation_state": "Unactivated", "set_up": False}
PROFILE = {
    "PayloadType": "Configuration",
    "PayloadIdentifier": "com.example.wifi",
    "PayloadUUID": "00000000-0000-4000-8000-000000000002",
    "PayloadVersion": 1,
    "PayloadDisplayName": "Wi-Fi of the workshop",
    "PayloadContent": [],
}


def keybag(path: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Path:
    """A supervisor's certificate and key, as Apple Configurator exports them."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Workshop")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + private)
    return path


@pytest.fixture(scope="session", params=["rsa", "ec"])
def supervisor(request, tmp_path_factory) -> Path:
    key = rsa.generate_private_key(65537, 2048) if request.param == "rsa" else ec.generate_private_key(ec.SECP256R1())
    return keybag(tmp_path_factory.mktemp("keys") / "supervisor.pem", key)


@pytest.fixture(scope="session")
def stranger(tmp_path_factory) -> Path:
    return keybag(tmp_path_factory.mktemp("keys") / "stranger.pem", ec.generate_private_key(ec.SECP256R1()))


def certificate(path: Path) -> bytes:
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("supervised", [True, False])
async def test_says_whether_it_is_supervised(plug, supervised):
    phone = plug(supervised=supervised)
    async with started(phone, MobileConfigService) as service:
        await service.hello()
        await service.flush()
        configuration = await service.get_cloud_configuration()
    assert configuration["IsSupervised"] is supervised
    assert ("OrganizationName" in configuration) is supervised
    with_management = plug(2, supervised=True, managed=True)
    async with started(with_management, MobileConfigService) as service:
        profiles = await service.get_profile_list()
    assert profiles["OrderedIdentifiers"] == ["com.example.mdm"]
    assert profiles["ProfileMetadata"]["com.example.mdm"]["PayloadRemovalDisallowed"] is True


async def test_a_new_phone_is_supervised_once(plug, supervisor):
    phone = plug(**NEW)
    async with started(phone, MobileConfigService) as service:
        assert await service.get_cloud_configuration() == {}
        for noise in (None, 1, {}, {"SupervisorHostCertificates": 1}):
            request = {"RequestType": "SetCloudConfiguration", "CloudConfiguration": noise}
            if noise is None:
                del request["CloudConfiguration"]
            answer = await service.service.send_recv_plist(request)
            assert answer["ErrorChain"][0]["ErrorCode"] == 14000
        await service.supervise("Workshop", supervisor)
        assert phone.system.supervised
        configuration = await service.get_cloud_configuration()
        assert (configuration["IsSupervised"], configuration["OrganizationName"]) == (True, "Workshop")
        with pytest.raises(exceptions.CloudConfigurationAlreadyPresentError):
            await service.supervise("Workshop", supervisor)
    async with started(plug(2), MobileConfigService) as service:
        with pytest.raises(exceptions.CloudConfigurationAlreadyPresentError):
            await service.supervise("Workshop", supervisor)


async def test_profiles_come_and_go(plug):
    async with started(plug(supervised=True, managed=True), MobileConfigService) as service:
        await service.install_profile(plistlib.dumps(PROFILE))
        assert "com.example.wifi" in (await service.get_profile_list())["ProfileMetadata"]
        await service.remove_profile("com.example.wifi")
        assert (await service.get_profile_list())["OrderedIdentifiers"] == ["com.example.mdm"]
        with pytest.raises(exceptions.ProfileError, match="cannot be removed"):
            await service.remove_profile("com.example.mdm")
        for noise in (b"", b"noise", plistlib.dumps({"PayloadType": "Configuration"})):
            with pytest.raises(exceptions.ProfileError, match="not valid"):
                await service.install_profile(noise)
        await service.store_profile(b"later")
        assert (await service.get_stored_profile())["ProfileData"] == b"later"
        with pytest.raises(exceptions.ProfileError, match="not valid"):
            await service.set_wifi_power_state(state=False)


async def test_a_phone_has_only_so_many_profiles(plug, monkeypatch):
    monkeypatch.setattr("station.virtual.services.management.MAX_PROFILES", 1)
    async with started(plug(), MobileConfigService) as service:
        for _ in range(2):  # the second one takes the place of the first
            await service.install_profile(plistlib.dumps(PROFILE))
        with pytest.raises(exceptions.ProfileError, match="too many"):
            await service.install_profile(plistlib.dumps(PROFILE | {"PayloadIdentifier": "com.example.other"}))


async def test_a_supervisor_proves_who_it_is(plug, supervisor, stranger):
    phone = plug(supervised=True)
    phone.system.organisation.supervisors = [certificate(supervisor)]
    profile = plistlib.dumps(PROFILE)
    async with started(phone, MobileConfigService) as service:
        with pytest.raises(exceptions.ProfileError, match="not a supervisor"):
            await service.install_profile_silent(stranger, profile)
        impostor = stranger.parent / "impostor.pem"
        keys = stranger.read_bytes()[stranger.read_bytes().index(b"-----BEGIN PRIVATE") :]
        impostor.write_bytes(supervisor.read_bytes().partition(b"-----BEGIN PRIVATE")[0] + keys)
        with pytest.raises((exceptions.ProfileError, ValueError)):
            await service.install_profile_silent(impostor, profile)
        assert phone.system.organisation.profiles == {}
        await service.install_profile_silent(supervisor, profile)
    assert list(phone.system.organisation.profiles) == ["com.example.wifi"]


async def test_a_supervisor_pairs_without_being_asked(plug, supervisor, stranger):
    phone = plug(supervised=True, pairing_allowed=False, passcode=True, locked=True)
    phone.system.organisation.supervisors = [certificate(supervisor)]
    async with await create_using_usbmux(phone.identity.udid, autopair=False) as lockdown:
        with pytest.raises(exceptions.MCProtectedError):
            await lockdown.pair(timeout=0)
        with pytest.raises(exceptions.MCProtectedError):
            await lockdown.pair_supervised(stranger, timeout=0)
        assert phone.system.pairings.hosts == {}
        await lockdown.pair_supervised(supervisor, timeout=0)
        assert await lockdown.validate_pairing()


async def test_erases_the_phone(plug, bus):
    phone = plug(find_my=True)
    assert phone.system.canary is not None
    async with bus.watch() as events:
        await events.get()
        async with started(phone, MobileConfigService) as service:
            await service.erase_device(preserve_data_plan=True, disallow_proximity_setup=False)
        assert isinstance(await events.get(), UsbGone)
        assert isinstance(await events.get(), UsbArrived)
    assert phone.mode is PhoneMode.NORMAL
    assert phone.system.canary is None
    assert phone.activation_lock
    assert len(phone.destructions) == 1
    async with trusted(phone) as lockdown:
        assert await lockdown.get_value(key="ActivationState") == "Unactivated"


async def test_a_fault_may_strike_before_the_erase(plug):
    phone = plug(1, Fault(at="management:EraseDevice", kind=FaultKind.UNPLUG))
    async with started(phone, MobileConfigService) as service:
        await service.erase_device(preserve_data_plan=False, disallow_proximity_setup=False)
    assert phone.system.canary is not None
    assert phone.destructions == []
