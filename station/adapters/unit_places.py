"""Directories that the settings name, and the units: what lets each unit reach those that it needs.

The units (systemd/*.service) see what every station has: the state directory, and disks that are mounted at /media and
/run/media. A vault, a firmware store or copies of the records elsewhere are read-only or hidden for them until a
drop-in names the place. Which drop-ins there are to be follows from station.toml alone: each start of the machine sees
to it (a system that an update brought has none), deploy/install does, and so does `station places`.

Nothing heavy is loaded for it: each start of the machine asks.
"""

import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from station.adapters import durable
from station.adapters.listing import entries_of
from station.errors import ConfigError, StorageError

UNITS = Path("etc/systemd/system")
NAME = "restore-station-places.conf"
"""What each drop-in is called: deploy/install --uninstall takes those away that are called so."""
STATE = Path("/var/lib/restore-station")
HEAD = "# Written by `station places`, after /etc/restore-station/station.toml: change that, and call it again."
RELOAD = ("systemctl", "daemon-reload")
RELOAD_SECONDS = 60.0
RUNS = Path("/run/systemd/system")
"""Is there where systemd runs the machine."""

_DISKS = (Path("/media"), Path("/run/media"))
_OTHERS = (Path("/mnt"), Path("/srv"))
_MOUNTED_BELOW = (*_DISKS, *_OTHERS)
_HOMES = ("/home", "/root")
_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib64", "proc", "run", "sbin", "sys", "tmp", "usr")
_HIDDEN = ("/var/log", "/var/tmp")  # noqa: S108 (which no place may be in)
_WHERE = "Take one below /media, /mnt or /srv, where its disk is mounted."


@dataclass(frozen=True)
class Places:
    """What the settings name; None: it has its place in the state directory, or there is none."""

    vault: Path | None = None
    firmware: Path | None = None
    records_copies: Path | None = None


