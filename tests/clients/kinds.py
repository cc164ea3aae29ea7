"""The phones that clients are run against."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Kind:
    """A model with what is installed."""

    model: str
    version: str
    build: str

    def __str__(self) -> str:
        """As the table shows it."""
        return f"{self.model}, iOS {self.version}"


OLD = Kind("iPhone 11", "13.7", "17H35")
"""Of the time of Debian's programs."""
RECENT = Kind("iPhone 12", "18.5", "22F76")
NEW = Kind("iPhone 17", "26.1", "23B85")


def on(*kinds: Kind) -> pytest.MarkDecorator:
    """Run a test with each of these; it has one of the fixtures `kind` and `phone`, and the table shows them all."""
    return pytest.mark.parametrize("kind", kinds, ids=str)
