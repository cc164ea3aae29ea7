"""What is installed: Apple's apps, which are part of the system, and the owner's, which are in the phone's files."""

import plistlib
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from station.virtual.system.files import APPS, FileSystem


@dataclass(frozen=True)
class App:
    """One app."""

    bundle_id: str
    name: str
    version: str
    path: str
    """Its bundle."""
    user: bool = False
    """Whether the owner installed it."""
    size: int = 0
    """Bytes of its bundle."""
    purchase: dict[str, Any] = field(default_factory=dict)
    """ApplicationSINF and iTunesMetadata of what came from the App Store: what a backup needs to get it again."""

    def attributes(self) -> dict[str, Any]:
        """Everything that the installation proxy tells of it; names as in public `ideviceinstaller` listings."""
        return {
            "ApplicationType": "User" if self.user else "System",
            "CFBundleDisplayName": self.name,
            "CFBundleExecutable": PurePosixPath(self.path).stem,
            "CFBundleIdentifier": self.bundle_id,
            "CFBundleInfoDictionaryVersion": "6.0",
            "CFBundleName": self.name,
            "CFBundlePackageType": "APPL",
            "CFBundleShortVersionString": self.version,
            "CFBundleVersion": self.version,
            "DynamicDiskUsage": 0,
            "Path": self.path,
            "StaticDiskUsage": self.size,
            "UIDeviceFamily": [1, 2],
            **self.purchase,
        }


SYSTEM_APPS = tuple(
    App(f"com.apple.{identifier}", name, "1.0", f"/Applications/{executable}.app")
    for identifier, name, executable in (
        ("mobilephone", "Phone", "MobilePhone"),
        ("mobilesafari", "Safari", "MobileSafari"),
        ("MobileSMS", "Messages", "MobileSMS"),
        ("mobileslideshow", "Photos", "MobileSlideShow"),
        ("camera", "Camera", "Camera"),
        ("Preferences", "Settings", "Preferences"),
        ("AppStore", "App Store", "AppStore"),
    )
)


def installed(files: FileSystem) -> list[App]:
    """Apple's apps, then the owner's."""
    return [*SYSTEM_APPS, *(_owners(files, place) for place in _bundles(files))]


def uninstall(files: FileSystem, bundle_id: str) -> bool:
    """Take one of the owner's apps away. Returns whether there was one."""
    for place in _bundles(files):
        if _owners(files, place).bundle_id == bundle_id:
            files.remove_tree(place)
            return True
    return False


def _bundles(files: FileSystem) -> list[str]:
    """The directories of the owner's apps; in each there is one bundle, and what came with the purchase."""
    return [f"{APPS}/{name}" for name in files.names(APPS)] if files.exists(APPS) else []


def _owners(files: FileSystem, place: str) -> App:
    (bundle,) = (name for name in files.names(place) if name.endswith(".app"))
    path = f"{place}/{bundle}"
    info = plistlib.loads(files.read(f"{path}/Info.plist"))
    rights = f"{path}/SC_Info/{PurePosixPath(bundle).stem}.sinf"
    return App(
        info["CFBundleIdentifier"],
        info["CFBundleDisplayName"],
        info["CFBundleVersion"],
        path,
        user=True,
        size=sum(node.size for _, node in files.walk(path) if not node.is_directory),
        purchase={
            "ApplicationSINF": files.read(rights),
            "iTunesMetadata": files.read(f"{place}/iTunesMetadata.plist"),
        },
    )
