"""The firmware store as the settings have it: what is not pinned, where something is, or denied is as if not there."""

from collections.abc import Collection, Mapping, Sequence

from station.adapters.firmware import FirmwareStore
from station.core.pruning import EVERY_MODEL
from station.core.supplying import suits
from station.errors import Refused
from station.model.firmware import Firmware


class ChosenFirmware:
    """A store, and which of it this station installs. Every call blocks."""

    def __init__(self, store: FirmwareStore, *, pins: Mapping[str, str], denied: Collection[str]) -> None:
        """Look at nothing yet.

        Args:
            store: all that there is.
            pins: model, or EVERY_MODEL, to the version or build that it is given.
            denied: builds that are never installed.
        """
        self._store = store
        self._pins = pins
        self._denied = frozenset(denied)

    def every_for(self, product_type: str) -> Sequence[Firmware]:
        """All that this station gives a model, the newest last."""
        return [each for each in self._store.every_for(product_type) if self._suits(each, product_type)]

    def every(self) -> Sequence[Firmware]:
        """All that there is, the newest last."""
        return self._store.list()

    def verify(self, firmware: Firmware) -> None:
        """Raise InputRejected when it is not as it was imported."""
        self._store.verify(firmware)

    def pinned(self, firmware: Firmware) -> bool:
        """Whether a pin names it."""
        models = (*firmware.product_types, EVERY_MODEL)
        chosen = {self._pins[model] for model in models if model in self._pins}
        return bool(chosen & {firmware.version, firmware.build})

    def discard(self, name: str) -> str:
        """Delete one, by its directory's name; what to say of it.

        Raises:
            Refused: a pin names it, a job uses it, or it is not there.
            StorageError: the disk fails.
        """
        found = next((each for each in self.every() if each.directory.endswith(f"/{name}/ipsw")), None)
        if found is None:
            raise Refused("This firmware is not here any more.")
        if self.pinned(found):
            raise Refused("A pin in the settings names this firmware.", remedy="Change the settings first.")
        removed = self._store.remove([name])
        if removed.in_use:
            raise Refused("A job uses this firmware.", remedy="Remove it when the job is done.")
        return f"iOS {found.version} was removed."

    def _suits(self, firmware: Firmware, product_type: str) -> bool:
        return suits(
            firmware.version,
            firmware.build,
            product_type=product_type,
            pins=self._pins,
            denied=self._denied,
        )
