"""The real pyudev against umockdev's kernel: arrivals, departures, mode changes, impostors."""

import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from station.model.base import SocketPath
from station.model.phone import PhoneMode, UsbArrived, UsbEvent, UsbGone, identity_of_serial, mode_of_product

SCENARIO = Path(__file__).with_name("udev_scenario.py")


@pytest.fixture(scope="module")
def events():
    wrapper = shutil.which("umockdev-wrapper")
    assert wrapper, "umockdev is missing: deploy/test installs it"
    run = subprocess.run([wrapper, sys.executable, SCENARIO], capture_output=True, text=True, timeout=20, check=False)
    assert run.returncode == 0, run.stderr
    decoder: msgspec.json.Decoder[UsbEvent] = msgspec.json.Decoder(UsbEvent)
    return [decoder.decode(line) for line in run.stdout.splitlines()]


def test_what_was_plugged_in_before_is_found(events):
    assert events[0] == UsbArrived(
        socket=SocketPath("1-1"), product_id=0x12A8, serial="00008101000A1B2C3D4E5F60", emulated=False
    )


def test_a_mode_change_is_a_departure_and_an_arrival_in_the_same_socket(events):
    gone, back = events[1:3]
    assert gone == UsbGone(socket=SocketPath("1-1"))
    assert back.socket == "1-1"
    assert mode_of_product(back.product_id) is PhoneMode.RECOVERY
    assert identity_of_serial(back.serial)[0] == identity_of_serial(events[0].serial)[0]


def test_drivers_coming_and_going_and_other_devices_are_nothing(events):
    assert [event.socket for event in events] == ["1-1", "1-1", "1-1", "1-1", "3-1", "1-4"]


def test_a_phone_without_a_wire_is_marked_and_an_endless_serial_is_dropped(events):
    assert events[4] == UsbArrived(socket=SocketPath("3-1"), product_id=0x12A8, serial="", emulated=True)


def test_a_phone_without_a_serial_is_told_as_such(events):
    assert events[5] == UsbArrived(socket=SocketPath("1-4"), product_id=0x1227, serial="", emulated=False)
