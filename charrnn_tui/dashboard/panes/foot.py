"""The keys at the foot of the screen: those that do something now, as many as there is room for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events

from charrnn_tui.dashboard.lines import Lines
from charrnn_tui.dashboard.spans import Span


@dataclass(frozen=True)
class FootKey:
    """A key and what it does.

    Attributes
    ----------
    key : str
        As it is shown.
    word : str
        What it does; empty where the key after it says so for both.
    action : str
        What a click on it runs.
    worth : int
        Where there is no room for all, those of the least worth are left out.
    """

    key: str
    word: str
    action: str
    worth: int = 0


class Foot(Lines, can_focus=False):
    """One line of keys, which a click presses too."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._keys: Sequence[FootKey] = ()
        self._places: list[tuple[int, int, FootKey]] = []

    def update_from(self, keys: Sequence[FootKey]) -> None:
        """Show these keys."""
        self._keys = keys
        self._places = list(placed(keys, self.size.width))
        line: list[Span] = []
        used = 0
        for start, end, key in self._places:
            line += [Span(" " * (start - used)), Span(key.key, "key")]
            line += [Span(f" {key.word}", "text")] if key.word else []
            used = end
        self.show([line])

    def on_resize(self) -> None:
        """Show as many as there is room for now."""
        self.update_from(self._keys)

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        for start, end, key in self._places:
            if start <= event.x < end:
                await self.app.run_action(key.action, self.screen)


def placed(keys: Sequence[FootKey], width: int) -> Iterator[tuple[int, int, FootKey]]:
    """Yield the keys that there is room for, each with its first column and the one after its last.

    Two columns apart where all of them fit like that, else one.

    Examples
    --------
    >>> keys = [FootKey("s", "Sample", "", 1), FootKey("q", "Quit", "", 2)]
    >>> [(start, end, key.word) for start, end, key in placed(keys, 20)]
    [(1, 9, 'Sample'), (11, 17, 'Quit')]
    >>> [(start, end, key.word) for start, end, key in placed(keys, 12)]
    [(1, 7, 'Quit')]
    """
    shown = list(keys)
    while shown:
        for gap in (2, 1):
            places, start = [], 1
            for key in shown:
                end = start + cell_len(key.key) + (1 + cell_len(key.word) if key.word else 0)
                places.append((start, end, key))
                start = end + (gap if key.word else 1)
            if places[-1][1] < width:
                yield from places
                return
        least = min(key.worth for key in shown)
        shown = [key for key in shown if key.worth > least]
