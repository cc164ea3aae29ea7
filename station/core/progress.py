"""How far a job is and when it will be done: phases weighted by what they usually take."""

from station.model.job import PHASES, Phase
from station.model.service import Service

WEIGHTS: dict[Phase, float] = {
    # Roughly the seconds of a real restore over USB 2 (public idevicerestore logs: 7.5 GB at 40 MB/s for the
    # image, some minutes of peripheral firmware and sealing, two to three minutes until the phone is back).
    Phase.CONNECT: 3,
    Phase.RESTART: 5,
    Phase.BACKUP: 600,
    Phase.REREAD: 200,
    Phase.PUT_BACK: 600,
    Phase.TIDY: 60,
    Phase.ERASE_CONTENT: 20,
    Phase.ACTIVATE: 10,
    Phase.PASSCODE: 20,
    Phase.TICKET: 2,
    Phase.RECOVERY: 20,
    Phase.RAMDISK: 25,
    Phase.RESTORED: 20,
    Phase.PREPARE: 40,
    Phase.IMAGE: 200,
    Phase.FIRMWARE: 180,
    Phase.RETURN: 100,
    Phase.VERIFY: 10,
}

ENOUGH = 0.05
"""Below this part of the whole there is nothing to judge the rest by."""


def fraction_of_whole(service: Service, phase: Phase, fraction: float) -> float:
    """The part of the whole job that is done when `fraction` of `phase` is, 0..1."""
    phases = PHASES[service]
    done = sum(WEIGHTS[earlier] for earlier in phases[: phases.index(phase)])
    return (done + WEIGHTS[phase] * fraction) / sum(WEIGHTS[each] for each in phases)


def eta(*, started: float, at: float, fraction: float) -> float | None:
    """When the job will be done, judging at `at` by what it took so far; None while that says nothing."""
    if fraction < ENOUGH:
        return None
    return started + (at - started) / fraction
