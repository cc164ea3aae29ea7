"""RESTART: the phone starts anew, with everything that is on it."""

from pymobiledevice3.services.diagnostics import DiagnosticsService

from station.model.consent import Act
from station.model.job import Phase
from station.worker.answers import understood
from station.worker.services.look import connect
from station.worker.work import Work


async def give(work: Work) -> None:
    """Tell the phone to restart; it does so once the connection is closed.

    Raises:
        whatever goes wrong, for `failures.explain`.
    """
    lockdown = await connect(work)
    try:
        work.reporter.enter(Phase.RESTART)
        with understood():
            async with DiagnosticsService(lockdown) as diagnostics:
                await lockdown.authorise(Act.RESTART)
                await diagnostics.restart()
    finally:
        await lockdown.close()
