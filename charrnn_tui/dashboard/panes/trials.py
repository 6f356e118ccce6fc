"""The pane of a sweep's trials: one a line, the best first."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.spans import Span
from charrnn_tui.dashboard.sweep_look import SweepLook
from charrnn_tui.dashboard.table import Table
from charrnn_tui.dashboard.trial_lines import Column, TrialLines, columns_of, title_line
from charrnn_tui.terminal import harmless_line

AROUND = 3
"""Lines of the pane that are no trials: the border and the heads."""


class TrialTable(Table):
    """A line for each trial, one of them chosen."""


class TrialsPane(Vertical):
    """The trials below the heads of their columns."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = "Trials"
        self._columns: Sequence[Column] = ()
        self._made_for: object = None
        self._foot = ""
        self._shown: tuple[SweepLook, dict[str, Span], GlyphSet] | None = None

    def compose(self) -> ComposeResult:
        """Make heads and lines."""
        heads = Lines(id="heads")
        heads.can_focus = False
        yield heads
        yield TrialTable()

    @property
    def table(self) -> TrialTable:
        """The lines."""
        return self.query_one(TrialTable)

    def update_from(self, look: SweepLook, marks: dict[str, Span], glyphs: GlyphSet, problem: str) -> None:
        """Show a sweep.

        Parameters
        ----------
        look : SweepLook
        marks : dict of str to Span
            What stands in front of trials, by name.
        glyphs : "braille", "block" or "ascii"
        problem : str
            What is wrong with the chosen trial.
        """
        self._shown = look, marks, glyphs
        self._show()
        kind = "held-out" if look.is_held_out else "smooth"
        foot = problem or f"best first · {kind} loss in nats per character"
        if foot != self._foot:
            self._foot = foot
            self.border_subtitle = Content(harmless_line(foot))

    def on_resize(self) -> None:
        """Fit the columns to the new width."""
        self._show()

    def _show(self) -> None:
        if self._shown is None:
            return
        look, marks, glyphs = self._shown
        names = frozenset(row.trial.name for row in look.rows)
        width = self.size.width - 2  # a scrollbar comes and goes, and is no part of the last column
        made_for = width, names, tuple(look.varied), look.is_held_out, look.state == "training"
        if made_for != self._made_for:
            self._made_for = made_for
            self._columns = columns_of(look, width)
            self.query_one("#heads", Lines).show([title_line(self._columns)])
        self.table.show(TrialLines(look, self._columns, marks, glyphs))
