"""Sweeps as a user makes them, and what is found of them on the disk."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from charrnn_core.runs.checkpoint import read_checkpoint
from charrnn_core.runs.history import History
from charrnn_core.sweeps.directory import SweepDirectory
from charrnn_core.sweeps.following import SweepFollower, TrialRow
from tests.program import charrnn, events, until

TINY = ["--hidden", "6", "--seq-length", "5", "--sample-every", "none"]


def last_state(run: Path) -> str:
    """Return the identity of a run's last state."""
    return read_checkpoint(run / "checkpoints" / "last.safetensors").state_sha256


def rows_of(path: Path) -> dict[str, TrialRow]:
    """Return the rows of a sweep, by the names of the trials."""
    follower = SweepFollower(SweepDirectory(path))
    follower.close()
    return {row.trial.name: row for row in follower.rows}


def states_of(path: Path) -> dict[str, str]:
    """Return the identities of the last states of all trials, by their names."""
    return {name: last_state(path / name) for name in rows_of(path)}


def states_alone(where: Path, path: Path) -> dict[str, str]:
    """Train each trial of a sweep alone, by `charrnn train`, and return their last states' identities."""
    states = {}
    plan = SweepDirectory(path).plan()
    for name, row in rows_of(path).items():
        options = []
        for setting, value in {**plan.given, **row.trial.values}.items():
            options += [f"--{setting.replace('_', '-')}", "none" if value is None else str(value)]
        done = charrnn(where, "train", "book.txt", *options, "--runs", "alone", "--name", name, "--quiet")
        assert done.code == 0, done.err
        states[name] = last_state(where / "alone" / name)
    return states


def assert_once(path: Path) -> None:
    """Check that no update of a trial is missing, or counts twice."""
    for name in rows_of(path):
        history = History.read(path / name / "events.jsonl")
        firsts, lasts = history.column("first_update").tolist(), history.column("update").tolist()
        assert firsts[0] == 0
        assert firsts[1:] == [last + 1 for last in lasts[:-1]], name


def slots_of(sweeper: int) -> list[int]:
    """Return the processes that train for one that sweeps."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == sweeper and words[0] != "Z":
            found.append(int(path.parent.name))
    return found


def is_gone(process: int) -> bool:
    """Return whether a process is no more, or only waits for somebody who asks how it ended."""
    try:
        words = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return True
    return words[0] == "Z"


def updates_of(path: Path) -> int:
    """Return how many updates the trials of a sweep have done so far."""
    return sum(
        event.get("update", 0) for run in path.glob("*/config.json") for event in events(run.parent)[-1:]
    )


def end_all(processes: list[int]) -> None:
    """Kill processes, and wait until they are gone."""
    for process in processes:
        os.kill(process, signal.SIGKILL)
    until(lambda: all(map(is_gone, processes)))
