"""Where a restore lays out what it has fetched, and how the next start puts it in place.

A phone that loses its host, or its power, in the middle of a restore is as it was before.
Paths: /var/.backup.i and "incomplete restore directory", from error messages of real phones (libimobiledevice#787).
"""

import plistlib
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from station.virtual.phones.installed import System
from station.virtual.services.backup import errors
from station.virtual.services.backup.errors import MBError
from station.virtual.services.backup.records import DIRECTORY, LINK, Record
from station.virtual.system.files import FileSystem

INCOMPLETE = "/var/.backup.incomplete"
COMPLETE = "/var/.backup.i"
_TREE, _PLAN = "tree", "plan.plist"


@dataclass(frozen=True)
class Plan:
    """What a restart does besides moving files."""

    removals: list[str]
    """Files that go."""
    name: str | None
    """The phone's new name; None: it keeps its own."""
    password: str | None
    """What its backups are encrypted with from then on; None: as before."""


class Staging:
    """The directory in which a restore is laid out."""

    def __init__(self, files: FileSystem) -> None:
        self._files = files

    def check(self) -> None:
        """Raises MBError when a restore waits for its restart already."""
        if self._files.exists(COMPLETE):
            raise MBError(
                errors.OLD_RESTORE,
                f'Failed to move the incomplete restore directory into place at path "{COMPLETE}"',
            )

    def begin(self) -> None:
        """Start anew."""
        if self._files.exists(INCOMPLETE):
            self._files.remove_tree(INCOMPLETE)
        self._files.make_directories(f"{INCOMPLETE}/{_TREE}")

    def add(self, path: str, record: Record, content: bytes) -> None:
        """Lay something out that belongs at `path`. Raises OSError."""
        staged = f"{INCOMPLETE}/{_TREE}{path}"
        self._files.make_directories(str(PurePosixPath(staged).parent))
        if record.flags == DIRECTORY:
            self._files.make_directories(staged)
            return
        if self._files.exists(staged):
            self._files.remove(staged)
        if record.flags == LINK:
            node = self._files.link(staged, record.target or "")
        else:
            node = self._files.write(staged, content)
        node.mode = record.mode
        node.modified = record.modified * 1_000_000_000
        node.created = record.created * 1_000_000_000

    def finish(self, plan: Plan) -> None:
        """All is there: from now on a restart puts it in place."""
        values = {name: value for name, value in asdict(plan).items() if value is not None}
        self._files.write(f"{INCOMPLETE}/{_PLAN}", plistlib.dumps(values))
        self._files.rename(INCOMPLETE, COMPLETE)


def put_in_place(system: System) -> None:
    """Finish a restore that waits for this start, if there is one."""
    files = system.files
    if not files.exists(COMPLETE):
        return
    plan = plistlib.loads(files.read(f"{COMPLETE}/{_PLAN}"))
    for path in plan["removals"]:
        if files.exists(path):
            files.remove(path)
    tree = f"{COMPLETE}/{_TREE}"
    for staged, node in list(files.walk(tree)):
        path = staged[len(tree) :]
        if node.is_directory:
            files.make_directories(path)
        else:
            files.rename(staged, path)
    files.remove_tree(COMPLETE)
    system.name = plan.get("name", system.name)
    system.backup_password = plan.get("password", system.backup_password)
