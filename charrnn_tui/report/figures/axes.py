"""What the figures have in common around their curves: labels of axes, and a legend above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogLocator, MaxNLocator, NullFormatter

from charrnn_tui.dashboard.renderables.ticks import labels


class RoundLabels(Formatter):
    """Writes round values as the dashboard's chart does: 20k, 1.5M."""

    def format_ticks(self, values: Any) -> list[str]:
        """Return the labels of the marks of an axis."""
        return labels(np.asarray(values, dtype=np.float64))

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of a value."""
        return labels(np.array([x]))[0]


def mark_round_values(axis: Axis, *, most: int = 7, integer: bool = False) -> None:
    """Let an axis mark round values, at most about so many, and write them shortly."""
    if axis.get_scale() == "log":
        span = np.ptp(np.log10(axis.get_view_interval()))
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if span < 2.5 else (1.0,)))
        axis.set_minor_formatter(NullFormatter())
    else:
        axis.set_major_locator(MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10], integer=integer))
    axis.set_major_formatter(RoundLabels())


def legend_above(figure: Figure, handles: Sequence[Any], names: Sequence[str], title: str = "") -> None:
    """Say above the curves, where it hides nothing, what they are."""
    if not handles:
        return
    widths = [0.066 * len(name) + 0.55 for name in names]  # inches, about
    room = figure.get_figwidth() - 0.3
    columns = len(names) if sum(widths) <= room else int(room / max(widths))
    figure.legend(
        handles, names, title=title or None, alignment="left", loc="outside upper left",
        ncols=max(1, columns), frameon=False, handlelength=2.0, columnspacing=1.4, borderpad=0.1,
    )  # fmt: skip
