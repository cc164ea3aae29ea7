"""What AFC works on: one directory of the phone that a host cannot leave, and the files it has open there."""

import errno
import fcntl
import os
from pathlib import PurePosixPath

from station.virtual.system.files import FileSystem, Node

MAX_LINKS = 32
"""Links that are followed on the way to one file, as Darwin does (MAXSYMLINKS)."""

MODES = {
    1: os.O_RDONLY,
    2: os.O_RDWR | os.O_CREAT,
    3: os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    4: os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    5: os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    6: os.O_RDWR | os.O_CREAT | os.O_APPEND,
}
"""What open's modes stand for (libimobiledevice, `afc_file_mode_t`)."""


class Jail:
    """A directory of a file system that acts as its root. Methods raise OSError."""

    def __init__(self, files: FileSystem, root: str) -> None:
        self.files = files
        self._root = PurePosixPath(root)

    def locate(self, path: str, *, follow: bool = True) -> str:
        """Where a host's path is in the file system; there need not be anything.

        Args:
            path: as the host writes it: from the root, with or without a slash in front.
            follow: whether a link at its end is followed, as those on the way are.

        Raises:
            PermissionError: it leads out of the directory.
            OSError: ELOOP, when it is a circle of links.
        """
        here, links = self._root, 0
        ahead = _names(path)
        while ahead:
            name = ahead.pop()
            if name == "..":
                if here == self._root:
                    raise PermissionError(errno.EPERM, "outside", path)
                here = here.parent
                continue
            step = here / name
            target = self._target(step) if ahead or follow else None
            if target is None:
                here = step
                continue
            links += 1
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, "too many links", path)
            if target.is_absolute():
                if not target.is_relative_to(self._root):
                    raise PermissionError(errno.EPERM, "outside", path)
                here, target = self._root, target.relative_to(self._root)
            ahead += _names(str(target))
        return str(here)

    def entry(self, path: str) -> str:
        """Where something is that is to be removed or renamed: a link itself, but never the root."""
        place = self.locate(path, follow=False)
        if PurePosixPath(place) == self._root:
            raise PermissionError(errno.EPERM, "the root", path)
        return place

    def open(self, path: str, mode: int) -> "Handle":
        """Open a file. `mode`: see MODES; KeyError for others."""
        flags = MODES[mode]
        place = self.locate(path)
        if not self.files.exists(place) and flags & os.O_CREAT:
            self.files.write(place, b"")
        node = self.files.find(place)
        if node.is_directory:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if flags & os.O_TRUNC:
            self.files.resize(node, 0)
        return Handle(self.files, node, flags)

    def link(self, path: str, target: str, *, symbolic: bool) -> None:
        """Make a link at `path`; one that would lead out of the directory is refused.

        Args:
            path: where.
            target: a symbolic link keeps it as it is; otherwise the file that gets a second name.
            symbolic: which of both.
        """
        place = self.entry(path)
        if not symbolic:
            self.files.hard_link(place, self.locate(target))
            return
        self.files.link(place, target)
        try:
            self.locate(path)
        except PermissionError:
            self.files.remove(place)
            raise
        except OSError:
            pass  # links may lead nowhere, or round and round

    def _target(self, place: PurePosixPath) -> PurePosixPath | None:
        """What a link points to; None: it is none, or there is nothing."""
        try:
            node = self.files.find(str(place))
        except FileNotFoundError:
            return None
        return PurePosixPath(node.data.decode()) if node.is_link else None


class Handle:
    """An open file: goes on when its name is taken away, as it does on every Unix."""

    def __init__(self, files: FileSystem, node: Node, flags: int) -> None:
        self._files = files
        self._node = node
        self._flags = flags
        files.hold(node)
        self.offset = 0
        """Where the next byte is read or written."""

    def read(self, size: int) -> bytes:
        """The next `size` bytes, or those there are."""
        if self._flags & os.O_ACCMODE == os.O_WRONLY:
            raise OSError(errno.EBADF, "not open for reading")
        data = bytes(self._node.data[self.offset : self.offset + size])
        self.offset += len(data)
        return data

    def write(self, data: bytes) -> None:
        """Write there."""
        self._require_writing()
        if self._flags & os.O_APPEND:
            self.offset = self._node.size
        self._files.put(self._node, data, offset=self.offset)
        self.offset += len(data)

    def seek(self, whence: int, offset: int) -> None:
        """Go somewhere. `whence`: os.SEEK_SET, os.SEEK_CUR or os.SEEK_END."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.offset, os.SEEK_END: self._node.size}.get(whence)
        if base is None or base + offset < 0:
            raise OSError(errno.EINVAL, "nowhere")
        self.offset = base + offset

    def resize(self, size: int) -> None:
        """Cut the file, or extend it with zeros."""
        self._require_writing()
        self._files.resize(self._node, size)

    def lock(self, operation: int) -> None:
        """As flock(2), which does not wait here. Raises BlockingIOError: somebody else has it.

        Clients always say that they will not wait; a host that does is answered at once all the same.
        """
        locks = self._node.locks
        match operation & ~fcntl.LOCK_NB:
            case fcntl.LOCK_UN:
                locks.pop(self, None)
            case fcntl.LOCK_SH | fcntl.LOCK_EX as kind:
                exclusive = kind == fcntl.LOCK_EX
                if any(exclusive or others for holder, others in locks.items() if holder is not self):
                    raise BlockingIOError(errno.EWOULDBLOCK, "locked")
                locks[self] = exclusive
            case _:
                raise OSError(errno.EINVAL, "no such lock")

    def close(self) -> None:
        """Give up its lock, and the file."""
        self._node.locks.pop(self, None)
        self._files.let_go(self._node)

    def _require_writing(self) -> None:
        if self._flags & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "not open for writing")


def _names(path: str) -> list[str]:
    """The names in a path, the last one first."""
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
