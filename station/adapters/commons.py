"""Directories that the daemon and its workers share: they are two users of one group (station-worker@.service).

What a worker may write to may hold anything, once a phone has made it do what the phone wants.
"""

import errno
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_ALL, _ALL_BUT_WRITE = 0o700, 0o500


def open_plain(path: Path) -> BinaryIO:
    """Open a file to read it that a worker may have made, and nothing else that is called so.

    A link would have us read what its maker may not, a pipe would have us wait for ever.

    Raises:
        OSError: it is not there, or it is no file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return os.fdopen(fd, "rb")


def clear_away(directory: Path) -> bool:
    """Remove a directory in which a worker may have made whatever it liked. Returns whether nothing is left of it."""
    with suppress(RecursionError):  # directories in directories without end
        shutil.rmtree(directory, ignore_errors=True)
    return not os.path.lexists(directory)


def let_group_enter(directory: Path) -> None:
    """Have our group look into a directory of ours, whoever made it. Raises OSError: it is not there."""
    about = directory.stat()
    if about.st_uid != os.geteuid():
        return
    if about.st_gid != os.getegid():
        try:
            os.chown(directory, -1, os.getegid())
        except PermissionError:  # a file system without owners: whoever mounted it has said who may
            return
    _let_group(directory, about, _ALL_BUT_WRITE)


def let_group_in(directory: Path, *, write: bool) -> None:
    """Have our group do with a directory of ours, and all in it, what we may: it was made for us alone.

    That is so once, when an earlier version made it, for which workers were the daemon's user. Costs a look otherwise.
    Blocks.

    Args:
        directory: what is to be let open.
        write: whether workers write there.

    Raises:
        OSError: it is not there, or not all of it could be let open.
    """
    rights = _ALL if write else _ALL_BUT_WRITE
    about = directory.stat()
    if about.st_uid != os.geteuid() or about.st_mode & rights >> 3 == rights >> 3:
        return
    for place, directories, files in os.walk(directory, topdown=False, onerror=_unless_closed):
        for name in (*directories, *files):
            path = Path(place, name)
            inside = path.lstat()
            if inside.st_uid == about.st_uid and not stat.S_ISLNK(inside.st_mode):
                _let_group(path, inside, rights)
    _let_group(directory, about, rights)  # last: what the power cuts off is gone on with


def _unless_closed(error: OSError) -> None:
    """What we may not look into is not ours, such as lost+found; all else is the disk's, and not the end of it."""
    if not isinstance(error, PermissionError):
        raise error


def _let_group(path: Path, about: os.stat_result, rights: int) -> None:
    mode = stat.S_IMODE(about.st_mode)
    if mode | (mode & rights) >> 3 != mode:
        path.chmod(mode | (mode & rights) >> 3)
