"""Server of one page, for one user of this machine: the dashboard in a terminal in the browser."""

from __future__ import annotations

import asyncio
import hmac
import html
import json
import logging
import re
import secrets
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import textual_serve
from aiohttp import WSMsgType, web

from charrnn_tui.browser.complaints import Complaints
from charrnn_tui.browser.connections import BACKLOG, Connections
from charrnn_tui.browser.delivery import Deliveries
from charrnn_tui.browser.ending import Ending
from charrnn_tui.browser.process import GRACE_SECONDS, DashboardProcess
from charrnn_tui.terminal import say

MOST_PAGES = 16
"""Pages that may be open at once: each has a process of its own."""

_STATIC = Path(next(iter(textual_serve.__path__))) / "static"
_PAGE = Path(__file__).with_name("page.html")
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.ASCII)
_HEARTBEAT_SECONDS = 15.0
_CLOSE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class DashboardServer:
    """Shows a dashboard of its own to each page that is opened with the right key.

    Parameters
    ----------
    arguments : sequence of str
        Arguments of the program for each dashboard.
    listening : socket
        Socket that is bound to a port of this machine.
    title : str
        Title of the page.
    announce : callable
        Takes the address, with its key, once the server answers.

    Notes
    -----
    Whoever has opened the page can do what the user can do at the dashboard. Three checks keep others out:
    the key in the path or the query of every request, the name in the header `Host`, and the header
    `Origin`. The last two stop the pages of other sites, even of one that knows the key.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        listening: socket.socket,
        title: str,
        announce: Callable[[str], None],
    ) -> None:
        self._arguments = arguments
        self._listening = listening
        self._title = title
        self._announce = announce
        self._key = secrets.token_urlsafe(24)
        self._static = {path.relative_to(_STATIC).as_posix(): path for path in _STATIC.rglob("*.*")}
        self._pages: set[asyncio.Task[Any]] = set()
        self._deliveries = Deliveries()

    def run(self) -> int:
        """Serve until a signal comes, and return its number."""
        logging.getLogger().addHandler(Complaints())
        with Ending() as ending:
            asyncio.run(self._serve(ending))
            assert ending.number is not None
            return ending.number

    async def _serve(self, ending: Ending) -> None:
        self._ended = asyncio.Event()
        app = web.Application(middlewares=[self._admit])
        app.add_routes(
            [
                web.route(method, path, handler, expect_handler=_ignore_expectation)
                for method, path, handler in (
                    ("GET", "/", self._send_page),
                    ("GET", "/static/{key}/{name:.+}", self._send_static),
                    ("GET", "/socket/{key}", self._show_dashboard),
                    ("GET", "/download/{key}/{delivery}", self._send_file),
                    ("*", "/{anything:.*}", _find_nothing),
                )
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_SECONDS / 2)
        await runner.setup()
        assert runner.server is not None
        self._connections = Connections(runner.server)
        server = await asyncio.get_running_loop().create_server(
            self._connections.accept, sock=self._listening, backlog=BACKLOG
        )
        try:
            port = self._listening.getsockname()[1]
            self._announce(f"http://127.0.0.1:{port}/?key={self._key}")
            await ending.wait()
        finally:
            server.close()
            self._ended.set()
            if self._pages:
                await asyncio.wait(self._pages, timeout=GRACE_SECONDS + _CLOSE_SECONDS)
            await runner.cleanup()

    # -- who gets in ---------------------------------------------------------------------------------------

    @web.middleware
    async def _admit(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a request that has the key, and refuse all others; then close the connection."""
        try:
            self._check(request)
            self._connections.admit(request.protocol)
            response = await handler(request)
        except web.HTTPException as refusal:
            refusal.force_close()
            raise
        if not response.prepared:
            response.force_close()
        return response

    def _check(self, request: web.Request) -> None:
        given = request.match_info.get("key") or request.query.get("key", "")
        if not hmac.compare_digest(given.encode(errors="replace"), self._key.encode()):
            raise web.HTTPForbidden(text="no key: open the address that charrnn serve has printed\n")
        if not _LOOPBACK.fullmatch(request.host):
            raise web.HTTPForbidden(text="wrong host: open the page as 127.0.0.1 or localhost\n")
        if any(origin != f"http://{request.host}" for origin in request.headers.getall("Origin", ())):
            raise web.HTTPForbidden(text="wrong origin: this page is not for pages of other sites\n")

    # -- files ---------------------------------------------------------------------------------------------

    async def _send_page(self, request: web.Request) -> web.Response:
        # By the address that the page was opened under: a tunnel may begin at another port.
        values = {
            "title": self._title,
            "static": f"/static/{self._key}/",
            "websocket": f"ws://{request.host}/socket/{self._key}",
            "font_size": str(_number(request.query.get("fontsize"), 16, 4, 100)),
        }
        template = await asyncio.to_thread(_PAGE.read_text, encoding="utf-8")
        text = re.sub(r"\{\{ (\w+) \}\}", lambda found: html.escape(values[found[1]]), template)
        return web.Response(text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    async def _send_static(self, request: web.Request) -> web.FileResponse:
        path = self._static.get(request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def _send_file(self, request: web.Request) -> web.StreamResponse:
        return await self._deliveries.send(request, request.match_info["delivery"])

    # -- dashboards ----------------------------------------------------------------------------------------

    async def _show_dashboard(self, request: web.Request) -> web.StreamResponse:
        """Start a dashboard, and pass on what it draws and what is typed until one of the two has ended."""
        if len(self._pages) >= MOST_PAGES:
            _log.error("too many open pages: %d; close one of them to open another one", MOST_PAGES)
        if len(self._pages) >= MOST_PAGES or self._ended.is_set():
            raise web.HTTPServiceUnavailable
        task = asyncio.current_task()
        assert task is not None
        self._pages.add(task)
        try:
            self._connections.keep(request.protocol)
            page = web.WebSocketResponse(heartbeat=_HEARTBEAT_SECONDS)
            await page.prepare(request)
            columns, lines = (request.query.get(name) for name in ("width", "height"))
            process = await DashboardProcess.start(
                self._arguments, _number(columns, 80, 1, 1000), _number(lines, 24, 1, 1000)
            )
            try:
                await self._pass_on(page, process)
            finally:
                await asyncio.gather(process.end(), _close(page, request))
                say(process.errors(), sys.stderr)
        finally:
            self._pages.discard(task)
        return page

    async def _pass_on(self, page: web.WebSocketResponse, process: DashboardProcess) -> None:
        """Pass on in both directions until the page, the dashboard or the server ends."""
        directions = [
            asyncio.create_task(_pass_on_input(page, process)),
            asyncio.create_task(self._pass_on_output(page, process)),
            asyncio.create_task(self._ended.wait()),
        ]
        try:
            done, _ = await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            self._deliveries.withdraw(process)
        for direction in done:
            direction.result()  # raises what went wrong

    async def _pass_on_output(self, page: web.WebSocketResponse, process: DashboardProcess) -> None:
        with suppress(ConnectionError):  # the page was closed
            async for kind, payload in process.packets():
                if kind == b"D":
                    await page.send_bytes(payload)
                elif kind == b"M":
                    await self._obey(page, process, json.loads(payload))
                elif kind == b"P":
                    self._deliveries.take(payload)

    async def _obey(
        self, page: web.WebSocketResponse, process: DashboardProcess, message: dict[str, Any]
    ) -> None:
        """Do what a dashboard asks for: open an address, or offer a file."""
        if message["type"] == "open_url":
            told = {"url": message["url"], "new_tab": message["new_tab"]}
            await page.send_str(json.dumps(["open_url", told]))
        elif message["type"] == "deliver_file_start":
            key = self._deliveries.offer(process, message)
            # The page's script puts this behind "/download/".
            await page.send_str(json.dumps(["deliver_file_start", f"{self._key}/{key}"]))


async def _pass_on_input(page: web.WebSocketResponse, process: DashboardProcess) -> None:
    """Pass on what the page sends, until it is closed or sends something that its script does not send."""
    with suppress(ConnectionError):
        async for message in page:
            if message.type != WSMsgType.TEXT:
                return
            try:
                kind, *arguments = json.loads(message.data)
                if kind == "ping":
                    await page.send_str(json.dumps(["pong", *arguments]))
                else:
                    _tell(process, kind, *arguments)
            except (ValueError, TypeError, KeyError, RecursionError):
                return


def _tell(process: DashboardProcess, kind: str, argument: Any = None) -> None:
    """Tell a dashboard what has happened in its page.

    Raises
    ------
    TypeError, KeyError
        The argument is of another type than the page's script sends.
    """
    if kind == "stdin":
        if not isinstance(argument, str):
            raise TypeError
        process.type(argument)
    elif kind == "resize":
        width, height = _number(argument["width"], 80, 1, 1000), _number(argument["height"], 24, 1, 1000)
        process.tell(type="resize", width=width, height=height)
    elif kind in ("blur", "focus"):
        process.tell(type=kind)


async def _close(page: web.WebSocketResponse, request: web.Request) -> None:
    """Close a page, without waiting for one that does not read."""
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await page.close()
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()


async def _ignore_expectation(request: web.Request) -> None:
    """Answer `Expect` by nothing: the usual answer would come before it is known who asks."""


async def _find_nothing(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


def _number(given: object, default: int, least: int, most: int) -> int:
    """Return a number that a page has sent, within bounds."""
    try:
        return min(max(int(str(given)), least), most)
    except ValueError:
        return default
