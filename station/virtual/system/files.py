"""The data volume of a phone: a small tree of files in memory, which services serve and a restore ends or keeps.

Paths are absolute and begin with /, as on a phone: /var/mobile/Media/DCIM/100APPLE/IMG_0001.JPG.
"""

import errno
import plistlib
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import PurePosixPath

CAPACITY = 128_000_000_000
"""Bytes of storage, as on the box."""
SYSTEM = 12_000_000_000
"""Bytes that the system takes of it."""
MAX_FILE, MAX_FILES = 1 << 30, 2 << 30
"""Bytes in one file and in all: these are in memory, where a phone's would be limited by its storage only."""
MAX_NODES = 100_000
"""Files, directories and links, for the same reason."""
MAX_NAME, MAX_PATH = 255, 1024
"""Bytes of a name, and of a path with its ending zero: Darwin's NAME_MAX and PATH_MAX."""
CANARY = "/var/mobile/Media/DCIM/100APPLE/IMG_0001.JPG"
"""A picture of the owner's: must be gone after an erase, and there after everything that keeps data."""
MEDIA = "/var/mobile/Media"
CRASH_REPORTS = "/var/mobile/Library/Logs/CrashReporter"
APPS = "/var/containers/Bundle/Application"
"""What the owner installed: a directory for each app, which is in its bundle, NAME.app."""
_APP = f"{APPS}/7F1C2B64-3C4A-4C8E-9A55-0D5C3B1E2A10"


@dataclass
class Node:
    """A file, a directory or a symbolic link."""

    mode: int
    """As st_mode: kind and permissions."""
    inode: int
    modified: int
    """Nanoseconds since 1970."""
    created: int
    data: bytearray = field(default_factory=bytearray)
    """What a file contains; what a link points to, as UTF-8."""
    children: "dict[str, Node]" = field(default_factory=dict)
    links: int = 1
    """How many names it has; 0: none any more, only those who have it open."""
    holders: int = 0
    """How many have it open."""
    locks: dict[object, bool] = field(default_factory=dict)
    """Who holds it as with flock(2), and whether alone."""

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)


