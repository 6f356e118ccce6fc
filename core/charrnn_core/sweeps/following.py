"""A sweep as a view follows it: a row for each trial, while they are trained and after."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from charrnn_core.runs.descriptors import Stamp
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import EventTail, History
from charrnn_core.runs.json_text import number_of
from charrnn_core.runs.listing import events_from_the_end
from charrnn_core.runs.liveness import read_status, was_interrupted
from charrnn_core.sweeps.directory import Record, SweepDirectory
from charrnn_core.sweeps.ends import end_of, is_end
from charrnn_core.sweeps.plan import Trial
from charrnn_core.training.settings import Value

TrialState = Literal[
    "training", "paused", "ended", "diverged", "pruned", "interrupted", "crashed", "failed", "waiting"
]

_LAST_BYTES = 1 << 13


@dataclass(frozen=True)
class TrialRow:
    """What there is to say of a trial.

    Attributes
    ----------
    trial : Trial
    state : str
        "waiting": not begun, or a search has not decided yet whether it goes on; "training" or "paused" now;
        "ended" by its own stop; "diverged"; "pruned" by a search; "interrupted" or "crashed" before its end;
        "failed": it could not be trained.
    update : int
        Updates done.
    smooth_loss : float or None
        Nats per character.
    held_out_loss : float or None
        Of the best state, nats per character.
    updates_per_second : float
        Now; 0 while it is not trained.
    error : str or None
        Why it failed.
    """

    trial: Trial
    state: TrialState
    update: int = 0
    smooth_loss: float | None = None
    held_out_loss: float | None = None
    updates_per_second: float = 0.0
    error: str | None = None

    @property
    def loss(self) -> float | None:
        """What trials are compared by: the held-out loss where there is one, else the smooth loss."""
        return self.smooth_loss if self.held_out_loss is None else self.held_out_loss

    @property
    def is_done(self) -> bool:
        """Whether nothing of it is left to be trained."""
        return self.state in ("ended", "diverged", "pruned")

    @property
    def share(self) -> float:
        """Which share of its updates is done, as far as that is known."""
        if self.is_done:
            return 1.0
        updates = self.trial.settings.updates
        return 0.0 if updates is None else min(1.0, self.update / updates)

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {
            "trial": self.trial.name,
            **self.trial.values,
            "state": self.state,
            "update": self.update,
            "smooth_loss_per_character": self.smooth_loss,
            "held_out_loss_per_character": self.held_out_loss,
            "error": self.error,
        }


@dataclass(frozen=True)
class Group:
    """Trials that differ by the seed alone.

    Attributes
    ----------
    values : dict
        What they have in common of what varies.
    rows : tuple of TrialRow
    """

    values: dict[str, Value]
    rows: tuple[TrialRow, ...]

    @property
    def losses(self) -> list[float]:
        """The losses of those that came to their end, nats per character."""
        return [row.loss for row in self.rows if row.state == "ended" and row.loss is not None]

    @property
    def mean(self) -> float:
        """Mean of the losses; NaN where there is none."""
        return statistics.fmean(self.losses) if self.losses else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation over the seeds (n - 1); NaN for fewer than two."""
        return statistics.stdev(self.losses) if len(self.losses) > 1 else math.nan

    def to_json(self) -> dict[str, Any]:
        """Return the group as JSON values."""
        losses = self.losses
        return {
            **self.values,
            "trials": [row.trial.name for row in self.rows],
            "ended": len(losses),
            "mean_loss": self.mean if losses else None,
            "deviation": self.deviation if len(losses) > 1 else None,
            "lowest": min(losses, default=None),
            "highest": max(losses, default=None),
        }


def best_first(rows: Iterable[TrialRow]) -> list[TrialRow]:
    """Return rows by their loss, the lowest first; behind them what is not finite, and what has none.

    Trials that gave up their state (diverged) stand behind all others that have a loss.
    """

    def place(row: TrialRow) -> tuple[bool, bool, float]:
        loss = row.loss
        has_none = loss is None or not math.isfinite(loss)
        return has_none, row.state == "diverged", 0.0 if has_none or loss is None else loss

    return sorted(rows, key=place)


def groups_of(rows: Iterable[TrialRow]) -> list[Group]:
    """Return the rows in groups that differ by the seed alone, the lowest mean first."""
    grouped: dict[str, list[TrialRow]] = {}
    for row in rows:
        grouped.setdefault(json.dumps(row.trial.combination), []).append(row)
    groups = [Group(members[0].trial.combination, tuple(members)) for members in grouped.values()]
    return sorted(groups, key=lambda group: (math.isnan(group.mean), group.mean))


