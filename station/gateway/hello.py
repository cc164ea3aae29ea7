"""The first words in a tunnel: a TLS ClientHello (RFC 8446 §4.1.2), and the name in it (SNI, RFC 6066 §3).

OpenSSL reads them, as a server would that is about to choose a certificate by that name; it is stopped right there.
"""

import ssl

from station.errors import Refused
from station.gateway.places import Place, Speech

MAX_HELLO = 16 * 1024
"""Bytes; browsers need two thousand."""


class Hello:
    """Listens to what is said first in one tunnel."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._heard = False
        self._name: str | None = None
        self._size = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = self._named
        self._incoming = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, ssl.MemoryBIO(), server_side=True)

    def hear(self, data: bytes) -> bool:
        """Take what was said; whether it was all that must be known, and is as it should be.

        Raises:
            Refused: it is not TLS, or TLS to another host.
        """
        if self._place.speech is Speech.ANYTHING:
            return True
        self._size += len(data)
        if self._size > MAX_HELLO:
            raise Refused(f"What is said to {self._place.host} does not begin as TLS does.")
        self._incoming.write(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            if not self._heard:
                raise Refused(f"What is said to {self._place.host} is not TLS.") from error
        if self._name is None and self._place.speech is Speech.PHONES_TLS:
            return True
        if self._name is None or self._name.lower() != self._place.host:
            raise Refused(f"TLS to {self._name or 'nobody by name'} in a tunnel to {self._place.host}.")
        return True

    def _named(self, _: object, name: str | None, __: object) -> int:
        self._heard, self._name = True, name
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR  # that is all we wanted to know
