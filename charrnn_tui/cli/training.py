"""What `train` and `resume` have in common: show a process while it trains, and end as it ended."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from charrnn_core.errors import RunFailedError

if TYPE_CHECKING:
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
    from charrnn_tui.cli.progress import JsonView, LogView, PathView, view_for

    path = process.directory.path
    run = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    with process.signals(), view_for(process.trainer.settings, shlex.quote(str(run)), quiet=quiet) as told:
        view = JsonView(told, process.trainer.stop) if json else PathView(told, process.directory.path)
        ended = process.run(LogView(view, path / "trainer.log") if owned else view)
    if isinstance(view, JsonView) and view.error is not None and process.signal is None:
        raise view.error
    if ended.reason == "diverged":
        kept = "the last finite checkpoint is kept" if ended.state_sha256 else "no checkpoint was saved yet"
        settings = process.trainer.settings
        clip = ", or --clip 5" if settings.clip is None or settings.clip > 5 else ""
        remedy = f"try a smaller --learning-rate than {settings.learning_rate:g}{clip}"
        if process.directory.checkpoint_path("best").exists():
            lower = f"{settings.learning_rate / 2:.3g}"
            remedy += f"; charrnn resume {shlex.quote(str(run))} --from-best --learning-rate {lower}"
        raise RunFailedError(
            f"training diverged at update {ended.update:,}: the loss or a weight is no longer finite "
            f"({kept}); {remedy}"
        )
    return 0 if process.signal is None else 128 + process.signal
