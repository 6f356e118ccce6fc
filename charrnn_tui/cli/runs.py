"""`charrnn runs`: the list of runs."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import Annotated

import typer

from charrnn_core.memory import readable_size
from charrnn_tui.cli.options import Runs
from charrnn_tui.terminal import harmless_line, put, say

SHORT_HELP = "List the runs."
HELP = (
    "Example: charrnn runs\n\n"
    "List the runs under ./runs, newest last: what state each is in (training, paused, ended, interrupted, "
    "crashed), its text, updates, smooth loss, best loss, age and size."
)

_MOST_SWEEPS = 5


def command(
    runs: Runs = "runs",
    json: Annotated[bool, typer.Option("--json", help="One JSON object a run.")] = False,
) -> None:
    """List the runs on stdout."""
    from charrnn_core.errors import RunDirectoryError
    from charrnn_core.runs.directory import list_runs
    from charrnn_core.runs.listing import RunSummary, summarize
    from charrnn_core.sweeps.directory import list_sweeps

    summaries: list[RunSummary] = []
    for directory in list_runs(Path(runs)):
        try:
            summaries.append(summarize(directory))
        except RunDirectoryError as error:
            say(f"charrnn: {harmless_line(str(error))}\n", sys.stderr)
    summaries.sort(key=lambda run: run.created)
    if json:
        put("".join(json_module.dumps(run.to_json()) + "\n" for run in summaries))
        return
    sweeps = [harmless_line(sweep.name) for sweep in list_sweeps(Path(runs))]
    if sweeps:
        more = f" and {len(sweeps) - _MOST_SWEEPS:,} more" if len(sweeps) > _MOST_SWEEPS else ""
        say(f"sweeps, by charrnn sweep: {', '.join(sweeps[-_MOST_SWEEPS:])}{more}\n", sys.stderr)
    if not summaries and not sweeps:
        say(f"no runs under {runs}; charrnn train makes one\n", sys.stderr)
        return
    if not summaries:
        return
    names = [harmless_line(run.name) for run in summaries]
    width = max(len("name"), *map(len, names))
    titles = f"{'state':11} {'updates':>11} {'smooth':>8} {'best':>8} {'age':>6} {'size':>8}  text"
    lines = [f"{'name':{width}}  {titles}\n"]
    for name, run in zip(names, summaries, strict=True):
        state = "diverged" if run.reason == "diverged" else run.state
        lines.append(
            f"{name:{width}}  {state:11} {run.update:11,} {_loss(run.smooth_loss):>8} "
            f"{_loss(run.best_loss):>8} {_age(run.age):>6} {readable_size(run.size):>8}  "
            f"{harmless_line(run.corpus)}\n"
        )
    put("".join(lines))


def _loss(loss: float | None) -> str:
    return "-" if loss is None else f"{loss:.2f}" if loss >= 10 else f"{loss:.4f}"


def _age(seconds: float) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"  # negative if the clock was set back
