"""com.apple.afc: a host reads and writes the phone's media directory.

Operations as libimobiledevice (`src/afc.c`) and pymobiledevice3 (`services/afc.py`) ask for them; what they do
and how they fail is the file system call each is named after.
"""

import asyncio
import errno
import hashlib
import stat
import struct
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from station.virtual.faults.kinds import RefusedError, StatusError
from station.virtual.services.afc_files import Handle, Jail
from station.virtual.services.afc_packets import Answer, Operation, Request, Status, read
from station.virtual.services.service import Call, Service
from station.virtual.system.files import MEDIA

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BLOCK_SIZE = 4096
"""Of the file system; APFS's."""
MAX_OPEN = 256
"""Files that one connection may have open: a process's limit."""
HARD_LINK, SYMBOLIC_LINK = 1, 2
QUIET = frozenset({Operation.FILE_READ, Operation.FILE_WRITE})
"""Not among the phone's steps: there are as many as a file has blocks."""

STATUS = {
    errno.ENOENT: Status.OBJECT_NOT_FOUND,
    errno.EISDIR: Status.OBJECT_IS_DIR,
    errno.EPERM: Status.PERM_DENIED,
    errno.EEXIST: Status.OBJECT_EXISTS,
    errno.ENOSPC: Status.NO_SPACE_LEFT,
    errno.EWOULDBLOCK: Status.OP_WOULD_BLOCK,
    errno.ENOTEMPTY: Status.DIR_NOT_EMPTY,
    errno.EINVAL: Status.INVALID_ARG,
    errno.EBADF: Status.INVALID_ARG,
    errno.ENOTDIR: Status.READ_ERROR,
}
"""By errno; everything else is UNKNOWN_ERROR."""


