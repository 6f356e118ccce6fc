"""Headless Chromium with one page, driven over its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.program import PATIENCE, HangError
from tests.terminals import Screen

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """A page with a terminal in it.

    Attributes
    ----------
    screen : Screen
        What the terminal of the page shows, from what came to it over its socket.
    sent : list of str
        What the page has sent over its socket, and its end.
    """

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.screen = Screen(50, 200)
        self.problems: list[str] = []
        self.sent: list[str] = []
        self._socket = socket
        self._rest = ""
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the protocol, and return its answer."""
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps({"id": number, "method": method, "params": arguments}))
        return await asyncio.wait_for(self._answers[number], PATIENCE)

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers[told["id"]].set_result(told.get("result", told.get("error")))
            elif told["method"] == "Network.webSocketCreated":
                columns, lines = map(int, re.findall(r"=(\d+)", told["params"]["url"]))
                self.screen.resize(lines, columns)
            elif told["method"] == "Network.webSocketFrameSent":
                self.sent.append(told["params"]["response"]["payloadData"])
            elif told["method"] == "Network.webSocketClosed":
                self.sent.append("closed")
            elif told["method"] == "Network.webSocketFrameReceived":
                frame = told["params"]["response"]
                if frame["opcode"] == 2:  # bytes for the terminal
                    text = base64.b64decode(frame["payloadData"]).decode(errors="replace")
                    self._rest = self.screen.feed(self._rest + text)
            elif told["method"] in ("Network.requestWillBeSent", "Log.entryAdded"):
                url = told["params"].get("request", {}).get("url", "")
                entry = told["params"].get("entry", {})
                if url and not re.match(r"(http|ws)://127\.0\.0\.1|data:", url):
                    self.problems.append(f"asks {url}")
                if entry.get("level") == "error":
                    self.problems.append(entry["text"])

    async def opens(self, address: str) -> None:
        """Open a page."""
        for domain in ("Network", "Page", "Log"):
            await self.call(f"{domain}.enable")
        await self.call("Emulation.setFocusEmulationEnabled", enabled=True)
        self.screen.resize(1, 1)  # what was shown before is gone
        await self.call("Page.navigate", url=address)

    async def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key of this name and virtual code, which writes a text or nothing."""
        which = {"key": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **which)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **which)

    async def is_closed(self) -> bool:
        """Return whether the page says that its dashboard is closed."""
        is_shown = "(it => it && getComputedStyle(it).display != 'none')(document.getElementById('closed'))"
        answer = await self.call("Runtime.evaluate", expression=is_shown)
        return bool(answer["result"].get("value"))

    async def shows(self, words: str) -> None:
        """Wait until the terminal shows words."""
        await self.until(lambda: words in self.screen.text, lambda: f"{words} in\n{self.screen.text}")

    async def until(
        self, condition: Callable[[], object | Awaitable[object]], told: Callable[[], str] = lambda: ""
    ) -> None:
        """Wait for something to become true."""
        for _ in range(int(PATIENCE / 0.02)):
            answer = condition()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            if self._reader.done():
                self._reader.result()
                raise HangError("Chromium has closed the connection")
            await asyncio.sleep(0.02)
        raise HangError(f"{told()}\nsent: {self.sent}")

    async def picture(self) -> bytes:
        """Return the page as a PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


@asynccontextmanager
async def page() -> AsyncIterator[Page]:
    """Start Chromium with an empty page, and end it."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        options += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=1280,800"]
        browser = await asyncio.create_subprocess_exec(
            PROGRAM,
            *options,
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            told = Path(profile) / "DevToolsActivePort"
            async with asyncio.timeout(PATIENCE):
                while not told.exists() or "\n" not in told.read_text(encoding="ascii"):
                    await asyncio.sleep(0.02)
            port = told.read_text(encoding="ascii").splitlines()[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    (target,) = [each for each in await answer.json() if each["type"] == "page"]
                async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Page(socket)
        finally:
            browser.kill()
            await browser.wait()
