"""What `charrnn train` shows while it trains: views of the events, for a terminal, a pipe, or a program."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from charrnn_core.memory import readable_size
from charrnn_core.training.events import (
    Ended,
    Event,
    GradientsChecked,
    Sample,
    Started,
    Status,
    Validated,
    Warned,
)
from charrnn_core.training.settings import Settings
from charrnn_tui.cli.check_table import METHODS
from charrnn_tui.formatting import clock
from charrnn_tui.terminal import OutputError, harmless, harmless_line, is_rich, put, say

if TYPE_CHECKING:
    from rich.console import RenderableType

PLAIN_SECONDS = 5.0
"""How often a line of progress is written where stderr is no terminal."""

BAR_SECONDS = 0.2
"""How often the bar is drawn again."""

View = Callable[[Event | Status], None]


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


def view_for(settings: Settings, run: str, *, quiet: bool) -> AbstractContextManager[View]:
    """Return the view that fits stderr; entering it gives the function that takes events.

    Parameters
    ----------
    settings : Settings
    run : str
        How a user names the run from here.
    quiet : bool
        Show nothing but warnings.
    """
    if quiet:
        return _Quiet()
    return BarView(settings, run) if is_rich(sys.stderr) else PlainView(settings, run)


class _Quiet:
    """Shows nothing but warnings."""

    def __enter__(self) -> View:
        return self.show

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, item: Event | Status) -> None:
        if isinstance(item, Warned):
            say(f"charrnn: {harmless_line(item.message)}\n", sys.stderr)


class PlainView:
    """Writes lines to stderr: a header, progress every few seconds, samples, and how it ended."""

    def __init__(self, settings: Settings, run: str) -> None:
        self._settings = settings
        self._run = run
        self._next = time.monotonic() + PLAIN_SECONDS

    def __enter__(self) -> View:
        return self.show

    def __exit__(self, *exception: object) -> None:
        pass

    def show(self, item: Event | Status) -> None:
        """Show an event or a status."""
        if not isinstance(item, Status):
            for line in told(item, self._settings, self._run):
                self.write(line)
        elif time.monotonic() >= self._next:
            self._next = time.monotonic() + PLAIN_SECONDS
            self.write(" · ".join([*_where(item), *_how_well(item, self._settings)]))

    def write(self, line: str) -> None:
        """Write one line."""
        say(f"{line}\n", sys.stderr)


class BarView:
    """Draws a bar and the current figures at the foot of the terminal; samples scroll away above it."""

    def __init__(self, settings: Settings, run: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._settings = settings
        self._run = run
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
        from rich.text import Text

        if isinstance(item, Status):
            if time.monotonic() >= self._next:
                self._next = time.monotonic() + BAR_SECONDS
                self._live.update(self._bar(item), refresh=True)
            return
        style = "dim" if isinstance(item, Sample) else "yellow" if isinstance(item, Warned) else ""
        for number, line in enumerate(told(item, self._settings, self._run)):
            text = Text(harmless(line), style="" if number else style)
            self._console.print(text, soft_wrap=not isinstance(item, Sample))

    def _bar(self, status: Status) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        total = _share_done(status, self._settings)
        row = Table.grid(expand=True, padding=(0, 2, 0, 0))
        row.add_column(ratio=1)
        row.add_column(no_wrap=True)
        bar = ProgressBar(total=1, completed=total or 0, pulse=total is None)
        row.add_row(bar, Text(" · ".join(_where(status))))
        return Group(row, Text(" · ".join(_how_well(status, self._settings)), style="dim", no_wrap=True))


class PathView:
    """Writes the run's path to stdout when training has started, besides what another view shows.

    Not earlier: whoever reads the path may send a signal, and from then on a signal is a clean stop.
    """

    def __init__(self, view: View, path: Path) -> None:
        self._view = view
        self._path = path

    def __call__(self, item: Event | Status) -> None:
        """Show an event or a status."""
        if isinstance(item, Started):
            put(f"{self._path}\n")
        self._view(item)


class LogView:
    """Sends what another view shows into a file, as soon as it has shown that training started.

    Whoever started this process as its own may leave its screen without it: its stdout and stderr are then
    pipes that nobody reads.
    """

    def __init__(self, view: View, path: Path) -> None:
        self._view = view
        self._path: Path | None = path

    def __call__(self, item: Event | Status) -> None:
        """Show an event or a status."""
        self._view(item)
        if isinstance(item, Started) and self._path is not None:
            try:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
            except OSError:  # a full disk, say: words for people are no reason to stop training
                descriptor = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            os.close(descriptor)
            self._path = None


class JsonView:
    """Writes the events to stdout as they are in the log, besides what another view shows.

    Parameters
    ----------
    view : callable
        The other view.
    stop : callable
        Stops training, with a reason, when nobody reads stdout any more.

    Attributes
    ----------
    error : OutputError or None
        Why stdout could not be written.
    """

    def __init__(self, view: View, stop: Callable[[str], None]) -> None:
        self._view = view
        self._stop = stop
        self.error: OutputError | None = None

    def __call__(self, item: Event | Status) -> None:
        """Show an event or a status."""
        self._view(item)
        if isinstance(item, Event) and self.error is None:
            try:
                put(item.to_line())
            except OutputError as error:
                self.error = error
                self._stop("output closed")


def told(event: Event, settings: Settings, run: str) -> Iterator[str]:
    """Yield the lines in which an event of a run is told to people; none for most."""
    match event:
        case Started():
            corpus = event.corpus
            clip = "" if settings.clip is None else f" · clip ±{settings.clip:g}"
            yield (
                f"{harmless_line(corpus['name'])} · {corpus['characters']:,} characters · "
                f"K = {corpus['vocabulary_size']:,}"
            )
            yield (
                f"m = {settings.hidden:,} · T = {settings.seq_length:,} · B = {settings.batch_size:,} · "
                f"{settings.optimizer} {settings.learning_rate:g}{clip} · {settings.dtype} · "
                f"seed {settings.seed}"
            )
            if corpus["newlines_replaced"]:
                yield f"{corpus['newlines_replaced']:,} CR LF or CR newlines became LF"
        case GradientsChecked():
            yield _gradients(event)
        case Sample():
            yield f"\nupdate {event.update:,} · smooth loss {event.smooth_loss:.2f}"
            yield f"{event.text}\n"
        case Validated():
            yield (
                f"update {event.update:,} · held-out loss {event.loss:.4f} nats and "
                f"{event.loss / math.log(2):.4f} bits a character"
            )
        case Warned():
            yield f"warning: {event.message}"
        case Ended():
            yield from _ending(event, settings, run)


def _gradients(checked: GradientsChecked) -> str:
    where = f"at update {checked.update:,}"
    if checked.command is not None:  # perhaps with a tolerance that nothing can pass
        failed = sum(not row["passed"] for row in checked.rows)
        told = f"{failed} of {len(checked.rows)} checks failed" if failed else "all checks passed"
        return f"gradients checked {where}: {told}"
    if checked.wrong:
        return f"gradients are WRONG {where}: {', '.join(checked.wrong)}"
    worst: dict[str, float] = {}
    for row in checked.rows:
        worst[row["method"]] = max(worst.get(row["method"], 0.0), row["maximum_relative_error"])
    agree = ", ".join(f"{METHODS[method]} agrees to {error:.0e}" for method, error in worst.items())
    return f"gradients are right {where}: {agree}"


_REASONS = {
    "updates": "done with all updates",
    "epochs": "done with all epochs",
    "seconds": "stopped by --seconds",
    "smooth loss": "stopped by --stop-below",
    "diverged": "diverged",
    "replayed": "replayed",
}


def _ending(ended: Ended, settings: Settings, run: str) -> Iterator[str]:
    where = f"update {ended.update:,}, epoch {ended.epoch:.2f}, after {clock(ended.time)}"
    yield f"{_REASONS.get(ended.reason, f'stopped by {ended.reason}')} at {where}"
    if math.isfinite(ended.smooth_loss):
        yield f"smooth loss {_units(ended.smooth_loss, settings)}"
    if ended.best_loss is not None:
        if settings.held_out:
            yield f"best held-out loss {ended.best_loss:.4f} nats a character at update {ended.best_update:,}"
        else:
            yield f"best smooth loss {ended.best_loss:.2f} at update {ended.best_update:,}"
    if ended.reason != "diverged":
        yield f"to go on:  charrnn resume {harmless_line(run)}"
        yield f"to sample: charrnn sample {harmless_line(run)}"


def _where(status: Status) -> list[str]:
    words = [f"update {status.update:,}", f"epoch {status.epoch:.2f}"]
    if status.phase != "training":
        words.append(status.phase)
    elif status.seconds_left is not None and status.update:
        words.append(f"{clock(status.seconds_left)} left")
    return words


def _how_well(status: Status, settings: Settings) -> list[str]:
    return [
        f"smooth loss {_units(status.smooth_loss, settings)}",
        f"{status.updates_per_second:,.0f} updates/s",
    ]


def _units(loss: float, settings: Settings) -> str:
    nats = loss / settings.characters_of_loss
    return f"{loss:.2f} · {nats:.3f} nats and {nats / math.log(2):.3f} bits a character"


def _share_done(status: Status, settings: Settings) -> float | None:
    """Return how much of the run is done, from 0 to 1, or None where nothing tells its end."""
    shares = [
        done / limit
        for done, limit in ((status.update, settings.updates), (status.time, settings.seconds))
        if limit is not None
    ]
    if settings.epochs is not None:
        shares.append(min(status.epoch / settings.epochs, status.update / max(1, settings.minimum_updates)))
    return min(1.0, max(shares)) if shares else None
