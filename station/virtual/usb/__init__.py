"""The phone as a USB device, and the ways to reach it: the usbmuxd socket, USB/IP, a pyusb backend."""
