"""The figure of a sweep: the loss of its trials against each setting that varies, side by side.

It is imported only when a figure is made: Matplotlib takes half a second.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from charrnn_core.sweeps.following import Group, TrialRow
from charrnn_core.sweeps.varying import shown
from charrnn_tui.dashboard.renderables.ticks import label, short
from charrnn_tui.formatting import loss_of
from charrnn_tui.report.figures.axes import legend_above, mark_round_values
from charrnn_tui.report.figures.look import Look, styled
from charrnn_tui.report.sweep_points import Panel, Points
from charrnn_tui.trial_words import name_in_words

_PANEL_HEIGHT, _LEGEND_HEIGHT = 2.7, 0.35  # inches
_LEAST_WIDTH = 2.2  # inches of a panel, with its labels
_BESIDE = 0.75  # inches of a panel that its axis is not long
_LETTER = 0.075  # inches, about
_MOST_MARKS = 8  # values that an axis names itself
_BESIDE_POINTS = 0.08  # share of the width beside the points
_HEADROOM = 0.08  # share of the height around the points
_LONGEST = 12  # characters of a category


def size_of(panels: int, width: float) -> tuple[float, float]:
    """Return width and height in inches of a figure with so many panels, as wide as that.

    Examples
    --------
    >>> size_of(1, 7.6), size_of(2, 7.6), size_of(2, 3.7)
    ((7.6, 3.59), (7.6, 3.05), (3.7, 5.75))
    """
    columns = _columns(panels, width)
    height = _PANEL_HEIGHT * (1.2 if columns == 1 and width > 2 * _LEAST_WIDTH else 1.0)
    return width, round(-(-panels // columns) * height + _LEGEND_HEIGHT, 2)


def _columns(panels: int, width: float) -> int:
    most = max(1, min(panels, int(width / _LEAST_WIDTH)))
    return 2 if panels == 4 and most == 3 else most


def draw_sweep(points: Points, best: Group | None, size: tuple[float, float], look: Look) -> bytes:
    """Return the figure of a sweep as the bytes of an SVG; the same figure is the same bytes.

    Parameters
    ----------
    points : Points
        With at least one panel.
    best : Group or None
        The combination that is marked.
    size : (float, float)
        Width and height in inches.
    look : Look
    """
    with styled(look):
        figure = Figure(figsize=size, layout="constrained", facecolor=look.paper)
        _draw(figure, points, best, look)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _draw(figure: Figure, points: Points, best: Group | None, look: Look) -> None:
    panels = points.panels
    columns = _columns(len(panels), figure.get_figwidth())
    rows = -(-len(panels) // columns)
    grid: Sequence[Axes] = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in grid[len(panels) :]:
        axes.remove()
    length = figure.get_figwidth() / columns - _BESIDE
    for number, (panel, axes) in enumerate(zip(panels, grid, strict=False)):
        _panel(axes, panel, points, best, look)
        _height(axes, points)
        _marks(axes, panel, length)
        axes.set_xlabel(name_in_words(panel.name))
        if number % columns == 0:
            axes.set_ylabel("loss (nats per character)")
        else:
            axes.tick_params(labelleft=False)
    named: dict[str, Any] = {}
    for axes in grid[: len(panels)]:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    legend_above(figure, list(named.values()), list(named))


def _panel(axes: Axes, panel: Panel, points: Points, best: Group | None, look: Look) -> None:
    axes.set_facecolor("none")
    axes.grid(axis="y", color=look.grid, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines["right"].set_visible(False)
    if panel.is_log:
        axes.set_xscale("log")
    color = look.lines[0]
    level = [row for row in points.rows if _loss(row) <= points.high]
    ended = [row for row in level if row.state == "ended"]
    axes.plot(
        _places(panel, ended), [_loss(row) for row in ended], color=color, marker="o", markersize=5,
        markeredgewidth=0, alpha=0.6, linestyle="", zorder=3, label="trial",
    )  # fmt: skip
    others = [row for row in level if row.state != "ended"]
    if others:
        axes.plot(
            _places(panel, others), [_loss(row) for row in others], color=look.muted, marker="o",
            markersize=4.5, markerfacecolor="none", linestyle="", zorder=2, label="not at its end",
        )  # fmt: skip
    if panel.means:
        x, y = [panel.place(value) for value, _ in panel.means], [mean for _, mean in panel.means]
        dash: dict[str, Any] = {"marker": "_", "markersize": 22, "markeredgewidth": 1.8, "linestyle": ""}
        axes.plot(x, y, color=color, zorder=4, label="mean", **(dash if panel.is_category else {}))
    if best is not None and panel.name in best.values and best.mean <= points.high:
        axes.plot(
            [panel.place(best.values[panel.name])], [best.mean], color=look.good, marker="*", markersize=10,
            linestyle="", zorder=5, label=f"best, {loss_of(best.mean, 3)}",
        )  # fmt: skip
    if points.guessing is not None:
        axes.axhline(
            points.guessing,
            color=look.muted,
            linewidth=0.9,
            linestyle=(0, (2, 2)),
            zorder=1,
            label="guessing",
        )
    above = [row for row in points.rows if _loss(row) > points.high]
    _at_the_edge(axes, _places(panel, above), "^", look.muted, "above the axis")
    _at_the_edge(axes, _places(panel, points.failures), "x", look.bad, "diverged")


def _at_the_edge(axes: Axes, x: list[float], marker: str, color: str, label: str) -> None:
    if x:
        axes.plot(
            x, np.ones(len(x)), transform=axes.get_xaxis_transform(), color=color, marker=marker,
            markersize=5.5, linestyle="", clip_on=False, zorder=5, label=label,
        )  # fmt: skip


def _places(panel: Panel, rows: Sequence[TrialRow]) -> list[float]:
    return [panel.place(row.trial.values.get(panel.name)) for row in rows]


def _loss(row: TrialRow) -> float:
    return math.inf if row.loss is None else row.loss


def _height(axes: Axes, points: Points) -> None:
    """Let all panels have one range of losses, so that the settings can be compared by the eye."""
    span = points.high - points.low
    room = _HEADROOM * span if span > 1e-9 * abs(points.high) else 0.05 * abs(points.high) or 1.0
    axes.set_ylim(points.low - room, points.high + room)
    if math.isfinite(room) and points.rows:
        mark_round_values(axes.yaxis, most=6)
    else:
        axes.set_yticks([])


def _marks(axes: Axes, panel: Panel, length: float) -> None:
    """Mark the values themselves where they are few and have room; else round ones."""
    places = [panel.place(value) for value in panel.values]
    if panel.is_category:
        names = [shown(value)[:_LONGEST] for value in panel.values]
        axes.set_xlim(-0.6, len(places) - 0.4)
        if not _have_room(places, names, length * (len(places) - 1) / len(places)):
            axes.tick_params(axis="x", labelrotation=90)
    else:
        names = [_number(place) for place in places]
        axes.set_xlim(*_limits(places, is_log=panel.is_log))
        on_axis = [math.log(place) for place in places] if panel.is_log else places
        if len(places) > _MOST_MARKS or not _have_room(on_axis, names, length / (1 + 2 * _BESIDE_POINTS)):
            mark_round_values(axes.xaxis, most=max(2, int(length / 0.55)))
            return
    axes.set_xticks(places, names)
    axes.xaxis.set_minor_locator(NullLocator())


def _limits(places: list[float], *, is_log: bool) -> tuple[float, float]:
    """Return the ends of an axis on which these values stand, with room beside them."""
    first, last = places[0], places[-1]
    if is_log:
        room = (last / first) ** _BESIDE_POINTS
        return first / room, last * room
    room = _BESIDE_POINTS * (last - first) or abs(first) / 2 or 1.0
    return first - room, last + room


def _have_room(places: list[float], names: list[str], length: float) -> bool:
    """Return whether names fit beside each other, so many inches from the first place to the last."""
    if len(places) < 2:
        return True
    gaps = np.diff(places) / (places[-1] - places[0]) * length
    widths = np.array([len(name) * _LETTER for name in names])
    return bool((gaps > (widths[1:] + widths[:-1]) / 2 + 0.08).all())


def _number(value: float) -> str:
    """Return a value as it was typed, if that is short."""
    exact = f"{value:g}"
    return exact if len(exact) <= 6 and float(exact) == value and "e" not in exact else (
        label(value, value) if 0 < value and value == float(f"{value:.1g}") else short(value, 6)
    )  # fmt: skip
