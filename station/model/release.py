"""Releases: an operator has looked into why the wipes of a phone failed."""

from station.model.base import Ecid, JobId, Message


class Release(Message, frozen=True, kw_only=True):
    """One operator's word about one phone. It is about these jobs: what fails later sets the phone aside anew."""

    ecid: Ecid
    jobs: tuple[JobId, ...]
    emulated: bool
    reason: str
    """In the operator's own words."""
    at: str
    """When, RFC 3339 in UTC."""
