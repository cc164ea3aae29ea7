"""Somebody at ports 80 and 443 of 127.0.0.1: `stranger.py CERTIFICATE PAGE`. It listens, then goes on by itself."""

import os
import socket
import ssl
import sys
import threading
from contextlib import suppress


def answer(listening: socket.socket, tls: ssl.SSLContext | None, page: bytes) -> None:
    """Shake hands, or show a page, again and again."""
    said = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)
    while True:
        line, _ = listening.accept()
        with line, suppress(OSError):
            line.settimeout(20)
            if tls is not None:
                tls.wrap_socket(line, server_side=True).close()
            elif line.recv(1000):
                line.sendall(said)


def main() -> None:
    """Listen, and go on in another process."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1])
    ports = [(socket.create_server(("127.0.0.1", port)), each) for port, each in ((80, None), (443, tls))]
    if os.fork():
        os._exit(0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)
    for listening, each in ports:
        threading.Thread(target=answer, args=(listening, each, sys.argv[2].encode())).start()


if __name__ == "__main__":
    main()
