"""Apple's activation server ("albert"): it knows whom a phone belongs to, and signs what makes the phone usable.

POST /deviceservices/drmHandshake      a session for the phone's handshake message
POST /deviceservices/deviceActivation  an activation record; for a locked phone, a page that asks for its owner

The page is XML ("BuddyML") whose elements public clients look for (libideviceactivation `activation.c`, pymobiledevice3
`mobile_activation.py`): a title, a text, rows to fill in, and what is to be sent back with them.
"""

import base64
import plistlib
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from station.model.base import Udid
from station.virtual import framing
from station.virtual.apple.behaviour import AppleService, Conduct
from station.virtual.firmware.image4 import SigningKey
from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.activation import handshake_response

MAX_FIELDS = 20
LEGACY = "InStoreActivation"
"""A field of requests that are made without a session, and answered in another shape."""
_LOCKED = "This iPhone is linked to an Apple Account. Enter the account and password that were used to set it up ({})."
_WRONG = "That is not the Apple Account and password that were used to set up this iPhone ({})."


class ActivationServer:
    """The server, to be mounted as albert.apple.com with `routes`."""

    def __init__(self, conduct: Conduct, key: SigningKey, find: Callable[[Udid], VirtualPhone | None]) -> None:
        """A server that activates every phone but those that are locked.

        Args:
            conduct: how it behaves.
            key: what records are signed with; phones know its issuer.
            find: the phone with a UDID; None: none that Apple has made.
        """
        self._conduct = conduct
        self._key = key
        self._find = find
        self._certificate = x509.load_der_x509_certificate(key.certificate).public_bytes(Encoding.PEM)

    @property
    def routes(self) -> list[Route]:
        """What it serves."""
        return [
            Route("/deviceservices/drmHandshake", self._handshake, methods=["POST"]),
            Route("/deviceservices/deviceActivation", self._activation, methods=["POST"]),
        ]

    async def _handshake(self, request: Request) -> Response:
        body, instead = await self._conduct.receive(AppleService.ACTIVATION, request)
        return instead or _refused_if_malformed(lambda: self._answer_handshake(body))

    async def _activation(self, request: Request) -> Response:
        body, instead = await self._conduct.receive(AppleService.ACTIVATION, request)
        return instead or _refused_if_malformed(lambda: self._answer_activation(body))

    def _answer_handshake(self, body: bytes) -> Response:
        """Answer what a phone began a session with."""
        message = framing.parse(body)["HandshakeRequestMessage"]
        answer = {
            "FDRBlob": bytes(64),
            "HandshakeResponseMessage": handshake_response(message),
            "SUInfo": bytes(64),
            "serverKP": bytes(64),
        }
        return Response(plistlib.dumps(answer), media_type="application/xml")

    def _answer_activation(self, body: bytes) -> Response:
        """Answer a phone's request, which may come back with what somebody filled into the page."""
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
        again = form.get("activation-info-base64")
        information = base64.b64decode(again, validate=True) if again else form["activation-info"].encode()
        asked = framing.parse(framing.parse(information)["ActivationInfoXML"])
        identity, randomness = asked["DeviceID"], asked["ActivationRequestInfo"]["ActivationRandomness"]
        phone = self._find(Udid(str(identity["UniqueDeviceID"])))
        if phone is None or phone.identity.serial_number != identity["SerialNumber"]:
            return _refusal()
        login, password = form.get("login"), form.get("password")
        if phone.activation_lock and (login, password) != (phone.owner.name, phone.owner.password):
            kept = {LEGACY: form[LEGACY]} if LEGACY in form else {}
            back = {"activation-info-base64": base64.b64encode(information).decode(), "isAuthRequired": "true", **kept}
            return _page((_LOCKED if login is None else _WRONG).format(phone.owner.masked), back)
        record = self._record(phone, randomness)
        if LEGACY in form:
            answer = {"iphone-activation": {"ack-received": True, "activation-record": record, "unbrick": True}}
        else:
            answer = {"ActivationRecord": record}
        # requests gives the header back as it is, and clients compare it with this.
        return Response(plistlib.dumps(answer), headers={"Content-Type": "text/xml", "ARS": "virtual"})

    def _record(self, phone: VirtualPhone, randomness: str) -> dict[str, Any]:
        """What makes this phone usable, for this request."""
        me = phone.identity
        fields = {
            "InternationalMobileEquipmentIdentity": me.imei or "",
            "ActivityURL": "https://albert.apple.com/deviceservices/activity",
            "ActivationRandomness": randomness,
            "UniqueDeviceID": me.udid,
            "SerialNumber": me.serial_number,
            "CertificateURL": "https://albert.apple.com/deviceservices/certifyMe",
            "PhoneNumberNotificationURL": "https://albert.apple.com/deviceservices/phoneHome",
            "ProductType": me.product_type,
        }
        token = ("{\n" + "".join(f'\t"{name}" = "{value}";\n' for name, value in fields.items()) + "}").encode()
        return {
            "AccountToken": token,
            "AccountTokenCertificate": self._certificate,
            "AccountTokenSignature": self._key.leaf.sign(token, ec.ECDSA(hashes.SHA384())),
            "DeviceCertificate": self._certificate,
            "FairPlayKeyData": bytes(64),
            "UniqueDeviceCertificate": self._certificate,
            "unbrick": True,
        }


def _refused_if_malformed(answer: Callable[[], Response]) -> Response:
    try:
        return answer()
    except (framing.BadMessageError, KeyError, TypeError, ValueError):
        return _refusal()


def _refusal() -> Response:
    return PlainTextResponse("Bad Request", 400)


def _page(text: str, back: Mapping[str, str]) -> Response:
    """The page that asks who the owner is."""
    attributes = " ".join(f"{name}={quoteattr(value)}" for name, value in back.items())
    page = f"""<?xml version="1.0" encoding="UTF-8"?>
<xmlui>
  <page name="FMIPLockChallenge">
    <navigationBar title="Activation Lock" hidesBackButton="false"/>
    <tableView>
      <section>
        <footer>{escape(text)}</footer>
      </section>
      <section>
        <editableTextRow id="login" label="Apple Account" placeholder="Email or Phone Number" keyboardType="email"/>
        <editableTextRow id="password" label="Password" placeholder="Required" secure="true"/>
      </section>
    </tableView>
  </page>
  <serverInfo {attributes}/>
</xmlui>
"""
    return Response(page, headers={"Content-Type": "application/x-buddyml"})
