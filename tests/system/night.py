"""One bay, a standing order, and hands that do nothing but plug and unplug."""

import time
from dataclasses import dataclass, field

from station.model.api import BayState, Order
from station.model.base import BayId
from station.model.record import Record
from station.model.service import Service
from station.virtual.phones.phone import Pace, VirtualPhone
from station.virtual.system.trust import TAP_SECONDS
from tests.system.rig import Rig, Station


@dataclass
class Stopwatch(Pace):
    """A phone's own time: what it takes for its steps, and while it restarts."""

    own: float = 0.0

    async def pause(self, seconds: float, *, least: float = 0.0) -> None:
        began = time.monotonic()
        try:
            await super().pause(seconds, least=least)
        finally:
            self.own += time.monotonic() - began


class Taps:
    """How often the phone waited for a finger: that is nobody's time but the person's."""

    def __init__(self, phone: VirtualPhone) -> None:
        self._phone = phone
        self._asked: dict[int, int] = {}
        phone.passers_by.add(self._saw)

    def _saw(self, step: str) -> None:
        if step == "lockdown:Pair":  # asked more than once of the same system: it had said that it waits
            self._asked[id(self._phone.system)] = self._asked.get(id(self._phone.system), 0) + 1

    @property
    def seconds(self) -> float:
        return sum(asked > 1 for asked in self._asked.values()) * TAP_SECONDS * self._phone.pace.factor


@dataclass(frozen=True)
class Turn:
    """One phone's turn: from the plug to the record."""

    phone: VirtualPhone
    record: Record
    wall: float
    own: float
    """Seconds of it that were the phone's, or its owner's, who taps “Trust”."""
    states: tuple[tuple[str, float], ...] = field(default=())
    """What the bay's tile said, each for how many seconds."""

    @property
    def overhead(self) -> float:
        """The station's part."""
        return self.wall - self.own


async def give_order(station: Station, service: Service, *, count: int, bays: tuple[str, ...] = ()) -> None:
    """Give a standing order."""
    names = tuple(BayId(bay) for bay in bays)
    order = Order(id=next(station._numbers), service=service, bays=names, count=count, seconds=3600.0)
    answer = await station.give(order)
    assert not answer.refused, answer


def plug(rig: Rig, bay: str, *, pace: float) -> tuple[VirtualPhone, Stopwatch]:
    """A phone whose own time is measured."""
    phone = rig.plug(bay)
    watch = Stopwatch(factor=pace, least_restart=phone.pace.least_restart)
    phone.pace = watch
    return phone, watch


async def take_turn(station: Station, bay: str, *, pace: float = 0.0, seconds: float = 60.0) -> Turn:
    """Plug a phone in, wait for its record, and take it out."""
    phone, watch = plug(station.rig, bay, pace=pace)
    taps = Taps(phone)
    began = time.monotonic()
    states: list[tuple[str, float]] = []
    seen: list[tuple[str, float]] = []

    def recorded(view: object) -> bool:
        state, title, record = view.state, view.title, view.result  # type: ignore[attr-defined]  # that of a finished bay
        name = f"{state.value}: {title}"
        if not seen or seen[-1][0] != name:
            seen.append((name, time.monotonic()))
        return record is not None and record.record > 0

    view = await station.until_bay(bay, recorded, seconds=seconds)
    ended = time.monotonic()
    times = [at for _, at in seen] + [ended]
    states = [(name, after - at) for (name, at), after in zip(seen, times[1:], strict=True)]
    assert view.result is not None
    record = station.rig.record(view.result.record)
    turn = Turn(phone=phone, record=record, wall=ended - began, own=watch.own + taps.seconds, states=tuple(states))
    assert phone.socket is not None
    await station.rig.host.bus.unplug(phone.socket)
    await station.until_state(bay, BayState.EMPTY)
    return turn
