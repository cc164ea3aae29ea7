"""Which firmware the phones that are here could be given: what is worth fetching now."""

from dataclasses import dataclass

from station.core.arming import Arming
from station.core.bays import Bay, Bays, Stay
from station.core.jobs import JobState
from station.model.order import OrderNote
from station.model.service import SERVICES


@dataclass(frozen=True, kw_only=True)
class Want:
    """Firmware for one model."""

    product_type: str
    build: str = ""
    """Exactly this one; empty: the one that this station gives that model."""
    promised: bool = False
    """Whether somebody has confirmed it: it is not given up for anything else."""


def wanted(bays: Bays, arming: Arming, order: OrderNote | None) -> frozenset[Want]:
    """What is wanted for phones that are here, whether it is here or not."""
    wants: set[Want] = set()
    for bay in bays:
        if bay.job is not None:
            if bay.job.awaits is not None and bay.job.state is JobState.QUEUED:
                awaits = bay.job.awaits
                wants.add(Want(product_type=awaits.product_type, build=awaits.build, promised=True))
        elif bay.stay is not None and bay.stay.product_type:
            wants |= _of_phone(bay, bay.stay, arming, order)
    return frozenset(wants)


def _of_phone(bay: Bay, stay: Stay, arming: Arming, order: OrderNote | None) -> set[Want]:
    builds: set[str] = set()
    armed = arming.armed
    if armed is not None and armed.bay == bay.id and armed.firmware is not None:
        builds.add(armed.firmware.build)
    elif SERVICES[stay.chosen].firmware:
        builds.add(stay.options.build)
    if order is not None and order.end is None and bay.id in (order.bays or (bay.id,)):
        builds |= {order.options.build} if SERVICES[order.service].firmware else set()
    return {Want(product_type=stay.product_type, build=build) for build in builds}
