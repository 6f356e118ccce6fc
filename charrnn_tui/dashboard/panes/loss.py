"""The loss pane: the chart, the figures of this moment, and the last minute."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from textual import events
from textual.binding import Binding, BindingType

from charrnn_core.runs.history import History
from charrnn_tui.dashboard.comparison import scale_to
from charrnn_tui.dashboard.figures import characters_of_loss, loss_of
from charrnn_tui.dashboard.panes.legend import legend_line
from charrnn_tui.dashboard.panes.pane import Pane
from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.renderables.chart import Drawing, View, draw
from charrnn_tui.dashboard.renderables.curves import Curve, Envelope, Marker, smoothed
from charrnn_tui.dashboard.renderables.sparkline import sparkline
from charrnn_tui.dashboard.renderables.ticks import FloatArray
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import Line, Span, plain

Abscissa = Literal["update", "epoch", "time"]
Unit = Literal["bits", "nats", ""]

ABSCISSAS: tuple[Abscissa, ...] = ("update", "epoch", "time")
HALF_LIVES = (0, 200, 1000, 5000)
"""Updates after which a loss counts half in the drawn average; 0 draws the smooth loss as it was logged."""

_RECENT = 0.2  # share of the run that the recent view shows
_ZOOM = 1.5
_NARROWEST = 10.0
_FIGURES = 2  # lines below the chart


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


class LossPane(Pane):
    """The course of the loss.

    Parameters
    ----------
    glyphs : "braille", "block" or "ascii"
    """

    TITLE = "Loss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("w", "whole", "All or recent", show=False, id="loss.whole"),
        Binding("plus,equals_sign", "zoom(1)", "Zoom in", show=False, id="loss.zoom_in"),
        Binding("minus", "zoom(-1)", "Zoom out", show=False, id="loss.zoom_out"),
        Binding("shift+left", "pan(-1)", "Earlier", show=False, id="loss.earlier"),
        Binding("shift+right", "pan(1)", "Later", show=False, id="loss.later"),
        Binding("left", "crosshair(-1)", "Crosshair left", show=False),
        Binding("right", "crosshair(1)", "Crosshair right", show=False),
        Binding("escape", "plain", "No crosshair", show=False),
        Binding("x", "log('log_x')", "Logarithmic x", show=False, id="loss.log_x"),
        Binding("y", "log('log_y')", "Logarithmic y", show=False, id="loss.log_y"),
        Binding("u", "unit", "Nats or bits", show=False, id="loss.unit"),
        Binding("a", "abscissa", "By update, epoch or time", show=False, id="loss.abscissa"),
        Binding("e", "envelope", "Minimum and maximum", show=False, id="loss.envelope"),
        Binding("z", "smooth", "Smoothing", show=False, id="loss.smooth"),
    ]

    def __init__(self, glyphs: GlyphSet = "braille", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.glyphs = glyphs
        self.view = LossView()
        self.overlays: dict[str, History] = {}
        """Other runs to compare with, by name."""

        self._session: RunSession | None = None
        self._drawing: Drawing | None = None
        self._drawn: object = None

    def update_from(self, session: RunSession) -> None:
        """Show a run."""
        self._session = session
        width, height = self.size
        history = session.history
        marks = len(history.interventions), len(history.checkpoints)
        others = tuple((id(other), _newest(other)) for other in self.overlays.values())
        state = id(session), _newest(history), width, height, self.view, self.glyphs, marks, others
        figures = _FIGURES if height > 4 else 0
        legend = 1 if self.overlays and height > figures + 4 else 0
        if state != self._drawn:
            self._drawn = state
            self._drawing = chart_of(
                session.history,
                session.follower.settings,
                self.view,
                (width, height - figures - legend),
                self.glyphs,
                self.overlays,
            )
            self.tell(self.view.told())
        assert self._drawing is not None
        below = [figures_line(session, width), last_minute(session, width, self.glyphs)] if figures else []
        above = [self._legend(session, width)] if legend else []
        self.show([*above, *self._drawing.lines, *below])

    def _legend(self, session: RunSession, width: int) -> Line:
        history, view = session.history, self.view
        characters = characters_of_loss(session.follower.settings)
        own = Curve(abscissa(history, view.abscissa), _line(history, view.half_life), name=session.name)
        others = overlay_curves(self.overlays, view, characters)
        return legend_line([own, *others], view.crosshair, width, self.glyphs)

    def _change(self, **changes: Any) -> None:
        self.view = replace(self.view, **changes)
        if self._session is not None:
            self.update_from(self._session)

    @property
    def _last(self) -> float:
        xs = abscissa(self._session.history, self.view.abscissa) if self._session is not None else np.zeros(0)
        return float(xs[-1]) if len(xs) else 1.0

    def action_whole(self) -> None:
        """Show all, or the last fifth."""
        self._change(span=self._last * _RECENT if self.view.span is None else None, end=None)

    def action_zoom(self, direction: int, at: float | None = None) -> None:
        """Show less or more, around the crosshair or the mouse where there is one."""
        low, high = self.view.x_range(self._last)
        span = (high - low) / _ZOOM**direction
        if span >= self._last:
            self._change(span=None, end=None)
            return
        middle = at if at is not None else self.view.crosshair
        span = max(_NARROWEST if self.view.abscissa == "update" else 1e-3, span)
        if middle is None:
            self._change(span=span)
        else:
            share = (high - middle) / max(high - low, 1e-9)
            end = middle + span * share
            self._change(span=span, end=None if end >= self._last else end)

    def action_pan(self, direction: int) -> None:
        """Show what was earlier or later."""
        if self.view.span is not None:
            end = (self._last if self.view.end is None else self.view.end) + direction * self.view.span / 4
            self._change(end=None if end >= self._last else max(self.view.span, end))

    def action_crosshair(self, direction: int) -> None:
        """Move the crosshair by a column; the first time it comes to the newest update."""
        if self._drawing is None or not self._drawing.area.width:
            return
        axis, width = self._drawing.x_axis, self._drawing.area.width
        if self.view.crosshair is None:
            self._change(crosshair=min(self._last, axis.high))
        else:
            place = axis.position(np.array([self.view.crosshair]))[0] + direction / width
            self._change(crosshair=float(axis.value(min(1.0, max(0.0, place)))))

    def action_plain(self) -> None:
        """Take the crosshair away."""
        self._change(crosshair=None)

    def action_log(self, which: str) -> None:
        """Make an axis logarithmic, or linear again."""
        self._change(**{which: not getattr(self.view, which)})

    def action_envelope(self) -> None:
        """Show the smallest and the largest losses, or hide them."""
        self._change(envelope=not self.view.envelope)

    def action_unit(self) -> None:
        """Change the unit of the right axis."""
        units: tuple[Unit, ...] = ("bits", "nats", "")
        self._change(unit=units[(units.index(self.view.unit) + 1) % 3])

    def action_abscissa(self) -> None:
        """Draw over updates, epochs or time."""
        following = ABSCISSAS[(ABSCISSAS.index(self.view.abscissa) + 1) % 3]
        self._change(abscissa=following, span=None, end=None, crosshair=None)

    def action_smooth(self) -> None:
        """Draw another average of the losses."""
        following = HALF_LIVES[(HALF_LIVES.index(self.view.half_life) + 1) % len(HALF_LIVES)]
        self._change(half_life=following)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Let the crosshair follow the mouse."""
        x = self._x_under(event)
        if x is not None and event.button == 0:
            self._change(crosshair=x)

    def on_leave(self, event: events.Leave) -> None:
        """Take the crosshair away with the mouse."""
        if event.node is self and self.view.crosshair is not None:
            self._change(crosshair=None)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Zoom in where the mouse is."""
        event.stop()
        self.action_zoom(1, self._x_under(event))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out."""
        event.stop()
        self.action_zoom(-1, self._x_under(event))

    def _x_under(self, event: events.MouseEvent) -> float | None:
        if self._drawing is None:
            return None
        place = event.get_content_offset(self)
        return None if place is None else self._drawing.x_at(place.x)


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
    curves = [Curve(x, _line(history, view.half_life), "line", "smooth loss")]
    if history.validations:
        updates, mine = history.column("update"), history.validations
        at = np.array([event["update"] for event in mine], dtype=np.float64)
        where = at if view.abscissa == "update" else np.interp(at, updates, x)
        loss = [_number(event.get("loss")) * characters for event in mine]
        curves.append(Curve(where, np.array(loss), "held-out", "held-out loss"))
    curves += overlay_curves(overlays, view, characters)
    # All is all of every run; what follows the newest update follows that of the run itself.
    far = [curve for curve in curves if len(curve.x)]
    last = max((float(curve.x[-1]) for curve in (far if view.span is None else far[:1])), default=1.0)
    visible = view.x_range(last)
    scale = {"bits": 1 / characters / math.log(2), "nats": 1 / characters, "": 0.0}[view.unit]
    return draw(
        *size,
        curves,
        Envelope(x, history.column("loss_min"), history.column("loss_max")) if view.envelope else None,
        list(markers_of(history, x)) if view.abscissa == "update" else [],
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


def overlay_curves(overlays: dict[str, History], view: LossView, characters: int) -> list[Curve]:
    """Return the losses of other runs, as sums over this many characters."""
    return [
        Curve(
            abscissa(other, view.abscissa),
            _line(other, view.half_life) * scale_to(characters, other),
            f"overlay-{number % 5 + 1}",
            name,
        )
        for number, (name, other) in enumerate(overlays.items())
    ]


def _newest(history: History) -> tuple[int, int | None]:
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


def _line(history: History, half_life: int) -> FloatArray:
    if not half_life:
        return history.column("smooth_loss")
    widths = history.column("update") - history.column("first_update") + 1
    return smoothed(history.column("loss_mean"), widths, half_life)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan


def markers_of(history: History, x: FloatArray) -> Iterator[Marker]:
    """Yield what happened: epochs, checkpoints asked for, changes of the learning rate, the best state."""
    for event in history.epochs:
        yield Marker(event["update"], "epoch")
    best = None
    for event in history.checkpoints:
        if event.get("kind") == "best":
            best = event
        else:
            yield Marker(event["update"], "checkpoint")
    for event in history.interventions:
        arguments = event.get("arguments")
        if event.get("name") == "set-learning-rate" and isinstance(arguments, dict):
            yield Marker(event["update"], "intervention", f"rate {arguments.get('learning_rate')}")
    if best is not None:
        yield Marker(best["update"], "best")


def figures_line(session: RunSession, width: int) -> Line:
    """Return the figures of this moment: smooth loss in three units, and the best where it fits."""
    loss = session.smooth_loss
    characters = characters_of_loss(session.follower.settings)
    spans = [Span(loss_of(loss), "value"), Span(" nats", "label")]
    if loss is not None and math.isfinite(loss):
        nats = loss / characters
        if characters > 1:
            spans += [Span(f"  {nats:.3f}", "value"), Span(" /char", "label")]
        spans += [Span(f"  {nats / math.log(2):.3f}", "value"), Span(" bits", "label")]
    best = [event for event in session.history.checkpoints if event.get("kind") == "best"]
    if best:
        loss_told = f"  best {loss_of(best[-1].get('loss'))}"
        for told in (f"{loss_told} at {best[-1]['update']:,}", loss_told):
            if len(plain(spans)) + len(told) <= width:
                return [*spans, Span(told, "good")]
    return spans


def last_minute(session: RunSession, width: int, glyphs: GlyphSet) -> Line:
    """Return the course of the smooth loss in the last minute, as one line."""
    label = "last minute "
    values: Sequence[float] = [loss for _, loss, _ in session.recent]
    if len(values) < 2:
        return []
    change = values[-1] - values[0]
    told = f" {change:+.2f}"
    room = max(0, width - len(label) - len(told))
    line = [Span(label, "label"), Span(sparkline(values, min(room, len(values)), glyphs), "data")]
    return [*line, Span(told, "label")] if len(plain(line)) + len(told) <= width else line


def _rounded_up(last: float) -> float:
    """Return a number a little above, that stays while the run goes on for a while: the ticks rest."""
    if not last > 0:
        return 1.0
    step: float = 10.0 ** math.floor(math.log10(last)) / 4
    return math.ceil(last / step) * step
