"""Which phone is in which bay: sightings on the bus, and the stays they belong to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from station.core.inspection import Inspection
from station.core.jobs import Job, JobState
from station.core.models import model_of_serial
from station.core.policy import Policy
from station.model.api import ResultView
from station.model.base import BayId, Ecid, PlugId, SocketPath, Udid
from station.model.consent import Options
from station.model.events import Failed
from station.model.gates import BackupDecision, Finding, Gate, Overruling
from station.model.phone import PhoneFacts, PhoneMode, UsbArrived, identity_of_serial, mode_of_product
from station.model.service import Service

MAX_BAYS = 64
"""More sockets than the largest hubs together have; a bus that shows more is not one of ours."""
MAX_KNOWN = 512
"""Of how many phones the model is remembered, for when they come back in a mode that does not tell it."""


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """What the bus shows in a socket right now."""

    mode: PhoneMode
    serial: str
    ecid: Ecid | None
    udid: Udid | None
    emulated: bool

    @classmethod
    def of(cls, event: UsbArrived) -> "Sighting | None":
        """What an arrival shows; None when it is no phone."""
        mode = mode_of_product(event.product_id)
        if mode is None:
            return None
        ecid, udid = identity_of_serial(event.serial)
        return cls(mode=mode, serial=event.serial, ecid=ecid, udid=udid, emulated=event.emulated)


@dataclass(kw_only=True)
class Stay:
    """One stay of one phone in one bay, from plug to unplug; a job's mode changes do not end it."""

    plug: PlugId
    mode: PhoneMode
    ecid: Ecid | None
    udid: Udid | None
    emulated: bool
    product_type: str = ""
    model_name: str = ""
    facts: PhoneFacts | None = None
    """What it said in this stay; None until it was asked."""
    failed: Failed | None = None
    """Why it could not be asked."""
    chosen: Service = Service.RESTORE
    """What START means."""
    options: Options = field(default_factory=Options)
    """What was chosen about it, for the button."""
    decided: BackupDecision | None = None
    """What was decided about a backup."""
    overruled: dict[Gate, Overruling] = field(default_factory=dict)
    """The gates that an operator opened."""
    dropped: Finding | None = None
    """Why what was confirmed did not begin after all; until somebody asks anew."""

    def may_be(self, sighting: Sighting) -> bool:
        """Whether the phone that is seen now may be the one that stays here."""
        return could_be(sighting, self.ecid, self.udid)


def could_be(sighting: Sighting, ecid: Ecid | None, udid: Udid | None) -> bool:
    """Whether a sighting is of the phone with this identity, or at least cannot be told from it.

    Before A12 neither normal nor restore mode shows the ECID over USB. Whoever acts on a phone asks it first.
    """
    if ecid is not None and sighting.ecid is not None:
        return ecid == sighting.ecid
    return udid is None or sighting.udid is None or udid == sighting.udid


@dataclass
class Bay:
    """One socket, and what goes on in it."""

    id: BayId
    socket: SocketPath
    sighting: Sighting | None = None
    stay: Stay | None = None
    inspection: Inspection | None = None
    job: Job | None = None
    """Until it is recorded."""
    result: ResultView | None = None
    """Of the last job, until it is dismissed."""

    led: bool = False
    """Whether a person is being led through the buttons of its phone."""
    described: bool = False
    """Whether a person said what is wrong with it, and it is being seen to."""

    @property
    def running(self) -> bool:
        """Whether a job's worker lives here."""
        return self.job is not None and self.job.state is JobState.RUNNING


