"""A time server, run in the guest: answers who asks (RFC 4330) from the time that it is told when it starts.

python3 ntp.py SECONDS    of Unix time
"""

import socket
import struct
import sys
import time

SINCE_1900 = 2_208_988_800
"""Seconds until 1970, where Unix begins to count."""
NO_WARNING, VERSION, SERVER = 0, 4, 4
HEAD = struct.pack("!BBbbII4s", NO_WARNING << 6 | VERSION << 3 | SERVER, 1, 4, -20, 0, 0, b"GPS")


def main() -> None:
    """Answer for ever."""
    ahead = float(sys.argv[1]) - time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 123))
        while True:
            question, who = server.recvfrom(512)
            now = ahead + time.monotonic() + SINCE_1900
            stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
            server.sendto(HEAD + stamp + question[40:48] + stamp + stamp, who)


if __name__ == "__main__":
    main()
