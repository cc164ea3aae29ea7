"""The one rule about consent. The daemon asks it before a job, the worker before each irreversible act."""

from station.errors import ConsentVoid
from station.model.base import BayId, Ecid, PlugId, format_ecid
from station.model.consent import Consent
from station.model.service import Service


def require(consent: Consent | None, *, ecid: Ecid | None, bay: BayId, plug: PlugId, service: Service) -> None:
    """Raise ConsentVoid unless `consent` is for exactly this phone, bay, stay and service.

    `ecid` is the one *observed just now* on the phone that the act would be sent to; None (unreadable) is
    never covered.
    """
    if consent is None:
        raise ConsentVoid("Nobody has confirmed this.")
    if ecid is None:
        raise ConsentVoid("The phone does not tell who it is.")
    if consent.ecid != ecid:
        raise ConsentVoid(
            f"This is phone {format_ecid(ecid)}, but {format_ecid(consent.ecid)} was confirmed.",
            remedy="Put the confirmed phone back, or start again for this one.",
        )
    if consent.bay != bay:
        raise ConsentVoid(f"Bay {consent.bay} was confirmed, this is bay {bay}.")
    if consent.plug != plug:
        raise ConsentVoid("The phone was unplugged after it was confirmed.")
    if consent.service is not service:
        raise ConsentVoid(f"“{consent.service.value}” was confirmed, not “{service.value}”.")
