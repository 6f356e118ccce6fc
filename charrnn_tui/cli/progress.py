"""What is shown while a run trains: views of its events, for a terminal, a pipe, or a program."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

from charrnn_core.memory import readable_size
from charrnn_core.training.events import Event, Sample, Status, Warned
from charrnn_core.training.settings import Settings
from charrnn_tui.cli.told import figures_of, place_of, share_done
from charrnn_tui.terminal import harmless, harmless_line, has_utf8, is_rich, say

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from charrnn_tui.cli.phases import Phases

PLAIN_SECONDS = 5.0
"""How often a line of progress is written where stderr is no terminal."""

BAR_SECONDS = 0.2
"""How often the bar is drawn again."""

View = Callable[[Event | Status], None]
Tell = Callable[[Event], Iterable[str]]


@contextmanager
def reading(quiet: bool) -> Iterator[Callable[[int], None]]:
    """Give a function that shows how much of the text is read, if it takes longer than a second."""
    with passing(quiet) as show:
        yield lambda read: show(f"reading: {readable_size(read)}")


@contextmanager
def passing(quiet: bool) -> Iterator[Callable[[str], None]]:
    """Give a function that shows a line on the terminal, if the whole takes longer than a second."""
    began = shown = time.monotonic()
    terminal = is_rich(sys.stderr) and not quiet

    def show(line: str) -> None:
        nonlocal shown
        now = time.monotonic()
        if terminal and now - began > 1 and now - shown > BAR_SECONDS:
            shown = now
            sys.stderr.write(f"\r{line}\x1b[K")
            sys.stderr.flush()

    yield show
    if shown > began:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


def view_for(settings: Settings, tell: Tell, *, quiet: bool, phases: Phases | None = None) -> AnyView:
    """Return the view that fits stderr; entering it gives the function that takes events.

    Parameters
    ----------
    settings : Settings
    tell : callable
        Gives the lines in which an event is told.
    quiet : bool
        Show nothing but warnings.
    phases : Phases, optional
        Of the study that the run belongs to.
    """
    if quiet:
        return QuietView()
    return (BarView if is_rich(sys.stderr) else PlainView)(settings, tell, phases)


class QuietView:
    """Shows nothing but warnings."""

    def __enter__(self) -> View:
        return self.show

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, item: Event | Status) -> None:
        """Show a warning."""
        if isinstance(item, Warned):
            say(f"charrnn: {harmless_line(item.message)}\n", sys.stderr)

    def turn(self) -> None:
        """Show nothing of a new phase."""

    def write(self, line: str) -> None:
        """Write nothing."""

    def leave(self) -> None:
        """Leave nothing behind."""


class PlainView:
    """Writes lines to stderr: a header, progress every few seconds, samples, and how it ended."""

    def __init__(self, settings: Settings, tell: Tell, phases: Phases | None = None) -> None:
        self._settings = settings
        self._tell = tell
        self._phases = phases
        self._next = time.monotonic() + PLAIN_SECONDS

    def __enter__(self) -> View:
        return self.show

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, item: Event | Status) -> None:
        """Show an event or a status."""
        if not isinstance(item, Status):
            for line in self._tell(item):
                self.write(line)
        if self._phases is not None and self._phases.see(item):
            self.turn()
        if isinstance(item, Status) and time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_SECONDS
            status = item if self._phases is None else self._phases.status(item)
            self.write(" · ".join([*place_of(status), *figures_of(status, self._settings)]))

    def turn(self) -> None:
        """Write how far the study is, where another of its phases has begun."""
        if self._phases is not None:
            is_terminal = sys.stderr is not None and sys.stderr.isatty()
            columns = os.get_terminal_size(sys.stderr.fileno()).columns if is_terminal else 0
            self.write("".join(words for words, _ in self._phases.line(columns or None)))

    def write(self, line: str) -> None:
        """Write one line."""
        say(f"{line}\n", sys.stderr)

    def leave(self) -> None:
        """Leave nothing behind."""


class BarView:
    """Draws a bar and the current figures at the foot of the terminal; samples scroll away above it."""

    def __init__(self, settings: Settings, tell: Tell, phases: Phases | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._settings = settings
        self._tell = tell
        self._phases = phases
        self._console = Console(stderr=True, highlight=False)
        # Drawn by us between two updates: a thread that draws would take its time from training.
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._next = 0.0
        self._gone = False

    def __enter__(self) -> View:
        if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, self._suspend)
        self._live.__enter__()
        return self.show

    def __exit__(self, *exception: Any) -> None:
        with self._muted():
            self._live.__exit__(*exception)
        if signal.getsignal(signal.SIGTSTP) == self._suspend:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)

    def show(self, item: Event | Status) -> None:
        """Show an event or a status; nothing, once the terminal is gone."""
        with self._muted():
            if not self._gone:
                self._show(item)

    def turn(self) -> None:
        """Show how far the study is, in place of the bar: no update is done any more."""
        with self._muted():
            if self._phases is not None and not self._gone:
                self._live.update(self._phase_line(self._phases), refresh=True)

    def write(self, line: str) -> None:
        """Write one line above the bar."""
        with self._muted():
            if not self._gone:
                self._console.print(self._text(harmless(line)))

    def leave(self) -> None:
        """Give the cursor back, for a process that ends at once and not by leaving this context."""
        with suppress(OSError):  # the terminal may be gone
            os.write(2, b"\x1b[?25h\n")

    @contextmanager
    def _muted(self) -> Iterator[None]:
        try:
            yield
        except OSError:  # the terminal is gone, which is no reason to stop training
            self._gone = True

    def _suspend(self, number: int, frame: FrameType | None) -> None:
        """Give the shell its cursor back while Ctrl+Z has stopped this process.

        Stopped by the same signal, which the system ignores where no shell could ever continue the process.
        """
        with suppress(OSError):  # the terminal may be gone
            os.write(2, b"\x1b[?25h")
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspend)
        with suppress(OSError):
            os.write(2, b"\x1b[?25l")

    def _show(self, item: Event | Status) -> None:
        if self._phases is not None and self._phases.see(item):
            self._next = 0.0  # whatever the time, the next status shows another phase
        if isinstance(item, Status):
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + BAR_SECONDS
                self._live.update(self._bar(item), refresh=True)
            return
        style = "dim" if isinstance(item, Sample) else "yellow" if isinstance(item, Warned) else ""
        for number, line in enumerate(self._tell(item)):
            text = self._text(harmless(line), style="" if number else style)
            self._console.print(text, soft_wrap=not isinstance(item, Sample))

    def _bar(self, status: Status) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        phases = self._phases
        if phases is not None:
            status = phases.status(status)
        total = share_done(status, self._settings) if phases is None else phases.share(status)
        row = Table.grid(expand=True, padding=(0, 2, 0, 0))
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        bar = ProgressBar(total=1, completed=total or 0, pulse=total is None)
        row.add_row(bar, self._text(" · ".join(place_of(status))))
        figures = self._text(" · ".join(figures_of(status, self._settings)), style="dim")
        figures.no_wrap = True
        return Group(*([] if phases is None else [self._phase_line(phases)]), row, figures)

    def _phase_line(self, phases: Phases) -> Text:
        line = self._text("")
        line.no_wrap, line.overflow = True, "crop"
        for words, style in phases.line(self._console.width):
            line.append_text(self._text(words, style))
        return line

    def _text(self, words: str, style: str = "") -> Text:
        from rich.text import Text

        if not has_utf8(sys.stderr):
            from charrnn_tui.ascii import to_ascii

            words = to_ascii(words)
        return Text(words, style)


AnyView = QuietView | PlainView | BarView
