"""Signals, heard by a thread of its own: at once, and at no instant at which something else is half done."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Self

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
"""Signals that ask the dashboard to end."""

END_SECONDS = 1.5
"""How long ending in order may take; a terminal that does not read could hold it for ever."""

_RESTORE_SECONDS = 1.0
_NO_MORE, _STOP = 0, 255  # no signals have these numbers


class Signals:
    """Hears signals, and the terminal's hanging up, while it is entered.

    A handler of Python runs in the main thread between any two of its steps, where the toolkit may hold a
    lock that the handler needs; and it does not run at all while that thread waits in a call that is not
    interrupted. So the handlers do nothing, and what the signals ask for is done in the event loop; and where
    that does not end in time, the process is ended from the thread that listens.

    Parameters
    ----------
    restore : callable
        Brings the terminal back as well as it can, before the process is ended at once.

    Attributes
    ----------
    ended_by : int or None
        The signal that asked for the end; SIGHUP also where the terminal has hung up.
    """

    def __init__(self, restore: Callable[[], None]) -> None:
        self.ended_by: int | None = None
        self._restore = restore
        self._loop: asyncio.AbstractEventLoop | None = None
        self._hear: Callable[[int], None] = lambda number: None
        self._unheard: list[int] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)

    def __enter__(self) -> Self:
        self._ear, self._mouth = os.pipe()
        for descriptor in (self._ear, self._mouth):
            os.set_blocking(descriptor, False)
        # Python writes the number of each signal that has a handler there, whatever the main thread does.
        self._mouth_before = signal.set_wakeup_fd(self._mouth, warn_on_full_buffer=False)
        self._before = {
            number: signal.signal(number, _leave_to_thread)
            for number in ENDING
            if signal.getsignal(number) != signal.SIG_IGN
        }
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        signal.set_wakeup_fd(self._mouth_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        # The toolkit's: what it did for them has an end.
        for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH):
            signal.signal(number, signal.SIG_DFL)
        os.write(self._mouth, bytes([_NO_MORE]))
        self._thread.join()
        os.close(self._ear)
        os.close(self._mouth)

    def tell(self, hear: Callable[[int], None]) -> None:
        """Have a function called in the running event loop with each signal, also with those heard before."""
        with self._lock:
            self._loop, self._hear = asyncio.get_running_loop(), hear
            for number in self._unheard:
                self._loop.call_soon(hear, number)

    def stop_process(self) -> None:
        """Stop the process, unless one of the signals until now asks it to end."""
        os.write(self._mouth, bytes([_STOP]))

    def _listen(self) -> None:
        poll = select.poll()
        poll.register(self._ear, select.POLLIN)
        for terminal in (0, 1):
            poll.register(terminal, 0)  # nothing but its hanging up
        last: float | None = None
        while True:
            ready = poll.poll(None if last is None else max(0.0, last - time.monotonic()) * 1000)
            if last is not None and time.monotonic() >= last:
                self._end_at_once()
            numbers: list[int] = []
            for descriptor, what in ready:
                if descriptor == self._ear:
                    numbers += os.read(self._ear, 4096)
                else:
                    # Not all that a signal is ignored for, or not sent to, may go on without a terminal.
                    poll.unregister(descriptor)
                    numbers += [signal.SIGHUP] * bool(what & (select.POLLHUP | select.POLLERR))
            for number in numbers:
                if number == _NO_MORE:
                    return
                if number == _STOP:
                    if last is None:
                        os.kill(os.getpid(), signal.SIGSTOP)
                    continue
                if number in ENDING and last is None:
                    self.ended_by = number
                    last = time.monotonic() + END_SECONDS
                self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        with self._lock:
            if self._loop is None:
                self._unheard.append(number)
                return
            with suppress(RuntimeError):  # the loop is closed: all that it could do is done
                self._loop.call_soon_threadsafe(self._hear, number)

    def _end_at_once(self) -> None:
        assert self.ended_by is not None
        # In a thread, for it writes to a terminal of which nobody knows whether it reads.
        restoring = threading.Thread(target=self._restore, daemon=True)
        restoring.start()
        restoring.join(_RESTORE_SECONDS)
        os._exit(128 + self.ended_by)


def _leave_to_thread(number: int, frame: FrameType | None) -> None:
    """Do nothing: without a handler a signal would not be told to the thread."""
