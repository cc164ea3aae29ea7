"""What a virtual firmware consists of: the components of a build identity, as data.

Modelled on the build manifest of iOS 26.2.1 (23C71) for iPhone 12: the same names, flags, paths and image
types, less the components nothing in a restore asks for by itself (pictures of batteries, haptics). Those of other
chips, which not every model has, are made by `peripherals`.
Image types: pymobiledevice3 `restore/img4.py`; those of the Cryptexes as public tools list them.
"""

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

FIRMWARE = "IsFirmwarePayload"
SECONDARY = "IsSecondaryFirmwarePayload"
FUD = "IsFUDFirmware"
IBOOT_LOADS = "IsLoadedByiBoot"
EAN = "IsiBootEANFirmware"


@dataclass(frozen=True, kw_only=True)
class Component:
    """One component of a build identity. The fields in its path's braces are filled in by `ipsw`."""

    name: str
    path: str | None
    """Inside the IPSW; None for what only has a place in the manifest (ftap, rfta, …)."""
    fourcc: str | None = None
    """Its image type as the phone is sent it. None: not signed for."""
    file_fourcc: str | None = None
    """The type that stands in its file, where several components share one (KernelCache, RestoreKernelCache)."""
    size: int = 16 * KIB
    """Bytes of payload by default."""
    flags: tuple[str, ...] = ()
    trusted: bool | None = True
    """None: the manifest does not say."""
    personalized: bool = True
    image4: bool = True
    """Whether its file is an IM4P. Otherwise the digest is over the bare file, and `HashMethod` says so."""
    rules: bool = True
    """Whether it has RestoreRequestRules, which is what puts it into a request for a ticket."""
    digest_of: str | None = None
    """Its payload is the digest of that component's file: a virtual root hash."""
    since: int = 0
    """The first iOS that has it, by its first number."""
    chip: int = 0
    """The first chip that has it; chips are numbered in the order they came."""


def _cryptex(name: str, path: str, fourcc: str, *, digest_of: str | None = None, image: bool = False) -> Component:
    return Component(
        name=name,
        path=path,
        fourcc=fourcc,
        trusted=None,
        personalized=not image,
        image4=not image,
        digest_of=digest_of,
        since=16,
    )


def _unmade(name: str) -> Component:
    return Component(name=name, path=None, personalized=False)


_A10, _A11, _A12, _A14 = 0x8010, 0x8015, 0x8020, 0x8101
_SEP = "Firmware/all_flash/sep-firmware.{board}.{style}.im4p"
_KERNEL = "kernelcache.release.{platform}"
_TREE = "Firmware/all_flash/DeviceTree.{class}.im4p"
_LOGO = "Firmware/all_flash/applelogo@2532~iphone.im4p"

