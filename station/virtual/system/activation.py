"""Activation, the phone's side: what it tells Apple of itself, and which answer makes it usable.

Names of what is exchanged: public activation clients (libideviceactivation, pymobiledevice3's `mobile_activation.py`,
go-ios). What it contains is virtual: an activation record is an account token, signed with the key that the phone
takes for Apple's, which names this phone and the random number that it gave last.
"""

import hashlib
import plistlib
import re
import secrets
import ssl
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from station.virtual.firmware.image4 import issued_key
from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone

_TOKEN = re.compile(r'"(\w+)" = "([^"\n]*)";')


class NotAcceptedError(Exception):
    """The activation record does not activate this phone."""


def information(phone: VirtualPhone, system: System) -> dict[str, Any]:
    """What is sent to Apple's activation server: the phone, and a random number that the answer must name."""
    me = phone.identity
    system.activation_randomness = secrets.token_hex(16).upper()
    requests: dict[str, Any] = {
        "ActivationRequestInfo": {
            "ActivationRandomness": system.activation_randomness,
            "ActivationState": system.activation_state,
            "FMiPAccountExists": bool(system.find_my),
        },
        "DeviceID": {"SerialNumber": me.serial_number, "UniqueDeviceID": me.udid},
        "DeviceInfo": {
            "BuildVersion": system.build,
            "DeviceClass": me.device_class,
            "ModelNumber": me.model_number,
            "OSType": "iPhone OS",
            "ProductType": me.product_type,
            "ProductVersion": system.version,
            "RegionCode": me.region.partition("/")[0],
            "UniqueChipID": me.ecid,
        },
    }
    if me.imei is not None:
        requests["BasebandRequestInfo"] = {"InternationalMobileEquipmentIdentity": me.imei}
    body = plistlib.dumps(requests)
    return {
        "ActivationInfoComplete": True,
        "ActivationInfoXML": body,
        "FairPlayCertChain": hashlib.shake_256(b"chain").digest(1024),
        "FairPlaySignature": hashlib.shake_256(body).digest(128),
    }


def accept(phone: VirtualPhone, system: System, apple: ec.EllipticCurvePublicKey, record: object) -> None:
    """Become activated by a record of Apple's.

    Args:
        phone: who it must be for.
        system: what becomes activated.
        apple: whose signature it needs.
        record: the activation record.

    Raises:
        NotAcceptedError: it is not for this phone, not new, or not Apple's.
    """
    token = _token(apple, record)
    wanted = {"ActivationRandomness": system.activation_randomness, "UniqueDeviceID": phone.identity.udid}
    if system.activation_randomness is None or any(token.get(name) != value for name, value in wanted.items()):
        raise NotAcceptedError("for another phone, or another request")
    system.activation_randomness = None
    system.activation_state = "Activated"
    phone.activation_lock = False


def handshake_response(request: bytes) -> bytes:
    """What Apple's server answers to the phone's HandshakeRequestMessage. Of the real one only the names are known."""
    return hashlib.sha256(b"handshake" + request).digest()


def deactivate(system: System) -> None:
    """Forget the activation."""
    system.activation_state = "Unactivated"


def _token(apple: ec.EllipticCurvePublicKey, record: object) -> dict[str, str]:
    """What the record says, once it is clear that Apple says it."""
    try:
        if not isinstance(record, dict) or record["unbrick"] is not True:
            raise NotAcceptedError("it does not activate")
        leaf = issued_key(ssl.PEM_cert_to_DER_cert(record["AccountTokenCertificate"].decode()), apple)
        leaf.verify(record["AccountTokenSignature"], record["AccountToken"], ec.ECDSA(hashes.SHA384()))
        return dict(_TOKEN.findall(record["AccountToken"].decode()))
    except (KeyError, TypeError, ValueError, AttributeError, InvalidSignature) as error:
        raise NotAcceptedError("not Apple's") from error