class FileSystem:
    """A tree of files. Methods raise OSError with the errno that a file system gives; links are not followed."""

    def __init__(self, *, capacity: int = CAPACITY, taken: int = SYSTEM) -> None:
        """An empty tree, with the directories that a new phone has.

        Args:
            capacity: bytes there are.
            taken: bytes that are used by something which is not in the tree.
        """
        self.capacity = capacity
        self.taken = taken
        self._numbers = count(2)
        self._nodes = 0
        self._used = 0
        self._root = self._node(stat.S_IFDIR | 0o755)
        for path in (MEDIA, CRASH_REPORTS, "/var/mobile/Library/Preferences"):
            self.make_directories(path)

    @property
    def free(self) -> int:
        """Bytes that can still be written."""
        return max(0, self.capacity - self.taken - self._used)

    def find(self, path: str) -> Node:
        """The node at a path."""
        node = self._root
        for name in _names(path):
            if not node.is_directory:
                raise NotADirectoryError(errno.ENOTDIR, "not a directory", path)
            if name not in node.children:
                raise FileNotFoundError(errno.ENOENT, "no such file", path)
            node = node.children[name]
        return node

    def exists(self, path: str) -> bool:
        """Whether there is something at a path."""
        try:
            self.find(path)
        except OSError:
            return False
        return True

    def read(self, path: str) -> bytes:
        """What a file contains."""
        node = self.find(path)
        if node.is_directory:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        return bytes(node.data)

    def names(self, path: str) -> list[str]:
        """The names in a directory, in order."""
        node = self.find(path)
        if not node.is_directory:
            raise NotADirectoryError(errno.ENOTDIR, "not a directory", path)
        return sorted(node.children)

    def walk(self, top: str = "/") -> Iterator[tuple[str, Node]]:
        """Everything below a directory, in order, each directory before what is in it."""
        for name in self.names(top):
            path = str(PurePosixPath(top, name))
            node = self.find(path)
            yield path, node
            if node.is_directory:
                yield from self.walk(path)

    def write(self, path: str, data: bytes, *, offset: int | None = None, permissions: int = 0o644) -> Node:
        """Write a file; make it if need be.

        Args:
            path: which; its directory must be there.
            data: what to write.
            offset: where; what is around stays. None: these bytes are all that it contains from now on.
            permissions: of a file that is made.
        """
        parent, name = self._parent(path)
        node = parent.children.get(name)
        if node is not None and node.is_directory:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        if node is None:
            if len(data) > self.free:
                raise OSError(errno.ENOSPC, "no space left", path)
            node = parent.children[name] = self._node(stat.S_IFREG | permissions)
            parent.modified = node.modified
        self.put(node, data, offset=offset)
        return node

    def put(self, node: Node, data: bytes, *, offset: int | None = None) -> None:
        """Write a file that is open, whatever its name is. Arguments: see `write`."""
        size = node.size
        after = len(data) if offset is None else max(size, offset + len(data))
        self._reserve(node, after - size)
        if offset is None:
            node.data[:] = data
        else:
            node.data.extend(bytes(max(0, offset - size)))
            node.data[offset : offset + len(data)] = data
        node.modified = time.time_ns()

    def truncate(self, path: str, size: int) -> None:
        """Cut a file, or extend it with zeros."""
        node = self.find(path)
        if node.is_directory:
            raise IsADirectoryError(errno.EISDIR, "is a directory", path)
        self.resize(node, size)

    def resize(self, node: Node, size: int) -> None:
        """Cut or extend a file that is open, whatever its name is."""
        self._reserve(node, size - node.size)
        del node.data[size:]
        node.data.extend(bytes(size - node.size))
        node.modified = time.time_ns()

    def make_directory(self, path: str, *, permissions: int = 0o755) -> Node:
        """Make a directory in one that is there."""
        parent, name = self._parent(path)
        if name in parent.children:
            raise FileExistsError(errno.EEXIST, "is there already", path)
        node = parent.children[name] = self._node(stat.S_IFDIR | permissions)
        return node

    def make_directories(self, path: str) -> None:
        """Make a directory and those above it, where they are missing."""
        for above in (*reversed(PurePosixPath(path).parents[:-1]), PurePosixPath(path)):
            if not self.exists(str(above)):
                self.make_directory(str(above))

    def link(self, path: str, target: str) -> Node:
        """Make a symbolic link."""
        parent, name = self._parent(path)
        if name in parent.children:
            raise FileExistsError(errno.EEXIST, "is there already", path)
        node = self._node(stat.S_IFLNK | 0o755)
        self.put(node, target.encode())
        parent.children[name] = node
        return node

    def hard_link(self, path: str, target: str) -> None:
        """Give a file one more name."""
        parent, name = self._parent(path)
        node = self.find(target)
        if node.is_directory:
            raise PermissionError(errno.EPERM, "is a directory", target)
        if name in parent.children:
            raise FileExistsError(errno.EEXIST, "is there already", path)
        parent.children[name] = node
        node.links += 1

    def remove(self, path: str) -> None:
        """Remove a file, a link, or a directory that is empty."""
        parent, name = self._parent(path)
        node = self.find(path)
        if node.children:
            raise OSError(errno.ENOTEMPTY, "not empty", path)
        node.links -= 1
        del parent.children[name]
        self._forget_if_unused(node)

    def hold(self, node: Node) -> None:
        """Open a file: it stays, and takes space, until it is let go of, whatever becomes of its name."""
        node.holders += 1

    def let_go(self, node: Node) -> None:
        """Close a file that was opened with `hold`."""
        node.holders -= 1
        self._forget_if_unused(node)

    def remove_tree(self, path: str) -> None:
        """Remove whatever is there, with all that is in it."""
        for name in self.names(path) if self.find(path).is_directory else ():
            self.remove_tree(str(PurePosixPath(path, name)))
        self.remove(path)

    def rename(self, source: str, target: str) -> None:
        """Move something; a file that was at the target is replaced."""
        old_parent, old_name = self._parent(source)
        node = self.find(source)
        new_parent, new_name = self._parent(target)
        if node.is_directory:
            if PurePosixPath(source) in PurePosixPath(target).parents:
                raise OSError(errno.EINVAL, "into itself", target)
            for path, _ in self.walk(source):  # nothing is anywhere where nobody could name it
                _names(target + path.removeprefix(source))
        there = new_parent.children.get(new_name)
        if there is node:
            return
        if there is not None:
            self.remove(target)
        del old_parent.children[old_name]
        new_parent.children[new_name] = node

    def _parent(self, path: str) -> tuple[Node, str]:
        names = _names(path)
        if not names:
            raise PermissionError(errno.EPERM, "not here", path)
        parent = self.find(str(PurePosixPath(path).parent))
        if not parent.is_directory:
            raise NotADirectoryError(errno.ENOTDIR, "not a directory", path)
        return parent, names[-1]

    def _forget_if_unused(self, node: Node) -> None:
        if not node.links and not node.holders:
            self._used -= node.size
            self._nodes -= 1

    def _reserve(self, node: Node, more: int) -> None:
        if more > self.free:
            raise OSError(errno.ENOSPC, "no space left")
        if node.size + more > MAX_FILE or self._used + more > MAX_FILES:
            raise OSError(errno.EFBIG, "too large")
        self._used += more

    def _node(self, mode: int) -> Node:
        if self._nodes >= MAX_NODES:
            raise OSError(errno.ENOSPC, "no more files")
        self._nodes += 1
        now = time.time_ns()
        return Node(mode=mode, inode=next(self._numbers), modified=now, created=now)


