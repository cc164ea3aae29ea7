"""A screen with a finger on its ring: the kiosk as it runs, and a touch as its touchscreen would tell of it.

Run with the daemon's socket; it ends when it is killed, or when the ring is gone again.
"""

import sys
from pathlib import Path
from typing import Any

import pygame

from station.model.api import HoldBegan
from station.screen.app import Kiosk
from station.screen.client import Link
from station.screen.touch import SETTLE
from station.screen.wake import Alarm
from station.screen.window import open_window

SIZE = (800, 480)
LONGEST_SLEEP = 0.05


def main(socket: Path) -> None:
    alarm = Alarm()
    link = Link(socket, alarm.ring)
    kiosk = Kiosk(link)
    with alarm:
        link.start()
        open_window(size=SIZE, fullscreen=None)
        held = False
        while True:
            kiosk.step()
            rings = {
                box: at for (box, target), at in kiosk._finger._shown.items() if isinstance(target.command, HoldBegan)
            }
            if held and not rings:
                break
            if not held and rings and kiosk._clock() - next(iter(rings.values())) > SETTLE:
                held = True
                x, y = pygame.Rect(next(iter(rings))).center
                place: dict[str, Any] = {"x": x / SIZE[0], "y": y / SIZE[1]}
                pygame.event.post(pygame.event.Event(pygame.FINGERDOWN, finger_id=1, touch_id=1, **place))
            alarm.sleep(LONGEST_SLEEP)
        link.stop()


main(Path(sys.argv[1]))
