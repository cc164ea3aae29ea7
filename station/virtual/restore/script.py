"""What restored does in a restore, in order, as data: checkpoints, what it asks the host for, what it reports.

The order and the numbers are those of public logs of iOS 15 to 26 (idevicerestore #470 #490 #634 #638 #647 #736
#764 #779 #787 #789, surrealra1n #68 #84, pymobiledevice3 #1701). No public log of a whole modern restore is
known, so where the excerpts leave a gap the neighbours were put together. What no log names, has no name here.
Nor does any log place WIPE_STORAGE_DEVICE (42); here it stands where the data ends, in format_media.
Requests for chips that a phone does not have are left out when it plays this (`requests`); those for retimers and
displays of iPads are not here at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from station.virtual.firmware.components import COMPONENTS, FUD


@dataclass(frozen=True)
class Operation:
    """A ProgressMsg: by number what it is doing. Without a measure the percentage is -1."""

    number: int
    seconds: float = 0.0
    """How long a phone of default pace takes."""
    rising: bool = False
    """Whether it is reported in percent, rising to 100."""


@dataclass(frozen=True)
class Request:
    """A DataRequestMsg. With `port`, the answer goes to a data port that the message names."""

    data_type: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    port: bool = False

    @property
    def step(self) -> str:
        """Its step: with the image or the updater where one type is asked for several times."""
        detail = self.arguments.get("ImageName") or self.arguments.get("MessageArgUpdaterName")
        return ":".join(filter(None, ("restored", self.data_type, detail)))

    @property
    def accepted(self) -> str:
        """The step at which a chip takes what its updater was sent; refused there, the updater begins anew."""
        return f"{self.step}:accept"


class Action(Enum):
    """What needs more than a message."""

    CHECK_HOST = "check that the host can do what this restore needs"
    FIND_SYSTEM = "find the system that an update needs"
    OPEN_FDR = "wait for the host's FDR control connection, try it out"
    RECOVER_FDR = "fetch factory data from Apple through the host"
    ERASE = "end everything the owner has on it"
    START_IMAGE = "begin to receive the system image, beside everything else"
    FINISH_IMAGE = "wait until the system image is there"
    REQUEST_FUD = "ask which firmware updates there are, then for each"
    ASYNC_WAIT = "say that this waits for something that runs beside"
    INSTALL_SPLAT = "check the Cryptexes"
    SEAL = "check the system image against its root hash"
    CHECK_RESULT = "check that nothing is missing"


class Only(Enum):
    """What a checkpoint is for."""

    BOTH = "Erase, Update"
    ERASE = "Erase"
    UPDATE = "Update"


Item: TypeAlias = "Checkpoint | Operation | Request | Action"


@dataclass(frozen=True)
class Checkpoint:
    """A CheckpointMsg when it begins and one when it ends, with what happens between."""

    wire_id: int
    """As sent: the upper 32 bits carry junk or counters, as they do on real phones."""
    name: str | None
    items: tuple[Item, ...] = ()
    only: Only = Only.BOTH
    survivable: bool = False
    """Whether the restore goes on when it fails: it then ends with its result, and with no status."""

    @property
    def step(self) -> str:
        """Its step, by the id that means something."""
        return f"restored:checkpoint:0x{self.wire_id & 0xFFFF:x}"


def _checkpoint(wire_id: int, name: str | None, *items: Item, only: Only = Only.BOTH) -> Checkpoint:
    return Checkpoint(wire_id, name, items, only)


def _source(image: str) -> Request:
    return Request("SourceBootObjectV4", {"ImageName": image}, port=True)


def _updater(name: str) -> tuple[Request, Request]:
    names = {"MessageArgUpdaterName": name}
    return (
        Request("FirmwareUpdaterPreflight", names, port=True),
        Request("FirmwareUpdaterData", names, port=True),
    )


_IDENTITY = Request("BuildIdentityDict", {"Variant": "Erase"}, port=True)

PREPARING = (
    _checkpoint(0x600, "client_protocol_version"),
    _checkpoint(0x601, "copy_restore_options"),
    _checkpoint(0x655, "is_host_compatible", Action.CHECK_HOST),
    _checkpoint(0x604, "set_weight_from_options"),
    _checkpoint(0x68F, "libauthinstall_callback"),
    _checkpoint(0x608, "device_has_hoover"),
    _checkpoint(0x60B, "update_ticket", Request("RootTicket")),
    _checkpoint(0x60D, "wait_for_storage", Operation(28, 0.5)),
    _checkpoint(0x60E, "update_NAND_firmware", Operation(58, 0.3)),
    _checkpoint(0x60F, "clear_remap_variable"),
    _checkpoint(0x65C, "print_nvram_variables"),
    _checkpoint(0x610, "asp_nand_set_writable"),
    _checkpoint(0x613, "find_filesystem_partitions"),
    _checkpoint(0x67E, "verify_storage_for_update", Action.FIND_SYSTEM, only=Only.UPDATE),
    _checkpoint(0x609, "load_sep_os", Request("NORData")),
    _checkpoint(0x693, "preload_keys_for_fsck"),
    _checkpoint(0x665, "fsck_filesystems", Operation(15, 0.3), Operation(29)),
    _checkpoint(0x614, "mount_system_partition"),
    _checkpoint(0x696, "fix_cache_delete"),
    _checkpoint(0x654, "read_previous_os_build_version"),
    _checkpoint(0x697, "downgrade_check"),
    _checkpoint(0x615, "copy_hardware_info", Operation(30), Request("HostSystemTime")),
    _checkpoint(0x616, "fdr_create", Request("FDRTrustData"), Action.OPEN_FDR),
    _checkpoint(0x617, "fdr_save_data"),
    _checkpoint(0x619, "check_for_restore_log", Operation(44)),
    _checkpoint(0x61A, "check_for_ota_logs"),
    _checkpoint(0x61B, "submit_update_stats"),
    _checkpoint(0x661, "read_persistent_files"),
)
"""Before anything on the storage changes."""

STORAGE = (
    _checkpoint(0x61D, "unmount_unconditionally", Operation(29)),
    _checkpoint(0x64E, "clean_nand"),
    _checkpoint(0x61F, "format_effaceable_storage", only=Only.ERASE),
    _checkpoint(0x68A, "format_ean_storage"),
    _checkpoint(0x677, None),
    _checkpoint(0x660, None),
    _checkpoint(0x160D, None, Operation(68)),
    _checkpoint(0x621, "create_filesystem_partitions", Operation(11, 0.2), only=Only.ERASE),
    _checkpoint(
        0x658,
        "format_media",
        Operation(42, 0.8, rising=True),
        Action.ERASE,
        Operation(12, 0.5, rising=True),
        only=Only.ERASE,
    ),
)
"""Where an Erase restore ends the owner's data."""

