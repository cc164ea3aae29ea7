"""com.apple.mobile.MCInstall: supervision and configuration profiles, as Apple Configurator manages them.

Requests, answers and error codes as pymobiledevice3 (`mobile_config.py`) and go-ios (`mcinstall`) handle them.
"""

from collections.abc import Callable, Mapping
from typing import Any

from station.virtual import framing
from station.virtual.services.service import Call, Service
from station.virtual.system.cms import BadSignatureError
from station.virtual.system.supervision import Challenge

MAX_MESSAGE = 1 << 20
MAX_PROFILES = 20
PURPOSE = "PostSetupInstallation"
"""The only one for which a profile is kept."""
MDM_PROFILE = "com.example.mdm"
_EVERY_PHONE: dict[str, Any] = {
    "AllowPairing": True,
    "CloudConfigurationUIComplete": True,
    "ConfigurationSource": 0,
    "ConfigurationWasApplied": True,
    "IsMDMUnremovable": False,
    "IsMandatory": False,
    "IsSupervised": False,
    "PostSetupProfileWasInstalled": True,
}
_ABOUT = ("PayloadDescription", "PayloadDisplayName", "PayloadOrganization", "PayloadRemovalDisallowed")
_NEEDED = ("PayloadIdentifier", "PayloadUUID", "PayloadVersion")


Request = Callable[[Mapping[str, Any]], dict[str, Any] | None]
"""Carries out a request; what is in the answer, or nothing. Raises _RefusedError."""


class _RefusedError(Exception):
    """The request is answered with this error."""

    def __init__(self, domain: str, code: int, text: str) -> None:
        super().__init__(text)
        self.domain, self.code = domain, code


async def serve(call: Call) -> None:
    """Answer requests until the host hangs up or the phone is erased."""
    conversation = _Conversation(call)
    while True:
        message = await call.receive(limit=MAX_MESSAGE)
        name = message.get("RequestType")
        if isinstance(name, str):
            await call.phone.step(f"management:{name}")
        if name == "EraseDevice":
            await call.phone.step("erase-content")
            call.phone.erase_content("EraseDevice")
            return
        try:
            answer = {"Status": "Acknowledged", **conversation.answer(name, message)}
        except _RefusedError as error:
            answer = {"Status": "Error", "ErrorChain": [_link(error)]}
        await call.send(answer)


def _link(error: _RefusedError) -> dict[str, Any]:
    return {
        "ErrorCode": error.code,
        "ErrorDomain": error.domain,
        "LocalizedDescription": str(error),
        "USEnglishDescription": str(error),
    }


