"""What a rule looks at, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass, field

from station.core.arriving import Awaited, Target, arrival_of
from station.core.bays import Bay, Bays
from station.core.policy import Policy
from station.core.situation import Situation
from station.model.catalog import Arrival, ArrivalState
from station.model.consent import Options
from station.model.firmware import Firmware
from station.model.gates import Finding
from station.model.service import SERVICES, Service, Traits


@dataclass(frozen=True, kw_only=True)
class Case:
    """One phone in one bay that might be given one service."""

    service: Service
    bay: Bay
    bays: Bays
    situation: Situation
    policy: Policy
    options: Options = field(default_factory=Options)
    """What was chosen about the service."""

    @property
    def traits(self) -> Traits:
        """What the service promises."""
        return SERVICES[self.service]

    @property
    def chosen(self) -> Firmware | None:
        """The firmware that the service would install; None: there is none."""
        model, build = "" if self.bay.stay is None else self.bay.stay.product_type, self.options.build
        newest, older = self.situation.firmware.get(model), self.situation.older.get(model, ())
        return next((each for each in (newest, *older) if each is not None and build in ("", each.build)), None)

    @property
    def arrival(self) -> Arrival | None:
        """What is on its way for the service, or could not be had, where it is not here."""
        stay = self.bay.stay
        if not self.traits.firmware or stay is None or not stay.product_type or self.chosen is not None:
            return None
        return arrival_of(self.situation.arrivals, stay.product_type, self.options.build)

    @property
    def target(self) -> Target | None:
        """What the service would install: it is here, or on its way; None: neither."""
        if self.chosen is not None:
            return self.chosen
        coming, stay = self.arrival, self.bay.stay
        if coming is None or stay is None or coming.state is ArrivalState.FAILED:
            return None
        return Awaited(product_type=stay.product_type, version=coming.version, build=coming.build)


Rule = Callable[[Case], Finding | None]
"""None: the gate is open."""