BESIDE_IMAGE = (
    _checkpoint(0x635, "update_device_firmware", Operation(36), Action.REQUEST_FUD, Request("ReceiptManifest")),
    _checkpoint(0x1318, "update_usbcretimer"),
    _checkpoint(0x1311, "update_veridian", Operation(66)),
    _checkpoint(0x130D, "update_savage", _IDENTITY, Operation(60), *_updater("Savage")),
    # A log shows Rose's operation before update_savage ends, and no checkpoint of its own.
    _checkpoint(0x1309, "update_se", Operation(59, 0.3), *_updater("SE")),
    _checkpoint(0x1326, "await_update_tcon", Action.ASYNC_WAIT),
    _checkpoint(0x1327, "await_update_orion", Operation(65, 0.3), *_updater("Rose")),
    # A restore was seen to succeed though this ended with -1; the phone then has no network (idevicerestore#764).
    Checkpoint(0x132A, "await_update_baseband_legacy", (Operation(19, 0.5), Request("BasebandData")), survivable=True),
    _checkpoint(0x132F, "await_update_se", Action.ASYNC_WAIT),
    _checkpoint(0x132D, "await_update_vinyl", *_updater("Vinyl")),
    _checkpoint(0x132C, "await_update_update_veridian", *_updater("T200")),
)
"""Firmware of other chips, while the system image arrives."""

SPLAT: tuple[Item, ...] = (
    *_updater("Cryptex1"),
    *(
        _source(f"Cryptex1,{image}")
        for image in ("SystemOS", "SystemVolume", "SystemTrustCache", "AppOS", "AppVolume", "AppTrustCache")
    ),
    Action.INSTALL_SPLAT,
)