def _names(path: str) -> tuple[str, ...]:
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts:
        raise PermissionError(errno.EPERM, "not an absolute path", path)
    names = pure.parts[1:]
    if len(path.encode()) >= MAX_PATH or any(len(name.encode()) > MAX_NAME for name in names):
        raise OSError(errno.ENAMETOOLONG, "too long", path)
    return names


_REPORT = (
    b'{"bug_type":"298","timestamp":"2026-11-02 08:15:00.00 +0100","os_version":"iPhone OS 13.7 (17H35)",'
    b'"incident_id":"2C0E8A35-8C1B-4F0D-9E0F-5B1D2F3A4C5D"}\n{"memoryStatus":{}}\n'
)
"""Of an app that took too much memory: a line about the report, then the report."""


def owners_files(*, capacity: int = CAPACITY, taken: int = SYSTEM) -> FileSystem:
    """What somebody has on a phone: pictures, messages, an app, a crash report. The same on every phone."""
    files = FileSystem(capacity=capacity, taken=taken)
    for path, data in {
        CANARY: b"\xff\xd8\xff\xe0 somebody's first picture" * 400,
        "/var/mobile/Media/DCIM/100APPLE/IMG_0002.JPG": b"\xff\xd8\xff\xe0 somebody's second picture" * 5000,
        "/var/mobile/Library/SMS/sms.db": b"SQLite format 3\0 somebody's messages" * 100,
        "/var/mobile/Library/AddressBook/AddressBook.sqlitedb": b"SQLite format 3\0 somebody's contacts" * 100,
        "/var/mobile/Library/Notes/notes.sqlite": b"",
        f"{_APP}/iTunesMetadata.plist": plistlib.dumps({"itemId": 1, "itemName": "Diary", "kind": "software"}),
        f"{_APP}/Diary.app/Info.plist": plistlib.dumps(
            {"CFBundleIdentifier": "org.example.diary", "CFBundleDisplayName": "Diary", "CFBundleVersion": "2.1"}
        ),
        f"{_APP}/Diary.app/Diary": b"\xcf\xfa\xed\xfe somebody's app" * 100,
        f"{_APP}/Diary.app/SC_Info/Diary.sinf": b"sinf of somebody's Apple Account",
        f"{CRASH_REPORTS}/JetsamEvent-2026-11-02-081500.ips": _REPORT,
    }.items():
        files.make_directories(str(PurePosixPath(path).parent))
        files.write(path, data)
    return files
