"""lockdownd, asked by the unmodified library."""

import asyncio
import plistlib
import ssl
import struct
import tempfile
from contextlib import asynccontextmanager

import pytest
from pymobiledevice3 import exceptions
from pymobiledevice3.ca import generate_pairing_cert_chain
from pymobiledevice3.restore.device import Device
from pymobiledevice3.service_connection import ServiceConnection, create_ssl_context

from station.model.phone import PhoneMode, UsbArrived
from station.virtual.faults.kinds import Fault, FaultKind
from station.virtual.phones.phone import MAX_STEP
from station.virtual.system.conversation import MAX_SETTING, MAX_SETTINGS
from station.virtual.system.lockdownd import PORT
from station.virtual.system.values import UNTRUSTED
from tests.virtual_normal.helpers import lockdown

GONE = (exceptions.ConnectionTerminatedError, ConnectionError)


@asynccontextmanager
async def raw(phone):
    """A connection to lockdownd without the library's manners."""
    connection = await ServiceConnection.create_using_usbmux(phone.identity.udid, PORT)
    try:
        yield connection
    finally:
        await connection.close()


class ClientTls:
    """TLS over a connection of the library's that ends while the connection goes on, as libimobiledevice's does."""

    def __init__(self, connection, context):
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing)

    async def _until(self, act):
        """Do it as often as needed, with what comes in between."""
        while True:
            try:
                result = act()
            except ssl.SSLWantReadError:
                await self._flush()
                self._incoming.write(await self._connection.reader.read(1 << 16))
            else:
                await self._flush()
                return result

    async def _flush(self):
        if data := self._outgoing.read():
            await self._connection.sendall(data)

    async def shake_hands(self):
        await self._until(self._tls.do_handshake)

    async def ask(self, message):
        body = plistlib.dumps(message)
        self._tls.write(struct.pack(">L", len(body)) + body)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack_from(">L", answer)[0]:
            answer += await self._until(lambda: self._tls.read(1 << 16))
        return plistlib.loads(answer[4:])

    async def end(self):
        await self._until(self._tls.unwrap)


