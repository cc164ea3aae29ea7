"""A gateway in the test's own process."""

import asyncio
import socket
import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from station.gateway.places import Places, places
from station.gateway.tunnels import LIMITS, Gateway, Limits
from station.model.job import Reach


def reach(**changes: object) -> Reach:
    """A way of reaching nobody, with these changes."""
    nobody = {"signing_url": "http://127.0.0.1:9/", "activation_url": "http://127.0.0.1:9/"}
    return Reach(**{"usbmuxd": "", "asset_hosts": (), "fdr_hosts": (), **nobody, **changes})  # type: ignore[arg-type]  # tests know


@asynccontextmanager
async def gateway_to(listed: Places | Reach, limits: Limits = LIMITS) -> AsyncGenerator[str, None]:
    """Serve while the context is open; the path of its socket."""
    listed = places(listed) if isinstance(listed, Reach) else listed
    with tempfile.TemporaryDirectory(prefix="gate-") as name, socket.socket(socket.AF_UNIX) as listening:
        path = str(Path(name) / "gateway.sock")
        listening.bind(path)
        listening.listen()
        serving = asyncio.create_task(Gateway(listed, limits).serve(listening))
        try:
            yield path
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
