"""What `station doctor` says of what the station does for itself in quiet hours: whether it was done, and went well."""

import time
from collections.abc import Iterator
from datetime import datetime

from station.adapters.upkeep import Notes
from station.cli.finding import Finding
from station.daemon.settings import Settings
from station.model.upkeep import Chore

DAY = 86_400.0
MOST_DAYS: dict[Chore, int] = {Chore.RECORDS: 14, Chore.FIRMWARE: 14, Chore.COPY: 7}
"""After which the last time is too long ago."""
WHAT: dict[Chore, str] = {
    Chore.RECORDS: "records, read again",
    Chore.FIRMWARE: "firmware, read again",
    Chore.COPY: "copy of the records",
}
REMEDIES: dict[Chore, str] = {
    Chore.RECORDS: "Keep the directory as it is: sudo station records verify says what is wrong.",
    Chore.FIRMWARE: "Remove it (station firmware prune), and fetch or import it again.",
    Chore.COPY: "Then try it: sudo station records copy.",
}
_TIMERS = "It waits for an hour in which nothing goes on: systemctl list-timers 'station-*', journalctl -u"


def examine_upkeep(settings: Settings) -> Iterator[Finding]:
    """Look at the notes."""
    notes = Notes(settings.state)
    for chore in Chore:
        note, what = notes.of(chore), WHAT[chore]
        unit = "station-copy" if chore is Chore.COPY else "station-check"
        if chore is Chore.COPY and settings.records_copies is None:
            found = "none is made: records_copies in station.toml names a directory on another disk for it"
            yield Finding(what, fine=True, found=found)
        elif note is None:
            yield Finding(what, fine=True, found=f"not yet: at night ({unit}.timer)")
        elif not note.good:
            yield Finding(what, fine=False, found=f"{note.at}: {note.detail}", remedy=REMEDIES[chore])
        else:
            days = (time.time() - datetime.fromisoformat(note.at).timestamp()) / DAY
            fine = days < MOST_DAYS[chore]
            found = f"{note.at}: {note.detail}" + ("" if fine else f" That is {days:.0f} days ago.")
            yield Finding(what, fine, found, f"{_TIMERS} {unit}.")