INSTALLING = (
    *STORAGE,
    _checkpoint(0x65B, "asr_and_invert_image", Action.START_IMAGE),
    _checkpoint(0x675, None),
    *BESIDE_IMAGE,
    _checkpoint(
        0x6B4,
        "await_system_image_invert_retry",
        Action.ASYNC_WAIT,
        Action.FINISH_IMAGE,
        Operation(14, 1.0, rising=True),
        Operation(29),
        Operation(16),
    ),
    _checkpoint(0x674, "create_protected_filesystems", Operation(67)),
    _checkpoint(0xF10, "create_production_dcrt"),
    _checkpoint(0x65F, "reserve_overprov_space"),
    _checkpoint(0x680, "read_new_os_build_version"),
    _checkpoint(0x6A6, "install_splat", _IDENTITY, *SPLAT),
    _checkpoint(
        0x1_0000_0628,
        "install_kernel_cache",
        _checkpoint(0xE00, None, Operation(27, 0.2), Request("KernelCache")),
        _checkpoint(0xE01, None, Operation(61), Request("DeviceTree")),
        _checkpoint(
            0xE04,
            "install_iboot_stage2",
            Operation(18, 0.5),
            Request("PersonalizedBootObjectV3", {"ImageName": "SEP"}, port=True),
        ),
        _checkpoint(0xE05, "install_root_hash", Request("SystemImageRootHash")),
        _checkpoint(0xE03, "write_ticket"),
    ),
    _checkpoint(0x1_0000_064D, "check_mounted"),
    _checkpoint(0xF00, "fixup_var", Operation(17, 0.3), Operation(50, 0.3), only=Only.ERASE),
    _checkpoint(0xF00, "fixup_var", Operation(17, 0.3), Operation(41, 0.5), only=Only.UPDATE),
    _checkpoint(0xF01, "restore_ota_logs"),
    _checkpoint(0xF04, "create_partition_mountpoints"),
    _checkpoint(0xFFFF_FFFF_0000_0652, None),
    _checkpoint(0x1_0000_0634, "fdr_recover", Action.RECOVER_FDR),
    _checkpoint(0x63C, "verify_fdr_data"),
    _checkpoint(0x63B, "set_nvram_variables"),
    _checkpoint(0x639, "persistent_boot_args", Operation(25)),
    _checkpoint(
        0x68B,
        "seal_system_volume",
        Operation(77, 0.5),
        Request("SystemImageCanonicalMetadata"),
        Operation(77, 1.5),
        Request("SystemImageRootHash"),
        Action.SEAL,
    ),
    _checkpoint(0x668, "update_firmware_post_sealing"),
    _checkpoint(0x6BB, "migrate_user_fsevents"),
)
"""All that perform_restore_installing (0x67b) is the frame of."""

FINISHING = (
    _checkpoint(0x1600, "recovery_os_restore"),
    _checkpoint(0x1_0000_063F, "set_boot_command", Operation(20)),
    _checkpoint(0x9_0000_0640, "set_autoboot_delay"),
    _checkpoint(0x669, "create_system_snapshot"),
    _checkpoint(0x642, None, Operation(29), Operation(29)),
    _checkpoint(0x647, "cleanup_check_result", Action.CHECK_RESULT),
)

SCRIPT = (*PREPARING, _checkpoint(0x67B, "perform_restore_installing", *INSTALLING), *FINISHING)
"""From StartRestore to just before the final status."""

FAILED = (
    _checkpoint(0x67C, "cleanup_boot_command"),
    _checkpoint(0x1613, "cleanup_recovery_os_volume"),
    _checkpoint(0x647, "cleanup_check_result"),
)
"""What follows a failure, before the status that tells of it (#490)."""

FINAL_STATUS = _checkpoint(0x648, "cleanup_send_final_status")

_STEPS_OF_ACTION = {
    Action.OPEN_FDR: ("fdr:sync", "fdr:hello", "fdr:ping"),
    Action.RECOVER_FDR: ("fdr:sync", "fdr:hello", "fdr:proxy"),
    Action.START_IMAGE: ("restored:SystemImageData", "asr:initiate", "asr:oob", "asr:payload", "restored:URLAsset"),
    Action.REQUEST_FUD: (
        "restored:FUDData",
        *(f"restored:FUDData:{component.name}" for component in COMPONENTS if FUD in component.flags),
    ),
}


def applies(checkpoint: Checkpoint, behavior: str) -> bool:
    """Whether a checkpoint belongs to a restore that behaves so ("Erase", "Update")."""
    return behavior in checkpoint.only.value


def steps(behavior: str = "Erase") -> tuple[str, ...]:
    """Every step of a restore without failures, each once, in the order of the script: what faults are aimed at.

    What runs beside something else stands where it begins. An encrypted Cryptex adds "restored:URLAsset".
    """
    before = ("restored:QueryType", "restored:QueryValue:HardwareInfo", "restored:QueryValue:SavedDebugInfo")
    start = (*before, "fdr:ctrl", "restored:StartRestore")
    return tuple(dict.fromkeys((*start, *_steps(SCRIPT, behavior), "restored:status", "restored:restart")))


def request_steps(behavior: str = "Erase") -> tuple[str, ...]:
    """The steps at which the host is asked for something: `steps` without checkpoints."""
    return tuple(step for step in steps(behavior) if not step.startswith("restored:checkpoint:"))


def _steps(items: tuple[Item, ...], behavior: str) -> Iterator[str]:
    for item in items:
        match item:
            case Checkpoint() if applies(item, behavior):
                yield item.step
                yield from _steps(item.items, behavior)
            case Request():
                yield item.step
                if item.data_type == "FirmwareUpdaterData":
                    yield item.accepted
            case Action():
                yield from _STEPS_OF_ACTION.get(item, ())
            case _:
                pass
