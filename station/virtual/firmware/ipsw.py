"""Makes miniature IPSWs: the structure of Apple's, with invented contents of any size.

Every byte follows from version, build and sizes, so two calls with the same arguments make the same files.
Contents are pseudo-random and never repeat at 64 KiB, so that a chunk sent twice or out of order is noticed.
"""

import hashlib
import plistlib
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from station.virtual.firmware.components import (
    COMPONENTS,
    MIB,
    REQUEST_RULES,
    SECONDARY,
    VARIANTS,
    Component,
    Variant,
    components,
)
from station.virtual.firmware.image4 import hash_method, hasher, im4p_header
from station.virtual.firmware.peripherals import equip
from station.virtual.firmware.root_hash import RootHash
from station.virtual.restore.ramdisk import make_options

_BLOCK = MIB
_ROOT = "root hash"
_CRYPTEX_METHOD = "sha2-384"
"""Of the digest of a Cryptex, which its volume's root hash is here."""
_CRYPTEXES = 16
"""The iOS from which on a part of the system comes as Cryptexes."""
_STAMP = 64 * 1024
"""How often a block is stamped with its number."""

_FLAGS = ("IsFTAB", "IsLoadedByiBoot", "IsLoadedByiBootStage1", "IsiBootEANFirmware", "IsiBootNonEssentialFirmware")
"""Flags Apple writes down when they are false, too."""


class Model(Protocol):
    """What firmware is made for."""

    @property
    def product_type(self) -> str:
        """Such as "iPhone13,2"."""
        ...

    @property
    def hardware_model(self) -> str:
        """Such as "D53gAP"."""
        ...

    @property
    def chip_id(self) -> int:
        """Such as 0x8101."""
        ...

    @property
    def board_id(self) -> int:
        """Such as 0x0C."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Recipe:
    """What is wanted of an IPSW."""

    version: str
    build: str
    os_bytes: int
    cryptex_bytes: int
    ramdisk_bytes: int
    aea: bool

    def path(self, component: Component, model: Model, variant: Variant) -> str | None:
        """Where a component lies for a model and a variant."""
        image = ".dmg.aea" if self.aea else ".dmg"
        return component.path and component.path.format(
            **{"class": model.hardware_model.lower()},
            board=model.hardware_model.lower().removesuffix("ap"),
            chip=f"t{model.chip_id:04x}",
            platform=model.product_type.split(",")[0].lower(),
            style=variant.style,
            ramdisk=variant.ramdisk,
            os=f"000-00001-001{image}",
            system=f"000-00002-001{image}",
            app="000-00003-001.dmg",
        )

    def size(self, component: Component) -> int:
        """How many bytes of payload a component gets."""
        sizes = {"OS": self.os_bytes, "Cryptex1,SystemOS": self.cryptex_bytes, "RestoreRamDisk": self.ramdisk_bytes}
        return sizes.get(component.name, component.size)

    @property
    def ios(self) -> int:
        """The first number of the version."""
        return int(self.version.partition(".")[0])

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Those there are of this iOS."""
        return tuple(variant for variant in VARIANTS if variant.since <= self.ios)

    @property
    def long_version(self) -> str:
        """Apple's RestoreLongVersion, such as "23.3.71.0.0,0" for 23C71."""
        letter = next(at for at, sign in enumerate(self.build) if sign.isalpha())
        number = "".join(sign for sign in self.build[letter + 1 :] if sign.isdigit())
        return f"{self.build[:letter]}.{ord(self.build[letter]) - ord('A') + 1}.{number}.0.0,0"


def make_ipsw(
    directory: Path,
    *,
    version: str,
    build: str,
    models: Sequence[Model],
    os_bytes: int = 12 * MIB,
    cryptex_bytes: int = 6 * MIB,
    ramdisk_bytes: int = 4 * MIB,
    aea: bool = False,
) -> Path:
    """Write a miniature IPSW, unpacked, into `directory`; about 30 MiB by default.

    What it consists of follows from the version: root hashes from iOS 15 on, Cryptexes from 16, research variants
    from 26; and from the chips: which firmware there is, and whether digests are SHA-384 or, up to A9, SHA-1.

    Args:
        directory: made if need be; must be empty.
        version: iOS version, such as "26.2.1".
        build: iOS build, such as "23C71".
        models: whom it is for; each gets its own build identities.
        os_bytes: size of the system image that ASR sends.
        cryptex_bytes: size of the system Cryptex.
        ramdisk_bytes: size of each restore ramdisk.
        aea: whether the system image and Cryptex look like Apple Encrypted Archives, as from iOS 18 on. The
            library then waits 3 s after the Cryptex's first chunk for the phone to ask for the key.

    Returns:
        `directory`. The call writes and hashes: with real sizes it takes seconds, so keep it off an event loop.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"{directory} is not empty")
    recipe = _Recipe(
        version=version,
        build=build,
        os_bytes=os_bytes,
        cryptex_bytes=cryptex_bytes,
        ramdisk_bytes=ramdisk_bytes,
        aea=aea,
    )
    maker = _Maker(directory, recipe, {hash_method(model.chip_id) for model in models})
    identities = [maker.identity(model, variant) for variant in recipe.variants for model in models]
    product_types = sorted({model.product_type for model in models})
    for name, content in {
        "BuildManifest.plist": {
            "BuildIdentities": identities,
            "ManifestVersion": 0,
            "ProductBuildVersion": build,
            "ProductVersion": version,
            "SupportedProductTypes": product_types,
        },
        "Restore.plist": _restore_plist(recipe, models, product_types),
        "RestoreVersion.plist": {"RestoreLongVersion": recipe.long_version},
        "SystemVersion.plist": {
            "ProductBuildVersion": build,
            "ProductName": "iPhone OS",
            "ProductVersion": version,
            "ReleaseType": "Virtual",
        },
    }.items():
        (directory / name).write_bytes(plistlib.dumps(content))
    return directory


def zip_ipsw(directory: Path, file: Path) -> Path:
    """Pack an unpacked IPSW into one stored (not compressed) zip file, and return its path."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(directory).as_posix())
    return file


