"""The runs whose losses can lie over that of this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from charrnn_core.runs.listing import RunSummary
from charrnn_tui.dashboard.comparison import MOST
from charrnn_tui.dashboard.screens.run_list import RunListScreen
from charrnn_tui.dashboard.spans import Span
from charrnn_tui.dashboard.table import Table


class CompareScreen(RunListScreen[list[Path]]):
    """Gives the directories of the runs that are marked, in the order of their colours.

    Parameters
    ----------
    runs : Path
        The directory that holds runs.
    but : Path or None
        The run that is shown: it is not compared with itself.
    marked : sequence of Path
        The runs that are compared with already.
    """

    TITLE_TEXT = "Compare with"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark"),
        Binding("enter", "compare", "Compare"),
        Binding("delete", "unmark", "No marks"),
        Binding("escape", "back", "Back"),
    ]

    def __init__(self, runs: Path, but: Path | None, marked: Sequence[Path]) -> None:
        super().__init__(runs, but)
        self._marked = [str(path) for path in marked if path != but]

    def mark_of(self, run: RunSummary) -> Span | None:
        """Return the mark in the colour that the run's line has."""
        if run.path not in self._marked:
            return None
        return Span("▪", f"overlay-{self._marked.index(run.path) % MOST + 1}")

    def action_mark(self) -> None:
        """Mark the run that the cursor is on, or take its mark away."""
        run = self.chosen
        if run is None:
            return
        if run.path in self._marked:
            self._marked.remove(run.path)
        elif len(self._marked) < MOST:
            self._marked.append(run.path)
        else:
            self.notify(f"No more than {MOST} runs can be compared with.", severity="warning", markup=False)
        self.refresh_list()

    def action_unmark(self) -> None:
        """Take all marks away."""
        self._marked.clear()
        self.refresh_list()

    def action_compare(self) -> None:
        """Compare with the marked runs; with none, take all others off the chart."""
        self.dismiss([Path(path) for path in self._marked])

    def on_table_clicked(self, message: Table.Clicked) -> None:
        """Mark the run that is clicked."""
        self.action_mark()
