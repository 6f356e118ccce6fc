"""What is left of a study, done and shown: training, the best passage, the report."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from charrnn_core.errors import CharRNNError, RunFailedError, reason_of
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import History
from charrnn_core.runs.liveness import was_interrupted
from charrnn_core.runs.process import TrainingProcess
from charrnn_core.training.events import Event, Started
from charrnn_core.training.settings import Settings
from charrnn_tui.cli.phases import Phases
from charrnn_tui.cli.progress import AnyView, view_for
from charrnn_tui.cli.told import told
from charrnn_tui.cli.training import divergence, named_from_here
from charrnn_tui.report.document import ReportFormat
from charrnn_tui.terminal import harmless_line, put, say

_SHOWN_LINES, _SHOWN_CHARACTERS = 3, 240
"""How much of the best passage is shown: the report has all of it."""


@dataclass(frozen=True)
class Study:
    """A study that is to be finished.

    Attributes
    ----------
    directory : RunDirectory
    settings : Settings
        As they are now.
    update : int
        How many updates have been done.
    process : TrainingProcess or None
        What trains the rest; None where nothing is left to be trained.
    corpus : str or None
        Where the text is now, if it is a file that may have moved.
    """

    directory: RunDirectory
    settings: Settings
    update: int
    process: TrainingProcess | None
    corpus: str | None

    def finish(self, path: Path, format: ReportFormat, *, quiet: bool) -> int:
        """Do what is left, print the path of the report, and return the exit code.

        Raises
        ------
        RunFailedError
            Training diverged, though there is a report of it; or it was stopped, or the report failed.
        """
        directory, process = self.directory, self.process
        run = named_from_here(directory)
        go_on = f"to go on: the same command again, or charrnn study {run}"
        history = History.read(directory.events_file)
        phases = Phases(self.settings, update=self.update, checked=_checked(history, process))
        view = view_for(self.settings, partial(_told, settings=self.settings), quiet=quiet, phases=phases)
        reason = None if history.ended is None else str(history.ended.get("reason"))
        at_once = partial(_left_at_once, view, "" if quiet else go_on)
        report = None
        with at_once() if process is None else process.signals(), view as show:
            if process is not None:
                directory.begin_study()
                reason = process.run(show).reason
            elif reason == "diverged":
                phases.end("failed")
            if process is None or (process.signal is None and not was_interrupted(str(reason))):
                with at_once():
                    report = self._write(path, format, view, phases)
        if report is None:
            assert process is not None, "only training can be interrupted before the report"
            if process.signal is None:
                raise RunFailedError(f"{directory.name} was stopped before its study was done; {go_on}")
            if not quiet:
                say(f"{harmless_line(go_on)}\n", sys.stderr)
            return 128 + process.signal
        if not quiet:
            say(f"to sample: charrnn sample {harmless_line(run)}\n", sys.stderr)
        put(f"{report}\n")
        directory.end_study()  # not before: who has not got the path gives the command again
        if reason == "diverged":
            settings = self.settings if process is None else process.trainer.settings
            update = self.update if process is None else process.trainer.update
            raise divergence(directory, settings, update)
        return 0

    def _write(self, path: Path, format: ReportFormat, view: AnyView, phases: Phases) -> Path:
        """Show the best passage, write the report, and return where it is."""
        # Imported late: the pictures need a library that takes half a second.
        from charrnn_tui.report.passage import best_passage
        from charrnn_tui.report.writing import write_report

        phases.enter("passage")
        view.turn()
        try:
            passage = best_passage(self.directory)
            if passage is None:
                phases.end("skipped")
            else:
                view.write(f"\nthe best passage, of update {passage.update:,}")
                view.write(f"{_beginning(passage.text)}\n")
            phases.enter("report")
            view.turn()
            report, *_ = write_report(self.directory, path, format, corpus=self.corpus)
        except (OSError, CharRNNError) as error:
            raise RunFailedError(
                f"cannot write the report {path}: {reason_of(error)}; nothing of the run is lost: "
                f"charrnn report {named_from_here(self.directory)} -o FILE"
            ) from None
        phases.end()
        view.turn()
        return report.absolute()


def _told(event: Event, settings: Settings) -> Iterator[str]:
    """Yield the lines in which an event of a study is told."""
    if isinstance(event, Started):
        yield f"run {harmless_line(event.run)}"
    yield from told(event, settings)


def _checked(history: History, process: TrainingProcess | None) -> bool | None:
    """Return what the gradient check before the first update found, or None where it is still to be made."""
    if process is not None and "check" in process.trainer.pending:
        return None
    for event in reversed(history.checks):
        rows = event.get("rows")
        if not event.get("command") and isinstance(rows, list):
            return all(isinstance(row, dict) and row.get("passed") is True for row in rows)
    return None


def _beginning(text: str) -> str:
    """Return the first lines of a text."""
    text = text.strip("\n")
    shown = "\n".join(text.split("\n")[:_SHOWN_LINES])[:_SHOWN_CHARACTERS]
    return shown if shown == text else f"{shown} …"


@contextmanager
def _left_at_once(view: AnyView, words: str) -> Iterator[None]:
    """Let a signal end this process at once, with these words and the terminal as it was.

    Not by an exception: it would come out of half-imported libraries in all their forms. The run is saved,
    and a report that is not whole yet is not in place.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        view.leave()
        with suppress(OSError):  # the terminal may be gone
            os.write(2, f"{harmless_line(words)}\n".encode(errors="replace") if words else b"")
        os._exit(128 + number)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    heeded = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    before: dict[int, Any] = {number: signal.signal(number, leave) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
