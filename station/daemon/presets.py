"""Presets: what kind of station this is, as values for its settings. Each can be overridden by itself.

A preset is nothing but these values. No code asks which one was chosen: what a station does follows from the single
settings, so one can be between two kinds.
"""

from enum import Enum
from typing import Any

from station.core.policy import BackupRule
from station.model.gates import Purpose


class Preset(Enum):
    """The three places that stations are made for."""

    WALK_UP = "walk-up"
    """A counter in a shop: an owner, who wants the phone back with what is on it, and somebody who helps."""
    BENCH = "bench"
    """A recycling centre: phones without owners, one after the other."""
    OVERNIGHT = "overnight"
    """The same phones, and nobody there to answer a question."""


PRESETS: dict[Preset, dict[str, Any]] = {
    Preset.WALK_UP: {
        "purpose": Purpose.OWNER,
        "backup": BackupRule.ASK,
        "min_battery": 30,
        "max_temperature": 80,
        # Most failures are a cable's: the second in a row is the phone's.
        "quarantine_after": 2,
        "operator_confirm": False,
    },
    Preset.BENCH: {
        "purpose": Purpose.RECYCLING,
        "backup": BackupRule.STANDING,
        "min_battery": 10,
        "max_temperature": 80,
        # What failed is set aside: the next phone waits already.
        "quarantine_after": 1,
        "operator_confirm": False,
    },
    Preset.OVERNIGHT: {
        "purpose": Purpose.RECYCLING,
        "backup": BackupRule.STANDING,
        "min_battery": 30,
        # Nobody is there to open a window.
        "max_temperature": 75,
        # One retry is part of a standing order.
        "quarantine_after": 2,
        "operator_confirm": True,
    },
}
