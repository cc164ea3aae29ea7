"""restored, the restore system: the library's client on exactly one phone, and the door to what begins a restore."""

from collections.abc import Collection

from pymobiledevice3.exceptions import (
    ConnectionTerminatedError,
    DeviceNotFoundError,
    MuxException,
    NoDeviceConnectedError,
)
from pymobiledevice3.restore.restore_options import RestoreOptions
from pymobiledevice3.restore.restored_client import RestoredClient
from pymobiledevice3.usbmux import MuxDevice, select_devices_by_connection_type

from station.errors import InputRejected
from station.model.base import format_ecid
from station.model.causes import Cause
from station.model.consent import Act
from station.worker.connection import PhoneConnection, connect_once
from station.worker.failures import JobFailed
from station.worker.guard import Guard

RESTORED = "com.apple.mobile.restored"
COMING_AND_GOING = (
    ConnectionTerminatedError,
    DeviceNotFoundError,
    MuxException,
    NoDeviceConnectedError,
    TimeoutError,
    OSError,
)
"""What a phone that is just enumerating makes of a connection."""


class Restored(RestoredClient):
    """A connection to the restore system of one phone."""

    service: PhoneConnection
    guard: Guard

    @classmethod
    async def attach(cls, ecid: int, udid: str | None, strangers: Collection[str], guard: Guard) -> "Restored | None":
        """Look through usbmuxd once; the restore system of the phone with `ecid`, or None.

        Before the A12 a UDID carries no ECID, and only a connection tells. It is made to phones that may be
        ours: the one with our `udid`, or, when that is not known, none of the `strangers` that were on the bus
        before ours was sent there.

        Raises:
            JobFailed: WRONG_PHONE, two phones say that they are ours.
            any of COMING_AND_GOING: try again.
        """
        present = await select_devices_by_connection_type("USB")
        ours = [device for device in present if _may_be(device, ecid, udid, strangers)]
        if sum(device.ecid == ecid for device in ours) > 1:
            raise JobFailed(Cause.WRONG_PHONE, f"two phones say that they are {format_ecid(ecid)}")
        for device in ours:
            service = await connect_once(device.serial, cls.SERVICE_PORT)
            try:
                client = await cls._greet(service, device.serial)
                if client is not None and client.ecid == ecid:
                    client.guard = guard
                    return client
            except BaseException:
                await service.close()
                raise
            await service.close()
        return None

    @classmethod
    async def _greet(cls, service: PhoneConnection, udid: str) -> "Restored | None":
        kind = await service.send_recv_plist({"Request": "QueryType"})
        version = kind.get("RestoreProtocolVersion")
        if kind.get("Type") != RESTORED or not isinstance(version, str | int):
            return None
        client = cls(udid, version, service)  # type: ignore[arg-type]  # passed on as it came: a number, really
        try:
            await client._connect()
        except (KeyError, TypeError) as error:
            raise InputRejected("The restore system does not tell what phone it runs on.") from error
        return client

    async def start_restore(self, opts: RestoreOptions | None = None) -> None:
        """Not to be used: what it begins depends on the ramdisk, see `begin`."""
        raise NotImplementedError

    async def begin(self, act: Act, options: RestoreOptions) -> None:
        """Begin the restore, if this is the phone that may be given it.

        Args:
            act: what the ramdisk that runs on the phone will do: no message tells it to erase, or not to.
            options: the library's.
        """
        self.guard.authorise(act, self.ecid)
        await super().start_restore(options)


def _may_be(device: MuxDevice, ecid: int, udid: str | None, strangers: Collection[str]) -> bool:
    if device.ecid is not None:
        return device.ecid == ecid
    return device.matches_udid(udid) if udid else device.serial not in strangers