COMPONENTS: tuple[Component, ...] = (
    Component(name="ANE", path="Firmware/ane/{chip}_ane.im4p", fourcc="anef", flags=(FUD, IBOOT_LOADS), chip=_A12),
    Component(name="ANS", path="Firmware/ansf.{chip}.release.im4p", fourcc="ansf", flags=(FIRMWARE,), chip=_A14),
    Component(name="AOP", path="Firmware/AOP/{board}_aop.im4p", fourcc="aopf", flags=(FUD, IBOOT_LOADS), chip=_A12),
    Component(name="AVE", path="Firmware/ave/{chip}_ave.im4p", fourcc="avef", flags=(FUD, IBOOT_LOADS), chip=_A12),
    Component(
        name="Ap,SystemVolumeCanonicalMetadata",
        path="Firmware/{os}.mtree",
        fourcc="msys",
        flags=(FUD,),
        digest_of="OS",
        since=15,
    ),
    Component(name="AppleLogo", path=_LOGO, fourcc="logo", flags=(FIRMWARE,)),
    Component(
        name="AudioCodecFirmware",
        path="Firmware/{board}_AudioCodecFirmware.im4p",
        fourcc="acfw",
        flags=(FUD,),
        trusted=False,
        chip=_A11,
    ),
    Component(
        name="BatteryFull", path="Firmware/all_flash/batteryfull@2532~iphone.im4p", fourcc="batF", flags=(FIRMWARE,)
    ),
    _cryptex("Cryptex1,AppOS", "{app}", "caos", image=True),
    _cryptex("Cryptex1,AppTrustCache", "Firmware/{app}.trustcache", "trca"),
    _cryptex("Cryptex1,AppVolume", "Firmware/{app}.root_hash", "casy", digest_of="Cryptex1,AppOS"),
    _cryptex("Cryptex1,SystemOS", "{system}", "csos", image=True),
    _cryptex("Cryptex1,SystemTrustCache", "Firmware/{system}.trustcache", "trcs"),
    _cryptex("Cryptex1,SystemVolume", "Firmware/{system}.root_hash", "cssy", digest_of="Cryptex1,SystemOS"),
    Component(name="DCP", path="Firmware/dcp/{platform}dcp.im4p", fourcc="dcpf", flags=(EAN,), chip=_A14),
    Component(name="DeviceTree", path=_TREE, fourcc="dtre", size=64 * KIB, flags=(FIRMWARE,)),
    Component(name="GFX", path="Firmware/agx/{chip}_gfx.im4p", fourcc="gfxf", flags=(FUD, IBOOT_LOADS), chip=_A12),
    Component(name="ISP", path="Firmware/isp_bni/{board}_isp.im4p", fourcc="ispf", flags=(FUD, IBOOT_LOADS), chip=_A11),
    Component(name="KernelCache", path=_KERNEL, fourcc="krnl", size=2 * MIB),
    Component(
        name="LLB", path="Firmware/all_flash/LLB.{board}.{style}.im4p", fourcc="illb", size=128 * KIB, flags=(FIRMWARE,)
    ),
    Component(
        name="Multitouch",
        path="Firmware/{board}_Multitouch.im4p",
        fourcc="mtfw",
        flags=(FUD,),
        trusted=False,
        chip=_A11,
    ),
    Component(name="OS", path="{os}", fourcc="OS\0\0", personalized=False, image4=False),
    Component(name="PMP", path="Firmware/pmp/{chip}pmp.im4p", fourcc="pmpf", flags=(FUD, IBOOT_LOADS), chip=_A12),
    Component(
        name="RecoveryMode",
        path="Firmware/all_flash/recoverymode@2532~iphone-lightning.im4p",
        fourcc="recm",
        flags=(FIRMWARE,),
    ),
    Component(
        name="RestoreANS", path="Firmware/rans.{chip}.release.im4p", fourcc="rans", flags=(FUD, IBOOT_LOADS), chip=_A14
    ),
    Component(
        name="RestoreDCP",
        path="Firmware/dcp/{platform}dcp_restore.im4p",
        fourcc="rdcp",
        file_fourcc="dcpf",
        flags=(IBOOT_LOADS,),
        chip=_A14,
    ),
    Component(name="RestoreDeviceTree", path=_TREE, fourcc="rdtr", file_fourcc="dtre", size=64 * KIB),
    Component(name="RestoreKernelCache", path=_KERNEL, fourcc="rkrn", file_fourcc="krnl", size=2 * MIB),
    Component(name="RestoreLogo", path=_LOGO, fourcc="rlgo", file_fourcc="logo"),
    Component(name="RestoreRamDisk", path="{ramdisk}", fourcc="rdsk", size=4 * MIB),
    Component(name="RestoreSEP", path=_SEP, fourcc="rsep", file_fourcc="sepi", size=512 * KIB, flags=(SECONDARY,)),
    Component(
        name="RestoreTrustCache",
        path="Firmware/{ramdisk}.trustcache",
        fourcc="rtsc",
        file_fourcc="trst",
        flags=(FUD, IBOOT_LOADS),
    ),
    Component(name="SEP", path=_SEP, fourcc="sepi", size=512 * KIB, flags=(SECONDARY,)),
    Component(name="SIO", path="Firmware/{chip}_sio.im4p", fourcc="siof", flags=(FUD, IBOOT_LOADS), chip=_A12),
    Component(name="StaticTrustCache", path="Firmware/{os}.trustcache", fourcc="trst", flags=(FUD,), digest_of="OS"),
    Component(
        name="SystemVolume", path="Firmware/{os}.root_hash", fourcc="isys", flags=(FUD,), digest_of="OS", since=15
    ),
    Component(
        name="WCHFirmwareUpdater",
        path="Firmware/WirelessPower/WirelessPower.{platform}.im4p",
        fourcc="wchf",
        flags=(FIRMWARE, IBOOT_LOADS),
        chip=_A14,
    ),
    _unmade("ftap"),
    _unmade("ftsp"),
    Component(name="iBEC", path="Firmware/dfu/iBEC.{board}.{style}.im4p", fourcc="ibec", size=256 * KIB),
    Component(name="iBSS", path="Firmware/dfu/iBSS.{board}.{style}.im4p", fourcc="ibss", size=256 * KIB),
    Component(
        name="iBoot",
        path="Firmware/all_flash/iBoot.{board}.{style}.im4p",
        fourcc="ibot",
        size=256 * KIB,
        flags=(FIRMWARE,),
    ),
    Component(
        name="iBootData",
        path="Firmware/all_flash/iBootData.{board}.{style}.im4p",
        fourcc="ibdt",
        flags=(FUD, IBOOT_LOADS),
        chip=_A14,
    ),
    _unmade("rfta"),
    _unmade("rfts"),
)

