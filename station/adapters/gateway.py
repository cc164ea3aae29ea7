"""The gateway, from a client's side: the one way to anything outside this machine (station.gateway)."""

import socket
import time
from http import HTTPStatus

import h11

from station.errors import Refused, Unreachable

MAX_ANSWER = 8 * 1024
"""Bytes of its answer, which has a hundred."""
_END = b"\r\n\r\n"


def dial(gateway: str, host: str, port: int, seconds: float) -> socket.socket:
    """A connection to a port of a host. Blocks.

    Args:
        gateway: path of the gateway's socket.
        host: a name, which the gateway looks up, or an address.
        port: its port.
        seconds: how long that may take; the connection has the same timeout.

    Raises:
        Refused: nothing of this station may reach that.
        Unreachable: it does not answer, or the gateway does not.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER)
    try:
        asked = http.send(h11.Request(method="CONNECT", target=target, headers=[("Host", target)])) or b""
        asked += http.send(h11.EndOfMessage()) or b""
    except (h11.LocalProtocolError, UnicodeError) as error:  # a phone may name whatever it likes
        raise Refused(f"Nothing of this station may reach {target[:100]!r}, which names nobody.") from error
    end = time.monotonic() + seconds
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(seconds)
        connection.connect(gateway)
        connection.sendall(asked)
        _require_tunnel(http, connection, end)
        connection.settimeout(seconds)
    except (OSError, h11.ProtocolError) as error:
        connection.close()
        raise Unreachable(f"The way out of this station is closed, its gateway does not answer: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _require_tunnel(http: h11.Connection, connection: socket.socket, end: float) -> None:
    """See that there is a tunnel; nothing that comes through it is read. Raises as `dial` foresees."""
    http.receive_data(_head(connection, end))
    answer = http.next_event()
    if not isinstance(answer, h11.Response):
        raise ConnectionAbortedError("it does not say whether there is a tunnel")
    if answer.status_code == HTTPStatus.OK:
        return
    body = bytearray()
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            body += event.data
        else:
            connection.settimeout(max(end - time.monotonic(), 0.001))
            http.receive_data(connection.recv(MAX_ANSWER))
        if len(body) > MAX_ANSWER:
            raise ConnectionAbortedError("it talks without end")
    why = body.decode("utf-8", "replace").strip() or f"the gateway says {answer.status_code}"
    if answer.status_code in (HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST):
        raise Refused(why)
    raise Unreachable(why)


def _head(connection: socket.socket, end: float) -> bytes:
    """The head of the answer, and not a byte more: what follows is not for us. Raises OSError."""
    seen = b""
    while _END not in seen:
        connection.settimeout(max(end - time.monotonic(), 0.001))
        if len(seen) >= MAX_ANSWER:
            raise ConnectionAbortedError("it talks without end")
        more = connection.recv(MAX_ANSWER - len(seen), socket.MSG_PEEK)
        if not more:
            raise ConnectionResetError("it hung up")
        place = (seen + more).find(_END)
        taken = len(more) if place < 0 else place + len(_END) - len(seen)
        seen += connection.recv(taken)
    return seen
