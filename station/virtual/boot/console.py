"""What iBoot says on its USB console: a banner when it starts, and why it does not start what it was sent.

As public logs have it: the banner of an iPhone 4's iBEC and of a virtual machine's iBoot of 2026, which differ in
"Local boot" and "UUID"; the refusal of an iPhone 16e (libirecovery#140), whose first line names a place in the source.
"""

import asyncio

from station.virtual.boot.environment import Environment

MAX_UNREAD = 16 * 1024
"""Characters that are kept for a host that does not read; what is older is lost."""
_RULE = "=" * 39
_REFUSAL = "ea0f64a4253252:946\nMemory image not valid\n"


class Console:
    """What was printed and not read yet."""

    def __init__(self) -> None:
        self._unread = b""
        self._printed = asyncio.Event()

    def greet(self, stage: str, environment: Environment, *, serial: str) -> None:
        """Print the banner of this stage ("iBoot", "iBEC"), and that it waits for commands."""
        facts = (
            f"{stage} for {environment.get('config_board')}ap, Copyright 2007-2024, Apple Inc.",
            f"\tBUILD_TAG: {environment.get('build-version')}",
            f"\tBUILD_STYLE: {environment.get('build-style')}",
            f"\tUSB_SERIAL_NUMBER: {serial}",
        )
        box = "\n::\n".join([_RULE, *(f":: {fact}" if fact[0] != "\t" else f"::{fact}" for fact in facts), _RULE])
        self._print(f"{box}\n\nEntering recovery mode, starting command prompt\n")

    def refuse(self) -> None:
        """Print that what was to be started is nothing that may run."""
        self._print(_REFUSAL)

    async def read(self, length: int) -> bytes:
        """The next characters; waits until there are any."""
        while not self._unread:
            self._printed.clear()
            await self._printed.wait()
        said, self._unread = self._unread[:length], self._unread[length:]
        return said

    def _print(self, text: str) -> None:
        self._unread = (self._unread + text.encode())[-MAX_UNREAD:]
        self._printed.set()
