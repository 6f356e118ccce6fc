"""The pane of the losses of a sweep's best trials, laid over each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from charrnn_tui.dashboard.loss_chart import RECENT, LossView
from charrnn_tui.dashboard.panes.pane import Pane
from charrnn_tui.dashboard.panes.trials import TrialTable
from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.renderables.curves import Curve
from charrnn_tui.dashboard.spans import Line
from charrnn_tui.dashboard.sweep_chart import chart_of
from charrnn_tui.terminal import harmless_line


class BestPane(Pane):
    """The courses of the smooth loss of the best trials and of the chosen one.

    Parameters
    ----------
    glyphs : "braille", "block" or "ascii"
    """

    TITLE = "Smooth loss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Better trial", show=False),
        Binding("down", "move(1)", "Worse trial", show=False),
    ]

    def __init__(self, glyphs: GlyphSet = "braille", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.glyphs = glyphs
        self.view = LossView()
        self._curves: Sequence[Curve] = ()
        self._legend: Line = ()
        self._told = ""
        self._drawn: object = None  # what the chart was drawn for

    def on_resize(self) -> None:
        """Fit the chart to the new size."""
        self._draw()

    def update_from(self, curves: Sequence[Curve], legend: Line, told: str) -> None:
        """Show these curves.

        Parameters
        ----------
        curves : sequence of Curve
        legend : Line
            Above the chart; empty for none.
        told : str
            What the line in front is of.
        """
        self._curves, self._legend = curves, legend
        if told != self._told:
            self._told = told
            self.border_subtitle = Content(harmless_line(told))
        self._draw()

    def _draw(self) -> None:
        width, height = self.size
        legend = [self._legend] if self._legend and height > 4 else []
        lines = [
            (each.role, each.sign, each.name, len(each.x), *each.x[-1:], *each.y[-1:])
            for each in self._curves
        ]
        drawn = width, height, self.view, self.glyphs, lines, [*self._legend]
        if drawn != self._drawn:
            self._drawn = drawn
            chart = chart_of(self._curves, self.view, (width, height - len(legend)), self.glyphs)
            self.show([*legend, *chart.lines])

    def turn_span(self) -> None:
        """Show all, or the last fifth."""
        lasts = [float(curve.x[-1]) for curve in self._curves if len(curve.x)]
        span = RECENT * max(lasts, default=1.0) if self.view.span is None else None
        self.view = replace(self.view, span=span)
        self._draw()

    def turn_axis(self, which: str) -> None:
        """Make an axis logarithmic, or linear again."""
        view = self.view
        self.view = (
            replace(view, log_x=not view.log_x) if which == "log_x" else replace(view, log_y=not view.log_y)
        )
        self._draw()

    def action_move(self, by: int) -> None:
        """Choose another trial."""
        self.screen.query_one(TrialTable).action_move(by)
