"""Virtual phones and Apple's servers, below the library: they speak the wire protocols and nothing else.

A phone (`phones`) sits in a socket of a bus (`bus`), at the end of a cable (`cable`). Clients reach it the way they
reach a real one (`usb`): through a usbmuxd socket, or as a USB device. What it runs depends on its mode: `boot`,
`system` with its `services`, or `restore`. README.md has the picture.
"""
