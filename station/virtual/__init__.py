"""Virtual phones and Apple's servers, below the library: they speak the wire protocols and nothing else.

A phone (`phone`) sits in a socket of a bus (`bus`). Clients reach it the way they reach a real one: through
a usbmuxd socket (`usbmuxd`) in normal and restore mode, through USB requests (`usb`, `usbip`) in recovery.
What the phone runs depends on its mode: `lockdownd`, `iboot` or `restored`.
"""
