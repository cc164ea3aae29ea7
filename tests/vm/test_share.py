"""Another station's firmware, from the unit that shares it: a user who is nobody reads what is its owner's alone."""

import json
from pathlib import Path

import pytest

from tests.vm.guest import Guest
from tests.vm.kiosk import UNITS, write
from tests.vm.program import PROGRAM, PYTHON, ROOT

pytestmark = [pytest.mark.vm, pytest.mark.long, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

UNIT = "station-share.service"
STORE = Path("/var/lib/restore-station/firmware")
HERE = f"""
[Service]
ExecStart=
ExecStart={PYTHON} -m station firmware share --store {STORE}
Environment=PYTHONPATH={PROGRAM} PYTHONUNBUFFERED=1
TimeoutStartSec=300
"""
MAKE = f"""
import os, pathlib
os.umask(0o077)
from station.adapters.firmware import FirmwareStore
from tests.firmware.tiny import tiny_ipsw
source = tiny_ipsw(pathlib.Path("/run/shared"), "26.2.1", "23C71", ("iPhone13,2",), {{"os.dmg": b"os" * 99999}})
FirmwareStore(pathlib.Path("{STORE}"), reserve=0).import_ipsw(source)
os.system("chown -R 4321:4321 {STORE}")
store = FirmwareStore(pathlib.Path("{STORE}"))
store.verify(*store.list())  # what it was given to looks otherwise
"""
ASK = """
import json, time, urllib.error, urllib.request
def get(path): return urllib.request.urlopen("http://127.0.0.1:8750/v1/" + path, timeout=60).read()
while True:
    try:
        get("firmware")
        break
    except urllib.error.URLError:
        time.sleep(0.5)
(shared,) = json.loads(get("firmware"))
files = json.loads(get("firmware/" + shared["name"]))["files"]
print(json.dumps({file["path"]: len(get("objects/" + file["sha256"])) for file in files}))
"""
CLEAR = (
    f"systemctl stop {UNIT}; rm -rf {STORE.parent} /run/shared {UNITS}/{UNIT} {UNITS}/{UNIT}.d; systemctl daemon-reload"
)


async def test_it_is_served(guest: Guest):
    at = ("env", f"PYTHONPATH={PROGRAM}", str(PYTHON), "-c")
    try:
        await guest.check(*at, MAKE, seconds=240.0)
        await write(guest, UNITS / UNIT, (ROOT / "systemd" / UNIT).read_text())
        await write(guest, UNITS / f"{UNIT}.d/guest.conf", HERE)
        await guest.check("sh", "-c", f"systemctl daemon-reload; systemctl start {UNIT}", seconds=60.0)
        asked = await guest.run(*at, ASK, seconds=240.0)
        assert asked.code == 0, (await guest.run("journalctl", "--no-pager", "--unit", UNIT)).output
        assert json.loads(asked.output)["os.dmg"] == 2 * 99999
        process = (await guest.check("systemctl", "show", "--property=MainPID", "--value", UNIT)).strip()
        # It can write nothing, and of keys, records and settings it sees not even that they are there.
        sees = await guest.check("nsenter", f"--target={process}", "--mount", "ls", "-A", str(STORE.parent), "/etc")
        assert set(sees.split()) <= {
            *(f"{STORE.parent}:", "firmware", "/etc:"),
            *("ld.so.cache", "hosts", "nsswitch.conf", "passwd", "localtime"),
        }
        wrote = await guest.run("nsenter", f"--target={process}", "--mount", "touch", str(STORE / "mine"))
        assert wrote.code != 0
    finally:
        await guest.run("sh", "-c", CLEAR, seconds=60.0)
