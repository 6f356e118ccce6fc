"""What the panes have in common."""

from __future__ import annotations

from typing import ClassVar

from charrnn_tui.dashboard.lines import Lines


class Pane(Lines):
    """Lines within a border that has a title, and below it the state of the pane."""

    TITLE: ClassVar[str] = ""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, classes="pane")
        self.border_title = self.TITLE
        self._foot = ""

    def tell(self, text: str) -> None:
        """Show a text at the foot of the pane; the whole pane is painted again only where it is new."""
        if text != self._foot:
            self._foot = text
            self.border_subtitle = text
