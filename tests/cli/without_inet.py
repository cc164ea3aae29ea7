"""Runs a program without sockets of the internet: what RestrictAddressFamilies= of a unit does (seccomp(2))."""

import ctypes
import os
import platform
import socket
import struct
import sys

SOCKET = {"x86_64": 41, "aarch64": 198}[platform.machine()]
"""The system call's number."""
EAFNOSUPPORT = 97
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
ERRNO, ALLOW = 0x00050000, 0x7FFF0000


class Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def main() -> None:
    """Deny, then be another program."""
    steps = (
        (LOAD, 0, 0, 0),  # which call
        (EQUAL, 0, 3, SOCKET),
        (LOAD, 0, 0, 16),  # its first argument
        (EQUAL, 2, 0, socket.AF_INET),
        (EQUAL, 1, 0, socket.AF_INET6),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | EAFNOSUPPORT),
    )
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    libc = ctypes.CDLL(None, use_errno=True)
    program = Program(len(steps), code)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.byref(program)) == 0, os.strerror(ctypes.get_errno())
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
