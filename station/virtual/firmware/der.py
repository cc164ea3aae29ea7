"""The few pieces of DER (ITU-T X.690) that Image4 is made of, without losing a byte.

Image4 hashes and signs the exact bytes it was sent. pyimg4 keeps decoded values and encodes them anew, and
decompresses a payload while it parses; asn1 copies the content at every level. So this reads in place. The
tests hold what is written here against pyimg4.
"""

from collections.abc import Iterator
from dataclasses import dataclass

INTEGER = b"\x02"
BOOLEAN = b"\x01"
OCTETS = b"\x04"
BITS = b"\x03"
IA5 = b"\x16"
SEQUENCE = b"\x30"
SET = b"\x31"


class DerError(ValueError):
    """The bytes are not DER, or not the DER that belongs here."""


def context(number: int) -> bytes:
    """The tag of a constructed, context-specific element ([0], [1], …)."""
    return bytes([0xA0 | number])


def private(fourcc: str) -> bytes:
    """The tag Image4 gives a named element: constructed, private class, the four letters as its number."""
    number = int.from_bytes(fourcc.encode("latin-1"))
    groups = [number >> shift & 0x7F for shift in (28, 21, 14, 7, 0)]
    while groups[0] == 0:
        groups.pop(0)
    return bytes([0xFF, *(group | 0x80 for group in groups[:-1]), groups[-1]])


@dataclass(frozen=True)
class Element:
    """One element where it lies."""

    tag: bytes
    content: memoryview
    whole: memoryview
    """Tag, length and content: what a digest or a signature covers."""

    def integer(self) -> int:
        """The value of a BOOLEAN, or of an INTEGER that is not negative and fits 64 bits."""
        if self.tag == BOOLEAN and len(self.content) == 1:
            return int(self.content[0] != 0)
        if self.tag != INTEGER or not 1 <= len(self.content) <= 9 or self.content[0] & 0x80:
            raise DerError("not a small number")
        return int.from_bytes(self.content)

    def text(self) -> str:
        """The value of an IA5String."""
        if self.tag != IA5:
            raise DerError("not a string")
        return str(self.content, "latin-1")


def elements(data: memoryview) -> Iterator[Element]:
    """The elements that follow one another in `data`, to its end. Raises DerError when they do not fill it."""
    while data:
        element = _first(data)
        yield element
        data = data[len(element.whole) :]


def only(data: memoryview, *tags: bytes, more: bool = False) -> list[Element]:
    """The elements in `data`, which must have exactly these tags; with `more`, others may follow."""
    found = list(elements(data))
    if [element.tag for element in found[: len(tags)]] != list(tags) or (len(found) > len(tags) and not more):
        raise DerError("unexpected elements")
    return found


def encode(tag: bytes, *parts: bytes) -> bytes:
    """An element with the concatenated parts as its content."""
    return b"".join((header(tag, sum(map(len, parts))), *parts))


def header(tag: bytes, length: int) -> bytes:
    """What comes before `length` bytes of content."""
    if length < 0x80:
        return tag + bytes([length])
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return tag + bytes([0x80 | len(size)]) + size


def integer(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1))


def text(value: str) -> bytes:
    """An IA5String."""
    return encode(IA5, value.encode("latin-1"))


def _first(data: memoryview) -> Element:
    try:
        at = 1
        if data[0] & 0x1F == 0x1F:
            while data[at] & 0x80:
                at += 1
            at += 1
        tag = bytes(data[:at])
        length = data[at]
        at += 1
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size])
            if not 1 <= size <= 8 or header(tag, length) != data[: at + size]:
                raise DerError("a length that is not in its shortest form")
            at += size
        content = data[at : at + length]
    except IndexError:
        raise DerError("cut off") from None
    if len(content) != length:
        raise DerError("cut off")
    return Element(tag=tag, content=content, whole=data[: at + length])
