"""The one door to irreversible acts."""

from station.adapters.jobdir import JobDirectory
from station.core import consent
from station.errors import ConsentVoid
from station.model.base import Ecid
from station.model.consent import ALLOWED, Act
from station.model.job import JobSpec
from station.worker.reporter import Reporter


class Guard:
    """Lets an act through only under a live consent for the very phone it is about to be sent to.

    The subclasses of the library's clients (`lockdown`, `iboot`, `restored`) call it in the methods that put
    the commands on the wire, so that no path through the library leads around it.

    What is observed, by the worker itself, is the ECID, on the very connection; the revocation; and where iBoot
    listens, the USB socket (`iboot.RecoverySocket`). Bay and plug are not: both sides of that comparison come from
    the spec, which it checks for sense. Whether the phone still stands where it was confirmed the daemon watches,
    and revokes the consent when it does not.
    """

    def __init__(self, directory: JobDirectory, spec: JobSpec, reporter: Reporter) -> None:
        self._directory = directory
        self._spec = spec
        self._reporter = reporter
        self._service = spec.service

    def authorise(self, act: Act, observed: int | None) -> None:
        """Return if `act` may be sent now to the phone whose ECID was `observed` on the connection it goes through.

        The intent is on the disk when this returns. It may be there although this raises: better told than done.

        Raises:
            ConsentVoid: it may not.
            StorageError: the intent could not be made durable; the act must not happen.
        """
        ecid = None if observed is None else Ecid(observed)
        if self._service is None:
            raise ConsentVoid("This job is only to look.")
        self._directory.require_unrevoked()
        consent.require(self._spec.consent, ecid=ecid, bay=self._spec.bay, plug=self._spec.plug, service=self._service)
        if act not in ALLOWED[self._service]:
            raise ConsentVoid(f"“{self._service.value}” was confirmed, and that does not cover “{act.value}”.")
        assert ecid is not None  # require() does not let an unreadable one pass
        self._reporter.intent(act, ecid)
        self._directory.require_unrevoked()  # once more: the disk may have been slow, and people are not
