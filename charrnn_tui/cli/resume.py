"""`charrnn resume`: go on exactly where a run stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from charrnn_core.training.settings import Value
from charrnn_tui.cli.options import Json, MovedCorpus, Owned, Quiet, RunArgument, Runs, with_changes

SHORT_HELP = "Go on with a run, exactly where it stopped."
HELP = (
    "Example: charrnn resume 20261122-2210-tales --updates 200000\n\n"
    "Go on with a run exactly where it stopped: interrupted and resumed, it ends in the same state as "
    "without the interruption. A stop that is given takes the place of all stops that the run had."
)


@with_changes
def command(
    given: dict[str, Value],
    run: RunArgument,
    runs: Runs = "runs",
    moved: MovedCorpus = None,
    from_best: Annotated[
        bool,
        typer.Option(
            "--from-best",
            help="Go on from the best state and give up what came after it, for example when it diverged.",
        ),
    ] = False,
    quiet: Quiet = False,
    json: Json = False,
    owned: Owned = False,
) -> int:
    """Go on with a run and return the exit code."""
    from charrnn_core.runs import starting
    from charrnn_core.runs.directory import find_run
    from charrnn_tui.cli.training import show

    directory = find_run(run, Path(runs))
    process = starting.resume(directory, given, corpus=moved, from_best=from_best, owned=owned)
    return show(process, quiet=quiet, json=json, owned=owned)
