"""A widget that shows lines of styled text, and paints again only those that have changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from charrnn_tui.dashboard.spans import Line, plain
from charrnn_tui.terminal import harmless_line

ROLES = (
    "text", "label", "value", "good", "bad", "warning", "accent", "data", "key", "line", "envelope",
    "held-out", "axis", "best", "checkpoint", "intervention", "epoch", "crosshair", "diverged", "caret",
    "rule", "overlay-1", "overlay-2", "overlay-3", "overlay-4", "overlay-5",
)  # fmt: skip
"""What a span can be; `lines--ROLE` is its class in the style sheet."""


_SCROLLBAR = 1  # columns; it comes and goes, and text is not wrapped again for that


class Lines(ScrollView, can_focus=True):
    """Lines of text, made elsewhere.

    All text passes through the sanitiser here: nothing that a network wrote, or that a file is named, reaches
    the terminal without it.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{role}" for role in (*ROLES, "cursor")}

    cursor: var[int | None] = var(None)
    """The line that is chosen, where one can be."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: Sequence[Line] = []
        self._styles: dict[str, Style] = {}
        self._styled_for = ""

    def show(self, lines: Sequence[Line]) -> None:
        """Show these lines in place of those before; what is given is not to be changed afterwards."""
        before, self._shown = self._shown, lines
        # No width, for nothing scrolls sideways. And no new layout of the screen, which is what setting the
        # attribute would mean: how large this widget is does not depend on what it shows.
        size = Size(0, len(self._shown))
        if size != self.virtual_size:
            self.set_reactive(Lines.virtual_size, size)
            self._scroll_update(size)
        top, height = self.scroll_offset.y, self.size.height
        for y in range(top, min(top + height, max(len(before), len(self._shown)))):
            if y >= len(before) or y >= len(self._shown) or before[y] != self._shown[y]:
                self.refresh_lines(y)

    @property
    def text_width(self) -> int:
        """Columns for text, with the scrollbar's left free whether it is there or not."""
        return max(0, self.size.width - _SCROLLBAR)

    @property
    def shown(self) -> list[str]:
        """The lines as plain text."""
        return [harmless_line(plain(line)) for line in self._shown]

    def watch_cursor(self, before: int | None, after: int | None) -> None:
        """Paint the line that is no longer chosen, and the one that is."""
        for y in (before, after):
            if y is not None:
                self.refresh_lines(y)
        if after is not None:
            top = self.scroll_offset.y
            if not top <= after < top + self.size.height:
                self.scroll_to(y=after if after < top else after - self.size.height + 1, animate=False)

    def notify_style_update(self) -> None:
        """Forget the styles of another theme."""
        super().notify_style_update()
        self._styles.clear()

    def _get_component_classes(self) -> frozenset[str]:  # type: ignore[override] # theirs is a class method
        """Return the roles that have to be looked up in the style sheet: all for a new theme, else none.

        The toolkit asks whenever the focus moves or a class changes, for each of these widgets; how a role
        looks depends on neither, and to look up all of them costs as much as all else that the key does.
        """
        if self.app.theme == self._styled_for:
            return frozenset()
        self._styled_for = self.app.theme
        return super()._get_component_classes()

    def selection_updated(self, selection: Selection | None) -> None:
        """Paint what is selected."""
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected text, for copying."""
        return selection.extract("\n".join(self.shown)), "\n"

    def render_line(self, y: int) -> Strip:
        """Return a line of the widget."""
        base, width = self.rich_style, self.size.width
        left, top = self.scroll_offset
        index = top + y
        if index >= len(self._shown):
            return Strip.blank(width, base)
        line = self._shown[index]
        strip = Strip([Segment(harmless_line(text), self._style(role)) for text, role in line])
        if index == self.cursor and self.has_focus:
            cursor = self._style("cursor")
            chosen = Style(bgcolor=cursor.bgcolor, reverse=cursor.reverse)
            strip = Strip([Segment(text, (style or base) + chosen) for text, style, _ in strip])
            base += chosen
        selection = self.text_selection
        span = selection.get_span(index) if selection is not None else None
        if span is not None:
            strip = self._selected(strip, *span)
        return strip.crop_extend(left, left + width, base).apply_offsets(left, index)

    def _selected(self, strip: Strip, start: int, end: int) -> Strip:
        length = strip.cell_length
        end = length if end == -1 else end
        parts = strip.divide([start, end, length]) if 0 < start else [Strip([]), *strip.divide([end, length])]
        chosen = self.screen.get_component_rich_style("screen--selection")
        middle = Strip([Segment(text, (style or Style()) + chosen) for text, style, _ in parts[1]])
        return Strip.join([parts[0], middle, *parts[2:]])

    def _style(self, role: str) -> Style:
        if role not in self._styles:
            name = f"lines--{role}"
            self._styles[role] = self.get_component_rich_style(
                name if name in self.COMPONENT_CLASSES else "lines--text"
            )
        return self._styles[role]
