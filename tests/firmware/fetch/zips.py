"""Zip files of every shape, written byte by byte, as Python's zipfile would not write them."""

import random
import struct
import zlib
from dataclasses import dataclass
from itertools import pairwise

FAR = 0xFFFFFFFF
Z_BLOCK = 5
"""Ends a block, and not at the end of a byte: not among the names that Python's zlib has."""


@dataclass(frozen=True)
class Made:
    """An entry of a zip file."""

    name: str
    content: bytes
    ends: tuple[int, ...] | None
    """Where in the content a deflate block ends; None: it is stored."""
    descriptor: bool
    """Whether its length stands behind it, and not before."""
    far: bool
    """Whether it is written as in a file of more than 4 GiB."""
    gap: int
    """Bytes of nothing before it."""

    @property
    def packed(self) -> bytes:
        """Its data in the zip."""
        if self.ends is None:
            return self.content
        packer = zlib.compressobj(wbits=-15)
        cuts = sorted({0, *(end % (len(self.content) + 1) for end in self.ends), len(self.content)})
        pieces = (packer.compress(self.content[a:b]) + packer.flush(Z_BLOCK) for a, b in pairwise(cuts))
        return b"".join(pieces) + packer.flush()


def text(seed: int, size: int) -> bytes:
    """Something that can be packed, and refers to what is up to 32 KiB behind it."""
    rng = random.Random(seed)
    words = [rng.randbytes(rng.randrange(1, 40)) for _ in range(60)]
    return b"".join(rng.choices(words, k=size // 10))[:size]


def make_zip(entries: list[Made], *, comment: bytes = b"", far: bool = False) -> bytes:
    """The file."""
    file, table = bytearray(), bytearray()
    for entry in entries:
        file += b"\xaa" * entry.gap
        data, name, offset = entry.packed, entry.name.encode(), len(file)
        flags, method = (8 if entry.descriptor else 0) | 0x800, 0 if entry.ends is None else 8
        crc = zlib.crc32(entry.content)
        known = (0, 0, 0) if entry.descriptor else (crc, len(data), len(entry.content))
        extra = b""
        if entry.far:
            extra = struct.pack("<HHQQ", 1, 16, known[2], known[1])
            known = (known[0], FAR, FAR)
        file += struct.pack("<4s5H3I2H", b"PK\3\4", 45, flags, method, 0, 0, *known, len(name), len(extra))
        file += name + extra + data
        if entry.descriptor:
            file += struct.pack("<4sIQQ" if entry.far else "<4sIII", b"PK\7\x08", crc, len(data), len(entry.content))
        sizes, extra, at = (len(data), len(entry.content)), b"", offset
        if entry.far:
            extra = struct.pack("<HHQQQ", 1, 24, sizes[1], sizes[0], offset)
            sizes, at = (FAR, FAR), FAR
        table += struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, flags, method, 0, 0, crc, *sizes, len(name), len(extra),
                             0, 0, 0, 0, at)  # fmt: skip
        table += name + extra
    start, count = len(file), len(entries)
    file += table
    if far:
        there = len(file)
        file += struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, count, count, len(table), start)
        file += struct.pack("<4sIQI", b"PK\6\7", 0, there, 1)
        count, start = 0xFFFF, FAR
    file += struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, FAR if far else len(table), start, len(comment))
    return bytes(file + comment)
