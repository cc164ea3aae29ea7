"""The root hash of a virtual system volume: what its image is held against once it has arrived.

On a real phone it is the top of a hash tree over the sealed volume. Here the tree has two levels: SHA-384 over the
SHA-1 of each chunk of 128 KiB, which ASR sends with the chunk and the phone checks anyway. A second hash over the
whole image would keep a phone from taking it at 1 GB/s.
"""

import hashlib

CHUNK = 128 * 1024


class RootHash:
    """Takes an image, in pieces of any size."""

    def __init__(self) -> None:
        self._top = hashlib.sha384()
        self._rest = b""

    def update(self, data: bytes) -> None:
        """Take the next piece."""
        data = self._rest + data
        whole = len(data) // CHUNK * CHUNK
        for at in range(0, whole, CHUNK):
            self.add(chunk_sum(data[at : at + CHUNK]))
        self._rest = data[whole:]

    def add(self, chunk_sum: bytes) -> None:
        """Take the sum of the next chunk."""
        self._top.update(chunk_sum)

    def digest(self) -> bytes:
        """The hash of all that was taken. Nothing can be taken after it."""
        if self._rest:
            self.add(chunk_sum(self._rest))
            self._rest = b""
        return self._top.digest()


def chunk_sum(chunk: bytes | memoryview) -> bytes:
    """What ASR sends after a chunk: SHA-1."""
    return hashlib.sha1(chunk, usedforsecurity=False).digest()


def root_hash(image: bytes) -> bytes:
    """The root hash of a whole image."""
    top = RootHash()
    top.update(image)
    return top.digest()
