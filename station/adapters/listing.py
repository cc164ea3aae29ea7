"""What is in a directory, for whoever must not take a disk that fails for a directory with nothing in it.

`Path.glob` and `Path.rglob` leave out what they could not read: since Python 3.13 whatever the reason was, before only
where it may not be read.
"""

import os
from collections.abc import Iterator
from pathlib import Path


def entries_of(directory: Path, *, missing_ok: bool = False) -> list[Path]:
    """Everything in a directory, hidden or not, in no order.

    Args:
        directory: where to look.
        missing_ok: whether there is nothing in one that is not there.

    Raises:
        OSError: it cannot be read to its end.
    """
    try:
        with os.scandir(directory) as found:
            return [Path(entry.path) for entry in found]
    except FileNotFoundError:
        if missing_ok:
            return []
        raise


def all_below(directory: Path) -> Iterator[Path]:
    """Everything in a directory and in those below, each directory before what is in it. Links are not followed.

    Raises:
        OSError: one of the directories cannot be read to its end.
    """
    waiting = [directory]
    while waiting:  # and no call of its own for each: there may be directories in directories without end
        with os.scandir(waiting.pop()) as found:
            entries = list(found)
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            yield path
