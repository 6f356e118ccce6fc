"""All keys, made from the bindings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.spans import Line, Span
from charrnn_tui.dashboard.steady import Steady

if TYPE_CHECKING:
    from charrnn_tui.dashboard.app import Dashboard

_KEYS = 11
_COLUMN = 50


class HelpScreen(Steady, ModalScreen[None]):
    """What each key does, for the whole screen and for the panes.

    Parameters
    ----------
    groups : dict of str to iterable of bindings
        By heading.
    keymap : mapping of str to str
        The user's keys by the name of what they do.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter,question_mark", "dismiss", "Close", show=False)
    ]

    def __init__(self, groups: Mapping[str, Iterable[BindingType]], keymap: Mapping[str, str]) -> None:
        super().__init__()
        self._groups = groups
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """Make the list."""
        keys = Lines(id="keys", classes="pane reading")
        keys.border_title = "Keys"
        keys.border_subtitle = "Esc closes"
        yield keys

    def on_mount(self) -> None:
        """Fill the list, in two columns where there is room."""
        keys = self.query_one(Lines)
        blocks = [list(self._block(title, bindings)) for title, bindings in self._groups.items()]
        keys.show(_columns(blocks) if self.size.width >= 2 * _COLUMN + 12 else list(chain(*blocks)))
        keys.focus()

    def _block(self, title: str, bindings: Iterable[BindingType]) -> Iterator[Line]:
        yield [Span(title, "accent")]
        for binding in bindings:
            if isinstance(binding, Binding) and binding.description:
                key = self._keymap.get(binding.id or "", binding.key)
                shown = binding.key_display if binding.key_display and key == binding.key else _named(key)
                shown = cast("Dashboard", self.app).key_name(shown)
                told = binding.tooltip or binding.description
                yield [Span(f"{shown:>{_KEYS}}  ", "key"), Span(told, "text")]
        yield []


def _named(key: str) -> str:
    names = {
        "question_mark": "?", "slash": "/", "plus": "+", "minus": "-", "equals_sign": "=", "up": "↑",
        "down": "↓", "left": "←", "right": "→", "escape": "Esc", "enter": "Enter",
    }  # fmt: skip
    parts = [part.strip() for part in key.split(",")]
    return " ".join("+".join(names.get(piece, piece) for piece in part.split("+")) for part in parts)


def _columns(blocks: list[list[Line]]) -> list[Line]:
    """Return the blocks in two columns of about the same height."""
    half = sum(map(len, blocks)) / 2
    left: list[Line] = []
    rest = list(blocks)
    while rest and len(left) + len(rest[0]) / 2 <= half:
        left += rest.pop(0)
    right = list(chain(*rest))
    lines: list[Line] = []
    for number in range(max(len(left), len(right))):
        one = list(left[number]) if number < len(left) else []
        other = list(right[number]) if number < len(right) else []
        used = sum(len(span.text) for span in one)
        lines.append([*one, Span(" " * max(1, _COLUMN - used)), *other])
    return lines
