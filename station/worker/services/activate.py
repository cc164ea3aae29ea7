"""ACTIVATE: Apple makes the phone usable, or says that it belongs to somebody."""

import re
import time
from html import unescape
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from pymobiledevice3.exceptions import LockdownError
from pymobiledevice3.services.mobile_activation import DEFAULT_HEADERS, MobileActivationService
from requests.structures import CaseInsensitiveDict

from station.model.causes import Cause
from station.model.consent import Act
from station.model.job import Phase
from station.worker.answers import understood
from station.worker.failures import JobFailed, printable
from station.worker.fetch import Answer, NotAllowed, TooLarge, Unreachable, fetch_blocking
from station.worker.lockdown import Lockdown
from station.worker.services.look import connect
from station.worker.work import Work

MAX_ANSWER = 4 << 20
ANSWER_SECONDS = 60.0
"""How long Apple is asked for one answer, at most."""
_LONGEST_PAUSE = 4.0
_PAGE = "application/x-buddyml"
"""What Apple answers when it has something to say to a person."""
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def give(work: Work) -> None:
    """Have Apple activate the phone. One that is activated already is left as it is.

    Raises:
        JobFailed: ACTIVATION_LOCKED, it belongs to an Apple Account; NOT_ACTIVATED, Apple or the phone refused;
            ACTIVATION_UNREACHABLE, Apple did not answer, or something else did.
        whatever else goes wrong, for `failures.explain`.
    """
    lockdown = await connect(work)
    try:
        work.reporter.enter(Phase.ACTIVATE)
        with understood():
            await _Activation(lockdown, work).activate(skip_apple_id_query=True)
    finally:
        await lockdown.close()


class _Activation(MobileActivationService):
    """The library's conversation; Apple is asked where the spec says, within the deadline, and understood."""

    lockdown: Lockdown

    def __init__(self, lockdown: Lockdown, work: Work) -> None:
        super().__init__(lockdown)
        self._base = work.spec.reach.activation_url.rstrip("/")
        self._gateway = work.spec.reach.gateway
        self._reporter = work.reporter
        self._accepted = False

    async def activate(self, skip_apple_id_query: bool = False) -> None:
        try:
            await super().activate(skip_apple_id_query)
        except LockdownError:
            if not self._accepted:  # an acknowledgement that the phone does not take changes nothing
                raise

    async def activate_with_session(self, activation_record: Any, headers: CaseInsensitiveDict[str]) -> Any:
        await self.lockdown.authorise(Act.ACTIVATE)
        response = await super().activate_with_session(activation_record, headers)
        if (refused := response.get("Error")) is not None:
            raise JobFailed(Cause.NOT_ACTIVATED, f"the phone: {printable(refused)}")
        self._accepted = True
        return response

    async def activate_with_lockdown(self, activation_record: bytes) -> None:
        await self.lockdown.authorise(Act.ACTIVATE)
        try:
            await super().activate_with_lockdown(activation_record)
        except LockdownError as error:
            raise JobFailed(Cause.NOT_ACTIVATED, f"the phone: {printable(error)}") from error
        self._accepted = True

    def post(
        self, url: str, data: dict[str, Any] | bytes, headers: dict[str, str] | None = None
    ) -> tuple[bytes, CaseInsensitiveDict[str]]:
        """Ask Apple. The library calls this on its loop, on which nothing else happens meanwhile."""
        what = url.rpartition("/")[2]
        sent = dict(DEFAULT_HEADERS) | (_FORM if headers is None else headers)
        sent.pop("Expect", None)  # nobody waits for a 100
        body = data if isinstance(data, bytes) else urlencode(data).encode()
        answer = self._ask(f"{self._base}/{what}", sent, body)
        if answer.status != HTTPStatus.OK:
            raise JobFailed(Cause.NOT_ACTIVATED, f"Apple's activation server: HTTP {answer.status}")
        told = CaseInsensitiveDict(answer.headers)
        told["Content-Type"] = told.get("Content-Type", "").partition(";")[0].strip().lower()
        if told["Content-Type"] == _PAGE:
            raise _what_the_page_says(answer.body)
        if not answer.body.lstrip().startswith((b"<?xml", b"<plist", b"<!DOCTYPE plist", b"bplist")):
            raise JobFailed(Cause.ACTIVATION_UNREACHABLE, "something else answered in place of Apple")
        self._reporter.progress(0.4 if what == "drmHandshake" else 0.8, what)
        return answer.body, told

    def _ask(self, url: str, headers: dict[str, str], body: bytes) -> Answer:
        end = time.monotonic() + min(ANSWER_SECONDS, self._reporter.deadline.share(0.75))
        pause, reason = 0.25, ""
        while (left := end - time.monotonic()) > 0:
            try:
                answer = fetch_blocking(
                    *("POST", url), gateway=self._gateway, headers=headers, body=body, seconds=left, limit=MAX_ANSWER
                )
            except NotAllowed as error:
                reason = str(error)
                break
            except Unreachable as error:
                reason = str(error)
            except TooLarge as error:
                raise JobFailed(Cause.ACTIVATION_UNREACHABLE, f"something else answered: {error}") from error
            else:
                if answer.status < 500:
                    return answer
                reason = f"HTTP {answer.status}"
                if answer.status == HTTPStatus.NETWORK_AUTHENTICATION_REQUIRED:
                    break
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
            pause = min(2 * pause, _LONGEST_PAUSE)
        raise JobFailed(Cause.ACTIVATION_UNREACHABLE, f"Apple's activation server: {reason}")


def _what_the_page_says(page: bytes) -> JobFailed:
    """A page that asks for an account means Activation Lock; any other one, that something is wrong."""
    text = page[: 1 << 16].decode(errors="replace")
    words = [*re.findall(r'title="([^"]*)"', text), re.sub(r"<[^>]*>", " ", text)]
    said = printable(unescape(" ".join(words)))
    return JobFailed(Cause.ACTIVATION_LOCKED if "editableTextRow" in text else Cause.NOT_ACTIVATED, f"Apple: {said}")
