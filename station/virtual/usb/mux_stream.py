"""One connection over usbmux, at the phone's end: TCP without what makes TCP hard, as USB loses nothing.

It is served by what the phone runs, over a pair of sockets: the phone has one of them as asyncio streams, this has
the other. So a full socket is what holds back the host, and a host that takes nothing holds back the phone.
"""

import asyncio
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol as Interface

import structlog

from station.virtual.faults.kinds import PhoneGoneError, RefusedError
from station.virtual.phones.phone import Running, VirtualPhone
from station.virtual.usb.connecting import STREAM_LIMIT, converse, knock
from station.virtual.usb.mux_packets import MAX_PAYLOAD, SEQUENCE, Flag, Protocol, Segment

log = structlog.get_logger(__name__)

WINDOW = 128 * 1024
"""Bytes that the phone takes before it must have read some; usbmuxd's own window is the same."""

Key = tuple[int, int]
"""The host's port and the phone's."""


class Carrier(Interface):
    """What takes a connection's packets to the host."""

    def send(self, protocol: Protocol, body: bytes) -> None:
        """Queue a packet."""
        ...

    async def room(self) -> None:
        """Wait until the host has read enough to be told more."""
        ...

    def forget(self, stream: "Stream") -> None:
        """A connection has ended."""
        ...