class Bays:
    """All bays, and what is remembered about phones."""

    def __init__(self, policy: Policy, instance: str) -> None:
        self._fixed = bool(policy.bays)
        self._instance = instance
        self._plugs = 0
        self._by_socket = {socket: Bay(bay, socket) for bay, socket in policy.bays.items()}
        self._models: dict[Ecid, tuple[str, str]] = {}

    def __iter__(self) -> Iterator[Bay]:
        return iter(sorted(self._by_socket.values(), key=lambda bay: (len(bay.id), bay.id)))

    def get(self, bay: BayId) -> Bay | None:
        """The bay with this name."""
        return next((candidate for candidate in self._by_socket.values() if candidate.id == bay), None)

    def at(self, socket: SocketPath) -> Bay | None:
        """The bay at a socket, made if sockets become bays as they appear; None: this socket is no bay."""
        if socket not in self._by_socket and not self._fixed and len(self._by_socket) < MAX_BAYS:
            taken = {bay.id for bay in self._by_socket.values()}
            number = next(n for n in range(1, MAX_BAYS + 1) if str(n) not in taken)
            self._by_socket[socket] = Bay(BayId(str(number)), socket)
        return self._by_socket.get(socket)

    def knows(self, socket: SocketPath) -> bool:
        """Whether a socket is a bay."""
        return socket in self._by_socket

    def sockets(self) -> dict[BayId, SocketPath]:
        """Every bay and its socket."""
        return {bay.id: bay.socket for bay in self}

    def learn(self, name: BayId, socket: SocketPath) -> None:
        """This socket is this bay from now on; the bay is moved when there is one. No other socket becomes one."""
        self._fixed = True
        self._by_socket = {at: bay for at, bay in self._by_socket.items() if bay.id != name}
        self._by_socket[socket] = Bay(name, socket)

    def keep_only(self, sockets: Mapping[BayId, SocketPath]) -> None:
        """All others are no bays any more. None is left: sockets become bays as phones appear in them."""
        self._fixed = bool(sockets)
        self._by_socket = {at: bay for at, bay in self._by_socket.items() if bay.id in sockets}

    def adopt(self, bay: BayId, socket: SocketPath) -> Bay:
        """The bay that an earlier daemon knew by this name."""
        found = self._by_socket.get(socket) or self.get(bay)
        if found is None:
            found = self._by_socket[socket] = Bay(bay, socket)
        return found

    def twins(self, ecid: Ecid) -> list[Bay]:
        """Every bay that shows this ECID now: more than one is a clone, and none of them is to be trusted."""
        return [
            bay
            for bay in self
            if bay.sighting is not None
            and (bay.sighting.ecid == ecid or (bay.stay is not None and bay.stay.ecid == ecid))
        ]

    def is_twin(self, bay: Bay) -> bool:
        """Whether another bay shows the same ECID."""
        return bay.stay is not None and bay.stay.ecid is not None and len(self.twins(bay.stay.ecid)) > 1

    def begin_stay(self, sighting: Sighting) -> Stay:
        """A phone was plugged in."""
        self._plugs += 1
        stay = Stay(
            plug=PlugId(f"{self._instance}-p{self._plugs}"),
            mode=sighting.mode,
            ecid=sighting.ecid,
            udid=sighting.udid,
            emulated=sighting.emulated,
        )
        self.identify(stay, sighting)
        return stay

    def identify(self, stay: Stay, sighting: Sighting) -> None:
        """Fill in what the bus and earlier stays tell of the phone."""
        stay.mode = sighting.mode
        stay.udid = stay.udid or sighting.udid
        known = self._models.get(stay.ecid) if stay.ecid is not None else None
        model = known or model_of_serial(sighting.serial)
        if model is not None:
            stay.product_type, stay.model_name = model

    def remember(self, stay: Stay, facts: PhoneFacts) -> None:
        """Take in what the phone itself said."""
        stay.facts, stay.failed = facts, None
        stay.ecid, stay.udid = facts.ecid, facts.udid
        stay.product_type, stay.model_name = facts.product_type, facts.model_name
        self._models.pop(facts.ecid, None)
        self._models[facts.ecid] = (facts.product_type, facts.model_name)
        while len(self._models) > MAX_KNOWN:
            self._models.pop(next(iter(self._models)))
