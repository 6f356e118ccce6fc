"""The loss pane: the chart, the figures of this moment, and the last minute."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import Any, ClassVar

import numpy as np
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType

from charrnn_core.runs.history import History
from charrnn_tui.dashboard.loss_chart import (
    ABSCISSAS,
    HALF_LIVES,
    RECENT,
    LossView,
    Unit,
    chart_of,
    last_x,
    named_curves,
    newest,
)
from charrnn_tui.dashboard.loss_lines import lines_below
from charrnn_tui.dashboard.panes.legend import legend_line
from charrnn_tui.dashboard.panes.pane import Pane
from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.renderables.chart import Drawing
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import Line

_ZOOM = 1.5
_NARROWEST = 10.0
_GROWS_SECONDS = 0.35  # between two drawings of a chart that only grows
_LOW, _HIGH = 5, 10  # rows from which there is one line of figures below the chart, and two


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
        self._drawn: object = None  # what the drawing was made for
        self._newest: object = None
        self._drawn_at = 0.0

    def update_from(self, session: RunSession) -> None:
        """Show a run."""
        self._session = session
        width, height = self.size
        history = session.history
        marked = history.openings, history.interventions, history.checkpoints, history.epochs
        marks = *map(len, (*marked, history.validations)), history.ended is None
        others = tuple((id(other), newest(other)) for other in self.overlays.values())
        state = id(session), width, height, self.view, self.glyphs, marks, others
        figures = (height >= _LOW) + (height >= _HIGH)
        legend = 1 if self.overlays and height > figures + 4 else 0
        # To draw the chart costs more than all else here, and a new bucket moves it by a few dots only.
        grown = newest(history) != self._newest and monotonic() - self._drawn_at >= _GROWS_SECONDS
        if state != self._drawn or grown:
            self._drawn, self._newest, self._drawn_at = state, newest(history), monotonic()
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
        below = lines_below(session, self.view, width, figures, self.glyphs) if figures else []
        above = [self._legend(session, width)] if legend else []
        self.show([*above, *self._drawing.lines, *below])

    def _legend(self, session: RunSession, width: int) -> Line:
        curves = named_curves(
            session.name, session.history, session.follower.settings, self.view, self.overlays
        )
        return legend_line(curves, self.view.crosshair, width, self.glyphs)

    def _change(self, **changes: Any) -> None:
        self.view = replace(self.view, **changes)
        if self._session is not None:
            self.update_from(self._session)

    @property
    def _last(self) -> float:
        return last_x(self._session.history, self.view.abscissa, {}) if self._session is not None else 1.0

    @property
    def _farthest(self) -> float:
        if self._session is None:
            return 1.0
        return last_x(self._session.history, self.view.abscissa, self.overlays)

    def _end(self, end: float) -> float | None:
        """Return a right edge; None, which follows, at the newest update where no other run goes further."""
        farthest = self._farthest
        return min(end, farthest) if end < self._last or farthest > self._last else None

    def action_whole(self) -> None:
        """Show all, or the last fifth."""
        self._change(span=self._last * RECENT if self.view.span is None else None, end=None)

    def action_zoom(self, direction: int, at: float | None = None) -> None:
        """Show less or more, around the crosshair or the mouse where there is one."""
        low, high = self.view.x_range(self._farthest if self.view.span is None else self._last)
        span = (high - low) / _ZOOM**direction
        if span >= self._farthest:
            self._change(span=None, end=None)
            return
        middle = at if at is not None else self.view.crosshair
        span = max(_NARROWEST if self.view.abscissa == "update" else 1e-3, span)
        if middle is None:
            self._change(span=span)
        else:
            share = (high - middle) / max(high - low, 1e-9)
            self._change(span=span, end=self._end(middle + span * share))

    def action_pan(self, direction: int) -> None:
        """Show what was earlier or later."""
        if self.view.span is not None:
            end = (self._last if self.view.end is None else self.view.end) + direction * self.view.span / 4
            self._change(end=self._end(max(self.view.span, end)))

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
        """Take the crosshair away; where there is none, the key is not for this pane."""
        if self.view.crosshair is None:
            raise SkipAction
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
        """Zoom in where the mouse is; with Shift or Ctrl show what was earlier."""
        self._wheel(event, 1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Zoom out; with Shift or Ctrl show what was later."""
        self._wheel(event, -1)

    def on_mouse_scroll_left(self, event: events.MouseScrollLeft) -> None:
        """Show what was earlier."""
        event.stop()
        self.action_pan(-1)

    def on_mouse_scroll_right(self, event: events.MouseScrollRight) -> None:
        """Show what was later."""
        event.stop()
        self.action_pan(1)

    def _wheel(self, event: events.MouseEvent, up: int) -> None:
        event.stop()
        if event.shift or event.ctrl:
            self.action_pan(-up)
        else:
            self.action_zoom(up, self._x_under(event))

    def _x_under(self, event: events.MouseEvent) -> float | None:
        if self._drawing is None:
            return None
        place = event.get_content_offset(self)
        return None if place is None else self._drawing.x_at(place.x)
