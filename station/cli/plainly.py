"""How every command ends when something is wrong: with words on stderr, and 1."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
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


def require(path: Path, *, write: bool = False) -> None:
    """End with words when a directory is there and may not be used: what is in it would seem not to be there."""
    with plain_errors():
        how = os.R_OK | os.X_OK | (os.W_OK if write else 0)
        if path.exists() and not os.access(path, how, effective_ids=True):  # with the capabilities that it was given
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def in_words(error: StationError) -> str:
    """What is wrong and what a person can do, in one line."""
    return f"{error} {error.remedy}".strip()


def fail(words: str) -> NoReturn:
    """Say why, and end."""
    typer.echo(words, err=True)
    raise typer.Exit(1)
