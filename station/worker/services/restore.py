"""RESTORE: erase, and install the newest signed build, or the one that was asked for; from whatever mode it is in."""

from pymobiledevice3.restore.base_restore import Behavior

from station.worker.installing import install
from station.worker.work import Work


async def give(work: Work) -> None:
    """Restore the phone; return only after it reported Status 0.

    Raises:
        whatever goes wrong, for `failures.explain`.
    """
    await install(work, Behavior.Erase)
