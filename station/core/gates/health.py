"""Gates of strength: the phone's battery, and the station's own disk, supply, heat and clock."""

from station.core.gates.case import Case
from station.core.policy import Policy
from station.core.situation import Health
from station.model.gates import Finding, Gate
from station.model.phone import PhoneMode
from station.model.service import SERVICES, Keeps, Service

_GIB = 1 << 30


def battery(case: Case) -> Finding | None:
    """A phone that dies half-way is worse off than before. One in recovery or DFU mode does not tell."""
    stay = case.bay.stay
    assert stay is not None
    percent = None if stay.facts is None or stay.mode is not PhoneMode.NORMAL else stay.facts.battery_percent
    if not case.traits.confirmed or percent is None or percent >= case.policy.min_battery:
        return None
    title = f"The phone's battery is at {percent} percent."
    remedy = f"Let it charge to {case.policy.min_battery} percent, then plug it in again."
    return Finding(gate=Gate.BATTERY, title=title, remedy=remedy, overrulable=True)


def disk(case: Case) -> Finding | None:
    """What happens must still be written down."""
    return full(case.situation.health, case.policy)


def power(case: Case) -> Finding | None:
    """A supply that sags resets hubs in the middle of a write."""
    return weak(case.situation.health) if heavy(case.service) else None


def temperature(case: Case) -> Finding | None:
    """Heat slows the station down, and ends its card and its supply early."""
    return hot(case.situation.health, case.policy) if heavy(case.service) else None


def clock(case: Case) -> Finding | None:
    """What ends data is recorded with its time, and a certificate without one proves little."""
    stay = case.bay.stay
    assert stay is not None
    if case.traits.keeps is not Keeps.NOTHING or stay.emulated or case.situation.health.clock_trusted is not False:
        return None
    title = "The station's clock is not known to be right."
    remedy = "Connect it to the network, and wait a minute. Without the time there is no certificate."
    return Finding(gate=Gate.CLOCK, title=title, remedy=remedy, overrulable=True)


def full(health: Health, policy: Policy) -> Finding | None:
    """The disk has no room."""
    if health.free is None or health.free >= policy.min_free:
        return None
    remedy = f"Free some space: {policy.min_free / _GIB:.1f} GB are needed."
    return Finding(gate=Gate.DISK, title="The station's disk is nearly full.", remedy=remedy)


def weak(health: Health) -> Finding | None:
    """The supply gives too little."""
    if not health.under_voltage:
        return None
    title = "The station's power supply is too weak."
    remedy = "Use the supply made for it, and a hub with a supply of its own for the phones."
    return Finding(gate=Gate.POWER, title=title, remedy=remedy, overrulable=True)


def hot(health: Health, policy: Policy) -> Finding | None:
    """The processor is too warm."""
    if health.temperature is None or health.temperature < policy.max_temperature:
        return None
    title = f"The station is too hot: {health.temperature} °C."
    remedy = "Wait until it has cooled down, and give it more air."
    return Finding(gate=Gate.TEMPERATURE, title=title, remedy=remedy, overrulable=True)


def ailing(health: Health, policy: Policy) -> tuple[Finding, ...]:
    """What is wrong with the station itself, whichever phone is in it."""
    found = full(health, policy)
    return ((found,) if found is not None else ()) + exhausted(health, policy)


def exhausted(health: Health, policy: Policy) -> tuple[Finding, ...]:
    """What passes by itself, if the station is left alone: what waits for its turn waits longer."""
    return tuple(found for found in (weak(health), hot(health, policy)) if found is not None)


def heavy(service: Service) -> bool:
    """Whether a service takes long, or leaves a phone half-done when the station fails."""
    return SERVICES[service].confirmed or service is Service.BACKUP
