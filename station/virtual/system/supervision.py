"""How a host proves that it supervises the phone: it signs a random number with a supervisor's key."""

import secrets

from station.virtual.system.cms import BadSignatureError, verify
from station.virtual.system.enrolment import Organisation

SIZE = 32
"""Bytes of a challenge."""


class Challenge:
    """What one connection was asked to sign; good for one answer."""

    def __init__(self, organisation: Organisation) -> None:
        self._organisation = organisation
        self._asked: tuple[bytes, bytes] | None = None
        """What the host has to sign, and the certificate (DER) that it said it holds the key of."""

    @property
    def pending(self) -> bool:
        """Whether an answer is waited for."""
        return self._asked is not None

    def begin(self, certificate: object) -> bytes | None:
        """What a host has to sign that shows this certificate (DER); None: it is no supervisor's."""
        if not isinstance(certificate, bytes) or certificate not in self._organisation.supervisors:
            return None
        content = secrets.token_bytes(SIZE)
        self._asked = content, certificate
        return content

    def check(self, answer: object) -> None:
        """Take the answer: a signed message (CMS, DER). Raises BadSignatureError: it proves nothing."""
        if self._asked is None or not isinstance(answer, bytes):
            raise BadSignatureError("no answer to anything")
        content, certificate = self._asked
        self._asked = None
        verify(answer, content=content, certificate=certificate)
