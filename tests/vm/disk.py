"""A disk of a guest's own, which keeps what the guest has brought to it; and what lies on it before it is booted."""

import asyncio
from pathlib import Path

from tests.vm.guest import IMAGE, GuestError

UNITS = "/etc/systemd/system"


class Disk:
    """What is to be on a disk beside the image's own files. All of it belongs to root."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}
        self._links: dict[str, str] = {}
        self._directories: list[str] = []

    def lay(self, path: str, text: str) -> None:
        """Lay a file; one that is in the image is replaced."""
        self.directory(str(Path(path).parent))
        self._files[path] = text

    def directory(self, path: str) -> None:
        """Have a directory there."""
        for place in [*reversed(Path(path).parents), Path(path)]:
            if str(place) not in self._directories and place != Path("/"):
                self._directories.append(str(place))

    def unit(self, name: str, text: str, *, wanted_by: str = "") -> None:
        """Lay a unit of systemd's, or what is added to one; a target may want it."""
        self.lay(f"{UNITS}/{name}", text)
        if wanted_by:
            self.directory(f"{UNITS}/{wanted_by}.wants")
            self._links[f"{UNITS}/{wanted_by}.wants/{name}"] = f"{UNITS}/{name}"

    async def make(self, place: Path) -> Path:
        """Write the disk, 4 GiB of which few are taken, into an empty directory; where it is. Raises GuestError."""
        disk, script = place / "disk", place / "script"
        await asyncio.to_thread(script.write_text, "\n".join(self._commands(place)))
        await _run("cp", "--reflink=auto", "--sparse=always", f"{IMAGE}/root.img", str(disk))
        said = await _run("debugfs", "-w", "-f", str(script), str(disk))
        # It says its version, and what was there already; anything else is wrong.
        if wrong := [line for line in said.splitlines()[1:] if "exists" not in line and "not found" not in line]:
            raise GuestError("\n".join(["debugfs:", *wrong]))
        return disk

    def _commands(self, place: Path) -> list[str]:
        """What debugfs(8) is told."""
        commands = [f"mkdir {path}" for path in self._directories]
        for number, (path, text) in enumerate(self._files.items()):
            file = place / str(number)
            file.write_text(text)
            file.chmod(0o644)
            commands += [f"rm {path}", f"write {file} {path}", f"sif {path} uid 0", f"sif {path} gid 0"]
        return [*commands, *(f"symlink {link} {target}" for link, target in self._links.items())]


async def _run(*command: str) -> str:
    """Run a program that must succeed; what it says on standard error."""
    pipe = asyncio.subprocess.PIPE
    program = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=pipe)
    _, said = await program.communicate()
    if program.returncode:
        raise GuestError(f"{' '.join(command)}: {said.decode()}")
    return said.decode()
