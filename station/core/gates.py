"""What must be true before START means anything."""

from collections.abc import Mapping

from station.core.bays import Bay, Bays
from station.errors import Refused
from station.model.causes import EXPLANATIONS, Cause
from station.model.firmware import Firmware


def may_start(bay: Bay, bays: Bays, firmware: Mapping[str, Firmware | None]) -> Firmware:
    """The firmware that a restore in this bay would install.

    Raises:
        Refused: it may not start now; the reason and the remedy are for the person who pressed START.
    """
    if bay.result is not None:
        raise Refused("The last result in this bay has not been dismissed.", remedy="Look at it and dismiss it first.")
    if bay.job is not None:
        raise Refused("This phone is being worked on.", remedy="Wait until it is done.")
    if bay.stay is None or bay.sighting is None:
        raise Refused(f"There is no phone in bay {bay.id}.", remedy="Plug one in.")
    if bay.inspection is not None:
        raise Refused("The phone is still being read.", remedy="Wait a moment.")
    if bay.stay.failed is not None and bay.stay.failed.cause is Cause.WRONG_PHONE:
        raise Refused("The phone gives itself two identities.", remedy="Unplug it and set it aside.")
    told_now = bay.sighting.ecid is not None or bay.stay.facts is not None
    if bay.stay.ecid is None or not told_now:  # what an earlier sighting told may be of another phone
        raise Refused("The phone does not tell who it is.", remedy="Unlock it and tap “Trust”, then plug it in again.")
    if bays.is_twin(bay):
        raise Refused("Two bays show the same phone.", remedy="Unplug both and set them aside.")
    found = firmware.get(bay.stay.product_type)
    if found is None:
        missing = EXPLANATIONS[Cause.FIRMWARE_MISSING]
        raise Refused(missing.title, remedy=missing.remedy)
    return found
