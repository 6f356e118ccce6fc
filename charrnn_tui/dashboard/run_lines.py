"""A list of runs as lines of text: one run a line, as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from charrnn_core.runs.listing import RunSummary
from charrnn_tui.dashboard.panes.header import STATES
from charrnn_tui.dashboard.spans import Line, Span
from charrnn_tui.formatting import ago, loss_of
from charrnn_tui.terminal import harmless_line

_COLUMNS = (("state", 11), ("smooth", 8), ("updates", 11), ("best", 8), ("age", 10), ("text", 12))
"""What stands beside the name, the most important first, and how wide it is."""

_ORDER = ("state", "updates", "smooth", "best", "age", "text")
_LEFT = ("state", "text")
_NAME = 20
_GAP = 2
_MARK = 4  # columns before the name: the mark and the symbol of the state


def state_of(run: RunSummary) -> str:
    """Return the word for a run's state."""
    return "diverged" if run.reason == "diverged" else run.state


@dataclass(frozen=True)
class Columns:
    """What of a run is shown.

    Attributes
    ----------
    name : int
        Width of the name, in cells.
    others : tuple of (str, int)
        What stands beside it, and how wide.
    """

    name: int
    others: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, width: int, names: Iterable[str]) -> Columns:
        """Return the columns of a list of runs with these names that a width has room for."""
        left = width - _MARK
        others = []
        for column, size in _COLUMNS:
            if left - size - _GAP < _NAME:
                break
            left -= size + _GAP
            others.append((column, size))
        longest = max((cell_len(harmless_line(name)) for name in names), default=0)
        others.sort(key=lambda column: _ORDER.index(column[0]))
        return cls(max(1, min(left, max(longest, _NAME))), tuple(others))


def title_line(columns: Columns) -> Line:
    """Return the heads of the columns."""
    head = " " * _MARK + set_cell_size("name", columns.name)
    return [Span(head + "".join(_cell(name, name, size) for name, size in columns.others), "label")]


def run_line(run: RunSummary, mark: Span | None, columns: Columns) -> Line:
    """Return the line of a run.

    Parameters
    ----------
    run : RunSummary
    mark : Span or None
        One cell in front of it.
    columns : Columns
    """
    state = state_of(run)
    symbol, role = STATES.get(state, ("●", "good"))
    told = {
        "state": state,
        "updates": f"{run.update:,}",
        "smooth": loss_of(run.smooth_loss),
        "best": loss_of(run.best_loss),
        "age": ago(run.age),
        "text": run.corpus,
    }
    roles = {"state": role, "smooth": "data", "best": "good", "updates": "value"}
    return [
        mark or Span(" "),
        Span(f" {symbol} ", role),
        Span(fitted(run.name, columns.name), "value"),
        *(Span(_cell(name, told[name], size), roles.get(name, "label")) for name, size in columns.others),
    ]


def matches(run: RunSummary, sought: str) -> bool:
    """Return whether a run has this in its name, text or state."""
    return not sought or sought.casefold() in f"{run.name} {run.corpus} {state_of(run)}".casefold()


def newest_first(runs: Iterable[RunSummary]) -> list[RunSummary]:
    """Return runs, the one that was created last first."""
    return sorted(runs, key=lambda run: (run.created, run.name), reverse=True)


def fitted(text: str, room: int) -> str:
    """Return a text in exactly this many cells, cut or filled up."""
    text = harmless_line(text)
    return set_cell_size(text, room) if cell_len(text) <= room else set_cell_size(text, room - 1) + "…"


def _cell(column: str, text: str, size: int) -> str:
    shown = fitted(text, size) if cell_len(harmless_line(text)) > size else harmless_line(text)
    space = " " * max(0, size - cell_len(shown))
    return " " * _GAP + (shown + space if column in _LEFT else space + shown)
