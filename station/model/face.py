"""How the station's face looks and sounds: what an operator chose, the same for screen, lamps and buzzer."""

from enum import Enum

from station.model.base import Message


class Language(Enum):
    """What the screen speaks. The wire, the log and the records are English."""

    ENGLISH = "en"
    GERMAN = "de"
    FRENCH = "fr"
    SPANISH = "es"
    TURKISH = "tr"
    ARABIC = "ar"
    CHINESE = "zh"


LANGUAGE_NAMES: dict[Language, str] = {
    Language.ENGLISH: "English",
    Language.GERMAN: "Deutsch",
    Language.FRENCH: "Français",
    Language.SPANISH: "Español",
    Language.TURKISH: "Türkçe",
    Language.ARABIC: "العربية",
    Language.CHINESE: "中文",
}
"""Each in itself, for whoever looks for their own."""


class Turn(Enum):
    """How the display is mounted: degrees clockwise that the picture is turned."""

    NONE = 0
    RIGHT = 90
    OVER = 180
    LEFT = 270


DARKEST = 10
"""Percent of brightness: below that nobody finds the way back."""


class Face(Message, frozen=True, kw_only=True):
    """What an operator chose. It holds from the next picture on."""

    language: Language = Language.ENGLISH
    turn: Turn = Turn.NONE
    large: bool = False
    """Large print."""
    contrast: bool = False
    """Black, white and strong colours only."""
    brightness: int = 100
    """Percent, from DARKEST."""
    dim_seconds: float = 120.0
    """After so long without a touch or news the screen goes dim; 0: never."""
    sound: bool = False
    """Whether the buzzer speaks."""


PLAIN = Face()
"""Nobody chose anything."""
