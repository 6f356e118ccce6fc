"""What the figure of a sweep shows, before it has a size: which trials, against which settings, how high."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from charrnn_core.sweeps.following import TrialRow, values_of
from charrnn_core.training.settings import Value
from charrnn_tui.report.sweep_findings import SweepFindings

MOST_PANELS = 12

_MOST_POINTS = 1500  # a page has each of them twice in every panel
_LOG_RATIO = 8.0  # of the largest value to the smallest, from which the axis is logarithmic
_FAR = 3.0  # times as far from the lowest loss as the median is: beyond this a loss may flatten all others


@dataclass(frozen=True)
class Panel:
    """A setting against which the loss is drawn.

    Attributes
    ----------
    name : str
    values : tuple
        Those that it takes, in order.
    is_category : bool
        Whether they have no distances: a text, or none, is among them.
    is_log : bool
    means : tuple of (value, float)
        Of the trials that came to their end and are shown at their height, at each value; empty where most
        values are of one trial.
    """

    name: str
    values: tuple[Value, ...]
    is_category: bool
    is_log: bool
    means: tuple[tuple[Value, float], ...]

    @property
    def has_means(self) -> bool:
        """Whether means are drawn."""
        return bool(self.means)

    def place(self, value: Value) -> float:
        """Return where a value stands on the axis."""
        if self.is_category:
            return float(self.values.index(value))
        assert isinstance(value, (int, float))
        return float(value)


@dataclass(frozen=True)
class Points:
    """The trials of a figure.

    Attributes
    ----------
    panels : tuple of Panel
        Empty where there is nothing to draw.
    rows : tuple of TrialRow
        Those that have a loss, and have not diverged; so many as can be drawn.
    failures : tuple of TrialRow
        Those that diverged.
    low, high : float
        The range of the losses that are shown at their height.
    left_out : int
        How many have a loss and are not among the rows.
    guessing : float or None
        The loss of guessing among all characters alike, where it is in that range.
    """

    panels: tuple[Panel, ...]
    rows: tuple[TrialRow, ...]
    failures: tuple[TrialRow, ...]
    low: float
    high: float
    left_out: int
    guessing: float | None

    @property
    def diverged(self) -> int:
        """How many diverged."""
        return len(self.failures)

    @property
    def unfinished(self) -> int:
        """How many have not come to their end."""
        return sum(row.state != "ended" for row in self.rows)

    @property
    def above(self) -> int:
        """How many have a loss above the axis."""
        return sum(row.loss is not None and row.loss > self.high for row in self.rows)


def points_of(found: SweepFindings) -> Points:
    """Return what the figure of a sweep shows."""
    finite = [row for row in found.ordered if row.loss is not None and math.isfinite(row.loss)]
    scored = [row for row in finite if row.state != "diverged"]
    diverged = [row for row in found.rows if row.state == "diverged"][:_MOST_POINTS]
    if not scored and not diverged:
        return Points((), (), (), 0.0, 1.0, 0, None)
    step = -(-len(scored) // _MOST_POINTS) or 1
    drawn = scored[::step]
    # With nothing but the seed varying, what it does is all there is to see.
    names = found.varied[:MOST_PANELS] or found.plan.varied
    guessing = found.guessing
    low, high = _range([row.loss for row in scored if row.loss is not None], guessing)
    return Points(
        tuple(_panel(found, name, high) for name in names),
        tuple(drawn),
        tuple(diverged),
        low,
        high,
        len(scored) - len(drawn),
        guessing if guessing is not None and low < guessing < high else None,
    )


def _panel(found: SweepFindings, name: str, high: float) -> Panel:
    values = values_of(found.rows, name)
    numbers = [value for value in values if isinstance(value, (int, float))]
    is_category = len(numbers) < len(values)
    is_even = any(each.name == name and not each.values and each.scale == "lin" for each in found.plan.vary)
    is_wide = not is_category and numbers[0] > 0 and numbers[-1] >= _LOG_RATIO * numbers[0]
    losses: dict[Value, list[float]] = {}
    for row in found.rows:
        if row.state == "ended" and row.loss is not None and row.loss <= high:
            losses.setdefault(row.trial.values.get(name), []).append(row.loss)
    means = [(value, statistics.fmean(losses[value])) for value in values if value in losses]
    # A line through single trials would follow their luck.
    is_repeated = name != "seed" and sum(map(len, losses.values())) >= 1.5 * len(losses)
    return Panel(
        name, tuple(values), is_category, is_wide and not is_even, tuple(means) if is_repeated else ()
    )


def _range(losses: list[float], guessing: float | None) -> tuple[float, float]:
    """Return the lowest loss, and the highest that does not flatten the others.

    What is better than guessing is always shown.
    """
    if not losses:
        return 0.0, 1.0
    low, middle = min(losses), statistics.median(losses)
    most = max(low + _FAR * (middle - low), middle if guessing is None else guessing)
    return low, max((loss for loss in losses if loss <= most), default=low)
