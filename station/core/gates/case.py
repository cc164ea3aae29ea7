"""What a rule looks at, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass

from station.core.bays import Bay, Bays
from station.core.policy import Policy
from station.core.situation import Situation
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

    @property
    def traits(self) -> Traits:
        """What the service promises."""
        return SERVICES[self.service]


Rule = Callable[[Case], Finding | None]
"""None: the gate is open."""
