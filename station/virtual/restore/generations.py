"""What restored does in a restore, in order, as data: from iOS 13 to 27, and what differs between them.

The order, the numbers and the names are those of public logs (idevicerestore #268 #326 #352 #354 #370 #470 #490 #528
#593 #633 #638 #647 #651 #675 #736 #747 #764 #779 #786 #787 #789, surrealra1n #68 #84, qemu-t8030 #31 #60 #86,
pymobiledevice3 #1701). No public log of a whole restore is known, so where the excerpts leave a gap the neighbours
were put together, and a generation of which nothing is known does as the one before it. What no log names, has no
name here. From which iOS on something is asked for follows from when idevicerestore learnt to answer it.

Nor does any log place WIPE_STORAGE_DEVICE (42); here it stands where the owner's data ends, in format_media.
PersonalizedBootObjectV3 is placed by no log either. Requests for chips that a phone does not have are left out when
it plays this (`requests`); those for retimers and displays of iPads are not here at all.
"""

from station.virtual.restore.items import Action, Checkpoint, Item, Operation, Pause, Request, When

SEALED = 15
"""The iOS from which on the system volume is sealed: a root hash is signed for, and the image held against it."""
CRYPTEXES = 16
"""The iOS from which on a part of the system comes as Cryptexes, and updaters are asked before they ask."""
ASYNCHRONOUS = 18
"""The iOS from which on the image is encrypted and arrives beside everything else, and data ports are used."""
NEGOTIATED = 27
"""The iOS from which on the phone says which transport it chose."""

JUNK = {
    0x619: 0x1,
    0x621: 0x1,
    0x627: 0x1,
    0x628: 0x1,
    0x634: 0x1,
    0x63C: 0x1,
    0x63F: 0x1,
    0x640: 0x9,
    0x64D: 0x1,
    0x64E: 0x1,
    0x652: 0xFFFF_FFFF,
    0x65E: 0x982A_F103,
    0x661: 0x1,
    0x668: 0x5,
    0x677: 0x1,
    0x67A: 0x1,
    0x68A: 0x1,
    0x69A: 0x1,
    0x1309: 0x0A8F_BF32,
    0x130D: 0x5,
    0x1311: 0x5,
}
"""What the upper 32 bits of a checkpoint's id hold on the wire, in all logs of iOS 12 to 17 and in none since."""


def _since(ios: int, *items: Item) -> When:
    return When(items, since=ios)


def _before(ios: int, *items: Item) -> When:
    return When(items, before=ios)


def _only(behavior: str, *items: Item) -> When:
    return When(items, behavior=behavior)


def _checkpoint(number: int, name: str | None, *items: Item) -> Checkpoint:
    return Checkpoint(number, name, items)


def _updater(name: str) -> tuple[Item, ...]:
    names = {"MessageArgUpdaterName": name}
    return (
        _since(CRYPTEXES, Request("FirmwareUpdaterPreflight", names, port=True)),
        Request("FirmwareUpdaterData", names, port=True),
    )


_IDENTITY = Request("BuildIdentityDict", {"Variant": "Erase"}, port=True)
_UNMOUNT = (Operation(29), Operation(29))

PREPARING: tuple[Item, ...] = (
    _checkpoint(0x600, "client_protocol_version"),
    _checkpoint(0x601, "copy_restore_options"),
    _checkpoint(0x655, "is_host_compatible", Action.CHECK_HOST, _since(NEGOTIATED, Action.CHOOSE_PROTOCOL)),
    _checkpoint(0x604, "set_weight_from_options"),
    _since(SEALED, _checkpoint(0x68F, "libauthinstall_callback")),
    _checkpoint(0x608, "device_has_hoover"),
    _checkpoint(0x60B, "update_ticket", Request("RootTicket")),
    _checkpoint(0x60D, "wait_for_storage", Operation(28, 0.5)),
    _checkpoint(0x60E, "update_NAND_firmware", Operation(58, 0.3)),
    _checkpoint(0x60F, "clear_remap_variable"),
    _checkpoint(0x65C, "print_nvram_variables"),
    _checkpoint(0x610, "asp_nand_set_writable"),
    _checkpoint(0x613, "find_filesystem_partitions"),
    _checkpoint(0x67E, "verify_storage_for_update", _only("Update", Action.FIND_SYSTEM)),
    _checkpoint(0x609, "load_sep_os", Request("NORData")),
    _since(SEALED, _checkpoint(0x693, "preload_keys_for_fsck")),
    _checkpoint(0x665, "fsck_filesystems", *_UNMOUNT, _only("Update", Operation(15, 0.3))),
    _checkpoint(0x614, "mount_system_partition"),
    _since(SEALED, _checkpoint(0x696, "fix_cache_delete")),
    _since(ASYNCHRONOUS, _checkpoint(0x65D, "delete_mobilebackups")),
    When((_checkpoint(0x6A1, None), _checkpoint(0x69F, None)), since=SEALED, before=CRYPTEXES),
    _checkpoint(0x654, "read_previous_os_build_version"),
    _since(SEALED, _checkpoint(0x697, "downgrade_check")),
    _checkpoint(0x615, "copy_hardware_info"),
    _checkpoint(0x616, "fdr_create", Request("FDRTrustData"), Action.OPEN_FDR),
    _checkpoint(0x617, "fdr_save_data"),
    _checkpoint(0x618, "store_baseband_migration"),
    _checkpoint(0x619, "check_for_restore_log", Operation(44)),
    _checkpoint(0x61A, "check_for_ota_logs"),
    _checkpoint(0x61B, "submit_update_stats"),
    _checkpoint(0x661, "read_persistent_files"),
)
"""Before anything on the storage changes."""

