"""The runs that can be shown in place of this one."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from charrnn_tui.dashboard.screens.run_list import RunListScreen
from charrnn_tui.dashboard.table import Table


class OpenRunScreen(RunListScreen[Path]):
    """Gives the directory of a run to show."""

    TITLE_TEXT = "Open a run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open"),
        Binding("slash", "search", "type to filter", key_display="/"),
        Binding("escape", "back", "Back"),
    ]

    def action_open(self) -> None:
        """Choose the run that the cursor is on."""
        if self.chosen is not None:
            self.dismiss(Path(self.chosen.path))

    def action_search(self) -> None:
        """Do nothing: what is typed is what is searched for, with or without it."""

    def on_table_clicked(self, message: Table.Clicked) -> None:
        """Choose a run that is clicked twice."""
        if message.times > 1:
            self.action_open()
