"""usbmuxd is run by somebody who notices when it hangs."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from station.virtual.hosting.host import VirtualHost

pytestmark = [pytest.mark.system, pytest.mark.timeout(30)]

WATCH = "import sys; from station.cli.usbmuxd import watch; sys.exit(watch(sys.argv[2:], sys.argv[1], **{}) % 256)"
QUICK = {"starting": 1.0, "pulse": 0.1, "silent": 0.5}
LIVES = "import time; time.sleep(60)"
HANGS = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(60)"
DRIPS = """
import socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True:
    line, _ = server.accept()
    try:
        while True:
            line.send(bytes(1))
            time.sleep(0.1)
    except OSError:
        pass
"""


async def watched(address: Path, program: str) -> asyncio.subprocess.Process:
    """One that answers at this address; or somebody else does, for as long as the program runs."""
    arguments = (str(address), sys.executable, "-c", program, str(address))
    code = WATCH.replace("{}", repr(QUICK))
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, *arguments, stderr=asyncio.subprocess.PIPE)


@pytest.mark.parametrize("program", [HANGS, DRIPS], ids=["hangs", "drips"])
async def test_one_that_hangs_is_ended(program: str, tmp_path: Path):
    process = await watched(tmp_path / "usbmuxd", program)
    _, said = await process.communicate()
    assert process.returncode == -signal.SIGKILL % 256
    assert b"does not answer" in said
    assert b"started anew" in said


async def test_one_that_ends_is_told():
    process = await watched(Path("/nonexistent"), "import sys; sys.exit(3)")
    assert await process.wait() == 3


async def test_one_that_answers_is_left_alone_until_it_is_told_to_end(tmp_path: Path):
    async with VirtualHost(tmp_path / "host") as host:
        process = await watched(Path(host.reach.usbmuxd), LIVES)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.0):
                await process.wait()
        process.terminate()
        _, said = await process.communicate()
    assert process.returncode == -signal.SIGTERM % 256
    assert said == b""
