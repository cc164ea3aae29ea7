"""lockdownd, the phone in normal mode: pairing that waits for a person but not for ever, and the way to recovery."""

import os
import plistlib
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from ssl import SSLContext
from typing import Any, TypeVar

from pymobiledevice3 import usbmux
from pymobiledevice3.exceptions import (
    ConnectionTerminatedError,
    FatalPairingError,
    MuxException,
    NotPairedError,
    PairingDialogResponsePendingError,
    PairingError,
    PasswordRequiredError,
)
from pymobiledevice3.lockdown import SERVICE_PORT, PlistUsbmuxLockdownClient
from pymobiledevice3.pair_records import generate_host_id, get_usbmux_pairing_record

from station.model.causes import Cause
from station.model.consent import Act
from station.worker.connection import PhoneConnection, connect, connect_once
from station.worker.guard import Guard
from station.worker.patience import tries
from station.worker.reporter import Reporter

T = TypeVar("T")

TAP_PAUSE = 0.25
"""Between two questions whether somebody has tapped “Trust”: whoever did looks at the station, and waits."""


class Lockdown(PlistUsbmuxLockdownClient):
    """A trusted connection to one phone's lockdownd.

    The pair record is kept by usbmuxd and nowhere else: whoever has it can read the phone. It stays there between
    the jobs of one stay, so that nobody has to tap “Trust” twice; a restore deletes it (`forget`).
    """

    _reporter: Reporter
    _guard: Guard

    @classmethod
    async def open(cls, udid: str, reporter: Reporter, guard: Guard) -> "Lockdown":
        """Connect, make sure that it is lockdownd, and be trusted.

        Raises:
            IncorrectModeError: the restore system answered.
            PairingError: nobody tapped “Trust”, or unlocked the phone, in time.
        """
        service = await connect(udid, SERVICE_PORT, reporter.deadline.share(0.3))
        try:
            async with await usbmux.create_mux() as mux:
                assert isinstance(mux, usbmux.PlistMuxConnection)
                buid = await mux.get_buid()
            client = cls(
                service,
                generate_host_id(),
                identifier=udid,
                system_buid=buid,
                pairing_records_cache_folder=Path.home(),  # the library looks for a record only when it has a folder
            )
            client._reporter, client._guard = reporter, guard
            await client.begin()
        except BaseException:
            await service.close()
            raise
        return client

    async def begin(self) -> None:
        """Ask who answers, and be trusted."""
        await self._initialize()
        self._reporter.progress(0.3, "lockdownd")
        if await self.with_person(self.validate_pairing):
            return
        await self.pair()
        if not await self.with_person(self.validate_pairing):
            raise FatalPairingError

    async def authorise(self, act: Act) -> None:
        """Ask the phone at the other end who it is, and return if it may be sent this now.

        The services it starts run on the same phone: they are reached with the keys of this very pairing.

        Raises:
            ConsentVoid, StorageError: as `Guard.authorise`.
        """
        observed = await self.get_value(key="UniqueChipID")
        self._guard.authorise(act, observed if isinstance(observed, int) else None)

    async def enter_recovery(self) -> None:
        """Send the phone into recovery, if this is the phone that may be sent there."""
        await self.authorise(Act.ENTER_RECOVERY)
        self._reestablishing_connection = True  # the library's word for: this connection or none
        with suppress(ConnectionTerminatedError):  # it may be gone before it has answered
            await self._request("EnterRecovery")

    async def forget(self) -> None:
        """Have usbmuxd delete the pair record."""
        with suppress(MuxException, OSError):
            async with await usbmux.create_mux() as mux:
                assert isinstance(mux, usbmux.PlistMuxConnection)
                request = {"MessageType": "DeletePairRecord", "PairRecordID": self.identifier}
                await mux._send_receive(request)  # noqa: SLF001 (the library has no name for this request)

    async def fetch_pair_record(self) -> None:
        """Look for the pair record where it is kept."""
        assert self.identifier is not None
        self.pair_record = await get_usbmux_pairing_record(self.identifier)

    async def save_pair_record(self) -> None:
        """Keep the pair record."""
        assert self.identifier is not None
        assert self.service.mux_device is not None
        async with await usbmux.create_mux() as mux:
            assert isinstance(mux, usbmux.PlistMuxConnection)
            record = plistlib.dumps(self.pair_record or {})
            await mux.save_pair_record(self.identifier, self.service.mux_device.devid, record)

    @contextmanager
    def ssl_file(self) -> Generator[str, None, None]:
        """A file with the certificate and the key that open the phone, for the TLS library, which reads files only.

        It is in memory and has no name: the library's own would be on the disk, and stay there when this process is
        killed while it is read.

        Raises:
            NotPairedError: there is no pair record.
        """
        if self.pair_record is None:
            raise NotPairedError
        with os.fdopen(os.memfd_create("ssl", os.MFD_CLOEXEC), "wb", buffering=0) as file:
            file.write(self.pair_record["HostCertificate"] + b"\n" + self.pair_record["HostPrivateKey"])
            yield f"/proc/self/fd/{file.fileno()}"

    async def create_service_connection(
        self, port: int, ssl_context: SSLContext | None = None, strip_ssl: bool = False
    ) -> PhoneConnection:
        """Connect to a service that was started, or once more to lockdownd when a pair record turns out to be void."""
        assert self.identifier is not None
        assert not strip_ssl
        return await connect_once(self.identifier, port, tls=ssl_context)

    async def _request_pair(self, pair_options: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:  # noqa: ASYNC109 (the library's signature)
        return await self.with_person(lambda: self._request("Pair", pair_options))

    async def with_person(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again while somebody must do something at the phone, until shortly before the deadline."""
        pending: PairingError = PairingDialogResponsePendingError()
        async for _ in tries(self._reporter.deadline.share(0.6), longest=TAP_PAUSE):
            try:
                return await ask()
            except PairingDialogResponsePendingError as error:
                pending = error
                self._reporter.person_needed(Cause.NOT_TRUSTED)
            except PasswordRequiredError as error:
                pending = error
                self._reporter.person_needed(Cause.LOCKED)
        raise pending
