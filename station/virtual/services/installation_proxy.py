"""com.apple.mobile.installation_proxy: which apps there are.

Commands, states and errors as libimobiledevice (`src/installation_proxy.c`) and pymobiledevice3
(`services/installation_proxy.py`) know them. Apps can be listed and taken away, but not installed: nobody signs any
for a virtual phone, and what is not signed no phone takes.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from station.virtual.services.apps import App, installed, uninstall
from station.virtual.services.service import Call, Service
from station.virtual.system.files import MEDIA

AT_ONCE = 20
"""Apps in one answer to Browse."""
ON_REQUEST = frozenset({"ApplicationSINF", "iTunesMetadata", "StaticDiskUsage", "DynamicDiskUsage"})
"""What is told only if ReturnAttributes names it."""
INSTALLING = (
    (5, "CreatingStagingDirectory"),
    (15, "ExtractingPackage"),
    (20, "InspectingPackage"),
    (30, "PreflightingApplication"),
    (40, "VerifyingApplication"),
)
"""How far it is before a signature is looked at: percent, and what is done."""
NO_SIGNATURE = 0xE800801C
"""MobileDevice's error number for it; as ErrorDetail, a negative number of 32 bits."""


async def serve(call: Call) -> None:
    """Answer command by command, until the host hangs up."""
    while True:
        message = await call.receive()
        command, options = message.get("Command"), message.get("ClientOptions")
        await call.phone.step(f"installation_proxy:{command}")
        options = options if isinstance(options, dict) else {}
        match command:
            case "Browse":
                await _browse(call, options)
            case "Lookup":
                found = {app["CFBundleIdentifier"]: _chosen(app, options) for app in _wanted(call, options)}
                await call.send({"LookupResult": found, "Status": "Complete"})
            case "LookupArchives":
                await call.send({"LookupResult": {}, "Status": "Complete"})
            case "Uninstall":
                await _uninstall(call, message.get("ApplicationIdentifier"))
            case "Install" | "Upgrade":
                await _inspect(call, message.get("PackagePath"))
            case None:
                await _refuse(call, "MissingCommand", "No command was sent.")
            case _:
                await _refuse(call, "UnknownCommand", f"There is no command {command}.")


async def _browse(call: Call, options: Mapping[str, Any]) -> None:
    apps = [_chosen(app, options) for app in _wanted(call, options)]
    for start in range(0, len(apps), AT_ONCE):
        part = apps[start : start + AT_ONCE]
        await call.send(
            {
                "CurrentAmount": len(part),
                "CurrentIndex": start,
                "CurrentList": part,
                "Status": "BrowsingApplications",
                "Total": len(apps),
            }
        )
    await call.send({"Status": "Complete"})


async def _uninstall(call: Call, bundle_id: object) -> None:
    if not isinstance(bundle_id, str):
        await _refuse(call, "MissingApplicationIdentifier", "No application was named.")
        return
    if any(app.bundle_id == bundle_id and not app.user for app in installed(call.system.files)):
        await _refuse(call, "UninstallProhibited", f"{bundle_id} is part of the system.")
        return
    await call.send({"PercentComplete": 50, "Status": "RemovingApplication"})
    if uninstall(call.system.files, bundle_id):
        call.system.notifications.post("com.apple.mobile.application_uninstalled")
    await call.send({"Status": "Complete"})


async def _inspect(call: Call, package: object) -> None:
    """Look into a package that the host has put into the media directory, and find that it is not signed."""
    if not isinstance(package, str) or not call.system.files.exists(path := str(PurePosixPath(f"{MEDIA}/{package}"))):
        await _refuse(call, "PackageInspectionFailed", f"Could not inspect the package at {package}")
        return
    for percent, status in INSTALLING:
        await call.send({"PercentComplete": percent, "Status": status})
    await _refuse(
        call,
        "ApplicationVerificationFailed",
        f"Failed to verify code signature of /private{path} : {NO_SIGNATURE:#x} (No code signature found.)",
        ErrorDetail=NO_SIGNATURE - (1 << 32),
    )


async def _refuse(call: Call, error: str, description: str, **detail: int) -> None:
    await call.send({"Error": error, "ErrorDescription": description, **detail})


def _wanted(call: Call, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The apps that are asked for, with all there is to tell."""
    kind, bundles = options.get("ApplicationType", "Any"), options.get("BundleIDs")

    def wanted(app: App) -> bool:
        fits = kind == "Any" or app.user == (kind == "User")
        return fits and (not isinstance(bundles, list) or app.bundle_id in bundles)

    return [app.attributes() for app in installed(call.system.files) if wanted(app)]


def _chosen(app: dict[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Of all there is to tell, what is asked for."""
    names = options.get("ReturnAttributes")
    return {
        name: value
        for name, value in app.items()
        if (name in names if isinstance(names, list) else name not in ON_REQUEST)
    }


SERVICE = Service("com.apple.mobile.installation_proxy", serve)
