"""Personalised components for both of the library's halves of a restore: streamed from the firmware."""

from typing import Any

from pymobiledevice3.restore.base_restore import BaseRestore
from pymobiledevice3.restore.tss import TSSResponse

from station.worker.firmware import FirmwareDirectory
from station.worker.image4 import Parts, personalise


class StreamedComponents(BaseRestore):
    """Replaces components in memory by blobs, which the connections know how to send."""

    async def get_personalized_data(
        self, component_name: str, data: bytes | None = None, *, tss: TSSResponse, path: str | None = None
    ) -> bytes:
        """A component with its ticket. The file in the firmware counts; `data` only for what has none."""
        if data is not None and not self.build_identity.has_component(component_name):
            return await super().get_personalized_data(component_name, data, tss=tss)
        return self.personalise(component_name, tss, await self.device.get_ap_parameters(), path)

    def personalise(self, name: str, tss: TSSResponse, ap_parameters: dict[str, Any], path: str | None = None) -> Parts:
        """See `image4.personalise`."""
        archive = self.ipsw.archive
        assert isinstance(archive, FirmwareDirectory)
        where = path or self.build_identity.get_component_path(name)
        return personalise(name, archive.locate(where), tss, self.build_identity, ap_parameters)
