"""The journal's end of its own protocol, at a datagram socket: see systemd's “Native Journal Protocol”."""

import array
import os
import socket
import struct


def parse(data: bytes) -> list[tuple[str, bytes]]:
    """The fields of one entry, in order. Raises ValueError for what is no entry."""
    fields = []
    while data:
        line, newline, rest = data.partition(b"\n")
        if not newline:
            raise ValueError("an entry that does not end")
        name, equals, value = line.partition(b"=")
        if equals:
            data = rest
        else:  # a value with line breaks: its length comes first
            (length,) = struct.unpack("<Q", rest[:8])
            value, data = rest[8 : 8 + length], rest[8 + length :]
            if len(value) != length or data[:1] != b"\n":
                raise ValueError("a value that is not as long as it says")
            data = data[1:]
        fields.append((name.decode("ascii"), value))
    return fields


def receive(at: socket.socket) -> list[tuple[str, bytes]]:
    """The next entry: in the datagram, or, where it is long, in a file that comes with it."""
    data, ancillary, _, _ = at.recvmsg(1 << 20, socket.CMSG_SPACE(4))
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            (file,) = array.array("i", content[:4])
            with os.fdopen(file, "rb") as held:
                held.seek(0)
                data = held.read()
    return parse(data)
