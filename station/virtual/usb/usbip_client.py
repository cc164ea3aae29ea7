"""A blocking USB/IP client on a unix socket. Every wait has a deadline; errors are pyusb's, with Linux's numbers."""

import errno
import os
import socket
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

from usb.core import USBError, USBTimeoutError

from station.virtual.usb.usbip_messages import (
    COUNT,
    DEVICE_RECORD,
    HEADER_SIZE,
    INTERFACE,
    OPERATION,
    Command,
    DeviceRecord,
    Operation,
    Reply,
    Submit,
    Unlink,
    UsbIpError,
    operation,
    pack_busid,
    parse_operation,
    parse_reply,
)

OPERATION_SECONDS = 5.0
"""For connecting, listing or importing."""
MAX_TRANSFER_SECONDS = 60.0
"""The most any transfer may take; libusb waits for ever when it is told 0."""
UNLINK_SECONDS = 1.0
MAX_DEVICES = 1024
_CHUNK = 64 * 1024


class Outcome(NamedTuple):
    """A transfer that succeeded."""

    length: int
    """Bytes transferred."""
    data: bytes
    """What came IN."""


def list_devices(path: Path) -> list[DeviceRecord]:
    """The devices a server exports. Raises USBError."""
    with _errors(), _Stream(path) as stream:
        deadline = time.monotonic() + OPERATION_SECONDS
        stream.send(operation(Operation.REQ_DEVLIST), deadline)
        _expect(stream, Operation.REP_DEVLIST, deadline)
        (count,) = COUNT.unpack(stream.read(COUNT.size, deadline))
        if count > MAX_DEVICES:
            raise UsbIpError(f"{count} devices")
        records = []
        for _ in range(count):
            record = DeviceRecord.parse(stream.read(DEVICE_RECORD.size, deadline))
            stream.read(INTERFACE.size * record.interfaces, deadline)
            records.append(record)
        return records


class UsbIpConnection:
    """One imported device. Transfers of several threads take turns."""

    def __init__(self, path: Path, record: DeviceRecord) -> None:
        """Import the device that was listed as `record`. Raises USBError: ENODEV when it is gone or another one."""
        self._record = record
        self._turn = threading.Lock()
        self._seqnum = 0
        with _errors():
            self._stream = _Stream(path)
            try:
                self._import()
            except BaseException:
                self._stream.close()
                raise
        # The library drops devices without closing them.
        weakref.finalize(self, self._stream.close)

    def _import(self) -> None:
        deadline = time.monotonic() + OPERATION_SECONDS
        self._stream.send(operation(Operation.REQ_IMPORT) + pack_busid(self._record.busid), deadline)
        _expect(self._stream, Operation.REP_IMPORT, deadline)
        if DeviceRecord.parse(self._stream.read(DEVICE_RECORD.size, deadline)).devid != self._record.devid:
            raise UsbIpError("another device is in this socket now")

    def close(self) -> None:
        """Let go of the device."""
        self._stream.close()

    def transfer(
        self, address: int, timeout: int, *, data: bytes = b"", length: int = 0, setup: bytes = bytes(8)
    ) -> Outcome:
        """One transfer.

        Args:
            address: the endpoint's; 0x80 is IN on endpoint 0.
            timeout: milliseconds; 0 is as long as is ever allowed.
            data: what goes OUT.
            length: how much may come IN.
            setup: the setup packet, on endpoint 0.

        Raises:
            USBTimeoutError: ETIMEDOUT, the device did not answer in time; the transfer is given up.
            USBError: EPIPE, it stalled; ENODEV, it has gone; or another errno.
        """
        seconds = min(timeout / 1000 or MAX_TRANSFER_SECONDS, MAX_TRANSFER_SECONDS)
        deadline = time.monotonic() + seconds
        if not self._turn.acquire(timeout=seconds):
            raise _timeout()
        try:
            self._seqnum += 1
            submit = Submit(
                self._seqnum, self._record.devid, bool(address & 0x80), address & 0x0F, len(data) or length, setup
            )
            with _errors():
                self._stream.send(submit.pack() + data, deadline)
                try:
                    reply, received = self._receive(submit, deadline)
                except TimeoutError:
                    reply, received = self._give_up(submit)
        finally:
            self._turn.release()
        if reply.status:
            raise USBError(os.strerror(-reply.status), None, -reply.status)
        return Outcome(reply.actual_length, received)

    def _give_up(self, submit: Submit) -> tuple[Reply, bytes]:
        """Unlink a transfer that takes too long. Its outcome, if the answer crossed; else TimeoutError."""
        deadline = time.monotonic() + UNLINK_SECONDS
        self._seqnum += 1
        self._stream.send(Unlink(self._seqnum, submit.devid, submit.seqnum).pack(), deadline)
        try:
            reply, received = self._receive(submit, deadline)
            if reply.command is Command.RET_SUBMIT:
                self._receive(submit, deadline)
                return reply, received
        except TimeoutError:
            self.close()  # there is no telling what its next words would answer
        raise TimeoutError

    def _receive(self, submit: Submit, deadline: float) -> tuple[Reply, bytes]:
        """The next reply with its data. One transfer is under way at a time, so it is to that or to its unlink."""
        reply = parse_reply(self._stream.read(HEADER_SIZE, deadline, keep=True))
        if reply.seqnum != (submit.seqnum if reply.command is Command.RET_SUBMIT else self._seqnum):
            raise UsbIpError("an answer to nothing")
        length = reply.actual_length if submit.into_host else 0
        if length > submit.length:
            raise UsbIpError("more data than was asked for")
        whole = self._stream.read(HEADER_SIZE + length, deadline)
        return reply, whole[HEADER_SIZE:]


class _Stream:
    """A socket that is read in whole pieces: nothing is consumed before all of it has come."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._buffer = bytearray()
        try:
            self._socket.settimeout(OPERATION_SECONDS)
            self._socket.connect(str(path))
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes, deadline: float) -> None:
        """Raises TimeoutError; the stream is then closed, because part of the data may be on its way."""
        self._until(deadline)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            self.close()
            raise

    def read(self, size: int, deadline: float, *, keep: bool = False) -> bytes:
        """The next `size` bytes; with `keep` they come again with the next read. Raises TimeoutError, UsbIpError."""
        while len(self._buffer) < size:
            self._until(deadline)
            chunk = self._socket.recv(_CHUNK)
            if not chunk:
                raise UsbIpError("the other side hung up")
            self._buffer += chunk
        data = bytes(self._buffer[:size])
        if not keep:
            del self._buffer[:size]
        return data

    def _until(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)


def _expect(stream: _Stream, code: Operation, deadline: float) -> None:
    answer, status = parse_operation(stream.read(OPERATION.size, deadline))
    if answer != code or status:
        raise UsbIpError(f"operation refused: {answer:#06x}, status {status}")


@contextmanager
def _errors() -> Generator[None]:
    """What goes wrong with a connection, in pyusb's terms."""
    try:
        yield
    except TimeoutError:
        raise _timeout() from None
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise USBError(f"no USB/IP server: {error}", None, error.errno) from error
    except OSError as error:
        # Hung up, nonsense, or closed before: whatever it was, the device cannot be reached any more.
        raise USBError(f"{os.strerror(errno.ENODEV)} ({error})", None, errno.ENODEV) from error


def _timeout() -> USBTimeoutError:
    return USBTimeoutError(os.strerror(errno.ETIMEDOUT), None, errno.ETIMEDOUT)
