"""A sweep as the dashboard looks at it: its trials, the best first, and the courses of their losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TYPE_CHECKING

from charrnn_core.errors import CharRNNError, RunDirectoryError, reason_with_path

if TYPE_CHECKING:
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_core.sweeps.directory import SweepDirectory
    from charrnn_core.sweeps.following import TrialRow
    from charrnn_tui.dashboard.renderables.ticks import FloatArray

MOST = 5
"""Trials whose losses are drawn besides the chosen one: there are as many colours."""

PATIENCE_SECONDS = 0.1
"""How long a look reads courses of losses; what is left comes with the next one."""

FRESH_SECONDS = 1.0
"""How long the course of a trial that trains is believed: its whole log is read for it."""

# What reading files can raise that another program has written, or is writing.
_UNREADABLE = (CharRNNError, OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError)


@dataclass(frozen=True)
class SweepLook:
    """What there was to see of a sweep at one moment.

    Attributes
    ----------
    name : str
        Of the sweep.
    text : str
        Name of the text.
    rows : sequence of TrialRow
        The best first.
    size : int
        How many trials there are in the end; a search has not chosen all of them yet.
    varied : sequence of str
        The settings that vary.
    curves : mapping of str to float64 array, (2, points)
        Updates and smooth losses in nats per character of the trials that are seen, by name.
    is_swept : bool
        Whether a process goes through the sweep now.
    problem : str
        What could not be read; all else is as it was known before.
    """

    name: str
    text: str
    rows: Sequence[TrialRow] = ()
    size: int = 0
    varied: Sequence[str] = ()
    curves: Mapping[str, FloatArray] = field(default_factory=dict)
    is_swept: bool = False
    problem: str = ""

    @property
    def state(self) -> str:
        """The word for what the sweep does."""
        states = [row.state for row in self.rows]
        if "training" in states or self.is_swept:
            return "training"
        if "paused" in states:
            return "paused"
        done = sum(row.is_done or row.state == "failed" for row in self.rows)
        if self.rows and done >= self.size:
            return "ended"
        return "interrupted" if set(states) - {"waiting"} else "waiting"

    @property
    def best(self) -> list[TrialRow]:
        """The trials whose losses are drawn, the best first."""
        return [row for row in self.rows[:MOST] if is_comparable(row)]

    @property
    def is_held_out(self) -> bool:
        """Whether trials are compared by their loss on held-out text."""
        return any(row.trial.settings.held_out for row in self.rows)


def is_comparable(row: TrialRow) -> bool:
    """Return whether a trial has a loss that says something about it."""
    return row.loss is not None and math.isfinite(row.loss) and row.state != "diverged"


class SweepReader:
    """Looks at a sweep when it is asked to; of several threads one at a time.

    Parameters
    ----------
    directory : SweepDirectory

    Attributes
    ----------
    directory : SweepDirectory
    patience : float
        Seconds, as `PATIENCE_SECONDS`.
    freshness : float
        Seconds, as `FRESH_SECONDS`.

    Raises
    ------
    RunDirectoryError
        It is no sweep directory.
    """

    def __init__(self, directory: SweepDirectory) -> None:
        from charrnn_core.sweeps.following import SweepFollower

        self.directory = directory
        self.patience = PATIENCE_SECONDS
        self.freshness = FRESH_SECONDS
        try:
            self._follower = SweepFollower(directory)
            text = str(directory.told()["corpus"].get("name"))
        except CharRNNError:
            raise
        except _UNREADABLE as error:
            raise RunDirectoryError(
                f"{directory.path} cannot be read as a sweep: {reason_with_path(error)}"
            ) from None
        self._read_at: dict[str, float] = {}
        self._last = SweepLook(directory.name, text)

    def run_of(self, trial: str) -> RunDirectory:
        """Return the run directory of a trial, which may not be there yet."""
        return self.directory.run_of(trial)

    def look(self, chosen: str | None = None, first: int = 0, count: int = 0) -> SweepLook:
        """Read what is new, and return what there is to see.

        Parameters
        ----------
        chosen : str or None
            The trial whose loss is drawn in any case; None is the best one.
        first, count : int
            Which rows are on the screen, and so want the courses of their losses.
        """
        from charrnn_core.sweeps.following import best_first

        follower = self._follower
        try:
            if not self.directory.path.is_dir():
                raise RunDirectoryError(f"the directory of {self.directory.name} is gone")
            follower.poll()
            rows = best_first(follower.rows)
        except _UNREADABLE as error:
            self._last = replace(self._last, problem=_told(error))
            return self._last
        look = replace(
            self._last,
            rows=rows,
            size=max(follower.plan.size, len(rows)),
            varied=follower.plan.varied,
            is_swept=bool(follower.status) or self.directory.is_locked(),
            problem="",
        )
        seen = [row for row in rows if row.trial.name == chosen] + look.best + rows[first : first + count]
        curves, problem = self._curves({row.trial.name: row for row in seen}.values())
        self._last = replace(look, curves=curves, problem=problem)
        return self._last

    def _curves(self, rows: Iterable[TrialRow]) -> tuple[dict[str, FloatArray], str]:
        """Return the courses of the losses of some trials, the first of them first, and what is wrong."""
        begun, curves, problem = monotonic(), {}, ""
        for row in rows:
            name, now = row.trial.name, monotonic()
            known = self._last.curves.get(name)
            is_fresh = row.state == "training" and now - self._read_at.get(name, -math.inf) < self.freshness
            if known is not None and (is_fresh or now - begun > self.patience):
                curves[name] = known
            elif now - begun <= self.patience:
                try:
                    curves[name] = self._follower.curve(name)
                    self._read_at[name] = now
                except _UNREADABLE as error:
                    problem = problem or _told(error)
        return curves, problem

    def close(self) -> None:
        """Close what is open."""
        self._follower.close()


def _told(error: Exception) -> str:
    return (
        str(error)
        if isinstance(error, CharRNNError)
        else f"the sweep cannot be read: {reason_with_path(error)}"
    )
