"""What the library makes of an answer that it does not expect."""

from collections.abc import Iterator
from contextlib import contextmanager

from station.errors import InputRejected


@contextmanager
def understood() -> Iterator[None]:
    """Around the library's clients of services, which take answers apart without looking first.

    Raises:
        InputRejected: the answer was not what the library takes for granted.
    """
    try:
        yield
    except (AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise InputRejected(f"The phone's answer makes no sense ({type(error).__name__}: {error}).") from error
