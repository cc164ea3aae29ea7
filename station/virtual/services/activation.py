"""com.apple.mobileactivationd: whether the phone is activated, and the conversation that makes it so.

Commands as libimobiledevice (`mobileactivation.c`), go-ios and pymobiledevice3 (`mobile_activation.py`) send them. With
a session (iOS 10.2 and later): CreateTunnel1SessionInfo, a handshake with Apple, CreateTunnel1ActivationInfo, the
request to Apple, HandleActivationInfoWithSession.
"""

import plistlib
import secrets
from typing import Any

from station.virtual import framing
from station.virtual.services.service import Call, Service
from station.virtual.system import activation

SESSIONS = (10, 2)
"""The iOS that brought them."""


class _RefusedError(Exception):
    """The command is answered with this Error."""


async def serve(call: Call) -> None:
    """Answer commands until the host hangs up."""
    while True:
        message = await call.receive()
        command = message.get("Command")
        if isinstance(command, str):
            await call.phone.step(f"activation:{command}")
        try:
            answer = _answer(call, command, message.get("Value"))
        except (_RefusedError, activation.NotAcceptedError) as error:
            answer = {"Error": str(error)}
        await call.send(answer)


def _answer(call: Call, command: object, value: Any) -> dict[str, Any]:
    phone, system = call.phone, call.system
    sessions = system.release >= SESSIONS
    result: Any = None
    match command:
        case "GetActivationStateRequest":
            result = system.activation_state
        case "CreateTunnel1SessionInfoRequest" if sessions:
            result = _begin_handshake(call)
        case "CreateTunnel1ActivationInfoRequest" if sessions:
            _finish_handshake(call, value)
            result = activation.information(phone, system)
        case "CreateActivationInfoRequest":
            result = activation.information(phone, system)
        case "HandleActivationInfoWithSessionRequest" if sessions:
            activation.accept(phone, system, call.apple, _plist(value).get("ActivationRecord"))
        case "HandleActivationInfoRequest":
            activation.accept(phone, system, call.apple, value)
        case "DeactivateRequest":
            activation.deactivate(system)
        case _:
            raise _RefusedError("Invalid command.")
    return {} if result is None else {"Value": result}


def _begin_handshake(call: Call) -> dict[str, Any]:
    udid = call.phone.identity.udid
    call.system.activation_session = secrets.token_bytes(32)
    return {
        "CollectionBlob": plistlib.dumps({"IngestBody": udid}),
        "HandshakeRequestMessage": call.system.activation_session,
        "UniqueDeviceID": udid,
    }


def _finish_handshake(call: Call, response: object) -> None:
    """Check that Apple's answer is one to the handshake that the phone began last."""
    message = _plist(response).get("HandshakeResponseMessage")
    if call.system.activation_session is None or message != activation.handshake_response(
        call.system.activation_session
    ):
        raise _RefusedError("Failed to establish session.")
    call.system.activation_session = None


def _plist(value: object) -> dict[str, Any]:
    """What Apple's server sent and the host hands on: the bytes of a property list, or what it says."""
    try:
        content = framing.load(value) if isinstance(value, bytes) else value
    except framing.BadMessageError as error:
        raise _RefusedError("Invalid input.") from error
    if not isinstance(content, dict):
        raise _RefusedError("Invalid input.")
    return content


SERVICE = Service("com.apple.mobileactivationd", serve, while_locked=True)