class Conversation:
    """One connection."""

    def __init__(self, call: Call, root: str) -> None:
        self._call = call
        self._files = call.system.files
        self._jail = Jail(call.system.files, root)
        self._handles: dict[int, Handle] = {}
        self._numbers = count(1)
        self._operations: dict[int, Callable[[Request], Awaitable[Answer | None]]] = {
            Operation.READ_DIR: self._read_dir,
            Operation.TRUNCATE: self._truncate,
            Operation.REMOVE_PATH: self._remove,
            Operation.MAKE_DIR: self._make_dir,
            Operation.GET_FILE_INFO: self._file_info,
            Operation.GET_DEVICE_INFO: self._device_info,
            Operation.FILE_OPEN: self._open,
            Operation.FILE_READ: self._read,
            Operation.FILE_WRITE: self._write,
            Operation.FILE_SEEK: self._seek,
            Operation.FILE_TELL: self._tell,
            Operation.FILE_CLOSE: self._close,
            Operation.FILE_SET_SIZE: self._set_size,
            Operation.RENAME_PATH: self._rename,
            Operation.SET_FS_BLOCK_SIZE: self._set_block_size,
            Operation.SET_SOCKET_BLOCK_SIZE: self._set_block_size,
            Operation.FILE_LOCK: self._lock,
            Operation.MAKE_LINK: self._make_link,
            Operation.GET_FILE_HASH: self._hash,
            Operation.SET_FILE_MOD_TIME: self._set_time,
            Operation.REMOVE_PATH_AND_CONTENTS: self._remove_tree,
        }

    async def run(self) -> None:
        """Answer request by request, until the host hangs up; whatever it has open is closed then."""
        try:
            while (request := await read(self._call.reader)) is not None:
                answer = await self._answer(request)
                await request.discard()
                await answer.write(self._call.writer, request.number)
        finally:
            for handle in self._handles.values():
                handle.close()

    async def _answer(self, request: Request) -> Answer:
        operation = self._operations.get(request.operation)
        if operation is None:
            return Answer.status(Status.UNKNOWN_PACKET_TYPE)
        try:
            if request.operation not in QUIET:
                await self._call.phone.step(f"afc:{Operation(request.operation).name}")
            return await operation(request) or Answer.status(Status.SUCCESS)
        except ConnectionError:
            raise
        except OSError as error:
            return Answer.status(STATUS.get(error.errno or 0, Status.UNKNOWN_ERROR))
        except (ValueError, KeyError):
            return Answer.status(Status.INVALID_ARG)
        except RefusedError:
            return Answer.status(Status.PERM_DENIED)
        except StatusError as error:
            return Answer.status(error.status)

    async def _device_info(self, _request: Request) -> Answer:
        info = {
            "Model": self._call.phone.identity.product_type,
            "FSTotalBytes": self._files.capacity,
            "FSFreeBytes": self._files.free,
            "FSBlockSize": BLOCK_SIZE,
        }
        return Answer.strings([str(word) for pair in info.items() for word in pair])

    async def _read_dir(self, request: Request) -> Answer:
        (path,) = await request.paths(1)
        return Answer.strings([".", "..", *self._files.names(self._jail.locate(path))])

    async def _file_info(self, request: Request) -> Answer:
        (path,) = await request.paths(1)
        node = self._files.find(self._jail.locate(path, follow=False))
        kind = {stat.S_IFDIR: "S_IFDIR", stat.S_IFLNK: "S_IFLNK"}.get(stat.S_IFMT(node.mode), "S_IFREG")
        info = {
            "st_size": node.size,
            "st_blocks": -(-node.size // BLOCK_SIZE) * (BLOCK_SIZE // 512),
            "st_nlink": node.links + len(node.children),
            "st_ifmt": kind,
            "st_mtime": node.modified,
            "st_birthtime": node.created,
        }
        words = [str(word) for pair in info.items() for word in pair]
        return Answer.strings([*words, "LinkTarget", node.data.decode()] if node.is_link else words)

    async def _make_dir(self, request: Request) -> None:
        (path,) = await request.paths(1)
        place = self._jail.locate(path)
        self._files.make_directories(place)
        if not self._files.find(place).is_directory:
            raise FileExistsError(errno.EEXIST, "no directory", path)

    async def _remove(self, request: Request) -> None:
        (path,) = await request.paths(1)
        self._files.remove(self._jail.entry(path))

    async def _remove_tree(self, request: Request) -> None:
        (path,) = await request.paths(1)
        self._files.remove_tree(self._jail.entry(path))

    async def _rename(self, request: Request) -> None:
        source, target = await request.paths(2)
        self._files.rename(self._jail.entry(source), self._jail.entry(target))

    async def _make_link(self, request: Request) -> None:
        (kind,) = await request.numbers("Q")
        target, path = await request.paths(2)
        if kind not in (HARD_LINK, SYMBOLIC_LINK):
            raise ValueError(kind)
        self._jail.link(path, target, symbolic=kind == SYMBOLIC_LINK)

    async def _truncate(self, request: Request) -> None:
        (size,) = await request.numbers("Q")
        (path,) = await request.paths(1)
        self._files.truncate(self._jail.locate(path), size)

    async def _set_time(self, request: Request) -> None:
        (nanoseconds,) = await request.numbers("Q")
        (path,) = await request.paths(1)
        self._files.find(self._jail.locate(path)).modified = nanoseconds

    async def _hash(self, request: Request) -> Answer:
        (path,) = await request.paths(1)
        data = self._files.read(self._jail.locate(path))
        digest = await asyncio.to_thread(hashlib.sha1, data, usedforsecurity=False)
        return Answer(Operation.DATA, data=digest.digest())

    async def _set_block_size(self, request: Request) -> None:
        await request.numbers("Q")  # how the phone cuts its work is nothing that a host could see

    async def _open(self, request: Request) -> Answer:
        (mode,) = await request.numbers("Q")
        (path,) = await request.paths(1)
        if len(self._handles) >= MAX_OPEN:
            raise OSError(errno.EMFILE, "too many open files")
        number = next(self._numbers)
        self._handles[number] = self._jail.open(path, mode)
        return Answer(Operation.FILE_OPEN_RESULT, struct.pack("<Q", number))

    async def _close(self, request: Request) -> None:
        (number,) = await request.numbers("Q")
        self._handles.pop(number).close()

    async def _read(self, request: Request) -> Answer:
        number, size = await request.numbers("QQ")
        return Answer(Operation.DATA, data=self._handles[number].read(size))

    async def _write(self, request: Request) -> None:
        (number,) = await request.numbers("Q")
        handle = self._handles[number]
        while block := await request.block():
            handle.write(block)

    async def _seek(self, request: Request) -> None:
        number, whence, offset = await request.numbers("QQq")
        self._handles[number].seek(whence, offset)

    async def _tell(self, request: Request) -> Answer:
        (number,) = await request.numbers("Q")
        return Answer(Operation.FILE_TELL_RESULT, struct.pack("<Q", self._handles[number].offset))

    async def _set_size(self, request: Request) -> None:
        number, size = await request.numbers("QQ")
        self._handles[number].resize(size)

    async def _lock(self, request: Request) -> None:
        number, operation = await request.numbers("QQ")
        self._handles[number].lock(operation)


async def serve(call: Call, *, root: str) -> None:
    """Serve a directory of the phone."""
    await Conversation(call, root).run()


SERVICE = Service("com.apple.afc", partial(serve, root=MEDIA))
