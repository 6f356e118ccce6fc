"""Text that appears character by character, as it is written, and catches up when it is behind."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from rich.cells import cell_len, get_character_cell_size

from charrnn_tui.dashboard.spans import Line, Span
from charrnn_tui.terminal import harmless

SLOWEST = 45.0
"""Characters a second that the eye follows."""

BEHIND_SECONDS = 1.2
"""All that waits is shown within about this time, however much it is."""

_KEPT_LINES = 500


class Stream:
    """What a samples pane shows: whole samples above, and the one that is appearing.

    Parameters
    ----------
    width : int
        Columns of a line.

    Attributes
    ----------
    waiting : int
        Characters that have come and are not shown yet.
    """

    def __init__(self, width: int = 80) -> None:
        self._width = max(1, width)
        self._samples: deque[tuple[str, str, str]] = deque(maxlen=50)
        self._waiting: deque[tuple[str, str, str]] = deque()
        self._shown = 0  # characters of the last sample
        self._due = 0.0
        self._above: list[Line] = []

    @property
    def waiting(self) -> int:
        """Characters that have come and are not shown yet."""
        rest = len(self._samples[-1][2]) - self._shown if self._samples else 0
        return rest + sum(len(text) for _, _, text in self._waiting)

    def add(self, heading: str, prime: str, text: str) -> None:
        """Let a sample appear, after those that wait."""
        self._waiting.append((harmless(heading), harmless(prime), harmless(text)))

    def extend(self, text: str) -> None:
        """Let more of the newest sample appear."""
        queue = self._waiting if self._waiting else self._samples
        heading, prime, before = queue[-1]
        queue[-1] = (heading, prime, before + harmless(text))

    def put(self, heading: str, prime: str, text: str) -> None:
        """Show a whole sample at once: one from before this screen was opened."""
        self.add(heading, prime, text)
        self._next()
        self._shown = len(self._samples[-1][2])

    def advance(self, seconds: float) -> bool:
        """Let as much appear as is due after so many seconds; return whether anything did."""
        waiting = self.waiting
        if not waiting and not self._waiting:
            self._due = 0.0
            return False
        self._due += seconds * max(SLOWEST, waiting / BEHIND_SECONDS)
        count = int(self._due)
        self._due -= count
        changed = False
        while count > 0 or (self._waiting and not self._rest):
            if not self._rest:
                if not self._waiting:
                    break
                self._next()
                changed = True
                continue
            step = min(count, self._rest)
            self._shown += step
            count -= step
            changed = True
        return changed

    @property
    def _rest(self) -> int:
        return len(self._samples[-1][2]) - self._shown if self._samples else 0

    def _next(self) -> None:
        if self._samples:
            self._above += self._block(*self._samples[-1])
            del self._above[:-_KEPT_LINES]
        self._samples.append(self._waiting.popleft())
        self._shown = 0

    def resize(self, width: int) -> None:
        """Wrap all that is shown again."""
        if max(1, width) != self._width:
            self._width = max(1, width)
            self._above = [line for sample in list(self._samples)[:-1] for line in self._block(*sample)]

    def lines(self) -> list[Line]:
        """Return all lines, the newest last."""
        if not self._samples:
            return []
        heading, prime, text = self._samples[-1]
        last = self._block(heading, prime, text[: self._shown])
        if self._rest:
            last[-1] = [*last[-1], Span("▌", "caret")]
        return [*self._above, *last]

    def _block(self, heading: str, prime: str, text: str) -> list[Line]:
        parts = heading.split(" · ")
        while len(parts) > 1 and cell_len(" · ".join(parts)) > self._width:
            parts.pop()
        lines: list[Line] = [[]] if self._above else []
        lines.append([Span(" · ".join(parts), "label")])
        given = len(prime)
        for start, piece in wrapped(prime + text, self._width):
            known = max(0, min(len(piece), given - start))
            lines.append([Span(piece[:known], "key"), Span(piece[known:], "text")])
        return lines


def wrapped(text: str, width: int) -> Iterator[tuple[int, str]]:
    r"""Yield the lines of a text that fit into a width, each with the place where it begins.

    Broken at spaces where there is one in the last half of a line, and at the width where there is none.

    Examples
    --------
    >>> [line for _, line in wrapped("the cat sat\non a mat", 7)]
    ['the cat', 'sat', 'on a', 'mat']
    """
    start = 0
    for paragraph in text.split("\n"):
        rest, place = paragraph, start
        while cell_len(rest) > width:
            cut = _fitting(rest, width)
            space = rest.rfind(" ", cut // 2, cut + 1)
            end = space if space > 0 else cut
            yield place, rest[:end]
            skip = end + 1 if rest[end : end + 1] == " " else end
            place += skip
            rest = rest[skip:]
        yield place, rest
        start += len(paragraph) + 1


def _fitting(text: str, width: int) -> int:
    """Return how many characters fit into a width, at least one."""
    used = 0
    for number, character in enumerate(text):
        used += get_character_cell_size(character)
        if used > width:
            return max(1, number)
    return len(text)
