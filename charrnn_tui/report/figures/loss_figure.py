"""The figure of the loss of one or several runs, for paper and screen.

It is imported only when a figure is made: Matplotlib takes half a second.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.figure import Figure

from charrnn_core.runs.history import History
from charrnn_tui.dashboard.loss_chart import Abscissa, abscissa, held_out_curve, markers_of
from charrnn_tui.dashboard.renderables.columns import reduced
from charrnn_tui.dashboard.renderables.curves import Marker
from charrnn_tui.dashboard.renderables.ticks import Axis, FloatArray
from charrnn_tui.formatting import characters_of_loss, loss_of, number_of
from charrnn_tui.report.figures.axes import legend_above, mark_round_values
from charrnn_tui.report.figures.look import DASHES, DPI, PAPER, Look, styled
from charrnn_tui.terminal import harmless_line

FileFormat = Literal["svg", "png", "pdf"]

_MOST_EPOCHS = 40  # marks that are still told from one another
_CEILING = 3.0  # times the first loss
_LEAST_LOSS = 1e-200  # on a logarithmic axis, so that in other units it is above 0 too
_MARGIN = 0.008  # share of the width beside the curves, so that nothing at an end of them is cut


@dataclass(frozen=True)
class LossOf:
    """A run whose loss is drawn.

    Attributes
    ----------
    name : str
    history : History
    settings : dict
    """

    name: str
    history: History
    settings: dict[str, Any]

    @property
    def characters(self) -> int:
        """How many characters its losses are sums over."""
        return characters_of_loss(self.settings)


def draw_losses(
    runs: Sequence[LossOf],
    *,
    by: Abscissa = "update",
    log_x: bool = False,
    log_y: bool = False,
    size: tuple[float, float] = (7.0, 4.0),
    look: Look = PAPER,
    format: FileFormat = "svg",
    title: str = "",
) -> bytes:
    """Return the figure of the loss of one or several runs as the bytes of a file.

    Parameters
    ----------
    runs, by, log_x, log_y, size, look, title
        As of `figure_of`.
    format : "svg", "png" or "pdf"
        The same figure is the same bytes.
    """
    with styled(look):
        figure = figure_of(runs, by=by, log_x=log_x, log_y=log_y, size=size, look=look, title=title)
        file = io.BytesIO()
        date = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[format]
        figure.savefig(file, format=format, metadata=date)
    return file.getvalue()


def figure_of(
    runs: Sequence[LossOf],
    *,
    by: Abscissa = "update",
    log_x: bool = False,
    log_y: bool = False,
    size: tuple[float, float] = (7.0, 4.0),
    look: Look = PAPER,
    title: str = "",
) -> Figure:
    """Return the figure of the loss of one or several runs.

    Of one run: smooth loss over the smallest and the largest loss of each bucket of updates, held-out loss,
    and marks for epochs, changes of the learning rate, the best state and divergence. Of several: smooth loss
    and held-out loss of each; in nats per character where their losses have different units.

    Parameters
    ----------
    runs : sequence of LossOf
    by : "update", "epoch" or "time"
    log_x, log_y : bool
        What is at 0 stands at the first x that a logarithmic axis has.
    size : (float, float)
        Width and height in inches.
    look : Look
    title : str
    """
    with styled(look):
        figure = Figure(figsize=size, layout="constrained", facecolor=look.paper)
        _Drawing(figure, runs, harmless_line(title), by, log_x, log_y, look).draw()
    return figure


class _Drawing:
    """Puts runs onto axes."""

    def __init__(
        self,
        figure: Figure,
        runs: Sequence[LossOf],
        title: str,
        by: Abscissa,
        log_x: bool,
        log_y: bool,
        look: Look,
    ) -> None:
        self._figure = figure
        self._axes = figure.add_subplot(facecolor="none")
        self._runs = runs
        self._title = title
        self._by: Abscissa = by
        self._look = look
        units = {(run.characters, run.settings.get("loss")) for run in runs}
        self._own_unit = len(units) == 1
        self._characters = runs[0].characters if self._own_unit else 1
        self._log_x, self._log_y = log_x, (log_y or self._is_beyond()) and self._has_positive()
        self._last = max((float(x[-1]) for x in map(self._x_of, runs) if len(x)), default=1.0)
        self._least_x = self._first_positive()
        self._lows: list[float] = []
        self._highs: list[float] = []
        self._band = math.inf, -math.inf

    def draw(self) -> None:
        axes, look = self._axes, self._look
        axes.grid(axis="y", color=look.grid, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.spines["right"].set_visible(False)
        if not any(len(run.history.progress) for run in self._runs):
            axes.text(0.5, 0.5, "no updates yet", transform=axes.transAxes, ha="center", color=look.muted)
            axes.set(xticks=[], yticks=[])
            return
        for number, run in enumerate(self._runs):
            self._run(run, number)
        self._scales()
        if len(self._runs) == 1:
            self._envelope(self._runs[0])
        self._limits()
        if len(self._runs) == 1:
            self._marks(self._runs[0])
        self._axis_labels()
        self._legend()

    # -- curves --------------------------------------------------------------------------------------------

    def _x_of(self, run: LossOf) -> FloatArray:
        return abscissa(run.history, self._by) / self._time_unit()[0]

    def _time_unit(self) -> tuple[float, str]:
        """Return how many seconds the unit of time on the axis has, and its name."""
        if self._by != "time":
            return 1.0, ""
        ends = [each.history.column("time")[-1:] for each in self._runs]
        longest = max((float(end[0]) for end in ends if len(end)), default=0.0)
        return (1.0, "s") if longest < 300 else (60.0, "min") if longest < 3 * 3600 else (3600.0, "h")

    def _first_positive(self) -> float:
        firsts = [x[x > 0][:1] for x in map(self._x_of, self._runs)]
        return min((float(first[0]) for first in firsts if len(first)), default=1.0)

    def _on_axis(self, x: FloatArray) -> FloatArray:
        """Move what is at 0, where updates begin, to the first x that a logarithmic axis has."""
        return np.where(x > 0, x, self._least_x) if self._log_x else x

    def _scale(self, run: LossOf) -> float:
        return 1.0 if self._own_unit else 1 / run.characters

    def _run(self, run: LossOf, number: int) -> None:
        look, scale = self._look, self._scale(run)
        alone = len(self._runs) == 1
        color = look.lines[number % len(look.lines)]
        dashes = DASHES[number % len(DASHES)]
        x, y = self._on_axis(self._x_of(run)), _finite(run.history.column("smooth_loss") * scale)
        self._reach(y)
        self._axes.plot(
            x, y, color=color, linestyle=dashes, marker="o" if len(x) == 1 else "", markersize=4, zorder=4,
            label="smooth loss" if alone else _legend_name(run),
        )  # fmt: skip
        held_out = held_out_curve(run.history, self._by, run.characters)
        if held_out is not None:
            at, loss = self._on_axis(held_out.x / self._time_unit()[0]), _finite(held_out.y * scale)
            self._reach(loss)
            self._axes.plot(
                at, loss, color=look.held_out if alone else color, linestyle=(0, (4, 2)), linewidth=1.2,
                marker="o", markersize=2.5 if len(at) > 30 else 3.5, zorder=4,
                label="held-out loss" if alone else f"{_legend_name(run)}, held out",
            )  # fmt: skip

    def _reach(self, values: FloatArray) -> None:
        """Let the axis reach these values."""
        values = values[np.isfinite(values) & ((values > 0) | (not self._log_y))]
        if len(values):
            self._lows.append(float(values.min()))
            self._highs.append(float(values.max()))

    def _envelope(self, run: LossOf) -> None:
        """Fill between the extremes; in columns, for a long run has more buckets than a figure has dots."""
        history, scale = run.history, self._scale(run)
        x = self._on_axis(self._x_of(run))
        low, high = (_finite(history.column(name) * scale) for name in ("loss_min", "loss_max"))
        if len(x) < 2:
            return
        first, last = float(x[0]), float(x[-1])
        count = int(self._figure.get_figwidth() * DPI)
        axis = Axis.over(first, last, self._log_x)
        if len(x) > count:
            columns = reduced(x, low, high, axis, count, self._log_y)
            x, low, high = axis.value((np.arange(count) + 0.5) / count), columns.low, columns.high
            x[0], x[-1] = first, last
        self._axes.fill_between(
            # The edge shows a loss that is alone in its bucket, and a spike that is narrower than a dot.
            x,
            low,
            high,
            color=self._look.envelope,
            linewidth=0.6,
            zorder=2,
            label="minimum and maximum",
        )
        self._band = float(np.nanmin(low, initial=math.inf)), float(np.nanmax(high, initial=-math.inf))

    # -- marks ---------------------------------------------------------------------------------------------

    def _marks(self, run: LossOf) -> None:
        axes, look = self._axes, self._look
        markers = list(markers_of(run.history, self._by))
        self._epochs([marker for marker in markers if marker.role == "epoch"])
        seconds, _ = self._time_unit()
        for marker in markers:
            x = float(self._on_axis(np.array([marker.x / seconds]))[0])
            if marker.role == "best":
                self._best(run, x)
            elif marker.role == "intervention":
                axes.axvline(x, color=look.muted, linewidth=0.9, linestyle=(0, (2, 2)), zorder=3)
                axes.annotate(
                    marker.label, (x, 0.98), xycoords=("data", "axes fraction"), rotation=90, fontsize=7,
                    textcoords="offset points", xytext=(2, 0), color=look.muted, ha="left", va="top",
                )  # fmt: skip
            elif marker.role == "diverged":
                axes.axvline(x, color=look.bad, linewidth=1.2, zorder=3, label="diverged")

    def _best(self, run: LossOf, x: float) -> None:
        loss = None if run.history.best is None else run.history.best.get("loss")
        number = number_of(loss)
        if number is None:
            return
        held_out = bool(run.settings.get("held_out"))
        number *= self._characters if held_out else self._scale(run)
        told = loss_of(number, 2 if self._characters > 1 else 3)
        self._axes.plot(
            [x], [number], color=self._look.good, marker="*", markersize=9, linestyle="", zorder=5,
            label=f"best{' held-out' * held_out}, {told}",
        )  # fmt: skip

    def _legend(self) -> None:
        """Say above the curves, where it hides nothing, what they are."""
        handles, names = self._axes.get_legend_handles_labels()
        legend_above(self._figure, handles, names, self._title)

    def _epochs(self, markers: Sequence[Marker]) -> None:
        if not markers or self._by == "epoch":
            return
        step = next(step for step in _STEPS if len(markers) / step <= _MOST_EPOCHS)
        at = np.array([marker.x for marker in markers[step - 1 :: step]]) / self._time_unit()[0]
        label = "end of an epoch" if step == 1 else f"every {step:,} epochs"
        self._axes.plot(
            self._on_axis(at), np.zeros(len(at)), transform=self._axes.get_xaxis_transform(), linestyle="",
            color=self._look.muted, marker="|", markersize=7, clip_on=False, zorder=5, label=label,
        )  # fmt: skip

    # -- axes ----------------------------------------------------------------------------------------------

    def _scales(self) -> None:
        if self._log_x:
            self._axes.set_xscale("log")
        if self._log_y:
            self._axes.set_yscale("log")

    def _limits(self) -> None:
        """Set what is visible: all of the curves, and of single losses what does not flatten these."""
        axes = self._axes
        if self._log_x:
            last = max(self._last, 10 * self._least_x)
            axes.set_xlim(self._least_x, last * (last / self._least_x) ** _MARGIN)
        else:
            width = self._last if self._last > 0 else 1.0
            axes.set_xlim(-_MARGIN * width, (1 + _MARGIN) * width)
        if not self._lows:
            axes.text(
                0.5, 0.5, "no finite loss", transform=axes.transAxes, ha="center", color=self._look.muted
            )
            return
        curve_high, (band_low, band_high) = max(self._highs), self._band
        low, high = min(*self._lows, band_low), max(curve_high, band_high)
        if self._log_y:
            high = max(high, _LEAST_LOSS)  # somebody may have edited the log
            low = max(low, _LEAST_LOSS) if low > 0 else high / 1000
            axes.set_ylim(low / 1.1, high * 1.1)
            return
        most = max(self._ceiling(), curve_high)
        if high > most:
            told = f"largest {loss_of(high)} \N{UPWARDS ARROW}"
            axes.annotate(told, (0.5, 0.98), xycoords="axes fraction", va="top", color=self._look.muted)
            high = most
        margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
        axes.set_ylim(max(low - margin, 0.0) if low >= 0 else low - margin, high + margin)

    def _has_positive(self) -> bool:
        """Return whether there is a loss that has a place on a logarithmic axis."""
        losses = (_finite(run.history.column("smooth_loss")) for run in self._runs)
        return any(bool(np.any(loss > 0)) for loss in losses)

    def _is_beyond(self) -> bool:
        """Return whether a curve goes so far up that a linear axis would show little else."""
        curves = [run.history.column("smooth_loss") * self._scale(run) for run in self._runs]
        for run in self._runs:
            held_out = held_out_curve(run.history, self._by, run.characters)
            curves += [] if held_out is None else [held_out.y * self._scale(run)]
        highest = max(float(np.nanmax(_finite(curve), initial=0.0)) for curve in curves)
        return highest > self._ceiling()

    def _ceiling(self) -> float:
        """Return a loss far above that of a network that knows nothing; to show more would flatten all."""
        firsts = [run.history.column("smooth_loss")[:1] * self._scale(run) for run in self._runs]
        finite = [float(first[0]) for first in firsts if len(first) and math.isfinite(first[0])]
        return _CEILING * max(finite, default=math.inf)

    def _axis_labels(self) -> None:
        axes, characters = self._axes, self._characters
        unit = f"nats, sum over {characters:,} characters" if characters > 1 else "nats per character"
        axes.set_ylabel(f"loss ({unit})")
        names = {"update": "update", "epoch": "epoch", "time": f"training time ({self._time_unit()[1]})"}
        axes.set_xlabel(names[self._by])
        right = axes.twinx()
        for side in ("left", "bottom"):
            right.spines[side].set_visible(False)
        right.set_yscale(axes.get_yscale())
        scale = 1 / characters / math.log(2)
        low, high = axes.get_ylim()
        right.set_ylim(low * scale, high * scale)
        right.set_ylabel("bits per character")
        for axis in (axes.xaxis, axes.yaxis, right.yaxis):
            mark_round_values(axis, integer=axis is axes.xaxis and self._by == "update")


_STEPS = tuple(mantissa * 10**exponent for exponent in range(12) for mantissa in (1, 2, 5))


def _legend_name(run: LossOf) -> str:
    name = harmless_line(run.name)
    return f" {name}" if name.startswith("_") else name  # what begins so is left out of legends


def _finite(values: FloatArray) -> FloatArray:
    """Return values with a gap where one cannot be drawn."""
    return np.where(np.isfinite(values) & (np.abs(values) < 1e100), values, np.nan)
