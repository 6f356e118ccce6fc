"""The chart of a sweep: the smooth losses of its best trials, with the chosen one in front of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from charrnn_tui.dashboard.loss_chart import LossView
from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.renderables.chart import Drawing, View, draw
from charrnn_tui.dashboard.renderables.curves import Curve
from charrnn_tui.dashboard.spans import Line, Span, plain
from charrnn_tui.dashboard.sweep_look import MOST
from charrnn_tui.terminal import harmless_line

if TYPE_CHECKING:
    from charrnn_core.sweeps.following import TrialRow
    from charrnn_tui.dashboard.sweep_look import SweepLook


def colours_of(best: Sequence[str], before: Mapping[str, int]) -> dict[str, int]:
    """Return a colour for each of the best trials, by name: that which it had, or one that is free.

    Examples
    --------
    >>> colours_of(["a", "b", "c"], {})
    {'a': 1, 'b': 2, 'c': 3}
    >>> colours_of(["c", "new", "a"], {"a": 1, "b": 2, "c": 3})
    {'c': 3, 'a': 1, 'new': 2}
    """
    colours = {name: before[name] for name in best if name in before}
    free = iter(sorted(set(range(1, MOST + 1)) - set(colours.values())))
    return colours | {name: next(free) for name in best if name not in colours}


def marks_of(
    look: SweepLook, chosen: str | None, colours: Mapping[str, int], glyphs: GlyphSet
) -> dict[str, Span]:
    """Return what stands for the lines of trials, by name: the place of each, in its colour.

    The chosen one has the colour of what is in front, and a dash where it is none of the best.
    """
    marks = {
        row.trial.name: Span(str(place), f"overlay-{colours[row.trial.name]}")
        for place, row in enumerate(look.best, 1)
    }
    if chosen is not None:
        dash = "-" if glyphs == "ascii" else "━"
        marks[chosen] = Span(marks[chosen].text if chosen in marks else dash, "line")
    return marks


def curves_of(look: SweepLook, marks: Mapping[str, Span]) -> list[Curve]:
    """Return the lines of the trials that have a mark, the chosen one first."""
    curves = [
        Curve(
            look.curves[name][0],
            look.curves[name][1],
            mark.role,
            name,
            mark.text if mark.text.isdigit() else "",
        )
        for name, mark in marks.items()
        if name in look.curves
    ]
    return sorted(curves, key=lambda curve: curve.role != "line")


def chart_of(curves: Sequence[Curve], view: LossView, size: tuple[int, int], glyphs: GlyphSet) -> Drawing:
    """Return the drawing of losses in nats per character, with bits on the right."""
    lasts = [curve.x[-1] for curve in curves if len(curve.x) and np.isfinite(curve.x[-1])]
    return draw(
        *size,
        curves,
        view=View(
            x_range=view.x_range(float(max(lasts))) if lasts else None,
            log_x=view.log_x,
            log_y=view.log_y,
            right_axis=(1 / math.log(2), "bits"),
        ),
        glyphs=glyphs,
    )


def legend_line(rows: Sequence[TrialRow], marks: Mapping[str, Span], width: int) -> Line:
    """Return a line that says what varies in the trials with a mark, as many as there is room for."""
    from charrnn_core.sweeps.varying import shown

    spans: list[Span] = []
    for row in rows:
        if row.trial.name in marks:
            values = harmless_line(" ".join(map(shown, row.trial.values.values())))
            mark = marks[row.trial.name]
            piece = [Span(f"{mark.text} ", mark.role), Span(f"{values}  ", "text")]
            if len(plain([*spans, *piece])) <= width:
                spans += piece
    return spans
