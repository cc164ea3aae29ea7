"""What restored does with each thing it asks the host for: a request's step, its messages, and the ledger."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from itertools import count
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from station.virtual.faults.kinds import RefusedError, StatusError
from station.virtual.phones.chips import chips_of
from station.virtual.phones.phone import VirtualPhone
from station.virtual.restore import asr
from station.virtual.restore.generations import NEGOTIATED
from station.virtual.restore.installation import INCOMPLETE, SEAL_BROKEN, SPLAT, Installation
from station.virtual.restore.items import Request
from station.virtual.restore.link import Channel, HostGoneError, Link, Port, beside
from station.virtual.restore.script import Script
from station.virtual.restore.updaters import make_updater
from station.virtual.restore.updaters.baseband import Modem

MAX_COMPONENT = 256 * 1024 * 1024
"""Bytes of a component that is kept whole; Cryptexes are not."""
AEA_MAGIC = b"AEA1"
IMAGE_SECONDS = 8.0
"""How long the system image takes at the default pace."""
CRYPTEX_SECONDS = 1.5

Percent = Callable[[int], Awaitable[None]]


class Apple(Protocol):
    """Apple's servers, as far as a restore needs them."""

    @property
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Whose signature tickets must have."""
        ...

    @property
    def fdr_host(self) -> str:
        """HOST:PORT that the phone reaches through the host's FDR proxy."""
        ...

    def asset_url(self, name: str) -> str:
        """Where the host is to fetch the key of an encrypted image."""
        ...