def host_context(record):
    """What a host that is trusted comes with."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(record["HostCertificate"] + b"\n" + record["HostPrivateKey"])
        file.flush()
        return create_ssl_context(file.name)


async def test_tells_a_trusted_host_who_it_is(plug):
    phone = plug(7, passcode=True, activation_state="Unactivated", find_my=True)
    async with lockdown(phone) as client:
        assert client.paired
        assert client.ecid == 7
        assert client.udid == phone.identity.udid
        assert client.display_name == "iPhone 12"
        values = client.all_values
        assert (values["ProductType"], values["HardwareModel"]) == ("iPhone13,2", "D53gAP")
        assert (values["ProductVersion"], values["BuildVersion"]) == ("18.5", "22F76")
        assert (values["SerialNumber"], values["PasswordProtected"]) == (phone.identity.serial_number, True)
        assert values["InternationalMobileEquipmentIdentity"] == phone.identity.imei
        assert (values["ActivationState"], values["BrickState"]) == ("Unactivated", True)
        assert values["NonVolatileRAM"]["auto-boot"] == b"true"
        assert await client.get_value("com.apple.fmip", "IsAssociated") is True
        assert await client.get_value("com.apple.mobile.battery", "BatteryCurrentCapacity") == 82
        disk = await client.get_value("com.apple.disk_usage")
        assert disk["TotalDataAvailable"] < disk["TotalDiskCapacity"]
        assert await client.get_value("com.apple.nothing") == {}
        with pytest.raises(exceptions.MissingValueError):
            await client.get_value(key="Nothing")
    assert "lockdown:StartSession" in phone.history


async def test_tells_the_restore_what_it_needs_to_be_signed_for(plug):
    phone = plug()
    async with lockdown(phone) as client:
        device = Device(lockdown=client)
        assert await device.get_hardware_model() == "d53gap"
        assert await device.get_is_image4_supported()
        assert await device.get_ap_nonce() == phone.ap_nonce
        assert await device.get_sep_nonce() == phone.sep_nonce
        assert await device.get_preflight_info() is None
        assert await device.get_firmware_preflight_info() is None
        assert await client.get_value(key="ApNonce") == phone.ap_nonce
        assert await client.get_value(key="SEPNonce") == phone.sep_nonce


async def test_tells_a_stranger_little(plug):
    phone = plug()
    async with lockdown(phone, autopair=False) as client:
        assert not client.paired
        assert client.all_values.keys() == UNTRUSTED
        assert await client.get_value("com.apple.fmip") == {}
        for domain, key in [(None, "SerialNumber"), ("com.apple.fmip", "IsAssociated")]:
            with pytest.raises(exceptions.GetProhibitedError):
                await client.get_value(domain, key)
        for request in ("EnterRecovery", "StartService", "SetValue", "RemoveValue", "StopSession"):
            answer = await client.service.send_recv_plist({"Request": request})
            assert answer == {"Request": request, "Error": "SessionInactive"}
    assert phone.mode is PhoneMode.NORMAL


async def test_remembers_whom_it_trusts(plug):
    phone = plug(trusted=True)
    async with lockdown(phone) as client:
        assert client.paired
    phone.system.trusted = False
    async with lockdown(phone) as client:
        assert client.paired
        await client.unpair()
        assert phone.system.pairings.hosts == {}
        with pytest.raises(exceptions.InvalidHostIDError):
            await client.unpair()
    with pytest.raises(exceptions.PairingDialogResponsePendingError):
        async with lockdown(phone):
            pass


async def test_somebody_must_tap_trust(plug):
    phone = plug(trusted=False)
    async with lockdown(phone, autopair=False) as client:
        with pytest.raises(exceptions.PairingDialogResponsePendingError):
            await client.pair(timeout=0)
        phone.system.trusted = True
        phone.pace.factor = 1000.0  # a slow hand: the dialog is open, and stays
        with pytest.raises(exceptions.PairingDialogResponsePendingError):
            await client.pair(timeout=0)
        phone.pace.factor = 1e-9
        await client.pair(timeout=0)
        assert await client.validate_pairing()


async def test_a_host_that_lost_its_record_must_be_trusted_anew(plug):
    phone = plug()
    async with lockdown(phone) as client:
        assert client.paired
        phone.system.trusted = False
        with pytest.raises(exceptions.PairingDialogResponsePendingError):
            await client.pair(timeout=0)


async def test_somebody_may_not_trust(plug):
    phone = plug(trusted=False, denied=True)
    async with lockdown(phone, autopair=False) as client:
        with pytest.raises(exceptions.UserDeniedPairingError):
            await client.pair()
    assert phone.system.pairings.hosts == {}


async def test_a_locked_phone_talks_to_no_new_host(plug):
    phone = plug(passcode=True, locked=True)
    with pytest.raises(exceptions.PasswordRequiredError):
        async with lockdown(phone):
            pass
    phone.system.locked = False
    async with lockdown(phone):
        pass
    phone.system.locked = True
    async with lockdown(phone) as client:
        assert client.paired


async def test_a_phone_that_recovers_its_data_lets_nobody_in(plug):
    phone = plug(passcode=True)
    async with lockdown(phone):
        pass
    phone.system.recovering = phone.system.locked = True
    with pytest.raises(exceptions.PasswordRequiredError):
        async with lockdown(phone):
            pass


async def test_refuses_pair_records_that_do_not_hold_together(plug):
    phone, other = plug(1), plug(2)

    async def record(of):
        host, _, device, root, _ = generate_pairing_cert_chain(await of.system.pairings.public_key())
        return {"HostID": "me", "HostCertificate": host, "DeviceCertificate": device, "RootCertificate": root}

    good, foreign, another = await record(phone), await record(other), await record(phone)
    bad = [good | {name: another[name]} for name in good if name != "HostID"]
    odd = ssl.PEM_cert_to_DER_cert(good["HostCertificate"].decode()).replace(
        b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"
    )
    bad.append(good | {"HostCertificate": ssl.DER_cert_to_PEM_cert(odd).encode()})  # version 8 of X.509
    bad += [foreign, good | {"HostCertificate": b"?"}, good | {"HostID": 1}, {"HostID": "me"}, []]
    async with raw(phone) as connection:
        for refused in bad:
            answer = await connection.send_recv_plist({"Request": "Pair", "PairRecord": refused})
            assert answer["Error"] == "InvalidPairRecord"
        assert phone.system.pairings.hosts == {}
        assert "EscrowBag" in await connection.send_recv_plist({"Request": "Pair", "PairRecord": good})
        validated = await connection.send_recv_plist({"Request": "ValidatePair", "PairRecord": good})
        assert validated == {"Request": "ValidatePair"}


async def test_a_session_needs_the_hosts_own_key(plug):
    phone = plug()
    async with lockdown(phone) as client:
        record = dict(client.pair_record)
    _, key, _, _, _ = chain = generate_pairing_cert_chain(await phone.system.pairings.public_key())
    record |= {"HostCertificate": chain[0], "HostPrivateKey": key}
    phone.history.clear()
    with pytest.raises(GONE):
        async with lockdown(phone, pair_record=record):
            pass
    started = phone.history.index("lockdown:StartSession")
    assert set(phone.history[started:]) <= {f"connect:{PORT}", "lockdown:StartSession"}
    async with raw(phone) as connection:
        answer = await connection.send_recv_plist({"Request": "StartSession", "HostID": "somebody else"})
        assert answer["Error"] == "InvalidHostID"


async def test_sessions_begin_and_end(plug):
    phone = plug()
    async with lockdown(phone) as client:
        answer = await client.service.send_recv_plist({"Request": "StartSession", "HostID": client.host_id})
        assert answer["Error"] == "SessionActive"
        with pytest.raises(exceptions.InvalidServiceError):
            await client.start_lockdown_service("com.apple.nothing")
        await client.set_value("Mine", key="DeviceName")
        assert await client.get_value(key="DeviceName") == phone.system.name == "Mine"
        with pytest.raises(exceptions.SetProhibitedError):
            await client.set_value("1", key="ProductVersion")
        assert (await client.stop_session())["Result"] == "Success"
    async with raw(phone) as connection:
        assert (await connection.send_recv_plist({"Request": "Goodbye"}))["Result"] == "Success"
        assert await connection.recv_any() == b""


async def test_enters_recovery_and_stays_there(plug, bus):
    phone = plug()
    async with bus.watch() as events, lockdown(phone) as client:
        arrived = await events.get()
        assert isinstance(arrived, UsbArrived)
        assert arrived.serial == "000081010000000000000001"
        await client.enter_recovery()
        await events.get()
        arrived = await events.get()
    assert phone.mode is PhoneMode.RECOVERY is phone.boot_mode()
    assert arrived.product_id == 0x1281
    assert "ECID:0000000000000001" in arrived.serial
    assert phone.destructions == []


async def test_phones_are_asked_beside_each_other(plug, bus):
    first, second = plug(1), plug(2, model="iPhone 8")
    async with lockdown(first) as one, lockdown(second) as two:
        assert (one.ecid, two.ecid) == (1, 2)
        assert two.all_values["UniqueDeviceID"] == second.identity.udid
        await bus.unplug(first.socket)
        assert await two.get_value(key="UniqueChipID") == 2
        with pytest.raises((*GONE, exceptions.DeviceNotFoundError)):
            await one.get_value(key="UniqueChipID")


@pytest.mark.parametrize("request_name", ["QueryType", "GetValue", "Pair", "StartSession", "EnterRecovery"])
@pytest.mark.parametrize("kind", [FaultKind.REFUSE, FaultKind.UNPLUG])
async def test_breaks_off_at_any_request(plug, bus, request_name, kind):
    phone = plug(1, Fault(at=f"lockdown:{request_name}", kind=kind))
    async with raw(phone) as connection:
        with pytest.raises(GONE):
            await connection.send_recv_plist({"Request": request_name})
    assert (bus.phones == []) is (kind is FaultKind.UNPLUG)
    assert phone.mode is PhoneMode.NORMAL


async def test_the_library_gets_over_a_connection_that_broke(plug):
    phone = plug(1, Fault(at="lockdown:GetValue", kind=FaultKind.REFUSE))
    async with lockdown(phone) as client:
        assert client.paired
    assert phone.history.count("lockdown:GetValue") > 1


async def test_falls_silent_until_it_leaves(plug, bus):
    phone = plug(1, Fault(at="lockdown:GetValue", kind=FaultKind.SILENCE))
    async with raw(phone) as connection:
        asking = asyncio.create_task(connection.send_recv_plist({"Request": "GetValue"}))
        async with raw(phone) as another:  # another connection is served meanwhile
            while "lockdown:GetValue" not in phone.history:
                await another.send_recv_plist({"Request": "ValidatePair"})
            assert not asking.done()
        await bus.unplug(phone.socket)
        with pytest.raises(GONE):
            await asking


@pytest.mark.parametrize("noise", [b"\xff\xff\xff\xff", b"\0\0\0\4junk", b"\0\0\0\0"])
async def test_hangs_up_on_noise(plug, noise):
    async with raw(plug()) as connection:
        await connection.sendall(noise)
        assert await connection.recv_any() == b""


async def test_does_not_know_every_request(plug):
    phone = plug()
    async with raw(phone) as connection:
        for request in ({"Request": "Dance"}, {"Request": 3}, {}):
            assert (await connection.send_recv_plist(request))["Error"] == "UnknownRequest"
    assert phone.history == [f"connect:{PORT}"]


async def test_answers_requests_whose_fields_are_no_text(plug):
    async with raw(plug()) as connection:
        for strange in (["DeviceName"], {"DeviceName": 1}, 1, b"DeviceName"):
            answer = await connection.send_recv_plist({"Request": "GetValue", "Key": strange})
            assert answer["Error"] == "MissingKey"
            answer = await connection.send_recv_plist({"Request": "GetValue", "Domain": strange})
            assert answer["Value"] == {}
            answer = await connection.send_recv_plist({"Request": "ValidatePair", "PairRecord": {"HostID": strange}})
            assert answer["Error"] == "InvalidHostID"
    async with lockdown(plug(2)) as client:
        for name, error in {"RemoveValue": "MissingValue", "SetValue": "SetProhibited"}.items():
            for strange in (["TimeZone"], {"TimeZone": 1}, 1):
                request: dict[str, object] = {"Request": name, "Domain": strange, "Key": strange, "Value": strange}
                assert (await client.service.send_recv_plist(request))["Error"] == error


async def test_remembers_only_so_much_of_what_it_went_through(plug, monkeypatch):
    monkeypatch.setattr("station.virtual.phones.phone.MAX_HISTORY", 10)
    phone = plug()
    for number in range(100):
        await phone.step(f"{number}:" + "a" * 1000)
    assert len(phone.history) <= 20
    assert [step.partition(":")[0] for step in phone.history[-10:]] == [str(number) for number in range(90, 100)]
    assert max(map(len, phone.history)) == MAX_STEP


async def test_a_session_ends_in_plain_text(plug):
    phone = plug()
    async with lockdown(phone) as client:
        record = dict(client.pair_record)
    async with raw(phone) as connection:
        start = {"Request": "StartSession", "HostID": record["HostID"]}
        session = (await connection.send_recv_plist(start))["SessionID"]
        context = host_context(record)
        tls = ClientTls(connection, context)
        await tls.shake_hands()
        answer = await tls.ask({"Request": "GetValue", "Key": "SerialNumber"})
        assert answer["Value"] == phone.identity.serial_number
        assert (await tls.ask({"Request": "StopSession", "SessionID": session}))["Result"] == "Success"
        await tls.end()
        answer = await connection.send_recv_plist({"Request": "GetValue", "Key": "SerialNumber"})
        assert answer["Error"] == "GetProhibited"
        answer = await connection.send_recv_plist({"Request": "GetValue", "Key": "ProductType"})
        assert answer["Value"] == "iPhone13,2"
        assert "SessionID" in await connection.send_recv_plist(start)


async def test_an_escrow_bag_opens_services_of_a_locked_phone(plug):
    phone = plug(passcode=True)
    async with lockdown(phone) as client:
        phone.system.locked = True
        with pytest.raises(exceptions.PasswordRequiredError):
            await client.start_lockdown_service("com.apple.mobile.MCInstall")
        service = await client.start_lockdown_service("com.apple.mobile.MCInstall", include_escrow_bag=True)
        async with service:
            assert (await service.send_recv_plist({"RequestType": "Flush"}))["Status"] == "Acknowledged"
        client.pair_record["EscrowBag"] = bytes(32)
        with pytest.raises(exceptions.PasswordRequiredError):
            await client.start_lockdown_service("com.apple.mobile.MCInstall", include_escrow_bag=True)
        await client.start_lockdown_service("com.apple.mobile.heartbeat")


async def test_whoever_asks_sends_an_old_phone_to_recovery(plug):
    for number, version, answer in [
        (1, "14.4.2", {"Request": "EnterRecovery"}),
        (2, "14.5", {"Request": "EnterRecovery", "Error": "SessionInactive"}),
    ]:
        phone = plug(number, version=version)
        async with raw(phone) as connection:
            assert await connection.send_recv_plist({"Request": "EnterRecovery"}) == answer
        assert (phone.nvram["auto-boot"] == "false") is ("Error" not in answer)


async def test_keeps_what_hosts_set(plug):
    phone = plug()
    wireless = "com.apple.mobile.wireless_lockdown"
    async with lockdown(phone) as client:
        assert await client.get_enable_wifi_connections() is False
        await client.set_enable_wifi_connections(True)
        await client.set_timezone("Europe/Rome")
        await client.set_uses24h_clock(False)
        await client.set_language("it")
        await client.set_value("x", "com.example.mine", "anything")
    async with lockdown(phone) as client:
        assert await client.get_enable_wifi_connections() is True
        assert await client.get_value(key="TimeZone") == "Europe/Rome"
        assert await client.get_value(key="Uses24HourClock") is False
        assert await client.get_language() == "it"
        assert await client.get_value("com.example.mine") == {"anything": "x"}
        await client.remove_value(wireless, "EnableWifiConnections")
        assert await client.get_enable_wifi_connections() is False
        for domain, key, error in [
            (None, "ProductType", "RemoveProhibited"),
            (None, "Nothing", "MissingValue"),
            (wireless, "EnableWifiConnections", "RemoveProhibited"),
        ]:
            with pytest.raises(exceptions.PyMobileDevice3Exception) as raised:
                await client.remove_value(domain, key)
            assert error in repr(raised.value) or type(raised.value).__name__ == f"{error}Error"
        for domain, key in [("com.apple.mobile.battery", "BatteryCurrentCapacity"), ("com.apple.fmip", "IsAssociated")]:
            with pytest.raises(exceptions.SetProhibitedError):
                await client.set_value(False, domain, key)
        with pytest.raises(exceptions.SetProhibitedError):
            await client.set_value("x" * MAX_SETTING, "com.example.mine", "much")
        for number in range(MAX_SETTINGS - sum(map(len, phone.system.settings.values()))):
            await client.set_value(number, "com.example.mine", str(number))
        with pytest.raises(exceptions.SetProhibitedError):
            await client.set_value(0, "com.example.mine", "one more")


@pytest.mark.parametrize("model", ["iPhone 12", "iPhone 16"])
async def test_the_newest_chips_do_not_tell_the_seps_nonce_by_its_name(plug, model):
    phone = plug(model=model)
    async with lockdown(phone, autopair=False) as client:
        told = await client.get_value(key="SEPNonce")
        assert (told == phone.sep_nonce) is (model == "iPhone 12")
        assert (await client.get_value(key="ApParameters"))["SepNonce"] == phone.sep_nonce


async def test_says_what_is_missing(plug):
    phone = plug()
    async with lockdown(phone) as client:
        for request, error in [
            ({"Request": "StopSession"}, "MissingSessionID"),
            ({"Request": "StopSession", "SessionID": "x"}, "InvalidSessionID"),
            ({"Request": "StartService"}, "MissingService"),
            ({"Request": "Pair"}, "MissingPairRecord"),
            ({"Request": "Activate"}, "MissingActivationRecord"),
            ({"Request": "Activate", "ActivationRecord": {}}, "InvalidActivationRecord"),
        ]:
            assert (await client.service.send_recv_plist(request))["Error"] == error
        assert phone.system.activation_state == "Activated"
    async with raw(phone) as connection:
        assert (await connection.send_recv_plist({"Request": "StartSession"}))["Error"] == "MissingHostID"