_OLD_CHIPS = (
    # Up to A11 the coprocessor for motion is no part of what iBoot loads, and its firmware is not trusted.
    Component(name="AOP", path="Firmware/AOP/{board}_aop.im4p", fourcc="aopf", flags=(FUD,), trusted=False),
    Component(
        name="AVE",
        path="Firmware/ave/{chip}_ave.im4p",
        fourcc="avef",
        flags=(FUD, IBOOT_LOADS),
        since=15,
        chip=_A10,
    ),
)


def components(ios: int, chip_id: int) -> tuple[Component, ...]:
    """What a build identity has for an iOS, by its first number, and a chip.

    After the manifests of iOS 13.5.1 and 15.4 (A10), 15.7 (A9), 15.4.1 (A15) and 26.2.1 (A14), and what a log of an
    iPhone 11 with iOS 13 lists (idevicerestore#326).
    """
    known = (*COMPONENTS, *(_OLD_CHIPS if chip_id < _A12 else ()))
    found = (part for part in known if part.since <= ios and part.chip <= chip_id)
    return tuple(sorted(found, key=lambda part: part.name))


FOURCCS: dict[str, str] = {component.name: component.fourcc for component in COMPONENTS if component.fourcc}
"""Component name to the image type a ticket names it by."""


@dataclass(frozen=True)
class Variant:
    """One way to install a build: a build identity for each board."""

    name: str
    behavior: str | None
    """`RestoreBehavior`; the research variants have none."""
    ramdisk: str
    style: str = "RELEASE"
    since: int = 0
    """The first iOS that has it, by its first number."""


VARIANTS = (
    # In Apple's order. "Erase Install (IPSW)" is a part of the research variant's name too, so who looks for
    # it anywhere in the name depends on this order.
    Variant("Customer Erase Install (IPSW)", "Erase", "000-00011-001.dmg"),
    Variant("Customer Upgrade Install (IPSW)", "Update", "000-00012-001.dmg"),
    Variant("Research Customer Erase Install (IPSW)", None, "000-00011-001.dmg", "RESEARCH_RELEASE", 26),
    Variant("Research Customer Upgrade Install (IPSW)", None, "000-00012-001.dmg", "RESEARCH_RELEASE", 26),
)

REQUEST_RULES: list[dict[str, dict[str, bool | str]]] = [
    # How a host turns the phone's production and security mode into the EPRO and ESEC of a request.
    {"Actions": {"EPRO": False}, "Conditions": {"ApRawProductionMode": False, "ApRequiresImage4": True}},
    {"Actions": {"EPRO": True}, "Conditions": {"ApRawProductionMode": True, "ApRequiresImage4": True}},
    {
        "Actions": {"EPRO": False},
        "Conditions": {
            "ApDemotionPolicyOverride": "Demote",
            "ApRawProductionMode": True,
            "ApRequiresImage4": True,
        },
    },
    {"Actions": {"ESEC": False}, "Conditions": {"ApRawSecurityMode": False, "ApRequiresImage4": True}},
    {"Actions": {"ESEC": True}, "Conditions": {"ApRawSecurityMode": True, "ApRequiresImage4": True}},
]