class Requests:
    """The requests of one restore."""

    def __init__(
        self,
        phone: VirtualPhone,
        link: Link,
        installation: Installation,
        *,
        script: Script,
        known: Collection[str],
        apple: Apple,
        patience: float,
    ) -> None:
        """Prepare.

        Args:
            phone: who asks.
            link: how it reaches the host.
            installation: where the answers go.
            script: which restore it is.
            known: the data types that the host says it knows.
            apple: where the keys of encrypted images are.
            patience: seconds it waits for the host to fetch one.
        """
        self._phone = phone
        self._link = link
        self._installation = installation
        self._script = script
        self._known = known
        self._apple = apple
        self._patience = patience
        self._chips = chips_of(phone.identity.product_type)
        self._by_type: dict[str, Callable[[Request], Awaitable[None]]] = {
            "BasebandData": self._baseband,
            "BuildIdentityDict": self._identity,
            "DeviceRestoreInfoPreflight": self._exchange_only,
            "DeviceTree": self._component,
            "FDRTrustData": self._exchange_only,
            "FirmwareUpdaterData": self._updater,
            "FirmwareUpdaterPreflight": self._preflight,
            "KernelCache": self._component,
            "NORData": self._nor,
            "PersonalizedBootObjectV3": self._personalized,
            "ReceiptManifest": self._receipt,
            "RootTicket": self._root_ticket,
            "SourceBootObjectV4": self._source,
            "SystemImageCanonicalMetadata": self._canonical_metadata,
            "SystemImageRootHash": self._root_hash,
        }

    async def make(self, request: Request) -> None:
        """Ask for something and take the answer. Raises StatusError when it is not acceptable."""
        if not request.optional or request.data_type in self._known:
            await self._by_type[request.data_type](request)

    async def firmware_updates(self) -> None:
        """FUDData: the list first, then each image in it."""
        names = (await self._exchange(Request("FUDData", {"FUDImageList": True}))).get("FUDImageList")
        if not isinstance(names, list):
            raise StatusError(INCOMPLETE, "no list of firmware updates")
        for name in names:
            reply = await self._exchange(Request("FUDData", {"ImageName": str(name)}))
            self._installation.take_image(reply.get("FUDImageData"), name=str(name))

    async def system_image(self, percent: Percent) -> None:
        """The system image by ASR, and meanwhile the key it is encrypted with, from the iOS on that encrypts it."""
        beside_others = self._script.asynchronous
        async with self._port(Request("SystemImageData"), number=asr.PORT, beside_others=beside_others) as port:
            reader, writer = await port.connected
            await self._phone.step("asr:initiate")
            size = await asr.initiate(reader, writer)
            await self._phone.step("asr:oob")
            samples = await asr.sample(reader, writer, size)
            await self._phone.step("asr:payload")
            told, before = -1, 0

            async def progress(arrived: int) -> None:
                nonlocal told, before
                await self._phone.pace.pause(IMAGE_SECONDS * (arrived - before) / size)
                before = arrived
                if arrived * 100 // size > told:
                    told = arrived * 100 // size
                    await percent(told)

            async with beside() as group:
                if beside_others:
                    group.create_task(self._key("system image"))
                image = await asr.payload(writer, size, samples, progress)
        self._installation.take_system_image(image)

    async def _key(self, image: str, *, inside: Channel | None = None) -> None:
        """Fetch the key of an encrypted image by URLAsset, or if that fails by StreamedImageDecryptionKey.

        A host that is sending a Cryptex listens on that connection, `inside`, and for a URLAsset only.
        """
        name = base64.urlsafe_b64encode(hashlib.sha256(image.encode()).digest()).decode()
        url = self._phone.asset_url or self._apple.asset_url(name)
        get = {"RequestMethod": "GET", "RequestURL": url}
        post = {
            "RequestMethod": "POST",
            "RequestURL": url,
            "RequestAdditionalHeaders": {"Content-Type": "application/octet-stream"},
            "RequestBody": name.encode(),
        }
        ways = [Request("URLAsset", get, port=True), Request("StreamedImageDecryptionKey", post, port=True)]
        for request in ways[:1] if inside else ways:
            async with self._port(request, beside_others=True, inside=inside) as port:
                # A host that cannot fetch it may never answer.
                with suppress(TimeoutError, HostGoneError):
                    async with asyncio.timeout(self._patience):
                        reply = await port.receive()
                    if reply.get("ResponseStatus") == HTTPStatus.OK and _is_key(reply.get("ResponseBody")):
                        return
        raise StatusError(asr.FAILED, f"failed to restore APFS image: no key for the {image}")

    async def _root_ticket(self, request: Request) -> None:
        self._installation.take_root_ticket((await self._exchange(request)).get("RootTicketData"))

    async def _nor(self, request: Request) -> None:
        self._installation.take_nor(await self._exchange(request))

    async def _exchange_only(self, request: Request) -> None:
        """FDRTrustData and preflights: hosts answer with an empty dictionary."""
        await self._exchange(request)

    async def _receipt(self, request: Request) -> None:
        if not isinstance((await self._exchange(request)).get("ReceiptManifest"), dict):
            raise StatusError(INCOMPLETE, "no receipt manifest")

    async def _identity(self, request: Request) -> None:
        self._installation.take_identity(await self._exchange(request))

    async def _component(self, request: Request) -> None:
        name = request.data_type
        self._installation.take_image((await self._exchange(request)).get(f"{name}File"), name=name)

    async def _root_hash(self, request: Request) -> None:
        reply = await self._exchange(request)
        image = self._installation.take_image(reply.get("SystemImageRootHashFile"), name="SystemVolume")
        self._installation.root_hash = image.payload

    async def _canonical_metadata(self, request: Request) -> None:
        data = (await self._exchange(request)).get("SystemImageCanonicalMetadataFile")
        self._installation.take_image(data, name="Ap,SystemVolumeCanonicalMetadata", failure=SEAL_BROKEN)

    async def _preflight(self, request: Request) -> None:
        if make_updater(self._updater_name(request), self._installation, self._phone.identity):
            await self._exchange(request)

    async def _updater(self, request: Request) -> None:
        """Have a chip's firmware signed and sent; again from the start for as long as the chip refuses it."""
        name = self._updater_name(request)
        for loop in count():
            updater = make_updater(name, self._installation, self._phone.identity)
            if updater is None:
                break
            for source in updater.sources:
                updater.measure(source, await self._source_object(source))
            more = {"MessageArgUpdaterName": name, "MessageArgUpdaterLoopCount": loop} | updater.arguments()
            arguments = {"MessageArgType": "FirmwareResponseData", **more}
            async with self._answer(replace(request, arguments=arguments)) as channel:
                await updater.take(channel.receive)
            for component in updater.firmware:
                updater.install(component, await self._source_object(component))
            with suppress(RefusedError):
                await self._phone.step(request.accepted)
                break

    def _updater_name(self, request: Request) -> str:
        """The updater a request is for; newer phones have one chip in place of Rose and others."""
        name = str(request.arguments["MessageArgUpdaterName"])
        return "Centauri" if name == "Rose" and self._chips.centauri else name

    async def _source_object(self, name: str) -> bytes:
        port = self._script.asynchronous
        async with self._answer(Request("SourceBootObjectV4", {"ImageName": name}, port=port)) as channel:
            return await _whole(channel.file_data())

    async def _baseband(self, request: Request) -> None:
        """Both rounds of a baseband's update; it says to the host whether it took it."""
        if self._chips.baseband is None:
            return
        modem = Modem(self._phone.identity, self._chips.baseband, self._apple.public_key)
        try:
            modem.take((await self._exchange(replace(request, arguments=modem.arguments()))).get("BasebandData"))
            modem.make_nonce()
            modem.take((await self._exchange(replace(request, arguments=modem.arguments()))).get("BasebandData"))
        except StatusError:
            await self._link.send(modem.status(accepted=False))
            raise
        await self._link.send(modem.status(accepted=True))

    async def _personalized(self, request: Request) -> None:
        async with self._answer(request) as channel:
            data = await _whole(channel.file_data())
        self._installation.take_image(data, name=request.arguments["ImageName"])

    async def _source(self, request: Request) -> None:
        name = request.arguments["ImageName"]
        async with self._answer(request) as channel:
            if name in SPLAT:
                self._installation.take_cryptex(name, await self._cryptex(name, channel))
            else:
                self._installation.take_cryptex_part(name, await _whole(channel.file_data()))

    async def _cryptex(self, name: str, channel: Channel) -> bytes:
        """Take a Cryptex, which is too large to keep, and return its digest."""
        await self._phone.pace.pause(CRYPTEX_SECONDS)
        digest = hashlib.sha384()
        begun = False
        async for piece in channel.file_data():
            if not begun and piece.startswith(AEA_MAGIC):
                await self._key(name, inside=channel)  # the host waits for this after the first piece
            begun = True
            digest.update(piece)
        return digest.digest()

    async def _exchange(self, request: Request) -> dict[str, Any]:
        """Ask for something that is answered with one message."""
        async with self._answer(request) as channel:
            return await channel.receive()

    @asynccontextmanager
    async def _answer(self, request: Request) -> AsyncGenerator[Channel, None]:
        """Ask for something; the context has the connection that the answer comes on."""
        if request.port:
            async with self._port(request) as port:
                yield port
        else:
            await self._phone.step(request.step)
            await self._link.send(self._message(request))
            yield self._link

    @asynccontextmanager
    async def _port(
        self, request: Request, *, number: int | None = None, beside_others: bool = False, inside: Channel | None = None
    ) -> AsyncGenerator[Port, None]:
        """Ask for something whose answer comes to a data port; the context has the port.

        Args:
            request: what is asked for.
            number: a port hosts know, which is not named in the message; None: the next dynamic one.
            beside_others: whether the host may answer other requests before this one.
            inside: the data connection it is asked for on; None: the main connection.
        """
        refuse = False
        try:
            await self._phone.step(request.step)
        except RefusedError:
            refuse = True
        async with self._link.port(number, refuse=refuse) as port:
            message = self._message(request, beside_others=beside_others)
            if number is None:
                message["DataPort"] = port.number
            if inside is None:
                await self._link.send(message)
            else:
                await inside.send(message | {"MsgType": request.data_type})
            yield port

    def _message(self, request: Request, *, beside_others: bool = False) -> dict[str, Any]:
        name = request.data_type
        if name == "SourceBootObjectV4" and self._script.ios >= NEGOTIATED and "SourceBootObjectV5" in self._known:
            name = "SourceBootObjectV5"
        message: dict[str, Any] = {"MsgType": "AsyncDataRequestMsg" if beside_others else "DataRequestMsg"}
        message["DataType"] = name
        return message | ({"Arguments": dict(request.arguments)} if request.arguments else {})


async def _whole(pieces: AsyncIterator[bytes]) -> bytes:
    data = bytearray()
    async for piece in pieces:
        data += piece
        if len(data) > MAX_COMPONENT:
            raise StatusError(INCOMPLETE, "a component that is too large")
    return bytes(data)


def _is_key(body: object) -> bool:
    """Whether this is a private key in PEM, as Apple's key server answers with."""
    try:
        return isinstance(body, bytes) and load_pem_private_key(body, None) is not None
    except ValueError:
        return False
