"""Styled text as plain values: what renderables make and widgets show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar, overload


class Span(NamedTuple):
    """A piece of a line in one style.

    Attributes
    ----------
    text : str
    role : str
        What the piece is; the style sheet says how that looks.
    """

    text: str
    role: str = "text"


Line = Sequence[Span]
"""A line is its spans from left to right."""


Item = TypeVar("Item")


class LinesOf(Sequence[Line], Generic[Item]):
    """One line per item, created on access: there may be thousands, and few are visible.

    Parameters
    ----------
    items : sequence
    line_of : callable
        Returns the line of an item; called once per item.
    nothing : str
        The text of the only line when there are no items.
    """

    def __init__(self, items: Sequence[Item], line_of: Callable[[Item], Line], nothing: str) -> None:
        self._items = items
        self._line_of = line_of
        self._nothing = nothing
        self._made: dict[int, Line] = {}

    def __len__(self) -> int:
        return max(1, len(self._items))

    @overload
    def __getitem__(self, index: int) -> Line: ...

    @overload
    def __getitem__(self, index: slice) -> list[Line]: ...

    def __getitem__(self, index: int | slice) -> Line | list[Line]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not self._items and index in (0, -1):
            return [Span(self._nothing, "label")]
        if index not in self._made:
            self._made[index] = self._line_of(self._items[index])
        return self._made[index]


def plain(line: Line) -> str:
    """Return a line without its styles."""
    return "".join(span.text for span in line)
