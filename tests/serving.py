"""`charrnn serve` as its pages see it, without a browser."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tests.program import PATIENCE, run_path, started, until
from tests.terminals import Screen

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@dataclass
class Server:
    """A running server.

    Attributes
    ----------
    process : Popen
    address : str
        What it has printed.
    port : int
    key : str
    """

    process: subprocess.Popen[bytes]
    address: str
    port: int
    key: str

    @property
    def socket_address(self) -> str:
        """Address of the socket of a page of 100 columns and 30 lines."""
        return f"ws://127.0.0.1:{self.port}/socket/{self.key}?width=100&height=30"

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def request(self, path: str, *headers: str, host: str | None = None) -> bytes:
        """Return the bytes of a request."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *headers]
        return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"

    def answer(self, request: bytes) -> bytes:
        """Send a request, and return all that comes until the server closes the connection."""
        with self.connect() as connection:
            return self.answer_on(connection, request)

    def answer_on(self, connection: socket.socket, request: bytes) -> bytes:
        found = b""
        try:
            connection.sendall(request)
            while block := connection.recv(65536):
                found += block
        except ConnectionError:  # it was dropped while it still sent
            pass
        return found

    def assert_owner_gets_in(self) -> None:
        answer = self.answer(self.request(f"/?key={self.key}"))
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]

    def ends(self, *numbers: int) -> None:
        """Send signals; it ends with the code of one of them, has written nothing, and leaves no process."""
        where = Path(f"/proc/{self.process.pid}/cwd").readlink()
        for number in numbers:
            self.process.send_signal(number)
        _, err = self.process.communicate(timeout=PATIENCE)
        assert err == b""
        assert self.process.returncode in [128 + number for number in numbers]
        assert processes_in(where) == set()

    @property
    def dashboards(self) -> set[int]:
        return processes_in(Path(f"/proc/{self.process.pid}/cwd").readlink()) - {self.process.pid}


@contextmanager
def served(here: Path, *arguments: str) -> Iterator[Server]:
    """Serve in a process group of its own, and kill all that is left of it at the end."""
    with started(here, "serve", "--port", "0", *arguments, start_new_session=True) as process:
        address = str(run_path(process)).replace("http:/1", "http://1")
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\?key=([\w-]+)", address)
        assert found is not None, address
        try:
            yield Server(process, address, int(found[1]), found[2])
        finally:
            process.kill()
            for left in processes_in(here):
                os.kill(left, 9)


def processes_in(where: Path) -> set[int]:
    """Return all living processes whose current directory this is."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cwd").readlink() == where:
                found.add(int(path.name))
        except OSError:  # it has ended
            continue
    return found


def is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"


async def has_painted(page: aiohttp.ClientWebSocketResponse) -> None:
    """Wait until the dashboard of a page has painted."""
    while True:
        message = await page.receive(timeout=PATIENCE)
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
        if len(message.data) > 1000:
            return


async def shows(page: aiohttp.ClientWebSocketResponse, words: str) -> None:
    """Wait until the terminal of a page, read from its beginning, shows words."""
    screen, rest = Screen(30, 100), ""
    while words not in screen.text:
        message = await page.receive(timeout=PATIENCE)
        assert message.type == aiohttp.WSMsgType.BINARY, message
        rest = screen.feed(rest + message.data.decode(errors="replace"))


def all_gone(server: Server) -> None:
    """Wait until the server has no dashboards."""
    until(lambda: not server.dashboards, lambda: f"dashboards are left: {server.dashboards}")