FORMATTING: tuple[Item, ...] = (
    _checkpoint(0x660, "update_partitions_for_apfs"),
    _checkpoint(0x622, "reload_filesystem_partitions"),
    _before(ASYNCHRONOUS, _checkpoint(0x65D, "delete_mobilebackups")),
    _since(SEALED, _checkpoint(0x160D, "delete_recovery_partition", _since(ASYNCHRONOUS, Operation(68)))),
    _checkpoint(
        0x658,
        "format_media",
        _only("Erase", Operation(42, 0.8, rising=True), Action.ERASE),
        Operation(12, 0.5, rising=True),
    ),
    _checkpoint(0x659, "find_volumes_after_format"),
)
"""An update formats too, but not the volume that holds the owner's data."""

_IMAGE_BY_ITSELF: tuple[Item, ...] = (
    _checkpoint(0x65A, "baseband_migration_data"),
    _checkpoint(
        0x65B,
        "asr_and_invert_image",
        Action.START_IMAGE,
        Action.FINISH_IMAGE,
        Operation(14, 1.0, rising=True),
    ),
    _checkpoint(0x675, "init_gigalocker"),
    _checkpoint(0x674, "create_protected_filesystems", Operation(67)),
    _checkpoint(0x626, "mount_filesystem", *_UNMOUNT, Operation(15, 0.2), Operation(16)),
    _before(SEALED, _checkpoint(0x65F, "reserve_overprov_space")),
    _checkpoint(0x662, "write_persistent_files"),
)
_IMAGE_BESIDE: tuple[Item, ...] = (
    _checkpoint(0x6B3, "prepare_for_system_image"),
    _checkpoint(0x65B, "restore_system_image", Action.START_IMAGE),
    _checkpoint(0x65A, "baseband_migration_data"),
    _checkpoint(0x675, "init_gigalocker"),
)
PREPARING_SYSTEM: tuple[Item, ...] = (
    _checkpoint(0x61D, "unmount_unconditionally", *_UNMOUNT),
    _checkpoint(0x64E, "clean_nand"),
    _checkpoint(0x61F, "format_effaceable_storage"),
    _since(SEALED, _checkpoint(0x68A, "format_ean_storage")),
    When(
        (_checkpoint(0x621, "create_filesystem_partitions", Operation(11, 0.2)),), before=ASYNCHRONOUS, behavior="Erase"
    ),
    _checkpoint(
        0x677,
        "perform_main_os_prepare",
        *FORMATTING,
        _before(ASYNCHRONOUS, *_IMAGE_BY_ITSELF),
        _since(ASYNCHRONOUS, *_IMAGE_BESIDE),
    ),
    _checkpoint(0x67A, None),
)
"""Where an Erase restore ends the owner's data, and the system image comes or begins to come."""

