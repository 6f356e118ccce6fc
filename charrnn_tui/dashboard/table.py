"""Lines of which one is chosen: with keys, and with the mouse."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message

from charrnn_tui.dashboard.lines import Lines


class Table(Lines):
    """A line for each of several things, one of them chosen; without a cursor there is nothing to choose."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "move(-1000000)", "First", show=False),
        Binding("end", "move(1000000)", "Last", show=False),
    ]

    class Clicked(Message):
        """A line was clicked."""

        def __init__(self, times: int) -> None:
            super().__init__()
            self.times = times

    def action_move(self, by: int) -> None:
        """Choose another line."""
        if self.cursor is not None:
            self.cursor = min(self.virtual_size.height - 1, max(0, self.cursor + by))

    def action_page(self, direction: int) -> None:
        """Choose a line a page away."""
        self.action_move(direction * max(1, self.size.height - 1))

    def on_click(self, event: events.Click) -> None:
        """Choose the line under the mouse."""
        y = event.y + self.scroll_offset.y
        if self.cursor is not None and 0 <= y < self.virtual_size.height:
            self.cursor = y
            self.post_message(self.Clicked(event.chain))
