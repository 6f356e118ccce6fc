"""The chart of a run's loss: which curves and marks it has, and what of them is visible."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from charrnn_core.runs.history import History
from charrnn_tui.dashboard.comparison import scale_to
from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.renderables.chart import Drawing, View, draw
from charrnn_tui.dashboard.renderables.curves import Curve, Envelope, Marker, smoothed
from charrnn_tui.dashboard.renderables.ticks import FloatArray
from charrnn_tui.formatting import characters_of_loss, number_of

Abscissa = Literal["update", "epoch", "time"]
Unit = Literal["bits", "nats", ""]

ABSCISSAS: tuple[Abscissa, ...] = ("update", "epoch", "time")
HALF_LIVES = (0, 200, 1000, 5000)
"""Updates after which a loss counts half in the drawn average; 0 draws the smooth loss as it was logged."""

RECENT = 0.2
"""The share of a run that the recent view shows."""


@dataclass(frozen=True)
class LossView:
    """What of the loss is shown, and how.

    Attributes
    ----------
    span : float or None
        Width of what is visible, in units of x; None is all.
    end : float or None
        Its right edge; None follows the newest update.
    log_x, log_y : bool
    unit : "bits", "nats" or ""
        A character, on the right axis.
    abscissa : "update", "epoch" or "time"
    half_life : int
    envelope : bool
        Whether the smallest and the largest loss of each bucket are shown.
    crosshair : float or None
    """

    span: float | None = None
    end: float | None = None
    log_x: bool = False
    log_y: bool = False
    unit: Unit = "bits"
    abscissa: Abscissa = "update"
    half_life: int = 0
    envelope: bool = True
    crosshair: float | None = None

    def x_range(self, last: float) -> tuple[float, float]:
        """Return the visible range, for the newest x."""
        if self.span is None:
            return 0.0, _rounded_up(last)
        end = last if self.end is None else self.end
        return max(0.0, end - self.span), max(end, min(self.span, last))

    def told(self) -> str:
        """Return the view in words, for the foot of the pane."""
        words = ["smooth" if not self.half_life else f"half-life {self.half_life:,}"]
        words[0] += " over min–max" if self.envelope else ""
        words.append(
            {(0, 0): "linear", (1, 0): "log x", (0, 1): "log y", (1, 1): "log-log"}[self.log_x, self.log_y]
        )
        if self.abscissa != "update":
            words.append(f"by {self.abscissa}")
        words.append("all" if self.span is None else "zoomed" if self.end is not None else "follow")
        return " · ".join(words)


def abscissa(history: History, kind: Abscissa) -> FloatArray:
    """Return x of each bucket's end: its update, the epochs done, or the seconds of training."""
    return history.column(kind)


def chart_of(
    history: History,
    settings: dict[str, Any],
    view: LossView,
    size: tuple[int, int],
    glyphs: GlyphSet,
    overlays: dict[str, History],
) -> Drawing:
    """Return the drawing of a run's loss, with others over it.

    Parameters
    ----------
    history : History
    settings : dict
    view : LossView
    size : (int, int)
        Width and height in cells.
    glyphs : "braille", "block" or "ascii"
    overlays : dict of str to History
        Drawn in the unit of the run's loss, whatever their own is.
    """
    characters = characters_of_loss(settings)
    x = abscissa(history, view.abscissa)
    curves = [Curve(x, line_of(history, view.half_life), "line", "smooth loss")]
    held_out = held_out_curve(history, view.abscissa, characters)
    curves += [] if held_out is None else [held_out]
    curves += overlay_curves(overlays, view, characters)
    # All is all of every run; what follows the newest update follows that of the run itself.
    visible = view.x_range(last_x(history, view.abscissa, overlays if view.span is None else {}))
    scale = {"bits": 1 / characters / math.log(2), "nats": 1 / characters, "": 0.0}[view.unit]
    return draw(
        *size,
        curves,
        Envelope(x, history.column("loss_min"), history.column("loss_max")) if view.envelope else None,
        list(markers_of(history, view.abscissa)),
        View(
            x_range=visible if len(x) else None,
            y_range=_y_range(curves, visible),
            log_x=view.log_x,
            log_y=view.log_y,
            crosshair=view.crosshair,
            right_axis=(scale, view.unit) if scale else None,
        ),
        glyphs,
    )


