"""How every command ends when something is wrong: with words on stderr, and 1."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from station.errors import StationError


@contextmanager
def plain_errors() -> Iterator[None]:
    """End with an error's own words, and what a person can do."""
    try:
        yield
    except StationError as error:
        fail(in_words(error))
    except PermissionError as error:
        fail(f"You may not use {error.filename or 'it'}. Try it as root (sudo), or as the station's user.")
    except OSError as error:
        where = f"{error.filename} cannot be used" if error.filename else "A file cannot be used"
        fail(f"{where}: {error.strerror or error}.")


def in_words(error: StationError) -> str:
    """What is wrong and what a person can do, in one line."""
    return f"{error} {error.remedy}".strip()


def fail(words: str) -> NoReturn:
    """Say why, and end."""
    typer.echo(words, err=True)
    raise typer.Exit(1)
