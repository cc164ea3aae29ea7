"""Inflate that can be laid down between two blocks of its input and taken up again by another process.

Python's `zlib` offers no way to stop at the end of a deflate block, or to begin in the middle of a byte with a window
that is known. The library below it does (zlib.h: Z_BLOCK, `data_type`, inflatePrime, inflateSetDictionary). At such an
end all it takes to go on is where the input stands, to the bit, and the last 32 KiB of the output.
"""

import ctypes
from dataclasses import dataclass
from functools import cache

from station.errors import StorageError

WINDOW = 32 << 10
"""Bytes of output that what follows may refer to."""

_RAW = -15
"""No header, and the largest window: how zip files hold it."""
_Z_BLOCK = 5
_Z_OK, _Z_STREAM_END, _Z_BUF_ERROR = 0, 1, -5
_BITS, _IN_LAST, _AT_BLOCK = 7, 64, 128


class NotDeflated(ValueError):
    """The input is not what a deflater writes."""


@dataclass(frozen=True)
class Boundary:
    """Between two blocks of the input."""

    bits: int
    """How many bits of the last byte that was taken belong to what follows."""
    byte: int
    """That byte."""


@dataclass(frozen=True)
class Ran:
    """What one step did."""

    taken: int
    """Bytes of the input."""
    made: int
    """Bytes of the output."""
    boundary: Boundary | None
    """Where it stands now, if that is between two blocks."""
    finished: bool


class _Stream(ctypes.Structure):
    """z_stream."""

    _fields_ = (
        ("next_in", ctypes.c_void_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("msg", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong),
    )


class Inflater:
    """Unpacks one raw deflate stream. For one thread; the library runs without Python's lock."""

    def __init__(self, boundary: Boundary | None = None, window: bytes = b"") -> None:
        """One at the start of its input, or at a boundary.

        Args:
            boundary: where it was laid down.
            window: the end of what had come out by then, WINDOW bytes if there were so many.

        Raises:
            StorageError: this computer has no such library.
        """
        self._zlib = _library()
        self._stream = _Stream()
        self._last = boundary.byte if boundary else 0
        stream = ctypes.byref(self._stream)
        started = self._zlib.inflateInit2_(stream, _RAW, self._zlib.zlibVersion(), ctypes.sizeof(_Stream))
        self._open = started == _Z_OK
        if not self._open:
            raise _unusable()
        if boundary and boundary.bits:
            self._zlib.inflatePrime(stream, boundary.bits, boundary.byte >> (8 - boundary.bits))
        if window and self._zlib.inflateSetDictionary(stream, window[-WINDOW:], len(window[-WINDOW:])) != _Z_OK:
            raise _unusable()

    def run(self, data: memoryview, out: memoryview) -> Ran:
        """Go on until the input is used up, the output is full, or a block ends.

        Args:
            data: what to take in; writable, so that it need not be copied.
            out: where to write, not empty.

        Raises:
            NotDeflated: the input is damaged.
        """
        stream = self._stream
        stream.next_in = ctypes.addressof(ctypes.c_char.from_buffer(data)) if data else None
        stream.next_out = ctypes.addressof(ctypes.c_char.from_buffer(out))
        stream.avail_in, stream.avail_out = len(data), len(out)
        outcome = self._zlib.inflate(ctypes.byref(stream), _Z_BLOCK)
        if outcome not in (_Z_OK, _Z_STREAM_END, _Z_BUF_ERROR):
            raise NotDeflated((stream.msg or b"").decode("ascii", "replace"))
        taken = len(data) - stream.avail_in
        if taken:
            self._last = data[taken - 1]
        # After the last block there is nothing to take up again.
        ends = stream.data_type & (_AT_BLOCK | _IN_LAST) == _AT_BLOCK
        return Ran(
            taken=taken,
            made=len(out) - stream.avail_out,
            boundary=Boundary(stream.data_type & _BITS, self._last) if ends else None,
            finished=outcome == _Z_STREAM_END,
        )

    def close(self) -> None:
        """Free its memory. Can be called twice."""
        if self._open:
            self._open = False
            self._zlib.inflateEnd(ctypes.byref(self._stream))

    def __del__(self) -> None:
        """Free its memory."""
        if getattr(self, "_open", False):
            self.close()


@cache
def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libz.so.1")
        library.zlibVersion.restype = ctypes.c_char_p
        library.inflateInit2_.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
        library.inflate.argtypes = (ctypes.c_void_p, ctypes.c_int)
        library.inflatePrime.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
        library.inflateSetDictionary.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint)
        library.inflateEnd.argtypes = (ctypes.c_void_p,)
    except (AttributeError, OSError) as error:
        raise _unusable() from error
    return library


def _unusable() -> StorageError:
    return StorageError(
        "Firmware cannot be downloaded: this computer has no zlib library that the station can use.",
        remedy="Install the station's own image, or import the firmware from a USB stick.",
    )
