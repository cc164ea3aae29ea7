"""REINSTALL: install a signed build and keep the data; from whatever mode the phone is in.

From normal mode the owner is asked for the passcode first (`preboard`). In recovery and DFU mode nobody can be asked:
a phone that has one asks for it when it starts again, and may be “attempting data recovery” until it is typed.
"""

from pymobiledevice3.restore.base_restore import Behavior

from station.worker.installing import install
from station.worker.work import Work


async def give(work: Work) -> None:
    """Reinstall the phone's iOS; return only after it reported Status 0.

    Raises:
        JobFailed: FIRMWARE_OLDER, what would be installed is older than what the phone said it has; a phone's data
            is made for its system, and for no earlier one.
        whatever else goes wrong, for `failures.explain`.
    """
    await install(work, Behavior.Update)
