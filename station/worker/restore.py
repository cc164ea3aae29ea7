"""The library's Restore: streamed, reported, and unable to miss a failure."""

import asyncio
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from ipsw_parser.ipsw import IPSW
from pymobiledevice3.restore.asr import DEFAULT_ASR_SYNC_PORT
from pymobiledevice3.restore.base_restore import Behavior
from pymobiledevice3.restore.restore import FILE_DATA_FORMAT
from pymobiledevice3.restore.restore_options import RestoreOptions

from station.errors import InputRejected
from station.model.causes import Cause
from station.model.consent import Act
from station.model.job import JobSpec, Phase
from station.model.phone import PhoneMode
from station.worker.asr import ImageClient
from station.worker.assets import Assets
from station.worker.components import StreamedComponents
from station.worker.connection import PhoneConnection
from station.worker.conversation import Conversation
from station.worker.failures import JobFailed, printable
from station.worker.fdr import FdrProxy
from station.worker.firmware import FirmwareDirectory
from station.worker.guard import Guard
from station.worker.iboot import RecoverySocket
from station.worker.image4 import Parts, whole_file
from station.worker.messages import Journal, verdict
from station.worker.patience import tries
from station.worker.plists import file_data_frame
from station.worker.present import serials
from station.worker.pump import FILE_DATA_CHUNK, file_data, file_data_size
from station.worker.recovery import RestoreDevice, StationRecovery
from station.worker.reporter import Reporter
from station.worker.restored import COMING_AND_GOING, Restored

_ACTS = {Behavior.Erase.value: Act.ERASE, Behavior.Update.value: Act.INSTALL}
"""What the restore system does that an identity boots, by how the identity says that it behaves."""
MAX_IMAGES = 3
"""Times a phone may ask for the system image."""
MAX_UPDATER_OUTPUT = 16 << 20
_KEY_SECONDS = 3.0
"""How long the library waits for the phone to ask for the key of an encrypted archive (restore.py:428)."""
_ENCRYPTED = b"AEA1"


