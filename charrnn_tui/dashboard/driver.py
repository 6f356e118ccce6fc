"""Between the toolkit and the terminal: being stopped, sizes, slow terminals, and those without UTF-8."""

from __future__ import annotations

import os
import signal
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size

from charrnn_tui.ascii import to_ascii
from charrnn_tui.dashboard.output import Output
from charrnn_tui.terminal import has_utf8

if TYPE_CHECKING:
    from textual.app import App

_COLUMNS, _LINES = 80, 24
"""The size of a terminal that does not know its own."""

_INTERRUPT_SECONDS = 0.3

# Whatever it waits for the end of is cancelled, and all that the driver switches on is switched off.
_RESTORED = b"\x18\x1b[0m\x1b[?2026l\x1b[?2048l\x1b[?2004l\x1b[?7h\x1b[?1004l"
_RESTORED += b"\x1b[?1000l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l\x1b[<u\x1b[?1049l\x1b[?25h"


class TerminalDriver(LinuxDriver):
    """The toolkit's driver, but for these points.

    What is written is kept until the terminal takes it, and the main thread never waits for that but at the
    end. Being stopped and going on is done where the event loop calls, and not within a handler of a signal,
    which could interrupt the very write whose lock it needs. The size is the terminal's own, not what a
    variable said when the process began. Where the terminal has no UTF-8, all becomes ASCII.

    Attributes
    ----------
    away : bool
        The terminal is left to others for now.
    is_ascii : bool
        It has nothing but ASCII.
    """

    def __init__(self, app: App[Any], **settings: Any) -> None:
        self._output = Output(sys.__stdout__.fileno() if sys.__stdout__ is not None else 1)
        self.is_ascii = not has_utf8(sys.__stdout__)
        self.away = True
        self._stopped = False
        self._is_restored = True
        super().__init__(app, **settings)
        self._size = self._size or self._get_terminal_size()
        self._output.start()

    def write(self, data: str) -> None:
        """Have text and sequences written, in ASCII where the terminal has nothing else."""
        if not self.away:
            self._output.put(to_ascii(data).encode() if self.is_ascii else data.encode(errors="replace"))

    def lets_through(self, caught_up: Callable[[], None]) -> bool:
        """Return whether the terminal reads what it gets; if not, `caught_up` is called in the loop later."""
        return self._output.lets_through(lambda: self._call(caught_up))

    def start_application_mode(self) -> None:
        """Enter the screen."""
        self.away = self._stopped = self._is_restored = False
        super().start_application_mode()  # type: ignore[no-untyped-call]
        super().close()  # of the toolkit's two threads the one that writes; here another one does

    def stop_application_mode(self) -> None:
        """Leave the screen."""
        if not self.away:
            if self._mouse_pixels:
                self.write("\x1b[?1016l")
            if self.is_in_background:
                self.attrs_before = None  # the settings are those of another job now
            super().stop_application_mode()
            self.away = True

    def disable_input(self) -> None:
        """Take no more keys."""
        if self.is_in_background:
            # It was stopped, and is to end where it is. Whoever touches the terminal from there is stopped.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        super().disable_input()

    def suspend_application_mode(self) -> None:
        """Leave the screen for a while."""
        self.stop_application_mode()
        self._is_restored = self._output.drain()

    def close(self) -> None:
        """Wait until all is written, and end."""
        self._output.end()
        self._is_restored = True

    def leave(self) -> None:
        """Leave the screen for as long as the process is stopped."""
        if not self.away:
            self.suspend_application_mode()
            self._stopped = True

    def come_back(self) -> None:
        """Enter the screen anew, whatever others did with the terminal while the process was stopped."""
        if self.away and not self._stopped:  # not yet entered, or left for good
            return
        self.stop_application_mode()  # where it was stopped without having been asked
        self.start_application_mode()
        # Of what was painted nothing is there any more.
        self._app.refresh(layout=True)

    def restore(self) -> None:
        """Bring the terminal back without waiting long for anything, before the process is ended at once."""
        if self._is_restored:
            return
        with suppress(termios.error, OSError):  # it is gone
            if self.attrs_before is not None:
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
            self._output.drop()
            # What waits in the kernel for a terminal that does not read would be in the way.
            termios.tcflush(self._output.descriptor, termios.TCOFLUSH)
            self._output.interrupt(_INTERRUPT_SECONDS)
            # A write that waited has filled the room again with the rest of what it had.
            termios.tcflush(self._output.descriptor, termios.TCOFLUSH)
            os.write(self._output.descriptor, _RESTORED)

    def run_input_thread(self) -> None:
        """Take keys until the terminal is gone."""
        with suppress(OSError):  # whoever listens to signals learns of it too
            super().run_input_thread()

    @property
    def terminal_size(self) -> Size:
        """The size that the terminal has now."""
        return Size(*self._get_terminal_size())

    def _get_terminal_size(self) -> tuple[int, int]:
        try:
            columns, lines = os.get_terminal_size(self._output.descriptor)
        except OSError:
            columns = lines = 0
        return columns or _COLUMNS, lines or _LINES

    @property
    def is_in_background(self) -> bool:
        """Whether the terminal is another job's."""
        try:
            return os.tcgetpgrp(self.fileno) != os.getpgrp()
        except OSError:
            return False

    def _call(self, function: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function)

    def _sigtstp_application(self, *_: object) -> None:
        """Do nothing here: `leave` is called."""

    def _sigcont_application(self, *_: object) -> None:
        """Do nothing here: `come_back` is called."""
