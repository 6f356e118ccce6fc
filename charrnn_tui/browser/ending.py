"""Signals that end `charrnn serve`."""

from __future__ import annotations

import asyncio
import os
import signal
from types import FrameType
from typing import Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Waits for the first of SIGINT, SIGTERM and SIGHUP, while it is entered.

    Further signals change nothing. They are ignored once it is left: what remains is the exit, with the code
    that the first signal asked for. The handlers of asyncio are not enough: they are gone when its loop is
    closed, and a second Ctrl+C would then raise KeyboardInterrupt in the middle of the exit. A signal that
    the caller ignores stays ignored.

    Attributes
    ----------
    number : int or None
        The first signal.
    """

    def __init__(self) -> None:
        self.number: int | None = None

    def __enter__(self) -> Self:
        self._read_end, self._write_end = os.pipe()
        for descriptor in (self._read_end, self._write_end):
            os.set_blocking(descriptor, False)
        # Wakes the loop, also when the signal comes just before the loop begins to wait.
        self._wakeup_before = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in _NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._hear)
        return self

    def __exit__(self, *exception: object) -> None:
        for number in _NUMBERS:
            signal.signal(
                number, signal.SIG_IGN
            )  # any other handler ends with the interpreter, before the exit
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._read_end)
        os.close(self._write_end)

    async def wait(self) -> None:
        """Wait for the first signal, which may have come before."""
        loop, woken = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._read_end, woken.set)
        try:
            while self.number is None:
                await woken.wait()
                woken.clear()
                os.read(self._read_end, 4096)
        finally:
            loop.remove_reader(self._read_end)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
