"""What a host says of itself in RestoreOptions, and what a restore needs of it.

Hosts of before May 2021 (idevicerestore 1.0.0) list nothing, and restore what was signed then. Which lists name
what follows from when idevicerestore began to; what iOS 27 needs, and what it would like, from the log of a Mac with
the same restore system (idevicerestore#786).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_OPTIONS = ("CreateFilesystemPartitions", "FlashNOR", "SystemImage")
_DATA_TYPES = {
    15: ("SystemImageCanonicalMetadata", "SystemImageRootHash"),
    16: ("BuildIdentityDict", "FirmwareUpdaterPreflight", "ReceiptManifest", "SourceBootObjectV4"),
    18: ("URLAsset",),
    27: ("BootabilityBundleV2",),
}
"""From which iOS on a data type is required."""
_MESSAGE_TYPES = {15: ("CheckpointMsg",), 18: ("AsyncDataRequestMsg", "AsyncWait")}
_OPTIONAL = {27: ("RestoreProtocol", "DeviceRestoreInfoPreflight", "SourceBootObjectV5")}


@dataclass(frozen=True)
class Host:
    """A host."""

    options: Mapping[str, Any]
    """RestoreOptions."""

    @property
    def data_types(self) -> Collection[str]:
        """What it can be asked for."""
        return self._listed("SupportedDataTypes")

    @property
    def message_types(self) -> Collection[str]:
        """What it can be told."""
        return self._listed("SupportedMessageTypes")

    @property
    def protocols(self) -> Collection[str]:
        """The transports it offers, from iOS 27 on."""
        offered = self.options.get("SupportedHostProtocols")
        return [each for each in offered if isinstance(each, str)] if isinstance(offered, list) else []

    def lacks(self, ios: int) -> tuple[str, ...]:
        """What a restore to this iOS cannot do without."""
        return (
            *_missing(_DATA_TYPES, ios, self.data_types),
            *_missing(_MESSAGE_TYPES, ios, self.message_types),
            *(name for name in _OPTIONS if not self.options.get(name)),
        )

    def could_have(self, ios: int) -> tuple[str, ...]:
        """What a restore to this iOS would use if the host had it."""
        return tuple(_missing(_OPTIONAL, ios, {*self.data_types, *self.message_types}))

    def _listed(self, option: str) -> Collection[str]:
        types = self.options.get(option)
        return set(types) if isinstance(types, Mapping) else ()


def _missing(needed: Mapping[int, tuple[str, ...]], ios: int, there: Collection[str]) -> Iterator[str]:
    for since, names in needed.items():
        if since <= ios:
            yield from (name for name in names if name not in there)
