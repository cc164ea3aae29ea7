"""Three lists of the firmware there is, in the shapes of those that hosts ask.

GET /v4/devices, /v4/device/PRODUCT_TYPE?type=ipsw, /v4/ipsw/PRODUCT_TYPE/BUILD   ipsw.me, version 4 of its API
GET /ios/SYSTEM;BUILD.json, /ios/SYSTEM/main.json                               AppleDB; SYSTEM: iOS, iPadOS
GET /version                                                                     Apple's own, as iTunes reads it

They are made of the files that the CDN offers; what they say of signing is what the signing server does, unless
`claims` has it otherwise: catalogs are late, and some lie. Whoever knows an answer already (its ETag) is told that
nothing has changed.
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
    stage: str = ""
    """What AppleDB has behind the version of what is no release yet: "beta 2", "RC". The others do not list those."""


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
            Route("/ios/{system}/main.json", self._everything),
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

    def _answer(self, request: Request, response: Response) -> Response:
        """The answer, or that it is the one which is known."""
        tag = f'"{hashlib.sha256(bytes(response.body)).hexdigest()[:32]}"'
        known = request.headers.get("if-none-match") == tag
        answer = Response(status_code=304) if known else response
        answer.headers["ETag"] = tag
        return answer

    def _released(self, product_type: str) -> list[Build]:
        return [build for build in self.builds if product_type in build.product_types and not build.stage]

    async def _devices(self, request: Request) -> Response:
        if instead := await self._instead(request):
            return instead
        types = sorted({product_type for build in self.builds for product_type in build.product_types})
        return self._answer(request, JSONResponse([self._describe(product_type) for product_type in types]))

    async def _device(self, request: Request) -> Response:
        product_type = request.path_params["product_type"]
        if instead := await self._instead(request):
            return instead
        found = self._released(product_type)
        if not found:
            return PlainTextResponse("Not Found", 404)
        firmwares = {"firmwares": [self._ipsw_me(build, product_type) for build in found]}
        return self._answer(request, JSONResponse(self._describe(product_type) | firmwares))

    async def _firmware(self, request: Request) -> Response:
        product_type, number = request.path_params["product_type"], request.path_params["build"]
        if instead := await self._instead(request):
            return instead
        for build in self._released(product_type):
            if build.build == number:
                return self._answer(request, JSONResponse(self._ipsw_me(build, product_type)))
        return PlainTextResponse("Not Found", 404)

    async def _everything(self, request: Request) -> Response:
        if instead := await self._instead(request):
            return instead
        system = request.path_params["system"]
        builds = [self._appledb(build, system, overair=False) for build in self.builds if _models(build, system)]
        return self._answer(request, JSONResponse(builds))

    async def _one(self, request: Request) -> Response:
        if instead := await self._instead(request):
            return instead
        system, _, number = request.path_params["name"].partition(";")
        for build in self.builds:
            if number == build.build and _models(build, system):
                return self._answer(request, JSONResponse(self._appledb(build, system, overair=True)))
        return PlainTextResponse("Not Found", 404)

    async def _versions(self, request: Request) -> Response:
        if instead := await self._instead(request):
            return instead
        models: dict[str, Any] = {}
        for product_type in sorted({product_type for build in self.builds for product_type in build.product_types}):
            if released := self._released(product_type):
                newest, *older = released
                restore = {"Restore": self._restore(newest)}
                models[product_type] = {
                    "Unknown": {"Universal": restore},
                    newest.build: restore,
                    **{build.build: {"SameAs": newest.build} for build in older},
                }
        one = {"MobileDeviceSoftwareVersions": models, "RecoverySoftwareVersions": {}}
        versions = {"MobileDeviceSoftwareVersionsByVersion": {"1": one, "17": one}}
        return self._answer(request, Response(plistlib.dumps(versions), media_type="text/xml"))

    def _restore(self, build: Build) -> dict[str, Any]:
        return {
            "BuildVersion": build.build,
            "ProductVersion": build.version,
            "DocumentationURL": f"{self._origin()}/documentation/iPhoneiTunesUpdateReadMe.ipd",
            "FirmwareURL": self._origin() + build.path,
            "FirmwareSHA1": build.sha1,
        }

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

    def _appledb(self, build: Build, system: str, *, overair: bool) -> dict[str, Any]:
        """A build; its updates over the air are told only where it is asked for alone."""
        models = _models(build, system)
        sources = [
            {
                "type": "ipsw",
                "deviceMap": models,
                "links": [{"url": self._origin() + build.path, "preferred": True, "active": True}],
                "hashes": {"sha1": build.sha1, "sha2-256": build.sha256},
                "size": build.size,
            }
        ]
        if overair:
            update = f"{build.path.removesuffix('.ipsw')}.zip"
            sources.append(
                {
                    "type": "ota",
                    "prerequisiteBuild": "22A3354",
                    "deviceMap": models,
                    "links": [{"url": self._origin() + update, "active": True}],
                    "hashes": {"sha1": "0" * 40},
                    "size": build.size // 2,
                }
            )
        flags = {"beta": True} if build.stage.startswith("beta") else {"rc": True} if build.stage else {}
        return {
            "osStr": system,
            "version": f"{build.version} {build.stage}".strip(),
            "build": build.build,
            "uniqueBuild": build.build,
            "released": build.released[:10],
            **flags,
            "deviceMap": models,
            "signed": self.is_signed(build),
            "sources": sources,
        }


def _models(build: Build, system: str) -> list[str]:
    """Those of its models that have a system."""
    pads = system == "iPadOS"
    return [product_type for product_type in build.product_types if product_type.startswith("iPad") == pads]


def _board(identity: dict[str, Any]) -> tuple[str, int, int]:
    return identity["Info"]["DeviceClass"], int(identity["ApChipID"], 16), int(identity["ApBoardID"], 16)
