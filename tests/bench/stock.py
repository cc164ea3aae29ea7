"""One restore by the unmodified library, in a process of its own: `python -m tests.bench.stock FIRMWARE ECID REACH`.

REACH is a `Reach` in JSON. What is not the library's here: which USB backend pyusb uses, and where TSS is.
"""

import asyncio
import logging
import os
import sys
from pathlib import Path

import msgspec
import usb.backend.libusb1
from ipsw_parser.ipsw import IPSW
from pymobiledevice3.irecv import IRecv
from pymobiledevice3.restore import tss
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.device import Device
from pymobiledevice3.restore.restore import Restore

from station.model.job import Reach
from station.virtual.usb.backend import UsbIpBackend


async def main(firmware: str, ecid: int) -> None:
    """Restore the phone with `ecid`, from recovery."""
    device = Device(irecv=IRecv(ecid=ecid, timeout=60))
    await Restore(IPSW.create_from_path(firmware), device, behavior=Behavior.Erase).update()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # it logs whole messages; that is not what is measured
    reach = msgspec.json.decode(sys.argv[3], type=Reach)
    assert reach.usbip is not None
    backend = UsbIpBackend(Path(reach.usbip))
    usb.backend.libusb1.get_backend = lambda *_, **__: backend
    os.environ["USBMUXD_SOCKET_ADDRESS"] = reach.usbmuxd
    tss.TSS_CONTROLLER_ACTION_URL = reach.signing_url
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
