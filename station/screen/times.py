"""Moments for people: the station's own time of day."""

from datetime import datetime, timedelta


def clock(utc: str) -> str:
    """The local time of day of an RFC 3339 moment; empty when it is none."""
    moment = _local(utc)
    return "" if moment is None else f"{moment:%H:%M}"


def day_and_clock(utc: str) -> str:
    """Date and time of day, local; empty when it is none."""
    moment = _local(utc)
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def later(utc: str, seconds: float) -> str:
    """The local time of day so much later; with its date where it is not of the next day."""
    moment = _local(utc)
    if moment is None:
        return ""
    then = moment + timedelta(seconds=seconds)
    return f"{then:%H:%M}" if seconds < 24 * 3600 else f"{then:%Y-%m-%d %H:%M}"


def _local(utc: str) -> datetime | None:
    try:
        return datetime.fromisoformat(utc).astimezone()
    except ValueError:
        return None
