"""What can be said of a run in one line, without reading all of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from charrnn_core.errors import CheckpointError
from charrnn_core.runs.checkpoint import read_best_loss
from charrnn_core.runs.directory import RunDirectory, when_created
from charrnn_core.runs.json_text import number_of, parse_object
from charrnn_core.runs.liveness import RunState, read_status, run_state

_TAIL = 1 << 16
_LONGEST = 255  # characters of a text that a run holds: a name of a file has no more


@dataclass(frozen=True)
class RunSummary:
    """One run in a list of runs.

    Attributes
    ----------
    name, path : str
    state : str
        As `run_state` says it.
    reason : str or None
        How it ended.
    corpus : str
    update : int
    smooth_loss, best_loss : float or None
    created : str
        UTC, ISO 8601.
    age : float
        Seconds since then.
    size : int
        Bytes of its files, as `Folder.size` counts them.
    """

    name: str
    path: str
    state: RunState
    reason: str | None
    corpus: str
    update: int
    smooth_loss: float | None
    best_loss: float | None
    created: str
    age: float
    size: int

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


def summarize(directory: RunDirectory) -> RunSummary:
    """Return a run's summary, from its configuration, its lock, its status and the end of its log.

    Raises
    ------
    RunDirectoryError
        `config.json` cannot be read.
    """
    config = directory.config()
    locked = directory.is_locked()
    last, latest = _last_and_latest(directory)
    status = read_status(directory) if locked else {}
    ended = last if last.get("type") == "ended" and not locked else None
    reason = None if ended is None else str(ended.get("reason"))[:_LONGEST]
    created = when_created(config)
    return RunSummary(
        name=directory.name,
        path=str(directory.path),
        state=run_state(locked=locked, status=status, reason=reason),
        reason=reason,
        corpus=str(_get(config, "corpus", "name", default=""))[:_LONGEST],
        update=int(number_of(status.get("update")) or number_of(last.get("update")) or 0),
        smooth_loss=number_of(status.get("smooth_loss")) or number_of(latest.get("smooth_loss")),
        best_loss=number_of(ended.get("best_loss")) if ended is not None else _best_loss(directory),
        created=created,
        age=_age(created),
        size=directory.folder.size(),
    )


def _last_and_latest(directory: RunDirectory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the last event of a run, and the last event with a smooth loss; {} if there is none."""
    last: dict[str, Any] = {}
    for event in events_from_the_end(directory):
        last = last or event
        if event.get("smooth_loss") is not None:
            return last, event
    return last, {}


def events_from_the_end(directory: RunDirectory, most: int = _TAIL) -> Iterator[dict[str, Any]]:
    """Yield the events in the last `most` bytes of a run's log, newest first."""
    try:
        descriptor = directory.events_file.descriptor()
    except OSError:
        return  # a run that has no log yet has no last events
    try:
        size = os.fstat(descriptor).st_size
        lines = os.pread(descriptor, most, max(0, size - most)).split(b"\n")
    finally:
        os.close(descriptor)
    for line in reversed(lines[0 if size <= most else 1 : -1]):
        event = parse_object(line)
        if event is not None:
            yield event


def _get(value: Any, *names: str, default: Any) -> Any:
    for name in names:
        value = value.get(name, default) if isinstance(value, dict) else default
    return value


def _best_loss(directory: RunDirectory) -> float | None:
    """Return the loss of the best state that is saved."""
    try:
        return number_of(read_best_loss(directory.checkpoint_file("best")))
    except CheckpointError:
        return None  # none yet, or a damaged one: resume says so


def _age(created: str) -> float:
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()
    except (ValueError, TypeError):
        return 0.0
