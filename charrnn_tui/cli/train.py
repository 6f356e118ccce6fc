"""`charrnn train`: training without a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from charrnn_core.errors import RunFailedError
from charrnn_core.training.settings import Settings
from charrnn_tui.cli.options import Runs, with_settings

DEFAULT_CORPUS = "tales"
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
        str | None,
        typer.Argument(
            metavar="[CORPUS]",
            help="A text file, - for standard input, or a bundled text: see charrnn corpora "
            f"(default {DEFAULT_CORPUS}).",
            show_default=False,
        ),
    ] = None,
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
    from charrnn_core.text.source import bundled_sources
    from charrnn_tui.cli.progress import JsonView, PathView, reading, view_for

    with reading(quiet) as progress:
        text = read_corpus(bundled_sources()[DEFAULT_CORPUS] if corpus is None else corpus, progress)
    process = TrainingProcess(settings, text, runs=Path(runs), name=name)
    with view_for(settings, quiet=quiet) as told:
        view = JsonView(told, process.trainer.stop) if json else PathView(told, process.directory.path)
        ended = process.run(view)
    if isinstance(view, JsonView) and view.error is not None:
        raise view.error
    if ended.reason == "diverged":
        kept = "the last finite checkpoint is kept" if ended.state_sha256 else "no checkpoint was saved yet"
        raise RunFailedError(
            f"training diverged at update {ended.update:,}: the loss or a weight is no longer finite "
            f"({kept}); try a smaller --learning-rate than {settings.learning_rate:g}, or --clip 5"
        )
    return 0 if process.signal is None else 128 + process.signal