_BASEBAND = (Operation(19, 0.5), Request("BasebandData"))
_FIRMWARE_IN_TURN: tuple[Item, ...] = (
    _checkpoint(0x1300, "update_iBoot"),
    _checkpoint(0x130A, "install_fud", Operation(36), Action.REQUEST_FUD),
    _since(CRYPTEXES, Request("ReceiptManifest"), _IDENTITY),
    Checkpoint(0x1303, "update_baseband", _BASEBAND),
    _checkpoint(0x1309, "update_se", Operation(59, 0.3), *_updater("SE")),
    _checkpoint(0x130D, "update_savage", Operation(60), *_updater("Savage")),
    _checkpoint(0x1310, None, Operation(65, 0.3), *_updater("Rose")),
    _checkpoint(0x1311, "update_veridian", Operation(66), *_updater("T200")),
    _since(
        CRYPTEXES,
        _checkpoint(0x1316, "update_appletcon", Operation(79)),
        _checkpoint(0x1318, "update_usbcretimer", Operation(82)),
        _checkpoint(0x1320, "update_manta_mcu", Operation(85)),
    ),
)
_FIRMWARE_BESIDE: tuple[Item, ...] = (
    _checkpoint(0x1300, "update_iBoot"),
    _since(NEGOTIATED, Request("DeviceRestoreInfoPreflight", port=True, optional=True)),
    _checkpoint(0x1303, "update_baseband_legacy"),
    _checkpoint(0x131B, "update_baseband"),
    _checkpoint(0x1311, "update_veridian", Operation(66)),
    _checkpoint(0x130A, "install_fud", Operation(36), Action.REQUEST_FUD),
    _checkpoint(0x1318, "update_usbcretimer"),
    _checkpoint(0x1331, "await_update_manta_mcu", Action.ASYNC_WAIT),
    _checkpoint(0x1330, "await_update_stockholm", Action.ASYNC_WAIT),
    _checkpoint(0x1309, "update_se", Operation(59, 0.3)),
    _checkpoint(0x1310, None, Request("ReceiptManifest"), _IDENTITY, Operation(65, 0.3), *_updater("Rose")),
    _checkpoint(0x130D, "update_savage", _IDENTITY, Operation(60), *_updater("Savage")),
    _checkpoint(0x1326, "await_update_tcon", Action.ASYNC_WAIT),
    _checkpoint(0x1332, "await_update_appletcon", Action.ASYNC_WAIT),
    _checkpoint(0x1327, "await_update_orion", Action.ASYNC_WAIT),
    _checkpoint(0x1328, "await_update_peppy", Action.ASYNC_WAIT),
    _checkpoint(0x1329, "await_update_nitrogen", Action.ASYNC_WAIT),
    _checkpoint(0x1325, "await_update_usbc", Action.ASYNC_WAIT, Operation(55)),
    # A restore was seen to succeed though this ended with -1; the phone then has no network (idevicerestore#764).
    Checkpoint(0x132A, "await_update_baseband_legacy", (Action.ASYNC_WAIT, *_BASEBAND), survivable=True),
    _checkpoint(0x132F, "await_update_se", Action.ASYNC_WAIT, *_updater("SE")),
    _checkpoint(0x132D, "await_update_vinyl", Action.ASYNC_WAIT, *_updater("Vinyl")),
    _checkpoint(0x132C, "await_update_update_veridian", Action.ASYNC_WAIT, *_updater("T200")),
    _checkpoint(0x1324, "update_appletconnuarp"),
)
FIRMWARE: tuple[Item, ...] = (
    _checkpoint(0x652, "clear_fips_data_file"),
    _checkpoint(0x634, "fdr_recover", Action.RECOVER_FDR),
    _since(ASYNCHRONOUS, _checkpoint(0x67D, "fdr_auto_challenge_claim")),
    _checkpoint(
        0x635,
        "update_device_firmware",
        _before(ASYNCHRONOUS, *_FIRMWARE_IN_TURN),
        _since(ASYNCHRONOUS, *_FIRMWARE_BESIDE),
    ),
)
"""Firmware of other chips; from iOS 18 on while the system image arrives."""

SPLAT: tuple[Item, ...] = (
    _IDENTITY,
    *_updater("Cryptex1"),
    *(
        Request("SourceBootObjectV4", {"ImageName": f"Cryptex1,{image}"}, port=True)
        for image in ("SystemOS", "SystemVolume", "SystemTrustCache", "AppOS", "AppVolume", "AppTrustCache")
    ),
    Action.INSTALL_SPLAT,
)

