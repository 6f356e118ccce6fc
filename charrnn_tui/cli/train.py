"""`charrnn train`: training without a screen."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn_core.training.settings import Settings
from charrnn_tui.cli.options import Runs, with_settings

if TYPE_CHECKING:
    from charrnn_core.training.events import Ended

SHORT_HELP = "Train a network on a text."
HELP = (
    "Example: charrnn train book.txt --hidden 200 --epochs 5\n\n"
    "Train a network on a text. Progress and samples go to stderr; the path of the run directory, alone, "
    "goes to stdout. Ctrl+C finishes the update, saves and stops; a second one stops at once."
)


@with_settings
def command(
    settings: Settings,
    corpus: Annotated[
        str,
        typer.Argument(
            metavar="[CORPUS]", help="A text file, - for standard input, or a bundled text (charrnn corpora)."
        ),
    ] = "tales",
    runs: Runs = "runs",
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the run (default: date, time, text)."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="The run's events on stdout, one JSON object a line, not its path.")
    ] = False,
) -> int:
    """Train a network on a text and return the exit code."""
    settings.check_memory()  # before anything large is read

    from charrnn_core.runs.process import TrainingProcess
    from charrnn_core.text.corpus import read_corpus
    from charrnn_tui.cli.progress import JsonView, reading, view_for

    with reading(quiet) as progress:
        text = read_corpus(corpus, progress)
    process = TrainingProcess(settings, text, runs=Path(runs), name=name)
    if not json and sys.stdout is not None:
        print(os.fspath(process.directory.path), flush=True)
    with view_for(settings, process.directory, quiet=quiet) as view:
        if json:
            view = JsonView(view, process.trainer.stop)
        ended = process.run(view)
    if isinstance(view, JsonView) and view.error is not None:
        raise view.error
    return _exit_code(ended, process.signal)


def _exit_code(ended: Ended, signal: int | None) -> int:
    if signal is not None:
        return 128 + signal
    return 1 if ended.reason == "diverged" else 0