def named_in(settings: Path) -> Places:
    """What a settings file names. Raises ConfigError."""
    try:
        told = tomllib.loads(settings.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Places()
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{settings} is not TOML: {error}.", remedy="Look at the example in README.md.") from error
    except OSError as error:
        raise ConfigError(f"{settings} cannot be read: {error.strerror}.") from error
    paths = {name: told[name] for name in ("vault", "firmware", "records_copies") if name in told}
    for name, path in paths.items():
        if not isinstance(path, str):
            raise ConfigError(
                f"“{name}” in {settings} is no path.", remedy='It must be text in quotes, as in "/mnt/disk".'
            )
    return Places(**{name: Path(path) for name, path in paths.items()})


def wanted(places: Places) -> Mapping[str, str]:
    """What is to be said beside which unit. Raises ConfigError for a place that no unit could be let into."""
    vault = _checked("vault", places.vault)
    firmware = _checked("firmware", places.firmware)
    copies = _checked("records_copies", places.records_copies)
    if vault is not None and vault == firmware:
        raise ConfigError(f"“vault” and “firmware” are both {vault}.", remedy="Each needs a directory of its own.")
    lines: dict[str, list[str]] = {}
    for unit, line in _lines(vault, firmware, copies):
        lines.setdefault(unit, []).append(line)
    return {unit: "\n".join([HEAD, "[Service]", *each, ""]) for unit, each in lines.items()}


def _lines(vault: Path | None, firmware: Path | None, copies: Path | None) -> Iterator[tuple[str, str]]:
    """Each unit that needs one, with its line. A place that is not there keeps none from starting (-)."""
    if vault is not None and not _below(vault, _DISKS):
        yield "station.service", f"ReadWritePaths={_word(f'-{vault}')}"
        yield "station-worker@.service", f"BindPaths={_word(f'-{vault}')}"
    if firmware is not None:
        if not _below(firmware, _DISKS):
            yield "station.service", f"ReadWritePaths={_word(f'-{firmware}')}"
            yield "station-worker@.service", f"BindReadOnlyPaths={_word(f'-{firmware}')}"
        if not _below(firmware, (*_DISKS, Path("/mnt"))):
            yield "station-fetcher@.service", f"ReadWritePaths={_word(f'-{firmware}')}"
        # It reads all of it, and notes there what it has read.
        yield "station-check.service", f"ReadWritePaths={_word(f'-{firmware}')}"
        # It cannot read the settings, and sees no disk.
        yield "station-share.service", f"BindReadOnlyPaths={_word(f'-{firmware}')}"
        yield "station-share.service", f"Environment={_word(f'STORE={firmware}')}"
    if copies is not None and not _below(copies, _MOUNTED_BELOW):
        yield "station-copy.service", f"ReadWritePaths={_word(f'-{copies}')}"


def _checked(name: str, path: Path | None) -> Path | None:
    """A place; None for the one that it has without a setting. Raises ConfigError."""
    if path is None or path == STATE / name:
        return None
    shown = f"“{name}” is “{path}”"
    if not path.is_absolute() or ".." in path.parts:
        raise ConfigError(f"{shown}.", remedy="It must be a whole path, which begins with / and has no “..” in it.")
    if not str(path).isprintable() or not {":", '"', "'", "\\"}.isdisjoint(str(path)):
        raise ConfigError(f"{shown}.", remedy="systemd takes no path with a colon, quotes or a backslash in it.")
    if _below(path, map(Path, _HOMES)):
        raise ConfigError(f"{shown}: people's homes are hidden from the station.", remedy=_WHERE)
    if path == STATE or STATE.is_relative_to(path) or _below(path, (STATE,)):
        raise ConfigError(f"{shown}: the station keeps other things there.", remedy=f"Leave it out, or: {_WHERE}")
    of_system = path.parts[1] in _SYSTEM and not _below(path, _DISKS)
    if of_system or _below(path, map(Path, _HIDDEN)) or path in _MOUNTED_BELOW:
        raise ConfigError(f"{shown}: no place for that.", remedy=_WHERE)
    return path


def _below(path: Path, directories: Iterable[Path]) -> bool:
    return any(path.is_relative_to(directory) for directory in directories)


def _word(text: str) -> str:
    """As systemd reads it in a unit: one word, in which % begins nothing."""
    return f'"{text.replace("%", "%%")}"'


def is_installed(root: Path) -> bool:
    """Whether there are units here (deploy/install)."""
    return (root / UNITS / "station.service").exists()


def different(root: Path, drop_ins: Mapping[str, str]) -> Mapping[Path, str | None]:
    """The drop-ins that are not as they are to be, each with what it is to say; None: it is to go. Raises OSError."""
    units = root / UNITS
    files: dict[Path, str | None] = dict.fromkeys(
        path / NAME
        for path in entries_of(units, missing_ok=True)
        if path.name.startswith("station") and path.suffix == ".d" and (path / NAME).exists()
    )
    files |= {units / f"{unit}.d" / NAME: text for unit, text in drop_ins.items()}
    return {file: text for file, text in sorted(files.items()) if text is None or _says(file) != text}


def write(files: Mapping[Path, str | None]) -> None:
    """Make them so. Raises StorageError."""
    for file, text in files.items():
        try:
            if text is None:
                file.unlink(missing_ok=True)
                with suppress(OSError):  # somebody else's are in it too
                    file.parent.rmdir()
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                durable.write(file, text.encode())
        except OSError as error:
            raise StorageError(f"{file} cannot be written: {error.strerror}.") from error


def agree(settings: Path, root: Path) -> None:
    """Make them as the settings have it, as a part of each start of the machine. Raises StationError, OSError."""
    if is_installed(root) and (files := different(root, wanted(named_in(settings)))):
        write(files)
        tell_systemd(root)


def tell_systemd(root: Path) -> None:
    """Have systemd read its units again, where it runs this machine. Raises StorageError."""
    if root != Path("/") or not RUNS.is_dir():
        return
    try:
        subprocess.run(RELOAD, check=True, capture_output=True, timeout=RELOAD_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise StorageError("systemd did not read its units again.", remedy="sudo systemctl daemon-reload") from error


def _says(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        return ""
