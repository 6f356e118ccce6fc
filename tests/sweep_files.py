"""Sweeps that tests write by hand, for the dashboard to look at."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.sweeps.directory import SweepDirectory
from charrnn_core.sweeps.plan import Plan
from charrnn_core.sweeps.varying import parse_variation
from charrnn_tui.dashboard.sweep_look import SweepReader

CORPUS = {"name": "fable", "characters": 900, "vocabulary_size": 40, "sha256": "0" * 64}

TRIALS = ("hidden-20_learning-rate-0.03", "hidden-20_learning-rate-0.1", "hidden-50_learning-rate-0.03")
"""The trials of a played sweep that have ended, the best first; one more has not begun."""


def progress(update: int, loss: float) -> dict[str, Any]:
    same = dict.fromkeys(("loss_mean", "loss_min", "loss_max", "smooth_loss"), loss)
    times = {"time": update / 100, "epoch": update / 50}
    return {"type": "progress", "first_update": update - 9, "update": update, **times, **same}


def write_trial(
    sweep: SweepDirectory, name: str, lowest: float, updates: int = 200, reason: str | None = "updates"
) -> RunDirectory:
    """Write a trial whose smooth loss falls from 4 nats a character towards this; one of a sweep's plan."""
    settings = next(trial.settings for trial in sweep.trials() if trial.name == name)
    run = sweep.run_of(name)
    run.checkpoints.path.mkdir(parents=True, exist_ok=True)
    told = {"settings": settings.to_json(), "corpus": CORPUS}
    run.config_file.path.write_text(json.dumps({"created": "2026-01-01T00:00:00Z", **told}))
    events: list[dict[str, Any]] = [
        {"type": "started", "update": 0, "time": 0.0, "engine": "numpy", "threads": 1, **told},
        *(
            progress(update, settings.characters_of_loss * (lowest + (4 - lowest) * 10 / update))
            for update in range(10, updates + 1, 10)
        ),
    ]
    if reason is not None:
        last = {"smooth_loss": events[-1]["smooth_loss"], "best_loss": None}
        events.append({"type": "ended", "update": updates, "time": 2.0, "reason": reason, **last})
    run.events_file.path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return run


def write_sweep(
    path: Path, vary: Sequence[str] = ("hidden=20,50", "learning_rate=0.03,0.1")
) -> SweepDirectory:
    """Write a sweep of which no trial has begun."""
    path.mkdir(parents=True)
    sweep = SweepDirectory(path)
    plan = Plan(given={"updates": 200}, vary=tuple(map(parse_variation, vary)))
    sweep.write_plan(plan, CORPUS, "2026-01-01T00:00:00Z")
    return sweep


def read_at_once(sweep: SweepDirectory) -> SweepReader:
    """Return what looks at a sweep without regard for the time that this takes."""
    reader = SweepReader(sweep)
    reader.patience, reader.freshness = math.inf, 0.0
    return reader


def half_done(path: Path) -> SweepDirectory:
    """Write a sweep of which three trials have ended and one has not begun."""
    sweep = write_sweep(path)
    for place, trial in enumerate(TRIALS):
        write_trial(sweep, trial, 2 + place / 10)
    return sweep
