"""Whether a run trains now, and if not, how it ended."""

from __future__ import annotations

from typing import Any, Literal

from charrnn_core.runs.directory import OwnedDirectory
from charrnn_core.runs.json_text import number_of, parse_object

RunState = Literal["training", "paused", "ended", "interrupted", "crashed"]

_INTERRUPTIONS = ("signal", "owner gone", "stopped", "output closed", "handed over")


def run_state(*, locked: bool, status: dict[str, Any], reason: str | None) -> RunState:
    """Return the state of a run.

    "training" or "paused" while a process holds the lock; else "ended" by a stop that was set or by
    divergence, "interrupted" by a signal or a command, or "crashed" without an end.

    Parameters
    ----------
    locked : bool
        Whether a process holds its lock.
    status : dict
        What `read_status` gives.
    reason : str or None
        Of its last `ended` event, if nothing came after it.
    """
    if locked:
        return "paused" if status.get("state") == "paused" else "training"
    if reason is None:
        return "crashed"
    return "interrupted" if was_interrupted(reason) else "ended"


def was_interrupted(reason: str) -> bool:
    """Return whether a process that ended for this reason left something to be trained."""
    return reason.startswith(_INTERRUPTIONS)


_COUNTS = ("update", "pid")
_NUMBERS = ("epoch", "loss", "smooth_loss", "updates_per_second", "seconds_left", "time")
_WORDS = ("state", "phase", "elsewhere")
_LONGEST = 255  # characters of a word


def read_status(directory: OwnedDirectory) -> dict[str, Any]:
    """Return what `status.json` says, {} where there is none; believe it only while the lock is held.

    The file may come from anybody, and views calculate with it: what is not of the kind that it should be is
    left out.
    """
    try:
        told = parse_object(directory.status_file.read()) or {}
    except OSError:
        return {}  # not written yet
    status: dict[str, Any] = {}
    for name, value in told.items():
        if name in _COUNTS and isinstance(value, int) and number_of(value) is not None:
            status[name] = value
        elif name in _NUMBERS and number_of(value) is not None:
            status[name] = value
        elif name in _WORDS and isinstance(value, str):
            status[name] = value[:_LONGEST]
        elif name == "training" and isinstance(value, list):
            status[name] = [trial for trial in value if isinstance(trial, str)]
    return status
