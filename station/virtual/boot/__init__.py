"""What runs before a system: the boot ROM's DFU mode and iBoot's recovery mode."""
