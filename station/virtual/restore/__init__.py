"""The restore ramdisk: restored, the system image, the ledger of what was installed."""
