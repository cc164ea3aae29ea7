"""A multitouch screen that is none, in the guest: `python3 touchscreen.py WIDTH HEIGHT FIFO`. As root.

The kernel (uinput) makes an input device of it, as that of Raspberry Pi's own display; udev and SDL see no difference.
FIFO appears once the device is there; what is written to it is what a finger does, a line each: `down X Y` or `up`.
Only the standard library. Source: Linux, include/uapi/linux/{uinput,input-event-codes}.h.
"""

import fcntl
import os
import struct
import sys

EV_SYN, EV_KEY, EV_ABS = 0, 1, 3
BTN_TOUCH = 0x14A
ABS_X, ABS_Y, SLOT, POSITION_X, POSITION_Y, TRACKING_ID = 0x00, 0x01, 0x2F, 0x35, 0x36, 0x39
DIRECT = 0x01
"""INPUT_PROP_DIRECT: one touches what one sees."""
UI_SET_EVBIT, UI_SET_KEYBIT, UI_SET_ABSBIT, UI_SET_PROPBIT = 0x40045564, 0x40045565, 0x40045567, 0x4004556E
UI_DEV_CREATE = 0x5501
USB = 3
AXES = 64
LIFTED = -1

Event = tuple[int, int, int]


class Touchscreen:
    """The device, as long as it is open."""

    def __init__(self, width: int, height: int) -> None:
        self._device = os.open("/dev/uinput", os.O_WRONLY)
        self._fingers = 0
        highest = [0] * AXES
        axes = {ABS_X: width, ABS_Y: height, SLOT: 10, POSITION_X: width, POSITION_Y: height, TRACKING_ID: 1 << 16}
        for kind in (EV_KEY, EV_ABS):
            fcntl.ioctl(self._device, UI_SET_EVBIT, kind)
        fcntl.ioctl(self._device, UI_SET_KEYBIT, BTN_TOUCH)
        fcntl.ioctl(self._device, UI_SET_PROPBIT, DIRECT)
        for axis, values in axes.items():
            fcntl.ioctl(self._device, UI_SET_ABSBIT, axis)
            highest[axis] = values - 1
        none = [0] * AXES
        description = struct.pack("80sHHHHI", b"Touchscreen of the tests", USB, 1, 1, 1, 0)
        os.write(self._device, description + struct.pack(f"{4 * AXES}i", *highest, *none, *none, *none))
        fcntl.ioctl(self._device, UI_DEV_CREATE)

    def down(self, x: int, y: int) -> None:
        """A finger comes, at these pixels."""
        self._fingers += 1
        finger = ((EV_ABS, TRACKING_ID, self._fingers), (EV_ABS, POSITION_X, x), (EV_ABS, POSITION_Y, y))
        self._write((EV_ABS, SLOT, 0), *finger, (EV_KEY, BTN_TOUCH, 1), (EV_ABS, ABS_X, x), (EV_ABS, ABS_Y, y))

    def up(self) -> None:
        """It leaves."""
        self._write((EV_ABS, SLOT, 0), (EV_ABS, TRACKING_ID, LIFTED), (EV_KEY, BTN_TOUCH, 0))

    def _write(self, *events: Event) -> None:
        os.write(self._device, b"".join(struct.pack("qqHHi", 0, 0, *event) for event in (*events, (EV_SYN, 0, 0))))


def main(width: int, height: int, fifo: str) -> None:
    """Do as is written to the FIFO, until killed."""
    touchscreen = Touchscreen(width, height)
    os.mkfifo(fifo)
    while True:
        with open(fifo) as lines:  # noqa: PTH123 (to its end: whoever writes opens it anew)
            for line in lines:
                match line.split():
                    case ["down", x, y]:
                        touchscreen.down(int(x), int(y))
                    case ["up"]:
                        touchscreen.up()
                    case _:
                        raise ValueError(line)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