class SweepFollower:
    """Reads what a sweep and its trials have to say, when it is asked to.

    Parameters
    ----------
    directory : SweepDirectory

    Attributes
    ----------
    directory : SweepDirectory
    plan : Plan
    record : Record
    trials : list of Trial
    rows : list of TrialRow
        One for each trial, in the order of the plan.
    status : dict
        What the process that sweeps does now; empty where there is none.

    Raises
    ------
    RunDirectoryError
        It is no sweep directory.
    """

    def __init__(self, directory: SweepDirectory) -> None:
        self.directory = directory
        self.record = Record()
        self.status: dict[str, Any] = {}
        self.rows: list[TrialRow] = []
        self._tail = EventTail(directory.events_file)
        self._known: dict[str, tuple[object, TrialRow]] = {}
        self._curves: dict[str, tuple[object, NDArray[np.float64]]] = {}
        self._read_plan()
        self.poll()

    def _read_plan(self) -> None:
        self._plan_stamp = self.directory.plan_file.stamp()
        self.plan = self.directory.plan()
        self.trials: list[Trial] = self.directory.trials(self.plan, self.record)

    def poll(self, training: Collection[str] | None = None) -> None:
        """Read what is new.

        Parameters
        ----------
        training : collection of str, optional
            The trials that are being trained, from who has them trained: a full disk does not know.
        """
        self.status = self.directory.status() if training is None else {"training": list(training)}
        proposed = len(self.record.proposed)
        for _, event in self._tail.read():
            self.record.add(event)
        if self.directory.plan_file.stamp() != self._plan_stamp:
            self._read_plan()
        elif len(self.record.proposed) != proposed:
            self.trials = self.directory.trials(self.plan, self.record)
        told = self.status.get("training")
        names = {name for name in told if isinstance(name, str)} if isinstance(told, list) else set()
        stamps = self.directory.stamps_of_logs([trial.name for trial in self.trials])
        self.rows = [
            self._row(trial, stamp, is_training=trial.name in names)
            for trial, stamp in zip(self.trials, stamps, strict=True)
        ]

    def _row(self, trial: Trial, stamp: Stamp | None, *, is_training: bool) -> TrialRow:
        if stamp is None:
            error = self.record.failed.get(trial.name)
            state: TrialState = "training" if is_training else "waiting" if error is None else "failed"
            return TrialRow(trial, state, error=error if state == "failed" else None)
        is_pruned = trial.name in self.record.pruned
        key = stamp, is_pruned, self.record.failed.get(trial.name)
        known = self._known.get(trial.name)
        if known is not None and known[0] == key and not is_training:
            return known[1]  # whoever trains it has written that into its log
        run = self.directory.run_of(trial.name)
        if is_training or run.is_locked():
            return self._live_row(trial, run)
        row = self._still_row(trial, run, is_pruned=is_pruned)
        self._known[trial.name] = key, row
        return row

    def _live_row(self, trial: Trial, run: RunDirectory) -> TrialRow:
        status = read_status(run)
        last = _last_event(run, "ended", "progress") or {}
        is_paused = status.get("state") == "paused"
        smooth = _per_character(trial, status.get("smooth_loss") or last.get("smooth_loss"))
        update = number_of(status.get("update")) or number_of(last.get("update")) or 0
        validated = number_of((_last_event(run, "validated") or {}).get("loss"))
        return TrialRow(
            trial,
            "paused" if is_paused else "training",
            int(update),
            smooth,
            validated if trial.settings.held_out else None,
            number_of(status.get("updates_per_second")) or 0.0,
        )

    def _still_row(self, trial: Trial, run: RunDirectory, *, is_pruned: bool) -> TrialRow:
        last = _last_event(run, "ended", "progress", "resumed") or {}
        updates = trial.settings.updates
        ended = last if last.get("type") == "ended" else None
        if ended is None or ended.get("reason") != "updates" or ended.get("update") != updates:
            # Perhaps it was gone on with by hand; what counts is where it was at the end of the plan.
            ended = end_of(run, updates) or ended
        error = self.record.failed.get(trial.name)
        state: TrialState = "crashed"
        if ended is not None:
            reason = str(ended.get("reason"))
            is_step = not was_interrupted(reason) and not is_end(ended, updates)  # a search has not gone on
            state = "interrupted" if was_interrupted(reason) else "waiting" if is_step else "ended"
            state = "diverged" if reason == "diverged" else state
        if is_pruned:
            state = "pruned"
        elif error is not None and state not in ("ended", "diverged"):
            state = "failed"
        told = ended or last
        return TrialRow(
            trial,
            state,
            int(number_of(told.get("update")) or 0),
            _per_character(trial, told.get("smooth_loss")),
            number_of(told.get("best_loss")) if trial.settings.held_out else None,
            error=error if state == "failed" else None,
        )

    def curve(self, trial: str) -> NDArray[np.float64]:
        """Return updates and smooth losses of a trial, float64 of shape (2, points), nats per character."""
        run = self.directory.run_of(trial)
        stamp = run.events_file.stamp()
        known = self._curves.get(trial)
        if known is None or known[0] != stamp:
            history = History.read(run.events_file)
            settings = next(each.settings for each in self.trials if each.name == trial)
            losses = history.column("smooth_loss") / settings.characters_of_loss
            known = stamp, np.stack([history.column("update"), losses])
            self._curves[trial] = known
        return known[1]

    @property
    def done(self) -> int:
        """How many trials have nothing left to be trained."""
        return sum(row.is_done for row in self.rows)

    def close(self) -> None:
        """Close the log."""
        self._tail.close()


def _last_event(run: RunDirectory, *types: str) -> dict[str, Any] | None:
    """Return the last event of some types, if it is near the end of the log."""
    events = events_from_the_end(run, _LAST_BYTES)
    return next((event for event in events if event.get("type") in types), None)


def _per_character(trial: Trial, loss: object) -> float | None:
    number = number_of(loss)
    return None if number is None else number / trial.settings.characters_of_loss


def values_of(rows: Sequence[TrialRow], name: str) -> list[Value]:
    """Return the values that a setting takes in some trials, in order."""
    values = {row.trial.values.get(name) for row in rows}
    return sorted(values, key=lambda value: (isinstance(value, str), value is None, value))
