"""Files that dashboards offer to their pages: pictures of the screen."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

from aiohttp import web
from textual_serve._binary_encode import load

from charrnn_tui.browser.process import DashboardProcess

_CHUNK_SECONDS = 4.0
_CHUNK_BYTES = 1 << 16


@dataclass
class _Delivery:
    process: DashboardProcess
    offer: dict[str, Any]
    chunks: asyncio.Queue[bytes] = field(default_factory=asyncio.Queue)


class Deliveries:
    """Files that are offered, by the toolkit's keys.

    A dashboard says that it has a file; the page opens the file's address in another tab; and then the
    dashboard is asked for one chunk after another, up to an empty one.
    """

    def __init__(self) -> None:
        self._offered: dict[str, _Delivery] = {}

    def offer(self, process: DashboardProcess, offer: dict[str, Any]) -> str:
        """Take an offer of a dashboard, and return the file's key."""
        key = str(offer["key"])
        self._offered[key] = _Delivery(process, offer)
        return key

    def take(self, payload: bytes) -> None:
        """Take a packet with a chunk."""
        kind, key, chunk = cast("tuple[str, str, str | bytes]", load(payload))
        delivery = self._offered.get(key)
        if kind == "deliver_chunk" and delivery is not None:
            encoding = delivery.offer["encoding"] or "utf-8"
            delivery.chunks.put_nowait(chunk.encode(encoding) if isinstance(chunk, str) else chunk)

    def withdraw(self, process: DashboardProcess) -> None:
        """Forget what a dashboard has offered that has ended."""
        for key in [key for key, delivery in self._offered.items() if delivery.process is process]:
            del self._offered[key]

    async def send(self, request: web.Request, key: str) -> web.StreamResponse:
        """Send a file, once.

        Raises
        ------
        web.HTTPNotFound
            No such file is offered.
        """
        delivery = self._offered.get(key)
        if delivery is None:
            raise web.HTTPNotFound
        offer = delivery.offer
        kind = "inline" if offer["open_method"] == "browser" else "attachment"
        response = web.StreamResponse()
        response.force_close()
        response.content_type = offer["mime_type"] or "application/octet-stream"
        if offer["encoding"]:
            response.charset = offer["encoding"]
        name = quote(Path(offer["path"]).name)
        response.headers["Content-Disposition"] = f"{kind}; filename*=UTF-8''{name}"
        await response.prepare(request)
        with suppress(TimeoutError):  # the dashboard has ended, or is stopped
            while chunk := await self._next_chunk(delivery, key):
                await response.write(chunk)
        self._offered.pop(key, None)
        return response

    async def _next_chunk(self, delivery: _Delivery, key: str) -> bytes:
        name = delivery.offer["name"]
        delivery.process.tell(type="deliver_chunk_request", key=key, size=_CHUNK_BYTES, name=name)
        async with asyncio.timeout(_CHUNK_SECONDS):
            return await delivery.chunks.get()