SYSTEM: tuple[Item, ...] = (
    _since(CRYPTEXES, _checkpoint(0x680, "read_new_os_build_version"), _checkpoint(0x6A6, "install_splat", *SPLAT)),
    _checkpoint(
        0x628,
        "install_kernel_cache",
        _checkpoint(0xE00, "install_kernel_cache", Request("KernelCache"), Operation(27, 0.2)),
        _checkpoint(0xE01, "install_device_tree", Request("DeviceTree"), Operation(61)),
        _checkpoint(
            0xE04,
            "install_iboot_stage2",
            Operation(18, 0.5, rising=True),
            When((Request("NORData"),), since=SEALED, before=ASYNCHRONOUS),
            _since(ASYNCHRONOUS, Request("PersonalizedBootObjectV3", {"ImageName": "SEP"}, port=True)),
        ),
        _since(SEALED, _checkpoint(0xE05, "install_root_hash", Request("SystemImageRootHash"))),
        _checkpoint(0xE03, "write_ticket"),
    ),
    _checkpoint(
        0x64D,
        "check_mounted",
        _checkpoint(
            0xF00,
            "fixup_var",
            Operation(17, 0.3),
            _only("Erase", Operation(50, 0.3)),
            _only("Update", Operation(41, 0.5)),
        ),
        _checkpoint(0xF01, "restore_ota_logs"),
        _checkpoint(0xF04, "create_partition_mountpoints"),
    ),
)
_POST_SEALING: tuple[Item, ...] = (
    _checkpoint(0x1503, "update_rose_postseal"),
    _checkpoint(0x1319, "stage_fdr_ean"),
    _checkpoint(0x131A, "ensure_fdr_ean"),
)
_FDR_RESTORED = _checkpoint(0x627, "fdr_restore_saved_data")
_NVRAM: tuple[Item, ...] = (
    _checkpoint(0x63B, "set_nvram_variables"),
    _checkpoint(0x639, "persistent_boot_args", Operation(25)),
    _checkpoint(0x65E, None),
)
_VERIFY_FDR = _checkpoint(0x63C, "verify_fdr_data")

INSTALLING: tuple[Item, ...] = (
    _FDR_RESTORED,
    _since(SEALED, _checkpoint(0x69A, None), _checkpoint(0x69B, None)),
    _before(14, *SYSTEM),
    *FIRMWARE,
    _since(
        ASYNCHRONOUS,
        _checkpoint(
            0x6B4,
            "await_system_image_invert_retry",
            Action.ASYNC_WAIT,
            Action.FINISH_IMAGE,
            Operation(14, 1.0, rising=True),
            *_UNMOUNT,
            Operation(16),
        ),
        _checkpoint(0x674, "create_protected_filesystems", Operation(67)),
        _checkpoint(0xF10, "create_production_dcrt"),
        _checkpoint(0x65F, "reserve_overprov_space"),
    ),
    When((_VERIFY_FDR, _checkpoint(0x668, "update_firmware_post_sealing", *_POST_SEALING)), since=SEALED, before=18),
    _since(14, *SYSTEM),
    _since(ASYNCHRONOUS, _VERIFY_FDR, _checkpoint(0x668, "update_firmware_post_sealing", *_POST_SEALING)),
    *_NVRAM,
    _before(
        SEALED, _checkpoint(0x668, "update_firmware_post_sealing", _checkpoint(0x1501, None), _checkpoint(0x1500, None))
    ),
    _since(SEALED, _checkpoint(0x688, None)),
)
"""All that perform_restore_installing (0x67b) is the frame of."""

FINISHING: tuple[Item, ...] = (
    _before(SEALED, _checkpoint(0x63D, None)),
    _since(SEALED, _checkpoint(0x1600, "recovery_os_restore")),
    _checkpoint(0x63F, "set_boot_command", Operation(20)),
    _since(26, _checkpoint(0x6BB, "migrate_user_fsevents")),
    _checkpoint(0x640, "set_autoboot_delay"),
    _since(
        SEALED,
        _checkpoint(
            0x68B,
            "seal_system_volume",
            Request("SystemImageCanonicalMetadata"),
            Pause(2.0),
            Request("SystemImageRootHash"),
            Operation(29),
            Operation(77, 0.5),
            Action.SEAL,
        ),
    ),
    _checkpoint(0x669, "create_system_snapshot"),
    _checkpoint(0x642, "unmount_filesystems", *_UNMOUNT),
    _since(SEALED, _checkpoint(0x67C, "cleanup_boot_command"), _checkpoint(0x1613, "cleanup_recovery_os_volume")),
    _checkpoint(0x647, "cleanup_check_result", Action.CHECK_RESULT),
)

SCRIPT: tuple[Item, ...] = (
    *PREPARING,
    *PREPARING_SYSTEM,
    _checkpoint(0x67B, "perform_restore_installing", *INSTALLING),
    *FINISHING,
)
"""From StartRestore to just before the final status."""

FAILED: tuple[Item, ...] = (
    _checkpoint(0x67C, "cleanup_boot_command"),
    _since(SEALED, _checkpoint(0x1613, "cleanup_recovery_os_volume")),
    _checkpoint(0x647, "cleanup_check_result"),
)
"""What follows a failure, before the status that tells of it (#490)."""

FINAL_STATUS = _checkpoint(0x648, "cleanup_send_final_status")
