"""Where the user types."""

from __future__ import annotations

from textual.widgets import Input

from charrnn_tui.terminal import harmless_line


class Box(Input):
    """One line that shows what is typed, and of what is pasted nothing that a terminal would obey."""

    def validate_value(self, value: str) -> str:
        """Return a text that a terminal shows and does not obey."""
        return harmless_line(value)