class StationRestore(StreamedComponents, Conversation):
    """One restore of one phone."""

    recovery: StationRecovery

    def __init__(
        self,
        spec: JobSpec,
        ipsw: IPSW,
        device: RestoreDevice,
        *,
        behavior: Behavior,
        socket: RecoverySocket,
        guard: Guard,
        reporter: Reporter,
    ) -> None:
        super().__init__(ipsw, device, behavior=behavior)
        self.prepare(reporter)
        self.recovery = StationRecovery(ipsw, device, socket, reporter, behavior=behavior)
        self._spec = spec
        self._socket = socket
        self._guard = guard
        self._assets = Assets(spec.reach.asset_hosts, spec.reach.gateway)
        cryptexes = [name for name in self.build_identity.manifest if name.startswith("Cryptex1,")]
        self._journal = Journal(reporter, Path.cwd(), sum(self._file(name).stat().st_size for name in cryptexes))
        self._strangers: set[str] = set()
        self._images = 0

    async def update(self) -> None:
        """Restore the phone; return only after Status 0."""
        self._strangers = await serials()
        await super().update()

    async def restore_device(self) -> None:
        """Attach to the restore system, begin, and talk until it has given its verdict."""
        self._reporter.enter(Phase.RESTORED)
        await self._connect_to_restored_service()
        self._reporter.enter(Phase.PREPARE)
        tickets = self.recovery.require_tss()
        if tickets.bb_ticket is not None:
            self.bbtss = tickets
        async with asyncio.TaskGroup() as self._group:
            reach = self._spec.reach
            fdr = FdrProxy(self._restored.udid, reach.fdr_hosts, reach.gateway, self._group, self._patience)
            await fdr.open()
            await self._restored.begin(_ACTS[self.build_identity.restore_behavior], self._options())
            await self.converse()
            fdr.close()

    def _options(self) -> RestoreOptions:
        """As the library puts them together (restore.py:1832)."""
        info = cast("dict[str, Any]", self.build_identity["Info"])
        return RestoreOptions(
            firmware_preflight_info=self._firmware_preflight_info,
            sep=self.build_identity.manifest["SEP"].get("Info"),
            build_identity=self.build_identity,
            restore_boot_args=self.recovery.restore_boot_args,
            spp=info.get("SystemPartitionPadding"),
            restore_behavior=self.build_identity.restore_behavior,
            msp=self.build_identity.minimum_system_partition,
        )

    def _file(self, component: str) -> Path:
        archive = self.ipsw.archive
        assert isinstance(archive, FirmwareDirectory)
        return archive.locate(self.build_identity.get_component_path(component))

    async def _connect_to_restored_service(self) -> None:
        """Wait for the restore system of this phone, and notice when the phone comes back in recovery instead."""
        seconds = self._reporter.deadline.share(0.9)
        place = None
        async for _ in tries(seconds):
            with suppress(*COMING_AND_GOING):
                ecid = await self.device.get_ecid()
                restored = await Restored.attach(ecid, self._spec.udid, self._strangers, self._guard)
                if restored is not None:
                    self._restored = restored
                    self._reporter.phone_mode = PhoneMode.RESTORE
                    return
            place = await self._socket.present()
            if place is not None and place != self.recovery.booted_from:
                break
        if place is not None:
            raise JobFailed(Cause.STAYED_IN_RECOVERY, "the phone is in recovery instead of the restore system")
        raise JobFailed(Cause.DISCONNECTED, f"no restore system within {seconds:.0f} s")

    # What the phone reports.

    async def handle_status_msg(self, message: dict[str, Any]) -> None:
        """The verdict."""
        if isinstance(text := message.get("Log"), str):
            self._journal.keep("restored.log", text.encode())
        self._restore_finished = verdict(message)

    async def handle_checkpoint_msg(self, message: dict[str, Any]) -> None:
        """A checkpoint began or ended."""
        self._journal.checkpoint(message)

    async def handle_progress_msg(self, message: dict[str, Any]) -> None:
        """An operation got further."""
        self._journal.progress(message)

    async def handle_bb_update_status_msg(self, message: dict[str, Any]) -> None:
        """The modem took its firmware, or did not."""
        if not message["Accepted"]:
            raise JobFailed(Cause.DEVICE_STATUS, "the phone rejected its modem's firmware")

    async def handle_previous_restore_log_msg(self, message: dict[str, Any]) -> None:
        """The log of a restore that failed before."""
        self._journal.keep("previous-restore.log", str(message["PreviousRestoreLog"]).encode())

    async def handle_restored_crash(self, message: dict[str, Any]) -> None:
        """The restore system crashed; a status follows, or nothing."""
        self._journal.keep("restored-backtrace.txt", "\n".join(map(str, message["RestoredBacktrace"])).encode())

    async def handle_crash_log_msg(self, message: dict[str, Any]) -> None:
        """Something else on the phone crashed."""
        if isinstance(data := message["Data"], bytes):
            self._journal.keep("crash.log", data)

    async def handle_baseband_updater_output_data(self, message: dict[str, Any]) -> None:
        """The modem's updater hands over its output."""
        connection = await self._get_service_for_data_request(message)
        output = bytearray()
        while len(output) < MAX_UPDATER_OUTPUT and (data := await connection.recv_any(1 << 16)):
            output += data
        self._journal.keep("updater-output.cpio", bytes(output))

    async def handle_fdr_submit_msg(self, message: dict[str, Any]) -> None:
        """The phone wants something sent to Apple's factory and waits for the receipt, which we could only forge."""
        raise InputRejected("The phone submits factory data, which no known restore does.")

    async def handle_restore_protocol_msg(self, message: dict[str, Any]) -> None:
        """The phone chose a transport; there is only one."""
        if (chosen := message["Arguments"].get("RestoreProtocol")) != "MuxSocket":
            raise InputRejected(f"The phone wants to talk over {printable(chosen, 60)}.")

    # What the phone is sent.

    async def send_filesystem(self, message: dict[str, Any]) -> None:
        """The system image."""
        self._images += 1
        if self._images > MAX_IMAGES:
            raise InputRejected("The phone asks for the system image again and again.")
        image = self._file("OS")
        size, sent = image.stat().st_size, 0

        def count(data: int) -> None:
            nonlocal sent
            sent += data
            self._reporter.progress(min(sent / size, 1.0), "system image")

        self._reporter.enter(Phase.IMAGE)
        client = ImageClient(self._restored.udid, self._patience, count)
        await client.send(message.get("DataPort", DEFAULT_ASR_SYNC_PORT), image)
        self._reporter.enter(Phase.FIRMWARE)

    async def send_personalized_boot_object_v3(self, message: dict[str, Any]) -> None:
        """A component with its ticket, in pieces."""
        name = message["Arguments"]["ImageName"]
        if name == "__GlobalManifest__":
            blob: Parts | None = Parts(self.extract_global_manifest())
        else:
            tickets = self.recovery.require_tss()
            blob = self._version(name) or self.personalise(name, tickets, await self.device.get_ap_parameters())
        await self._send_boot_object(message, name, blob)

    async def send_source_boot_object_v4(self, message: dict[str, Any]) -> None:
        """A component as it is, in pieces: Cryptexes and the like."""
        name = message["Arguments"]["ImageName"]
        if name == "__GlobalManifest__":
            manifest = await self._read_requested_global_manifest(message)
            blob = None if manifest is None else Parts(manifest)
        else:
            await self.get_build_identity_from_request(message)  # refuses what is not ours to serve
            blob = self._version(name) or whole_file(self._file(name))
        await self._send_boot_object(message, name, blob)

    async def send_url_asset(self, message: dict[str, Any]) -> None:
        """Something the phone has us fetch."""
        await self._send_asset(message)

    async def send_streamed_image_decryption_key(self, message: dict[str, Any]) -> None:
        """The key of an encrypted image, which the phone has us ask for."""
        await self._send_asset(message)

    def _version(self, name: object) -> Parts | None:
        special = {"__RestoreVersion__": "RestoreVersion.plist", "__SystemVersion__": "SystemVersion.plist"}
        return Parts(self.ipsw.read(special[name])) if isinstance(name, str) and name in special else None

    async def _send_boot_object(self, message: dict[str, Any], name: str, blob: Parts | None) -> None:
        service = await self._get_service_for_data_request(message)
        if blob is not None:
            await self._send_file_data(service, blob, name)
        await service.send_plist({"FileDataDone": True})

    async def _send_file_data(self, service: PhoneConnection, blob: Parts, name: str) -> None:
        with blob.reader() as reader:
            fill = file_data(reader, len(blob))
            first = memoryview(bytearray(file_data_size(1)))
            await service.sendall(bytes(first[: fill(first)]))
            start = len(file_data_frame(FILE_DATA_CHUNK)[0])
            if first[start : start + len(_ENCRYPTED)] == _ENCRYPTED:
                await self._offer_key(service)
            await service.stream(fill, file_data_size(), lambda count: self._journal.sent(count, name))

    async def _offer_key(self, service: PhoneConnection) -> None:
        """Let the phone ask for the key of what it is being sent; in another way, if the first one failed."""
        for _ in range(2):
            try:
                async with asyncio.timeout(_KEY_SECONDS):
                    message = await service.recv_plist()
            except TimeoutError:
                return
            sent = await self._send_asset(message, service)
            await self._hang_up(message)
            if sent:
                return

    async def _send_asset(self, message: dict[str, Any], service: PhoneConnection | None = None) -> bool:
        """Fetch and send what a request asks for, to its own port or to `service`; whether it could be had."""
        match message.get("DataType", message.get("MsgType")):
            case "URLAsset":
                answer = await self._assets.get(message["Arguments"])
            case "StreamedImageDecryptionKey":
                answer = await self._assets.post(message["Arguments"])
            case other:
                raise InputRejected(f"The phone asks for {printable(other, 60)} where only a key is to be had.")
        if service is None or "DataPort" in message:
            service = await self._get_service_for_data_request(message)
        await service.send_plist(answer, fmt=FILE_DATA_FORMAT)
        return bool(answer["ResponseStatus"] == HTTPStatus.OK)