def held_out_curve(history: History, kind: Abscissa, characters: int) -> Curve | None:
    """Return the held-out loss, as a sum over this many characters; None where nothing was validated."""
    if not history.validations:
        return None
    at = places(history, [event["update"] for event in history.validations], kind)
    loss = [_number(event.get("loss")) * characters for event in history.validations]
    return Curve(at, np.array(loss), "held-out", "held-out loss", "h")


def last_x(history: History, kind: Abscissa, overlays: Mapping[str, History]) -> float:
    """Return the last x of a run and others, 1 where none has begun."""
    ends = [abscissa(each, kind)[-1:] for each in (history, *overlays.values())]
    return float(np.concatenate(ends).max(initial=-1.0)) if any(map(len, ends)) else 1.0


def named_curves(
    name: str, history: History, settings: dict[str, Any], view: LossView, overlays: dict[str, History]
) -> list[Curve]:
    """Return the curves of a run and of others over it, for a legend."""
    own = Curve(abscissa(history, view.abscissa), line_of(history, view.half_life), name=name)
    return [own, *overlay_curves(overlays, view, characters_of_loss(settings))]


def overlay_curves(overlays: dict[str, History], view: LossView, characters: int) -> list[Curve]:
    """Return the losses of other runs, as sums over this many characters."""
    return [
        Curve(
            abscissa(other, view.abscissa),
            line_of(other, view.half_life) * scale_to(characters, other),
            f"overlay-{number % 5 + 1}",
            name,
            str(number + 1),
        )
        for number, (name, other) in enumerate(overlays.items())
    ]


def newest(history: History) -> tuple[int, int | None]:
    """Return what changes with each new bucket."""
    progress = history.progress
    return len(progress), progress[-1]["update"] if progress else None


def _y_range(curves: Sequence[Curve], visible: tuple[float, float]) -> tuple[float, float] | None:
    """Return the range of the visible curves with a margin: single losses spread far beyond their average."""
    low, high = visible
    values = np.concatenate([curve.y[(curve.x >= low) & (curve.x <= high)] for curve in curves])
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    least, most = float(values.min()), float(values.max())
    margin = max(0.12 * (most - least), 0.01 * abs(most), 1e-6)
    return least - margin if least <= 0 else max(least - margin, least / 2), most + margin


def line_of(history: History, half_life: int) -> FloatArray:
    """Return the drawn average of the losses, float64: the smooth loss as logged, or one of a half-life."""
    if not half_life:
        return history.column("smooth_loss")
    widths = history.column("update") - history.column("first_update") + 1
    return smoothed(history.column("loss_mean"), widths, half_life)


def _number(value: Any) -> float:
    number = number_of(value)
    return math.nan if number is None else number


def markers_of(history: History, kind: Abscissa) -> Iterator[Marker]:
    """Yield marks for epochs, checkpoints asked for, changes of the learning rate, best state, divergence."""
    marked: list[tuple[float, str, str]] = [(event["update"], "epoch", "") for event in history.epochs]
    for event in history.checkpoints:
        if event.get("kind") != "best":
            marked.append((event["update"], "checkpoint", ""))
    # Of several changes at one update the last one counts; going on with the same rate is none.
    before = None
    for update, rate in dict(history.learning_rates()).items():
        if rate != (_first_rate(history) if before is None else before):
            marked.append((update, "intervention", f"rate {rate:g}"))
        before = rate
    if history.best is not None:
        marked.append((history.best["update"], "best", ""))
    if history.ended is not None and history.ended.get("reason") == "diverged":
        marked.append((history.ended["update"], "diverged", ""))
    at = places(history, [update for update, _, _ in marked], kind)
    for x, (_, role, label) in zip(at.tolist(), marked, strict=True):
        yield Marker(x, role, label)


def _first_rate(history: History) -> Any:
    settings = history.openings[0].get("settings") if history.openings else None
    return settings.get("learning_rate") if isinstance(settings, dict) else None


def places(history: History, updates: Sequence[float], kind: Abscissa) -> FloatArray:
    """Return x of some updates, between those of the buckets' ends around them."""
    at = np.array(updates, dtype=np.float64)
    if kind == "update" or not len(history.progress):
        return at
    return np.interp(at, history.column("update"), abscissa(history, kind))


def _rounded_up(last: float) -> float:
    """Return a number a little above, that stays while the run goes on for a while: the ticks rest."""
    if not last > 0:
        return 1.0
    step: float = 10.0 ** math.floor(math.log10(last)) / 4
    return math.ceil(last / step) * step