@dataclass
class _Inbox:
    """What a connection received and its phone has not taken yet."""

    chunks: deque[bytes] = field(default_factory=deque)
    size: int = 0
    ended: bool = False
    """The host sends nothing more."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Stream:
    """One connection."""

    def __init__(self, carrier: Carrier, phone: VirtualPhone, first: Segment) -> None:
        """Answer a host's SYN."""
        self.key: Key = (first.source, first.destination)
        self._carrier = carrier
        self._phone = phone
        self._accepted = False
        self._sent = 0
        """Number of the next byte to send."""
        self._acknowledged = 0
        """Number of the first byte that the host has not acknowledged."""
        self._host_window = first.window
        self._moved = asyncio.Event()
        """Set by whatever may have given us room to send."""
        self._received = first.sequence + 1 & SEQUENCE
        """Number of the next byte to receive."""
        self._edge = self._received
        """Number of the first byte that the host may not send yet."""
        self._inbox = _Inbox()
        self._host_gone = asyncio.Event()
        """Set when the host has reset the connection: it takes nothing any more."""
        self._ours: socket.socket | None = None
        """Our end, once the phone accepted."""
        self._task = asyncio.create_task(self._run())
        phone.keep(self._task)

    @property
    def unsettled(self) -> bool:
        """Whether its phone said something that the host has not acknowledged."""
        return self._sent != self._acknowledged or self._says_more()

    def drop(self) -> None:
        """End it without a word."""
        self._task.cancel()
        self._carrier.forget(self)

    def abort(self, reason: str) -> None:
        """End it, and tell the host why: usbmuxd logs it."""
        self._send(Flag.RST, reason.encode())
        self.drop()

    def take(self, segment: Segment) -> None:
        """Take a segment of this connection. One that breaks TCP's rules ends it."""
        if segment.flags & Flag.RST:
            self._hang_up()
            return
        reason = self._wrong(segment)
        if reason:
            log.warning("a host breaks a connection's rules", reason=reason, port=self.key[1])
            self.abort(reason)
            return
        self._acknowledged, self._host_window = segment.acknowledgement, segment.window
        self._moved.set()
        if not segment.payload and not segment.flags & Flag.FIN:
            return
        inbox = self._inbox
        if segment.payload:
            inbox.chunks.append(segment.payload)
            inbox.size += len(segment.payload)
        inbox.ended = bool(segment.flags & Flag.FIN)
        inbox.changed.set()
        self._received = self._received + len(segment.payload) + inbox.ended & SEQUENCE
        self._send(Flag.ACK)

    def _hang_up(self) -> None:
        """The host is gone. What it said before still reaches the phone: usbmuxd resets whenever its client closes."""
        self._carrier.forget(self)
        self._host_gone.set()
        self._moved.set()
        self._inbox.ended = True
        self._inbox.changed.set()
        if not self._accepted:
            self._task.cancel()

    def _wrong(self, segment: Segment) -> str:
        """What is wrong with a segment; "" when nothing is."""
        unacknowledged = self._sent - self._acknowledged & SEQUENCE
        reason = ""
        if not self._accepted or segment.flags & ~Flag.FIN != Flag.ACK or self._inbox.ended:
            reason = f"flags {segment.flags:#x} out of place"
        elif segment.acknowledgement - self._acknowledged & SEQUENCE > unacknowledged:
            reason = "acknowledges what was never sent"
        elif segment.sequence != self._received:
            reason = f"sequence number {segment.sequence} instead of {self._received}"
        elif len(segment.payload) > self._edge - self._received & SEQUENCE:
            reason = "more than the window allows"
        return reason

    def _send(self, flags: Flag, payload: bytes = b"") -> None:
        """Send a segment, if there is somebody to take it: with what was received and what there is room for."""
        if self._host_gone.is_set():
            return
        window = WINDOW - self._inbox.size
        host, port = self.key
        self._carrier.send(Protocol.TCP, Segment(port, host, self._sent, self._received, flags, window, payload).pack())
        self._sent = self._sent + len(payload) + bool(flags & Flag.SYN) & SEQUENCE
        self._edge = self._received + window & SEQUENCE

    def _says_more(self) -> bool:
        if self._ours is None or self._ours.fileno() < 0:
            return False
        try:
            return bool(self._ours.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    async def _run(self) -> None:
        running = self._phone.running
        try:
            if running is not None:
                await self._connect(running)
        finally:
            self._carrier.forget(self)

    async def _connect(self, running: Running) -> None:
        _, port = self.key
        try:
            await knock(self._phone, running, port)
        except PhoneGoneError:
            return
        except RefusedError:
            self._send(Flag.RST | Flag.ACK)
            return
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            self._ours = ours
            reader, writer = await asyncio.open_unix_connection(sock=theirs, limit=STREAM_LIMIT)
            # Not ended with the connection: what a phone is at does not end because a host hangs up.
            serving = asyncio.create_task(converse(self._phone, port, reader, writer))
            serving.add_done_callback(lambda _: writer.transport.abort())  # however it ends: the phone may have left
            self._phone.keep(serving)
            self._accepted = True
            self._send(Flag.SYN | Flag.ACK)
            inward = asyncio.create_task(self._inward(ours))
            try:
                await self._outward(ours)
            finally:
                inward.cancel()
                await asyncio.gather(inward, return_exceptions=True)
            self._send(Flag.RST)

    def _room(self) -> int:
        """Bytes that the host takes now; one that is gone would take anything."""
        gone = self._host_gone.is_set()
        return MAX_PAYLOAD if gone else self._host_window - (self._sent - self._acknowledged & SEQUENCE)

    async def _outward(self, ours: socket.socket) -> None:
        """What the phone says, to the host, until the phone hangs up."""
        loop = asyncio.get_running_loop()
        while True:
            while (room := self._room()) <= 0:
                self._moved.clear()
                await self._moved.wait()
            try:
                data = await loop.sock_recv(ours, min(room, MAX_PAYLOAD))
            except OSError:
                return  # it hung up with something unread
            if not data:
                return
            await self._carrier.room()
            self._send(Flag.ACK, data)

    async def _inward(self, ours: socket.socket) -> None:
        """What the host says, to the phone, until the host has nothing more to say; then, that the host is gone."""
        loop, inbox, deaf = asyncio.get_running_loop(), self._inbox, False
        while inbox.chunks or not inbox.ended:
            if not inbox.chunks:
                inbox.changed.clear()
                await inbox.changed.wait()
                continue
            chunk = inbox.chunks.popleft()
            if not deaf:
                try:
                    await loop.sock_sendall(ours, chunk)
                except OSError:
                    deaf = True  # the phone hung up; what it said before that may still be on its way
            inbox.size -= len(chunk)
            known = self._edge - self._received & SEQUENCE
            if WINDOW - inbox.size - known >= WINDOW // 2:
                await self._carrier.room()
                self._send(Flag.ACK)
        if not deaf:
            ours.shutdown(socket.SHUT_WR)
        await self._host_gone.wait()
        with suppress(OSError):  # the phone hung up by itself
            ours.shutdown(socket.SHUT_RDWR)
