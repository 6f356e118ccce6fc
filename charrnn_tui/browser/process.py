"""Process of the dashboard that one page shows."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Self

from charrnn_core.children import environment, python

GRACE_SECONDS = 3.0
"""Time that a dashboard has to end by itself, before it is killed."""

_REAP_SECONDS = 1.0
_MOST_UNREAD = 1 << 20  # bytes of keys for a dashboard that does not read
_MOST_STDERR = 1 << 16
_PRELUDE = b"__GANGLION__\n"
_PACKET = struct.Struct(">cI")  # type and length, before each payload in both directions


class DashboardProcess:
    """`charrnn tui --served` as a child, in a process group of its own.

    Ctrl+C in the terminal of `charrnn serve` does not reach it, and `end` ends it together with whatever it
    has started in its group. Where the server is killed, the dashboard sees the end of its input; and the
    system continues it if it is stopped, as it does with every process group that becomes orphaned. Processes
    that train are in sessions of their own: they outlive their dashboard.

    Use `start` to create one.

    Attributes
    ----------
    pid : int
    """

    def __init__(self, transport: asyncio.SubprocessTransport, pipes: _Pipes) -> None:
        self.pid = transport.get_pid()
        self._transport = transport
        self._pipes = pipes
        self._has_painted = False

    @classmethod
    async def start(cls, arguments: Sequence[str], columns: int, lines: int) -> Self:
        """Start a dashboard.

        Parameters
        ----------
        arguments : sequence of str
            Arguments of the program, without its name.
        columns, lines : int
            Size of the terminal in the page.

        Raises
        ------
        OSError
            The process cannot be started.
        """
        transport, pipes = await asyncio.get_running_loop().subprocess_exec(
            _Pipes,
            *python("-m", "charrnn_tui", *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
            env=environment(
                TEXTUAL_DRIVER="textual.drivers.web_driver:WebDriver",
                TEXTUAL_FPS="60",
                TEXTUAL_COLOR_SYSTEM="truecolor",
                TERM_PROGRAM="textual",
                COLUMNS=str(columns),
                ROWS=str(lines),
            ),
        )
        return cls(transport, pipes)

    def type(self, text: str) -> None:
        """Send what was typed or pasted in the page."""
        self._send(b"D", text.encode(errors="replace"))

    def tell(self, **message: str | int | None) -> None:
        """Send a message of the toolkit's protocol: a new size, for example."""
        self._send(b"M", json.dumps(message).encode())

    async def packets(self) -> AsyncIterator[tuple[bytes, bytes]]:
        """Yield type and payload of each packet that the dashboard sends, until it ends."""
        with suppress(asyncio.IncompleteReadError):  # the dashboard has ended
            await self._pipes.out.readuntil(_PRELUDE)
            self._has_painted = True
            while True:
                kind, size = _PACKET.unpack(await self._pipes.out.readexactly(_PACKET.size))
                yield kind, await self._pipes.out.readexactly(size)

    def errors(self) -> str:
        """Return the end of what the dashboard has written to stderr."""
        return bytes(self._pipes.err[-_MOST_STDERR:]).decode(errors="replace")

    async def end(self) -> None:
        """End the dashboard, and wait for that: at most `GRACE_SECONDS` and a second.

        The end of its input asks it to end. One that is still starting has nothing to finish and is killed at
        once, so that pages that are opened and closed quickly leave no processes behind that start in vain.
        """
        stdin = self._stdin()
        if stdin is not None:
            stdin.abort()  # does not wait until a dashboard that is stopped has read its keys
        try:
            if self._has_painted:
                await self._wait_for_exit(GRACE_SECONDS)
        finally:  # also where the wait was cancelled
            if not self._pipes.exited.is_set():
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
        await self._wait_for_exit(_REAP_SECONDS)
        self._transport.close()

    async def _wait_for_exit(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._pipes.exited.wait()

    def _send(self, kind: bytes, payload: bytes) -> None:
        """Send a packet, unless the dashboard has ended or has left too many packets unread."""
        stdin = self._stdin()
        # Waiting for a dashboard that does not read would hide that its page is closed.
        if stdin is not None and stdin.get_write_buffer_size() < _MOST_UNREAD:
            stdin.write(_PACKET.pack(kind, len(payload)) + payload)

    def _stdin(self) -> asyncio.WriteTransport | None:
        """Return the pipe to the dashboard, until it is closed."""
        stdin = self._transport.get_pipe_transport(0)
        return stdin if isinstance(stdin, asyncio.WriteTransport) and not stdin.is_closing() else None


class _Pipes(asyncio.SubprocessProtocol):
    """Output of a process, and its end.

    `exited` does not wait for the pipes to be closed, which another process may have inherited;
    `asyncio.subprocess.Process.wait` does so in some versions of Python.
    """

    def __init__(self) -> None:
        self.out = asyncio.StreamReader()
        self.err = bytearray()
        self.exited = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        out = transport.get_pipe_transport(1)
        assert out is not None
        self.out.set_transport(out)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 1:
            self.out.feed_data(data)
        else:
            self.err += data
            del self.err[: -2 * _MOST_STDERR]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        if fd == 1:
            self.out.feed_eof()

    def process_exited(self) -> None:
        self.exited.set()
