"""Domains: the parts of a phone's data volume that a backup holds, by the names that backups give them.

Names and roots: Domains.plist of public system images, and what public readers of backups list.
"""

import plistlib
from dataclasses import dataclass
from pathlib import PurePosixPath

from station.virtual.system.files import FileSystem

APPLICATIONS = "/var/mobile/Containers/Data/Application"
"""The data of the owner's apps: a directory each, named by nothing but a UUID."""
METADATA = ".com.apple.mobile_container_manager.metadata.plist"
"""What tells in such a directory whose it is: MCMMetadataIdentifier."""
SAFE_HARBOR = "/var/mobile/Library/SafeHarbor"
"""Where the data of an app is kept that is not installed yet."""
APP_DOMAIN = "AppDomain-"


@dataclass(frozen=True)
class Domain:
    """One part of the tree."""

    name: str
    root: str
    """What paths of the domain are relative to."""
    included: tuple[str, ...]
    """Paths below the root that are in it, each with all below."""
    excluded: tuple[str, ...] = ()
    """Paths below those that are not."""
    system: bool = True
    """Whether it is put back with the system's files only."""

    def relative(self, path: str) -> str | None:
        """A path on the phone as the domain names it; None: it is not in the domain."""
        if path != self.root and not path.startswith(f"{self.root}/"):
            return None
        relative = path[len(self.root) + 1 :]
        below = any(_is_below(relative, top) for top in self.included)
        return relative if below and not any(_is_below(relative, top) for top in self.excluded) else None

    def path(self, relative: str) -> str:
        """Where a path of the domain is on the phone."""
        return str(PurePosixPath(self.root, relative))


DOMAINS = (
    Domain("CameraRollDomain", "/var/mobile", ("Media/DCIM", "Media/PhotoData"), system=False),
    Domain(
        "MediaDomain",
        "/var/mobile",
        ("Media", "Library/SMS/Attachments"),
        ("Media/iTunes_Control", "Media/iTunesRestore", "Media/Downloads", "Media/com.apple.itunes.lock_sync"),
        system=False,
    ),
    Domain(
        "HomeDomain",
        "/var/mobile",
        ("Library",),
        ("Library/Caches", "Library/Logs", "Library/SafeHarbor", "Library/SMS/Attachments"),
    ),
    Domain("SystemPreferencesDomain", "/var/preferences", ("",)),
    Domain("WirelessDomain", "/var/wireless", ("Library",), ("Library/Logs", "Library/Caches")),
    Domain("RootDomain", "/var/root", ("Library",), ("Library/Caches", "Library/Logs")),
)
"""The first that takes a path has it."""

SETTINGS = (("HomeDomain", "Library/Preferences"), ("SystemPreferencesDomain", ""))
"""What is a setting: domain, and path with all below."""


def is_setting(domain: str, relative: str) -> bool:
    """Whether a file is one of those that hold settings."""
    return any(domain == name and _is_below(relative, top) for name, top in SETTINGS)


def is_system(domain: str) -> bool:
    """Whether a domain is put back with the system's files only."""
    return next((known.system for known in DOMAINS if known.name == domain), False)


class Layout:
    """The domains of one phone: those that all have, and one for each app."""

    def __init__(self, files: FileSystem) -> None:
        self._apps = {identifier: path for path, identifier in _containers(files)}
        apps = (
            Domain(f"{APP_DOMAIN}{identifier}", path, ("",), system=False) for identifier, path in self._apps.items()
        )
        self.domains = (*apps, *DOMAINS)

    def place(self, path: str) -> tuple[Domain, str] | None:
        """Which domain has a path, and under which relative path; None: it is in no backup."""
        for domain in self.domains:
            relative = domain.relative(path)
            if relative is not None:
                return domain, relative
        return None

    def path(self, domain: str, relative: str) -> str | None:
        """Where a file of a backup belongs on this phone; None: no such domain, or not in it."""
        if PurePosixPath(relative).is_absolute() or ".." in PurePosixPath(relative).parts:
            return None
        for known in self.domains:
            if known.name == domain:
                path = known.path(relative)
                return path if known.relative(path) is not None else None
        if domain.startswith(APP_DOMAIN) and "/" not in domain and domain[len(APP_DOMAIN) :] not in {"", ".", ".."}:
            return str(PurePosixPath(SAFE_HARBOR, domain[len(APP_DOMAIN) :], "Container", relative))
        return None


def _containers(files: FileSystem) -> list[tuple[str, str]]:
    """Directories of apps, with whose they are."""
    found: list[tuple[str, str]] = []
    for name in files.names(APPLICATIONS) if files.exists(APPLICATIONS) else ():
        path = f"{APPLICATIONS}/{name}"
        if files.exists(f"{path}/{METADATA}"):
            identifier = plistlib.loads(files.read(f"{path}/{METADATA}"))["MCMMetadataIdentifier"]
            found.append((path, str(identifier)))
    return found


def _is_below(relative: str, top: str) -> bool:
    return not top or relative == top or relative.startswith(f"{top}/")