class _Conversation:
    def __init__(self, call: Call) -> None:
        self._system = call.system
        self._organisation = call.system.organisation
        self._challenge = Challenge(call.system.organisation)
        self._supervisor = False
        """Whether the host proved that it is one."""
        self._requests: dict[str, Request] = {
            "HelloHostIdentifier": lambda _: None,
            "Flush": lambda _: None,
            "GetCloudConfiguration": lambda _: {"CloudConfiguration": self._cloud_configuration()},
            "SetCloudConfiguration": self._supervise,
            "GetProfileList": self._list,
            "InstallProfile": self._install,
            "RemoveProfile": self._remove,
            "StoreProfile": self._store,
            "GetStoredProfile": self._stored,
            "Escalate": self._escalate,
            "EscalateResponse": self._prove,
        }
        self._requests_of_supervisors: dict[str, Request] = {
            "InstallProfileSilent": self._install,
            "ProceedWithKeybagMigration": lambda _: None,
        }

    def answer(self, name: object, message: Mapping[str, Any]) -> dict[str, Any]:
        """What is in the answer beside the status. Raises _RefusedError."""
        requests = {**self._requests, **(self._requests_of_supervisors if self._supervisor else {})}
        if not isinstance(name, str) or name not in requests:
            raise _RefusedError("MCHostErrorDomain", 46000, "The request is not valid.")
        return requests[name](message) or {}

    def _cloud_configuration(self) -> dict[str, Any]:
        system = self._system
        if not system.set_up and not self._organisation.cloud_configuration:
            return {}
        told: dict[str, Any] = _EVERY_PHONE | {
            "AllowPairing": system.pairing_allowed,
            "IsSupervised": system.supervised,
        }
        if system.supervised:
            told |= {"ConfigurationSource": 2, "IsMandatory": True, "OrganizationName": self._organisation.name}
            told["SupervisorHostCertificates"] = list(self._organisation.supervisors)
        return told | self._organisation.cloud_configuration

    def _supervise(self, message: Mapping[str, Any]) -> None:
        configuration = message.get("CloudConfiguration")
        if self._cloud_configuration():
            text = "The cloud configuration is already present."
            raise _RefusedError("MCCloudConfigErrorDomain", 14002, text)
        certificates = configuration.get("SupervisorHostCertificates", []) if isinstance(configuration, dict) else None
        if not isinstance(configuration, dict) or not configuration or not isinstance(certificates, list):
            raise _RefusedError("MCCloudConfigErrorDomain", 14000, "The cloud configuration is not valid.")
        self._organisation.cloud_configuration = configuration
        self._organisation.name = str(configuration.get("OrganizationName", ""))
        self._organisation.supervisors = [certificate for certificate in certificates if isinstance(certificate, bytes)]
        self._system.supervised = configuration.get("IsSupervised") is True
        self._system.pairing_allowed = configuration.get("AllowPairing", True) is True

    def _profiles(self) -> dict[str, dict[str, Any]]:
        """By their identifier; that of the device management is one of them."""
        if not self._system.managed:
            return self._organisation.profiles
        management = {
            "PayloadDescription": "Device management",
            "PayloadDisplayName": "MDM",
            "PayloadIdentifier": MDM_PROFILE,
            "PayloadOrganization": self._organisation.name,
            "PayloadRemovalDisallowed": True,
            "PayloadUUID": "00000000-0000-4000-8000-000000000001",
            "PayloadVersion": 1,
        }
        return {MDM_PROFILE: management} | self._organisation.profiles

    def _list(self, _message: Mapping[str, Any]) -> dict[str, Any]:
        profiles = self._profiles()
        return {
            "OrderedIdentifiers": list(profiles),
            "ProfileManifest": {
                identifier: {"Description": profile.get("PayloadDisplayName", ""), "IsActive": True}
                for identifier, profile in profiles.items()
            },
            "ProfileMetadata": {
                identifier: {key: profile[key] for key in (*_ABOUT, "PayloadUUID", "PayloadVersion") if key in profile}
                for identifier, profile in profiles.items()
            },
        }

    def _install(self, message: Mapping[str, Any]) -> None:
        profile = _profile(message.get("Payload"))
        profiles, identifier = self._organisation.profiles, str(profile["PayloadIdentifier"])
        if len(profiles) >= MAX_PROFILES and identifier not in profiles:
            raise _RefusedError("MCInstallationErrorDomain", 4001, "There are too many profiles.")
        profiles[identifier] = profile

    def _remove(self, message: Mapping[str, Any]) -> None:
        identifier = str(_profile(message.get("ProfileIdentifier"))["PayloadIdentifier"])
        if identifier not in self._profiles():
            raise _RefusedError("MCProfileErrorDomain", 1010, f"The profile “{identifier}” is not installed.")
        if self._profiles()[identifier].get("PayloadRemovalDisallowed") and not self._supervisor:
            raise _RefusedError("MCInstallationErrorDomain", 4024, f"The profile “{identifier}” cannot be removed.")
        self._organisation.profiles.pop(identifier, None)

    def _store(self, message: Mapping[str, Any]) -> None:
        data = message.get("ProfileData")
        if not isinstance(data, bytes) or message.get("Purpose") != PURPOSE:
            raise _RefusedError("MCProfileErrorDomain", 1000, "The profile is not valid.")
        self._organisation.stored[PURPOSE] = data

    def _stored(self, message: Mapping[str, Any]) -> dict[str, Any]:
        stored = self._organisation.stored.get(str(message.get("Purpose")))
        return {} if stored is None else {"ProfileData": stored}

    def _escalate(self, message: Mapping[str, Any]) -> dict[str, Any]:
        if (challenge := self._challenge.begin(message.get("SupervisorCertificate"))) is None:
            raise _RefusedError("MCHostErrorDomain", 46003, "The host is not a supervisor.")
        return {"Challenge": challenge}

    def _prove(self, message: Mapping[str, Any]) -> None:
        try:
            self._challenge.check(message.get("SignedRequest"))
        except BadSignatureError as error:
            raise _RefusedError("MCHostErrorDomain", 46004, "The challenge was not answered.") from error
        self._supervisor = True


def _profile(payload: object) -> dict[str, Any]:
    """Read a profile. Raises _RefusedError: it is none."""
    try:
        profile = framing.parse(payload if isinstance(payload, bytes) else b"")
    except framing.BadMessageError as error:
        raise _RefusedError("MCProfileErrorDomain", 1000, "The profile is not valid.") from error
    if profile.get("PayloadType") != "Configuration" or any(name not in profile for name in _NEEDED):
        raise _RefusedError("MCProfileErrorDomain", 1000, "The profile is not valid.")
    return profile


SERVICE = Service("com.apple.mobile.MCInstall", serve)
