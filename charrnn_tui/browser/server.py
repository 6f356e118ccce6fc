"""A server of one page for one user of this machine: the dashboard, drawn by a terminal in the browser."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import shlex
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp_jinja2
from aiohttp import web
from aiohttp.web_runner import GracefulExit
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from charrnn_tui.terminal import say

HOST = "127.0.0.1"
"""Never another one: who wants to look from elsewhere brings the port there by SSH."""

_BEGINNING = b"__GANGLION__\n"
_PACKET = struct.Struct(">cI")
_HEARTBEAT_SECONDS = 15.0
_LAST_SECONDS = 1.0  # that pages which are still open get to end
_PATIENCE_SECONDS = 5.0  # with a dashboard that was told to end


class _Dashboard(AppService):
    """The process of one dashboard.

    When it ends, however that came, its page is told, and what it has said goes to stderr. The toolkit's own
    prints it on stdout, where the address is, and leaves the page of one that could not start as it is.
    """

    async def run(self) -> None:
        """Pass on what it draws until it ends."""
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        said = asyncio.create_task(process.stderr.read())
        take = {b"D": self.on_data, b"M": self.on_meta, b"P": self.on_packed}
        with suppress(asyncio.IncompleteReadError):  # its end
            await process.stdout.readuntil(_BEGINNING)
            while True:
                kind, size = _PACKET.unpack(await process.stdout.readexactly(_PACKET.size))
                await take[kind](await process.stdout.readexactly(size))
        say((await said).decode(errors="replace"), sys.stderr)
        await self.remote_close()
        await process.wait()

    async def stop(self) -> None:
        """Have it end, by itself while it answers."""
        process = self._process
        assert process is not None
        ending = asyncio.create_task(super().stop())
        _, late = await asyncio.wait([ending], timeout=_PATIENCE_SECONDS)
        if late and process.returncode is None:
            process.kill()  # the run that it shows has a process of its own
        await ending

    async def on_data(self, payload: bytes) -> None:
        """Draw, unless the page was closed: then the dashboard hears of it soon, and ends."""
        with suppress(ConnectionError):
            await super().on_data(payload)


class DashboardServer(Server):
    """Shows a dashboard of its own to each page that is opened with the right key.

    Parameters
    ----------
    arguments : sequence of str
        Of the program, for the dashboard.
    listening : socket
        Bound to a port of this machine.
    title : str
        Of the page.
    said : callable
        Takes the address, with its key, once there is somebody who answers.

    Notes
    -----
    Whoever has the page has the user's hands: the key keeps other users of the machine out, and the pages of
    other sites that the same browser shows.
    """

    def __init__(
        self, arguments: Sequence[str], listening: socket.socket, title: str, said: Callable[[str], None]
    ) -> None:
        command = shlex.join([sys.executable, "-m", "charrnn_tui", *arguments])
        port: int = listening.getsockname()[1]
        address = f"http://{HOST}:{port}"  # by default it would be https for port 443
        super().__init__(command, HOST, port, title, address, templates_path=Path(__file__).parent)
        self._listening = listening
        self._said = said
        self._key = secrets.token_urlsafe(24)
        self._ended_by = 0
        self._dashboards: set[_Dashboard] = set()

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"{self.public_url}/?key={self._key}"

    def initialize_logging(self) -> None:
        """Log nothing but errors: the terminal is the user's."""
        logging.basicConfig(level="ERROR", format="charrnn: %(message)s")

    async def on_startup(self, app: web.Application) -> None:
        """Say where the page is, and end by signals from now on."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._end, number)
        self._said(self.address)

    async def on_shutdown(self, app: web.Application) -> None:
        """Wait for the dashboards: a process that outlives the loop is an exception of asyncio."""
        await asyncio.gather(*(dashboard.stop() for dashboard in self._dashboards))

    def run(self) -> int:
        """Serve until a signal, and return which one it was."""
        self.initialize_logging()
        web.run_app(
            self._make_app(),
            sock=self._listening,
            print=None,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_LAST_SECONDS,
        )
        return self._ended_by

    def _end(self, number: int) -> None:
        self._ended_by = number
        raise GracefulExit

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        # The page's script puts a query of its own behind the address of the socket.
        app.router.add_get("/ws/{key}", self.handle_websocket)
        return app

    @aiohttp_jinja2.template("page.html")
    async def handle_index(self, request: web.Request) -> dict[str, Any]:
        """Give the page, to whoever has the key."""
        self._let_in(request)
        # By the address that the page was opened under: a tunnel may begin at another port.
        return {
            "title": self.title,
            "static": "/static/",
            "websocket": f"ws://{request.host}/ws/{self._key}",
            "font_size": to_int(request.query.get("fontsize", "16"), 16),
        }

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Start a dashboard, for whoever has the key."""
        self._let_in(request)
        columns, lines = (to_int(request.query.get(name, ""), 0) for name in ("width", "height"))
        page = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS)
        await page.prepare(request)

        async def close() -> None:
            await page.close()

        dashboard = _Dashboard(
            self.command,
            write_bytes=page.send_bytes,
            write_str=page.send_str,
            close=close,
            download_manager=self.download_manager,
            debug=self.debug,
        )
        await dashboard.start(columns or 80, lines or 24)
        self._dashboards.add(dashboard)
        try:
            await self._process_messages(page, dashboard)
        finally:
            await dashboard.stop()
            self._dashboards.discard(dashboard)
        return page

    def _let_in(self, request: web.Request) -> None:
        given = request.match_info.get("key") or request.query.get("key", "")
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            raise web.HTTPForbidden(text="The address that charrnn serve has printed has a key in it.\n")
