"""com.apple.preboardservice_v2: before an update, the owner's passcode opens the data for the time after it.

The phone keeps a stash bag: made while somebody types the passcode, then committed to the ticket of what will be
installed. Messages as idevicerestore (`src/normal.c`) and libimobiledevice (`preboard.h`) read them. What becomes of
a bag is in `restore.installation`.
"""

from pathlib import PurePosixPath
from typing import Any

from station.virtual.services.service import Call, Service

STASHED = "/private/var/keybags/stash.kb"
"""The stash bag that nothing was installed with yet."""
COMMITTED = "/private/var/keybags/stash-committed.kb"
TYPING_SECONDS = 5.0
"""How long somebody needs to type a passcode, at the default pace."""
PATIENCE_SECONDS = 120.0
"""How long the phone asks for it, at the default pace."""


async def serve(call: Call) -> None:
    """Answer command by command, until the host hangs up."""
    while True:
        message = await call.receive()
        await call.phone.step(f"preboard:{message.get('Command')}")
        match message.get("Command"):
            case "CreateStashbag":
                await _create(call, message.get("Manifest"))
            case "CommitStashbag":
                await _commit(call, message.get("Manifest"))
            case command:
                await _fail(call, f"unknown command {command}")


async def _create(call: Call, manifest: object) -> None:
    system = call.system
    if not manifest:
        await _fail(call, "no manifest")
        return
    if not system.passcode:
        await call.send({"Skip": True}, binary=True)
        return
    await call.send({"ShowDialog": True}, binary=True)
    if system.types_passcode is None:
        await call.phone.pace.pause(PATIENCE_SECONDS)
        await call.send({"Timeout": True}, binary=True)
        await call.send({"HideDialog": True}, binary=True)
        return
    await call.phone.pace.pause(TYPING_SECONDS)
    if not system.types_passcode:
        await _fail(call, "the passcode was not entered")
        await call.send({"HideDialog": True}, binary=True)
        return
    system.files.make_directories(str(PurePosixPath(STASHED).parent))
    system.files.write(STASHED, b"stash bag")
    await call.send({"HideDialog": True}, binary=True)


async def _commit(call: Call, manifest: object) -> None:
    files = call.system.files
    if not manifest or not files.exists(STASHED):
        await _fail(call, "no stash bag")
        return
    files.rename(STASHED, COMMITTED)
    await call.send({"StashbagCommitComplete": True}, binary=True)


async def _fail(call: Call, reason: str) -> None:
    answer: dict[str, Any] = {"Error": 1, "ErrorString": reason}
    await call.send(answer, binary=True)


SERVICE = Service("com.apple.preboardservice_v2", serve)
