"""Three lists of the firmware there is, in the shapes of those that hosts ask.

GET /v4/devices, /v4/device/PRODUCT_TYPE?type=ipsw, /v4/ipsw/PRODUCT_TYPE/BUILD   ipsw.me, version 4 of its API
GET /ios/iOS;BUILD.json, /ios/iOS/main.json                                     AppleDB
GET /version                                                                     Apple's own, as iTunes reads it

They are made of the files that the CDN offers; what they say of signing is what the signing server does, unless
`claims` has it otherwise: catalogs are late, and some lie.
"""

import hashlib
import plistlib
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from station.virtual.apple.behaviour import AppleService, Conduct
from station.virtual.phones.models import find_model

BLOCK = 1 << 20


@dataclass(frozen=True)
class Build:
    """A firmware file, as catalogs describe it."""

    version: str
    build: str
    product_types: tuple[str, ...]
    boards: tuple[tuple[str, int, int], ...]
    """Hardware model, chip and board of each identity."""
    path: str
    """On the CDN."""
    size: int
    md5: str
    sha1: str
    sha256: str
    released: str
    """ISO 8601."""


class Catalog:
    """What is told of every build that is offered."""

    def __init__(self, conduct: Conduct, signed: Callable[[str], bool], origin: Callable[[], str]) -> None:
        """A catalog with nothing in it.

        Args:
            conduct: how it behaves.
            signed: whether a build is signed now.
            origin: scheme and host of the CDN, once it serves.
        """
        self.builds: list[Build] = []
        self.claims: dict[str, bool] = {}
        """Build to what is said of its signing, true or not."""
        self._conduct = conduct
        self._signed = signed
        self._origin = origin
        self.routes = [
            Route("/v4/devices", self._devices),
            Route("/v4/device/{product_type}", self._device),
            Route("/v4/ipsw/{product_type}/{build}", self._firmware),
            Route("/ios/iOS/main.json", self._everything),
            Route("/ios/{name}.json", self._one),
            Route("/version", self._versions),
        ]

    def add(self, file: Path, path: str) -> None:
        """List a zipped IPSW, which the CDN offers at `path`. Reads all of it."""
        with zipfile.ZipFile(file) as archive:
            manifest = plistlib.loads(archive.read("BuildManifest.plist"))
        digests = [hashlib.md5(usedforsecurity=False), hashlib.sha1(usedforsecurity=False), hashlib.sha256()]
        with file.open("rb") as content:
            while block := content.read(BLOCK):
                for digest in digests:
                    digest.update(block)
        stat = file.stat()
        md5, sha1, sha256 = (digest.hexdigest() for digest in digests)
        build = Build(
            version=manifest["ProductVersion"],
            build=manifest["ProductBuildVersion"],
            product_types=tuple(manifest["SupportedProductTypes"]),
            boards=tuple(sorted({_board(identity) for identity in manifest["BuildIdentities"]})),
            path=path,
            size=stat.st_size,
            md5=md5,
            sha1=sha1,
            sha256=sha256,
            released=datetime.fromtimestamp(stat.st_mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
        self.builds.insert(0, build)

    def is_signed(self, build: Build) -> bool:
        """What the catalog says of it."""
        return self.claims.get(build.build, self._signed(build.build))

    async def _instead(self, request: Request) -> Response | None:
        return (await self._conduct.receive(AppleService.CATALOG, request))[1]

    async def _devices(self, request: Request) -> Response:
        types = sorted({product_type for build in self.builds for product_type in build.product_types})
        return await self._instead(request) or JSONResponse([self._describe(product_type) for product_type in types])

    async def _device(self, request: Request) -> Response:
        product_type = request.path_params["product_type"]
        found = [build for build in self.builds if product_type in build.product_types]
        if instead := await self._instead(request):
            return instead
        if not found:
            return PlainTextResponse("Not Found", 404)
        return JSONResponse(
            self._describe(product_type) | {"firmwares": [self._ipsw_me(build, product_type) for build in found]}
        )

    async def _firmware(self, request: Request) -> Response:
        product_type, number = request.path_params["product_type"], request.path_params["build"]
        if instead := await self._instead(request):
            return instead
        for build in self.builds:
            if build.build == number and product_type in build.product_types:
                return JSONResponse(self._ipsw_me(build, product_type))
        return PlainTextResponse("Not Found", 404)

    async def _everything(self, request: Request) -> Response:
        return await self._instead(request) or JSONResponse([self._appledb(build) for build in self.builds])

    async def _one(self, request: Request) -> Response:
        if instead := await self._instead(request):
            return instead
        for build in self.builds:
            if request.path_params["name"] == f"iOS;{build.build}":
                return JSONResponse(self._appledb(build))
        return PlainTextResponse("Not Found", 404)

    async def _versions(self, request: Request) -> Response:
        if instead := await self._instead(request):
            return instead
        newest: dict[str, Any] = {}
        for build in self.builds:
            for product_type in build.product_types:
                restore = {
                    "BuildVersion": build.build,
                    "ProductVersion": build.version,
                    "FirmwareURL": self._origin() + build.path,
                    "FirmwareSHA1": build.sha1,
                }
                newest.setdefault(product_type, {"Unknown": {"Universal": {"Restore": restore}}})
        versions = {"MobileDeviceSoftwareVersionsByVersion": {"1": {"MobileDeviceSoftwareVersions": newest}}}
        return Response(plistlib.dumps(versions), media_type="text/xml")

    def _describe(self, product_type: str) -> dict[str, Any]:
        name = product_type
        boards = {board for build in self.builds if product_type in build.product_types for board in build.boards}
        with suppress(KeyError):
            name = find_model(product_type).name
        return {
            "name": name,
            "identifier": product_type,
            "boards": [
                {"boardconfig": name, "platform": f"t{chip:04x}", "cpid": chip, "bdid": board}
                for name, chip, board in sorted(boards)
            ],
        }

    def _ipsw_me(self, build: Build, product_type: str) -> dict[str, Any]:
        return {
            "identifier": product_type,
            "version": build.version,
            "buildid": build.build,
            "sha1sum": build.sha1,
            "md5sum": build.md5,
            "sha256sum": build.sha256,
            "filesize": build.size,
            "url": self._origin() + build.path,
            "releasedate": build.released,
            "uploaddate": build.released,
            "signed": self.is_signed(build),
        }

    def _appledb(self, build: Build) -> dict[str, Any]:
        return {
            "osStr": "iOS",
            "version": build.version,
            "build": build.build,
            "uniqueBuild": build.build,
            "released": build.released[:10],
            "deviceMap": list(build.product_types),
            "signed": self.is_signed(build),
            "sources": [
                {
                    "type": "ipsw",
                    "deviceMap": list(build.product_types),
                    "links": [{"url": self._origin() + build.path, "preferred": True, "active": True}],
                    "hashes": {"sha1": build.sha1, "sha2-256": build.sha256},
                    "size": build.size,
                }
            ],
        }


def _board(identity: dict[str, Any]) -> tuple[str, int, int]:
    return identity["Info"]["DeviceClass"], int(identity["ApChipID"], 16), int(identity["ApBoardID"], 16)
