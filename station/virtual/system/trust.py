"""Whom the phone trusts: lockdown's Pair, ValidatePair and Unpair, and who is asked.

What a Pair meets, in this order: a record that does not hold together (InvalidPairRecord), an organisation that
forbids it (MCProtected), a locked screen (PasswordProtected), the dialog (PairingDialogResponsePending), a no
(UserDeniedPairing). A host that holds a supervisor's certificate is not asked but challenged (MCChallengeRequired).
"""

import asyncio
from typing import Any

from station.virtual.phones.installed import System
from station.virtual.phones.phone import VirtualPhone
from station.virtual.system.cms import BadSignatureError
from station.virtual.system.errors import LockdownError
from station.virtual.system.pairing import BadPairRecordError, Host
from station.virtual.system.supervision import Challenge

TAP_SECONDS = 2.0
"""How long somebody needs to tap “Trust”, at the default pace."""


class Trust:
    """The pairing part of one connection to lockdownd."""

    def __init__(self, phone: VirtualPhone, system: System) -> None:
        self._phone = phone
        self._system = system
        self._challenge = Challenge(system.organisation)

    def host(self, host_id: object) -> Host:
        """A host that is trusted. Raises LockdownError: it is not."""
        host = self._system.pairings.hosts.get(host_id) if isinstance(host_id, str) else None
        if host is None:
            raise LockdownError("InvalidHostID")
        return host

    async def pair(self, message: dict[str, Any]) -> dict[str, Any]:
        """Pair."""
        pairings = self._system.pairings
        try:
            host_id, host = await pairings.read(_record(message))
        except BadPairRecordError as error:
            raise LockdownError("InvalidPairRecord") from error
        known = pairings.hosts.get(host_id)
        if known == host:
            return {"EscrowBag": known.escrow_bag}
        options = message.get("PairingOptions")
        if (challenge := self._supervisor(options if isinstance(options, dict) else {})) is not None:
            return challenge
        if not self._system.forgetful:
            pairings.trust(host_id, host)
        return {"EscrowBag": host.escrow_bag}

    async def validate(self, message: dict[str, Any]) -> dict[str, Any]:
        """ValidatePair."""
        self.host(_record(message).get("HostID"))
        return {}

    async def unpair(self, message: dict[str, Any]) -> dict[str, Any]:
        """Unpair."""
        host_id = _record(message).get("HostID")
        self.host(host_id)
        del self._system.pairings.hosts[str(host_id)]
        return {}

    def _supervisor(self, options: dict[str, Any]) -> dict[str, Any] | None:
        """Let the host in as a supervisor, if it is one and proved it; else ask who is there. A dict: the challenge."""
        if (challenge := self._challenge.begin(options.get("SupervisorCertificate"))) is not None:
            return {"Error": "MCChallengeRequired", "ExtendedResponse": {"PairingChallenge": challenge}}
        response = options.get("ChallengeResponse")
        if self._challenge.pending and response is not None:
            try:
                self._challenge.check(response)
            except BadSignatureError as error:
                raise LockdownError("MCProtected") from error
            return None
        if not self._system.pairing_allowed:
            raise LockdownError("MCProtected")
        self._ask_person()
        return None

    def _ask_person(self) -> None:
        """Whether somebody at the phone lets the host in."""
        system, pairings = self._system, self._system.pairings
        if system.acquainted:
            system.acquainted = False
            return
        if system.locked:
            raise LockdownError("PasswordProtected")
        now = asyncio.get_running_loop().time()
        if pairings.asked_at is None:
            pairings.asked_at = now
        if now - pairings.asked_at < TAP_SECONDS * self._phone.pace.factor or not (system.trusted or system.denied):
            raise LockdownError("PairingDialogResponsePending")
        pairings.asked_at = None
        if system.denied:
            raise LockdownError("UserDeniedPairing")


def _record(message: dict[str, Any]) -> dict[str, Any]:
    if "PairRecord" not in message:
        raise LockdownError("MissingPairRecord")
    record = message["PairRecord"]
    if not isinstance(record, dict):
        raise LockdownError("InvalidPairRecord")
    return record
