"""preboard: the owner types the passcode before a reinstall, so that their data opens again after it.

The library knows the two commands, and neither when they are due nor what follows them. The order is idevicerestore's
(`src/idevicerestore.c`): the bag is made before Apple is asked for a ticket, and committed to that ticket before the
phone leaves for recovery mode. The answers are those that libimobiledevice describes (`preboard.h`).
"""

import asyncio
from collections.abc import Mapping

from pymobiledevice3.exceptions import InvalidServiceError, MissingValueError
from pymobiledevice3.services.preboard import PreboardService

from station.model.causes import Cause
from station.model.consent import Act
from station.worker.failures import JobFailed, printable
from station.worker.lockdown import Lockdown
from station.worker.reporter import Reporter

COMMIT_SECONDS = 30.0
"""How long a phone may take to commit a bag; idevicerestore waits as long."""


class Stashbag:
    """The stash bag of one phone, which is in normal mode: a token that opens its data once after an update."""

    def __init__(self, lockdown: Lockdown, reporter: Reporter) -> None:
        self.made = False
        """Whether there is one that must be committed."""
        self._lockdown = lockdown
        self._reporter = reporter

    async def make(self, manifest: bytes) -> None:
        """Have the owner type the passcode. A phone that has none, or no use for a bag, makes none.

        Args:
            manifest: what is to be installed, unsigned (`Recovery.get_preboard_manifest`).

        Raises:
            JobFailed: PASSCODE_NOT_GIVEN, nobody typed it, or somebody declined; REFUSED_BY_PHONE.
            PasswordRequiredError: the phone stayed locked.
        """
        if not await self._wanted():
            return
        try:
            async with await self._open() as preboard:
                await preboard.service.send_plist({"Command": "CreateStashbag", "Manifest": manifest})
                async with asyncio.timeout(self._reporter.deadline.share(0.9)):
                    self.made = await self._answered(preboard)
        except InvalidServiceError:  # an iOS that knows of no bags
            return
        except TimeoutError as error:
            raise JobFailed(Cause.PASSCODE_NOT_GIVEN, "the phone waited for its passcode") from error

    async def commit(self, ticket: bytes) -> None:
        """Bind the bag to what will be installed, if there is one. Raises JobFailed: REFUSED_BY_PHONE."""
        if not self.made:
            return
        async with await self._open() as preboard:
            await preboard.service.send_plist({"Command": "CommitStashbag", "Manifest": ticket})
            async with asyncio.timeout(COMMIT_SECONDS):
                answer = await preboard.service.recv_plist()
        if answer.get("StashbagCommitComplete") is not True:
            raise JobFailed(Cause.REFUSED_BY_PHONE, f"the stash bag was not committed: {_reason(answer)}")

    async def _wanted(self) -> bool:
        try:
            return await self._lockdown.get_value(key="HasSiDP") is True
        except MissingValueError:
            return False

    async def _open(self) -> PreboardService:
        """The service, started once the phone is unlocked."""
        preboard = PreboardService(self._lockdown)
        await self._lockdown.with_person(preboard.connect)
        await self._lockdown.authorise(Act.STASH_PASSCODE)
        return preboard

    async def _answered(self, preboard: PreboardService) -> bool:
        """Whether a bag was made."""
        asked = False
        while True:
            answer = await preboard.service.recv_plist()
            if answer.get("ShowDialog") is True:
                asked = True
                self._reporter.person_needed(Cause.TYPE_PASSCODE)
            elif answer.get("Timeout") is True:
                raise JobFailed(Cause.PASSCODE_NOT_GIVEN, "the phone stopped waiting for its passcode")
            elif "Error" in answer:
                cause = Cause.PASSCODE_NOT_GIVEN if asked else Cause.REFUSED_BY_PHONE
                raise JobFailed(cause, f"the stash bag was not made: {_reason(answer)}")
            elif answer.get("Skip") is True or answer.get("HideDialog") is True:
                return answer.get("Skip") is not True


def _reason(answer: Mapping[str, object]) -> str:
    return printable(answer.get("ErrorString", "no reason given"), 200)
