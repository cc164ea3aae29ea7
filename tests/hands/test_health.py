"""The machine's health, from a copy of what a Raspberry Pi's kernel tells."""

from pathlib import Path

import pytest

from station.adapters.health import Machine


def tell(sys: Path, files: dict[str, str]) -> Machine:
    """Lay out such a tree, and a machine that reads it."""
    for name, word in files.items():
        path = sys / "class" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{word}\n")
    return Machine(sys, sys=sys)


PI = {
    "thermal/thermal_zone0/type": "cpu-thermal",
    "thermal/thermal_zone0/temp": "61822",
    "hwmon/hwmon0/name": "cpu_thermal",
    "hwmon/hwmon1/name": "rp1_adc",
    "hwmon/hwmon2/name": "rpi_volt",
    "hwmon/hwmon2/in0_lcrit_alarm": "0",
}


def test_a_pi_that_is_well(tmp_path):
    health = tell(tmp_path, PI).look()
    assert (health.temperature, health.under_voltage) == (62, False)
    assert health.free is not None
    assert health.free > 0
    assert health.clock_trusted is not None


def test_a_pi_whose_supply_sags_and_that_is_hot(tmp_path):
    machine = tell(tmp_path, PI)
    tell(tmp_path, {"hwmon/hwmon2/in0_lcrit_alarm": "1", "thermal/thermal_zone0/temp": "84400"})
    health = machine.look()  # anew each time
    assert (health.temperature, health.under_voltage) == (84, True)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"thermal/thermal_zone0/type": "x86_pkg_temp", "thermal/thermal_zone0/temp": "96000"},
        {"thermal/thermal_zone0/type": "cpu-thermal", "hwmon/hwmon2/name": "rpi_volt"},
        {"thermal/thermal_zone0/type": "cpu-thermal", "thermal/thermal_zone0/temp": "hot"},
    ],
)
def test_what_a_machine_does_not_tell_is_not_guessed(tmp_path, files):
    health = tell(tmp_path, files).look()
    assert (health.temperature, health.under_voltage) == (None, None)


def test_a_disk_that_is_not_there_is_not_called_full(tmp_path):
    assert Machine(tmp_path / "gone", sys=tmp_path).look().free is None
