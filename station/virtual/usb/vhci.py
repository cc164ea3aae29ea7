"""Plugs virtual phones into this machine's own kernel: `python -m station.virtual.usb.vhci FEED USBIP`.

It follows the hotplug feed, imports each phone that arrives over USB/IP, and hands the connection to vhci-hcd (a
module of Linux, which must be loaded; root is needed). From there on kernel, udev, usbmuxd and libusb see a USB
device. FEED and USBIP are unix sockets or HOST:PORT, because the phones may live outside a virtual machine whose
kernel this is.

Each socket of the virtual bus has a port of its own, and so keeps its sysfs path however often a phone enumerates.
Source: Linux, drivers/usb/usbip/vhci_sysfs.c and tools/usb/usbip.
"""

import argparse
import asyncio
import signal
import socket
import time
from contextlib import aclosing, suppress
from pathlib import Path

import structlog

from station.model.base import SocketPath
from station.model.phone import UsbArrived
from station.virtual.hosting.feed import usb_events
from station.virtual.sockets import Address, TcpAddress, parse_address
from station.virtual.usb.usbip_messages import (
    DEVICE_RECORD,
    HIGH_SPEED,
    OPERATION,
    DeviceRecord,
    Operation,
    UsbIpError,
    operation,
    pack_busid,
    parse_operation,
)

log = structlog.get_logger(__name__)

SYSFS = Path("/sys/devices/platform/vhci_hcd.0")
IMPORT_SECONDS = 10.0
"""For connecting, and for each answer."""
FREE_SECONDS = 10.0
"""How long the kernel may take to be done with what was in a port."""
_FREE_PAUSE = 0.05
_FREE = "004"
"""VDEV_ST_NULL in the column `sta`."""


class Attacher:
    """The ports of vhci-hcd, and which socket of the virtual bus has which. What it does blocks, for bounded times."""

    def __init__(self, usbip: Address, *, sysfs: Path = SYSFS) -> None:
        """Import from `usbip` into the controller at `sysfs`."""
        self._usbip = usbip
        self._sysfs = sysfs
        self._ports: dict[SocketPath, int] = {}

    def attach(self, path: SocketPath) -> int:
        """Import what is in a socket, into that socket's port. Returns the port.

        Raises:
            OSError: there is nothing, the server or the kernel refuses, or the port does not become free
                (TimeoutError).
        """
        port = self._port(path)
        self._wait_until_free(port)
        with self._connect() as connection:
            record = _import(connection, path)
            connection.settimeout(None)  # the kernel's from here on
            self._write("attach", f"{port} {connection.fileno()} {record.devid} {HIGH_SPEED}")
        return port

    def detach(self, path: SocketPath) -> None:
        """Take out what is in a socket's port, if anything is."""
        with suppress(OSError):  # the kernel itself noticed that the connection ended
            self._write("detach", str(self._ports[path]))

    def close(self) -> None:
        """Take out everything."""
        for path in self._ports:
            self.detach(path)

    def _port(self, path: SocketPath) -> int:
        if path not in self._ports:
            ports = (port for port, free in self._status().items() if free and port not in self._ports.values())
            port = next(ports, None)
            if port is None:
                raise OSError("vhci-hcd has no free port left")
            self._ports[path] = port
        return self._ports[path]

    def _wait_until_free(self, port: int) -> None:
        deadline = time.monotonic() + FREE_SECONDS
        while not self._status()[port]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"port {port} does not become free")
            time.sleep(_FREE_PAUSE)  # sysfs tells nobody of its changes

    def _status(self) -> dict[int, bool]:
        """The high-speed ports, and whether each is free."""
        lines = [line.split() for line in (self._sysfs / "status").read_text().splitlines()]
        return {int(line[1]): line[2] == _FREE for line in lines if line[:1] == ["hs"]}

    def _connect(self) -> socket.socket:
        if isinstance(self._usbip, TcpAddress):
            connection = socket.create_connection((self._usbip.host, self._usbip.port), IMPORT_SECONDS)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(IMPORT_SECONDS)
            connection.connect(str(self._usbip))
        except BaseException:
            connection.close()
            raise
        return connection

    def _write(self, name: str, text: str) -> None:
        (self._sysfs / name).write_text(text)


def _import(connection: socket.socket, path: SocketPath) -> DeviceRecord:
    connection.sendall(operation(Operation.REQ_IMPORT) + pack_busid(path))
    code, status = parse_operation(_read(connection, OPERATION.size))
    if code != Operation.REP_IMPORT or status:
        raise UsbIpError(f"nothing to import from {path}")
    return DeviceRecord.parse(_read(connection, DEVICE_RECORD.size))


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise UsbIpError("the server hung up")
        data += chunk
    return data


async def follow(feed: Address, attacher: Attacher) -> None:
    """Have in the kernel what the feed tells of, until cancelled; then nothing."""
    try:
        async with aclosing(usb_events(feed)) as events:
            async for event in events:
                if isinstance(event, UsbArrived):
                    try:
                        port = await asyncio.to_thread(attacher.attach, event.socket)
                    except OSError as error:
                        # It may have left in the meantime; if it comes again, the feed tells.
                        log.warning("not attached", socket=event.socket, error=str(error))
                    else:
                        log.info("attached", socket=event.socket, port=port, product=f"{event.product_id:04x}")
                else:
                    await asyncio.to_thread(attacher.detach, event.socket)
    finally:
        attacher.close()


async def _main(feed: Address, attacher: Attacher) -> None:
    work = asyncio.ensure_future(follow(feed, attacher))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    with suppress(asyncio.CancelledError):
        await work


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="station.virtual.usb.vhci")
    parser.add_argument("feed", metavar="FEED", type=parse_address)
    parser.add_argument("usbip", metavar="USBIP", type=parse_address)
    parser.add_argument("--sysfs", type=Path, default=SYSFS)
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.feed, Attacher(arguments.usbip, sysfs=arguments.sysfs)))
