"""Another station that shares its firmware (`adapters.sharing`), as one who believes nothing of it asks it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from station.adapters.fetch.line import Line
from station.adapters.fetch.remote import host_of
from station.adapters.fetch.sources import Answer, Asker, SourceFailed
from station.adapters.sharing.stock import VERSION, Shared
from station.adapters.unpacked import Digests

_MOST_SAID = 4 << 20
"""Bytes of a list: many times those of the longest that there is in earnest."""
_SECONDS = 60.0
"""In which it has to be here."""

T = TypeVar("T")

_shared_decoder = msgspec.json.Decoder(list[Shared])
_digests_decoder = msgspec.json.Decoder(Digests)


class Neighbour:
    """One of them. For one thread."""

    def __init__(self, address: str, asker: Asker, line: Line) -> None:
        self.host = host_of(address)
        """HOST[:PORT]."""
        self._base = f"{address.rstrip('/')}/{VERSION}"
        self._asker, self._line = asker, line

    def shared(self) -> Sequence[Shared]:
        """What it says that can be had. Raises SourceFailed, and Refused when the download is to end."""
        return self._said("firmware", _shared_decoder)

    def digests(self, name: str) -> Digests:
        """What it says is in one. Raises the same."""
        return self._said(f"firmware/{name}", _digests_decoder)

    def short(self, sha256: str, size: int) -> bytes:
        """What it says is a content of so many bytes, which are few. Raises SourceFailed, and Refused."""
        with self.content(sha256, 0, size) as answer:
            return self._line.whole(answer, most=size, seconds=_SECONDS)

    @contextmanager
    def content(self, sha256: str, start: int, total: int) -> Iterator[Answer]:
        """What it says is a content of `total` bytes, from one of them to the end. Raises SourceFailed."""
        with self._asker.open(f"{self._base}/objects/{sha256}", start, total=total) as answer:
            if answer.offset != start:
                raise SourceFailed("it sends another part than it was asked for")
            yield answer

    def _said(self, path: str, decoder: msgspec.json.Decoder[T]) -> T:
        with self._asker.open(f"{self._base}/{path}", 0, total=0) as answer:
            data = self._line.whole(answer, most=_MOST_SAID, seconds=_SECONDS)
        try:
            return decoder.decode(data)
        except ValueError as error:  # msgspec's own are ValueErrors
            raise SourceFailed("it does not say what a station says") from error
