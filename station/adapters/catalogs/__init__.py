"""Lists of the firmware that there is: ipsw.me, AppleDB and Apple's own, asked over HTTP, and what they said last."""

from station.adapters.catalogs.lists import Catalogs, Known

__all__ = ["Catalogs", "Known"]
