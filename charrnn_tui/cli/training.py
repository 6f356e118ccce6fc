"""What commands that train have in common: show a process while it trains, and end as it ended."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_core.errors import RunFailedError
from charrnn_core.training.events import Event, Started, Status
from charrnn_core.training.settings import Settings
from charrnn_tui.cli.progress import View, view_for
from charrnn_tui.cli.told import told
from charrnn_tui.terminal import OutputError, put

if TYPE_CHECKING:
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_core.runs.files import Entry
    from charrnn_core.runs.process import TrainingProcess


def show(process: TrainingProcess, *, quiet: bool, json: bool, owned: bool = False) -> int:
    """Train, show it on stderr, and return the exit code.

    With `owned`, what is shown once training has started goes into the run's `trainer.log`.

    Raises
    ------
    RunFailedError
        Training diverged.
    OutputError
        Stdout could not be written; with `json`, training was saved and stopped.
    """
    directory, settings = process.directory, process.trainer.settings
    tell = partial(told, settings=settings, run=named_from_here(directory))
    with process.signals(), view_for(settings, tell, quiet=quiet) as show_item:
        view = (
            JsonView(show_item, process.trainer.stop)
            if json
            else PathView(show_item, directory.path, owned=owned)
        )
        ended = process.run(LogView(view, directory.trainer_log_file) if owned else view)
    if isinstance(view, JsonView) and view.error is not None and process.signal is None:
        raise view.error
    if ended.reason == "diverged":
        raise divergence(directory, process.trainer.settings, ended.update)
    return 0 if process.signal is None else 128 + process.signal


def named_from_here(directory: RunDirectory) -> str:
    """Return how a user names a run on the command line, from the current directory."""
    path = directory.path
    return shlex.quote(str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path))


def divergence(directory: RunDirectory, settings: Settings, update: int) -> RunFailedError:
    """Return the error that says that a run has diverged, and what to do.

    Parameters
    ----------
    directory : RunDirectory
    settings : Settings
        As they were then.
    update : int
        Where it was.
    """
    is_saved = directory.checkpoint_file("last").exists()
    kept = "the last finite checkpoint is kept" if is_saved else "no checkpoint was saved yet"
    clip = ", or --clip 5" if settings.clip is None or settings.clip > 5 else ""
    remedy = f"try a smaller --learning-rate than {settings.learning_rate:g}{clip}"
    if directory.checkpoint_file("best").exists():
        lower = f"{settings.learning_rate / 2:.3g}"
        remedy += f"; charrnn resume {named_from_here(directory)} --from-best --learning-rate {lower}"
    return RunFailedError(
        f"training diverged at update {update:,}: the loss or a weight is no longer finite ({kept}); {remedy}"
    )


class PathView:
    """Writes the run's path to stdout when training has started, besides what another view shows.

    Not earlier: whoever reads the path may send a signal, and from then on a signal is a clean stop. An owner
    that is gone before it has read the path is noticed by its pipe, and not by this one.
    """

    def __init__(self, view: View, path: Path, *, owned: bool) -> None:
        self._view = view
        self._path = path
        self._unheard = (OutputError,) if owned else ()

    def __call__(self, item: Event | Status) -> None:
        """Show an event or a status."""
        if isinstance(item, Started):
            with suppress(*self._unheard):
                put(f"{self._path}\n")
        self._view(item)


class LogView:
    """Sends what another view shows into a file, as soon as it has shown that training started.

    Whoever started this process as its own may leave its screen without it: its stdout and stderr are then
    pipes that nobody reads.
    """

    def __init__(self, view: View, file: Entry) -> None:
        self._view = view
        self._file: Entry | None = file

    def __call__(self, item: Event | Status) -> None:
        """Show an event or a status."""
        self._view(item)
        if isinstance(item, Started) and self._file is not None:
            try:
                descriptor = self._file.descriptor(os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            except OSError:  # a full disk, or something else in its place: no reason to stop training
                descriptor = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            os.close(descriptor)
            self._file = None


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
