"""A process with sixteen virtual phones, four in each mode, until its standard input is closed.

python -m tests.system.many_phones DIRECTORY
"""

import asyncio
import sys
from itertools import cycle
from pathlib import Path

from station.model.base import Ecid
from station.model.phone import PhoneMode
from station.virtual.hosting.control import Installed, Plug
from station.virtual.hosting.host import VirtualHost
from station.virtual.phones.models import MODELS
from station.virtual.restore.ramdisk import make_options

COUNT = 16


async def main(directory: Path) -> None:
    async with VirtualHost(directory, pace=1.0) as host, host.bus.watch() as events:
        for number, (mode, model) in enumerate(zip(cycle(PhoneMode), MODELS[-COUNT:], strict=False), 1):
            installed = Installed(version=".".join(map(str, model.first)), build="22F76")
            phone = host.hands.plug(Plug(model=model.hardware_model, ecid=Ecid(number), installed=installed))
            phone.ramdisk = make_options("Erase")
            phone.restart_into(mode, seconds=0)
        while [phone.mode for phone in host.bus.phones if phone.running] != list(PhoneMode) * (COUNT // 4):
            await events.get()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