class _Maker:
    """Writes each file once, however many components and identities share it."""

    def __init__(self, directory: Path, recipe: _Recipe, methods: set[str]) -> None:
        self._directory = directory
        self._recipe = recipe
        self._methods = sorted(methods)
        self._digests: dict[str, dict[tuple[str | None, str], bytes]] = {}
        """Path to image type (None: the bare file) and method to digest; a bare file also has a root hash."""

    def identity(self, model: Model, variant: Variant) -> dict[str, Any]:
        """The build identity of one model and variant, its files written."""
        recipe = self._recipe
        board = model.hardware_model.lower()
        unique = f"{recipe.build} {board} {variant.name}".encode()
        parts = components(recipe.ios, model.chip_id)
        identity = {
            "ApBoardID": f"0x{model.board_id:02X}",
            "ApChipID": f"0x{model.chip_id:04X}",
            "ApSecurityDomain": "0x01",
            **(self._cryptex_facts(model) if recipe.ios >= _CRYPTEXES else {}),
            "Info": self._info(model, variant),
            "Manifest": {component.name: self._entry(component, model, variant) for component in parts},
            "ProductMarketingVersion": recipe.version,
            "UniqueBuildID": hashlib.sha1(unique, usedforsecurity=False).digest(),
        }
        equip(self._directory, identity, model.product_type, build=recipe.build)
        return identity

    def _cryptex_facts(self, model: Model) -> dict[str, Any]:
        """What an identity says since there are Cryptexes."""
        version = self._recipe.long_version
        return {
            "Ap,OSLongVersion": version,
            "Ap,ProductMarketingVersion": self._recipe.version,
            "Ap,ProductType": model.product_type,
            "Ap,SDKPlatform": "iphoneos",
            "Ap,Target": model.hardware_model,
            "Ap,TargetType": model.hardware_model.lower().removesuffix("ap"),
            "Cryptex1,ChipID": "0xFF10",
            "Cryptex1,NonceDomain": 1,
            "Cryptex1,PreauthorizationVersion": version,
            "Cryptex1,ProductClass": "0xF2",
            "Cryptex1,SubType": 1,
            "Cryptex1,Type": 1,
            "Cryptex1,UseProductClass": True,
            "Cryptex1,Version": version,
        }

    def _info(self, model: Model, variant: Variant) -> dict[str, Any]:
        recipe = self._recipe
        contents = "Research" if variant.behavior is None else "Production"
        cryptexes = {
            "Cryptex1,SystemOSSize": -(-recipe.cryptex_bytes // MIB),
            "OSDiskImageSize": -(-recipe.os_bytes // MIB),
        }
        info: dict[str, Any] = {
            "BuildNumber": recipe.build,
            "BuildTrain": "Virtual",
            **(cryptexes if recipe.ios >= _CRYPTEXES else {}),
            "DeviceClass": model.hardware_model.lower(),
            "FDRSupport": True,
            "MinimumSystemPartition": -(-recipe.os_bytes // MIB),
            "MobileDeviceMinVersion": "1810",
            "RequiresUIDMode": False,
            "SystemPartitionPadding": {"64": 640, "128": 1280, "256": 1280},
            "Variant": variant.name,
            "VariantContents": {"DFU": contents, "Firmware": contents, "OS": "Production", "SEP": contents},
        }
        return info | ({"RestoreBehavior": variant.behavior} if variant.behavior else {})

    def _entry(self, component: Component, model: Model, variant: Variant) -> dict[str, Any]:
        info: dict[str, Any] = {flag: flag in component.flags for flag in _FLAGS}
        info |= dict.fromkeys(component.flags, True) | {"Personalize": component.personalized}
        if component.file_fourcc:
            info["Img4PayloadType"] = component.fourcc
        if component.rules:
            info["RestoreRequestRules"] = REQUEST_RULES
        entry: dict[str, Any] = {"Info": info}
        if component.trusted is not None:
            entry["Trusted"] = component.trusted
        path = self._recipe.path(component, model, variant)
        if path is None:
            return entry
        info["Path"] = path
        digests = self._file(path, component, model, variant)
        method = hash_method(model.chip_id)
        if not component.image4:
            info["HashMethod"] = method
        if SECONDARY in component.flags and self._recipe.ios >= _CRYPTEXES:
            entry["TBMDigests"] = hashlib.shake_256(path.encode()).digest(240)
        return entry | {"Digest": digests[component.fourcc if component.image4 else None, method]}

    def _file(
        self, path: str, component: Component, model: Model, variant: Variant
    ) -> dict[tuple[str | None, str], bytes]:
        """The digests of a file, which is written when it is met for the first time."""
        if path not in self._digests:
            sharing = [other for other in COMPONENTS if other.path == component.path]
            types = {other.fourcc for other in sharing if other.fourcc}
            target = self._directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            size, seed = self._recipe.size(component), f"{self._recipe.build}/{path}"
            if component.image4:
                says = make_options(variant.behavior, version=self._recipe.version, build=self._recipe.build)
                payload = _blocks(seed, size, says if component.name == "RestoreRamDisk" else b"")
                if component.digest_of:
                    of = next(other for other in COMPONENTS if other.name == component.digest_of)
                    of_path = self._recipe.path(of, model, variant)
                    assert of_path is not None
                    digests = self._file(of_path, of, model, variant)
                    content = digests[(None, _ROOT) if of.name == "OS" else (None, _CRYPTEX_METHOD)]
                    size, payload = len(content), iter([content])
                own = component.file_fourcc or component.fourcc
                assert own is not None
                self._digests[path] = _write_im4p(target, own, types, size, payload, self._methods)
            else:
                start = b"AEA1" if path.endswith(".aea") else b""
                methods = {*self._methods, _CRYPTEX_METHOD}
                hashers: dict[tuple[str | None, str], Any] = {(None, method): hasher(method) for method in methods}
                hashers[None, _ROOT] = RootHash()
                _write(target, _blocks(seed, size, start), hashers.values())
                self._digests[path] = {key: each.digest() for key, each in hashers.items()}
        return self._digests[path]


def _blocks(seed: str, size: int, start: bytes = b"") -> Iterator[bytes]:
    """`size` pseudo-random bytes in blocks of at most 1 MiB, made from one block by stamping in its number."""
    block = bytearray(hashlib.shake_256(seed.encode()).digest(min(size, _BLOCK)))
    for number in range(-(-size // _BLOCK)):
        for at in range(0, len(block) - 16, _STAMP):
            block[at + 8 : at + 16] = (number * _BLOCK + at).to_bytes(8)
        if number == 0:
            block[: len(start)] = start
        yield bytes(memoryview(block)[: size - number * _BLOCK])


def _write(target: Path, blocks: Iterable[bytes], hashers: Collection[Any]) -> None:
    """Write a file, and let each of these take its content too."""
    with target.open("wb") as file:
        for block in blocks:
            file.write(block)
            for each in hashers:
                each.update(block)


def _write_im4p(
    target: Path, own: str, types: set[str], size: int, payload: Iterator[bytes], methods: Sequence[str]
) -> dict[tuple[str | None, str], bytes]:
    """Write an IM4P of type `own`; its digests, by each method, under every type it is sent as."""
    hashers: dict[tuple[str | None, str], Any] = {
        (fourcc, method): hasher(method, im4p_header(fourcc, size)) for fourcc in types | {own} for method in methods
    }
    with target.open("wb") as file:
        file.write(im4p_header(own, size))
        for block in payload:
            file.write(block)
            for each in hashers.values():
                each.update(block)
    return {key: each.digest() for key, each in hashers.items()}


def _restore_plist(recipe: _Recipe, models: Sequence[Model], product_types: list[str]) -> dict[str, Any]:
    os = next(component for component in COMPONENTS if component.name == "OS")
    image = recipe.path(os, models[0], VARIANTS[0])
    ramdisks = {"User": VARIANTS[0].ramdisk, "Update": VARIANTS[1].ramdisk}
    platforms = {f"t{model.chip_id:04x}" for model in models}
    return {
        "DeviceClass": "iPhone",
        "DeviceMap": [
            {
                "BDID": model.board_id,
                "BoardConfig": model.hardware_model.lower(),
                "CPID": model.chip_id,
                "Platform": f"t{model.chip_id:04x}",
                "SCEP": 1,
            }
            for model in models
        ],
        "FirmwareDirectory": "Firmware",
        "MinimumSystemPartition": {image: -(-recipe.os_bytes // MIB)},
        "ProductBuildVersion": recipe.build,
        "ProductType": product_types[0],
        "ProductVersion": recipe.version,
        "RamDisksByPlatform": dict.fromkeys(sorted(platforms), ramdisks),
        "RestoreRamDisks": ramdisks,
        "SupportedProductTypes": product_types,
        "SystemRestoreImageFileSystems": {image: "APFS"},
        "SystemRestoreImages": {"User": image},
    }
