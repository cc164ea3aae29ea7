"""What is asked for, and what is answered: heads of HTTP/1.1, read and written by h11."""

import asyncio
import re
from http import HTTPStatus

import h11

from station.errors import InputRejected, Refused
from station.gateway.places import Place, Places

MAX_HEAD = 4 * 1024
"""Bytes of a request, which has 100."""

_TARGET = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})")
"""HOST:PORT, with brackets around an IPv6 address."""


class Asking:
    """One client's request for a tunnel."""

    def __init__(self) -> None:
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    async def read(self, reader: asyncio.StreamReader) -> str:
        """The HOST:PORT that is asked for.

        Raises:
            InputRejected: it is no request for a tunnel.
            ConnectionResetError: the client hung up.
        """
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if not (data := await reader.read(MAX_HEAD)):
                    raise ConnectionResetError
                self._http.receive_data(data)
            if not isinstance(event, h11.Request) or event.method != b"CONNECT":
                raise InputRejected("Tunnels are made here (CONNECT), and nothing else is done.")
            # One that announces a body means nothing by it (RFC 9110 §9.3.6), and that body might never come.
            if not isinstance(self._http.next_event(), h11.EndOfMessage):
                raise InputRejected("To ask for a tunnel takes no more than its head.")
        except h11.RemoteProtocolError as error:
            raise InputRejected(f"This is no request that could be understood: {error}") from error
        return event.target.decode("ascii", "replace")

    def granted(self) -> tuple[bytes, bytes]:
        """What to answer when the tunnel is there, and what was said in it already."""
        said = self._http.send(h11.Response(status_code=HTTPStatus.OK, headers=[], reason=b"Tunnel"))
        return said or b"", self._http.trailing_data[0]


def refusal(status: HTTPStatus, why: str) -> bytes:
    """What to answer when there is no tunnel: the reason is for people, who find it in the job's log."""
    body = (why + "\n").encode()
    head = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    answer = h11.Response(status_code=status, headers=head, reason=status.phrase.encode())
    http = h11.Connection(h11.SERVER)  # whatever was asked, if anything could be understood: to HEAD, it would be cut
    return b"".join(http.send(event) or b"" for event in (answer, h11.Data(data=body), h11.EndOfMessage()))


def sought(target: str, listed: Places) -> Place:
    """The place that a request names.

    Raises:
        InputRejected: it names none.
        Refused: no tunnel may lead there.
    """
    found = _TARGET.fullmatch(target)
    if found is None:
        raise InputRejected("A tunnel leads to HOST:PORT.")
    host, port = found[1].strip("[]").lower(), int(found[2])
    place = listed.get((host, port))
    if place is None:
        raise Refused(f"Nothing of this station may reach {host}:{port}.")
    return place
