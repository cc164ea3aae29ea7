"""What the doctor says about pins, tried on gpiozero's mock of a Raspberry Pi."""

from pathlib import Path

import pytest
from gpiozero import Device

from station.cli import hands_checkup
from station.daemon.settings import load


@pytest.fixture
def raspberry(monkeypatch):
    """This machine has a Raspberry Pi's header, and no other chip."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setattr(Device, "pin_factory", None)
    yield
    if Device.pin_factory is not None:
        Device.pin_factory.close()


def settings(tmp_path: Path, text: str):
    file = tmp_path / "station.toml"
    file.write_text(text)
    return load(file)


@pytest.mark.usefixtures("raspberry")
def test_pins_that_are_free(tmp_path):
    found = hands_checkup.take_pins(settings(tmp_path, "[gpio.bays.1]\nstart = 7\ndone = 8\n").gpio, daemon_runs=False)
    assert found.fine, found
    assert found.found == "all 9 can be used"


@pytest.mark.usefixtures("raspberry")
def test_a_pin_that_cannot_be_taken_is_named_with_the_reason(tmp_path):
    text = '[gpio]\nstart = 44\n[gpio.bays.1]\nstart = "J8:31"\n'
    found = hands_checkup.take_pins(settings(tmp_path, text).gpio, daemon_runs=False)
    assert not found.fine
    assert "start (44): 44 is not a valid pin name." in found.found
    assert "start of bay 1 (J8:31): pin GPIO6 is already in use" in found.found


@pytest.mark.usefixtures("raspberry")
def test_while_the_daemon_has_them_they_are_left_alone(tmp_path):
    found = hands_checkup.take_pins(settings(tmp_path, "[gpio]\nstart = 44\n").gpio, daemon_runs=True)
    assert found.fine


def test_pins_of_a_bay_that_there_is_not(tmp_path):
    text = '[bays]\n1 = "1-1.1"\n[gpio.bays.1]\nstart = 7\n[gpio.bays.9]\nstart = 8\n'
    (found,) = hands_checkup.pins_of_bays(settings(tmp_path, text))
    assert found.found == "for 9, and there is no such bay"
    assert not list(hands_checkup.pins_of_bays(settings(tmp_path, "[gpio.bays.9]\nstart = 8\n")))
