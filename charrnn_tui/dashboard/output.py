"""What is written to the terminal, by a thread of its own: nobody waits for a terminal that does not read."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

_BEHIND_BYTES = 1 << 15
"""With this much still to be written, the terminal is behind, and nothing more is painted for now."""

_AGAIN_SECONDS = 0.02
_WRITE_BYTES = 1 << 14
"""What is written at once."""


class Output(threading.Thread):
    """Writes to a terminal what it is given, in order.

    A terminal can stop to read, for a moment or for ever, and then a write to it does not return. What is
    given is kept until it can be written, so whoever paints has to ask `lets_through` before, and to leave it
    out where the terminal is behind.

    Parameters
    ----------
    descriptor : int
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(name="terminal-output", daemon=True)
        self.descriptor = descriptor
        self._changed = threading.Condition()
        self._waiting = bytearray()
        self._writes = False
        self._ended = False
        self._gone = False
        self._caught_up: Callable[[], None] | None = None

    def put(self, data: bytes) -> None:
        """Have something written; where the terminal is gone, it is dropped."""
        with self._changed:
            if not (self._gone or self._ended):
                self._waiting += data
                self._changed.notify_all()

    def lets_through(self, caught_up: Callable[[], None]) -> bool:
        """Return whether there is room for more; if not, `caught_up` is called when all is written."""
        with self._changed:
            if len(self._waiting) < _BEHIND_BYTES:
                return True
            self._caught_up = caught_up
            return False

    def drain(self, seconds: float | None = None) -> bool:
        """Wait until all is written, or the terminal is gone, and return whether this came in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._gone or not (self._waiting or self._writes), seconds)

    def end(self) -> None:
        """Write what is left, and end."""
        self.drain()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self.join()

    def drop(self) -> None:
        """Write nothing more."""
        with self._changed:
            self._gone = True
            self._waiting.clear()
            self._changed.notify_all()

    def interrupt(self, seconds: float) -> None:
        """Have a write that waits look again whether there is room, and wait for its end for this long.

        Again and again: one that is interrupted before it has written anything is begun anew.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._writes and time.monotonic() < deadline:
                if self.ident is not None:
                    signal.pthread_kill(self.ident, signal.SIGCONT)
                self._changed.wait_for(lambda: not self._writes, _AGAIN_SECONDS)

    def run(self) -> None:
        """Write."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                block = bytes(self._waiting[:_WRITE_BYTES])
                del self._waiting[:_WRITE_BYTES]
                self._writes = True
            if not block:
                return
            try:
                while block and not self._gone:
                    block = block[os.write(self.descriptor, block) :]
            except OSError:
                # The terminal is gone. Whoever has to know learns it from the signal, or from its hanging up.
                self._gone = True
            with self._changed:
                self._writes = False
                if self._gone:
                    self._waiting.clear()
                caught_up = None
                if not self._waiting:
                    caught_up, self._caught_up = self._caught_up, None
                self._changed.notify_all()
            if caught_up is not None and not self._gone:
                caught_up()
