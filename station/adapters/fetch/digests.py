"""SHA-1 and SHA-256 that can be laid down half-way and taken up again by another process.

`hashlib` keeps what a digest is made of to itself, so this asks the library below it, the very one that Python was
linked with, through its older functions: they work on a small structure whose fields are known (openssl/sha.h).
That they are there and do what hashlib does is seen to once, before the first use.
"""

import _hashlib
import ctypes
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache

from station.errors import StorageError
from station.model.base import Message

Buffer = bytes | bytearray | memoryview

_BLOCK = 64
"""Bytes; both digests work in blocks of this size."""


class Algorithm(Enum):
    """Which digest."""

    SHA1 = "sha1"
    SHA256 = "sha256"


class DigestState(Message, frozen=True, kw_only=True):
    """A digest half-way."""

    words: tuple[int, ...]
    """The chaining value: 32-bit words."""
    count: int
    """Bytes so far."""
    rest: bytes
    """The last of them, fewer than a block."""


class _Sha256(ctypes.Structure):
    """SHA256_CTX."""

    _fields_ = (
        ("words", ctypes.c_uint32 * 8),
        ("low", ctypes.c_uint32),
        ("high", ctypes.c_uint32),
        ("rest", ctypes.c_uint8 * _BLOCK),
        ("used", ctypes.c_uint),
        ("length", ctypes.c_uint),
    )


class _Sha1(ctypes.Structure):
    """SHA_CTX."""

    _fields_ = (
        ("words", ctypes.c_uint32 * 5),
        ("low", ctypes.c_uint32),
        ("high", ctypes.c_uint32),
        ("rest", ctypes.c_uint8 * _BLOCK),
        ("used", ctypes.c_uint),
    )


@dataclass(frozen=True)
class _Functions:
    context: type[_Sha1 | _Sha256]
    size: int
    start: Callable[..., int]
    update: Callable[..., int]
    finish: Callable[..., int]


class Digest:
    """A digest under way. Each is for one thread; the library runs without Python's lock."""

    def __init__(self, algorithm: Algorithm, state: DigestState | None = None) -> None:
        """One of nothing so far, or one that goes on.

        Raises:
            StorageError: this computer's library cannot do it.
        """
        self._do = _functions()[algorithm]
        self._context = _begin(self._do, state)

    def update(self, data: Buffer) -> None:
        """Take in more. What can be written to is not copied."""
        _update(self._do, self._context, data)

    def state(self) -> DigestState:
        """What it takes to go on from here."""
        return _state(self._context)

    def hexdigest(self) -> str:
        """Of everything so far, in lower-case hex. More can be taken in afterwards."""
        return _finish(self._do, self._context)


def _begin(do: _Functions, state: DigestState | None) -> _Sha1 | _Sha256:
    context = do.context()
    do.start(ctypes.byref(context))
    if state is not None:
        bits = state.count * 8
        context.words[:] = state.words
        context.low, context.high = bits & 0xFFFFFFFF, bits >> 32
        context.rest[: len(state.rest)] = state.rest
        context.used = len(state.rest)
    return context


def _update(do: _Functions, context: _Sha1 | _Sha256, data: Buffer) -> None:
    if len(data) == 0:
        return
    if isinstance(data, memoryview) and data.readonly:
        data = bytes(data)
    start = data if isinstance(data, bytes) else ctypes.byref(ctypes.c_char.from_buffer(data))
    do.update(ctypes.byref(context), start, len(data))


def _state(context: _Sha1 | _Sha256) -> DigestState:
    return DigestState(
        words=tuple(context.words),
        count=(context.high << 32 | context.low) // 8,
        rest=bytes(context.rest[: context.used]),
    )


def _finish(do: _Functions, context: _Sha1 | _Sha256) -> str:
    copy = do.context.from_buffer_copy(context)
    digest = ctypes.create_string_buffer(do.size)
    do.finish(digest, ctypes.byref(copy))
    return digest.raw.hex()


@cache
def _functions() -> dict[Algorithm, _Functions]:
    """The library's functions, seen to work."""
    try:
        # Python's own extension module: whatever it was linked with is found through it.
        library = ctypes.CDLL(_hashlib.__file__)
        found = {
            Algorithm.SHA1: _named(library, "SHA1", _Sha1, 20),
            Algorithm.SHA256: _named(library, "SHA256", _Sha256, 32),
        }
    except (AttributeError, OSError) as error:
        raise _unusable() from error
    if not all(_works(algorithm, do) for algorithm, do in found.items()):
        raise _unusable()
    return found


def _named(library: ctypes.CDLL, name: str, context: type[_Sha1 | _Sha256], size: int) -> _Functions:
    functions = [getattr(library, f"{name}_{what}") for what in ("Init", "Update", "Final")]
    functions[0].argtypes = (ctypes.c_void_p,)
    functions[1].argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    functions[2].argtypes = (ctypes.c_char_p, ctypes.c_void_p)
    return _Functions(context, size, *functions)


def _works(algorithm: Algorithm, do: _Functions) -> bool:
    """Whether a digest that is laid down in the middle of a block ends as hashlib's does."""
    data = bytes(range(251))
    context = _begin(do, None)
    _update(do, context, data[:100])
    state = _state(context)
    if (state.count, state.rest) != (100, data[_BLOCK:100]):
        return False
    context = _begin(do, state)
    _update(do, context, bytearray(data[100:]))
    return _finish(do, context) == hashlib.new(algorithm.value, data, usedforsecurity=False).hexdigest()


def _unusable() -> StorageError:
    return StorageError(
        "Firmware cannot be downloaded: this computer's OpenSSL library is not one that the station knows.",
        remedy="Install the station's own image, or import the firmware from a USB stick.",
    )
