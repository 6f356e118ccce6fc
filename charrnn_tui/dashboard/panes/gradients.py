"""The gradient-check pane: the last check, and the ones before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import var

from charrnn_tui.check_rows import format_verdict, have_passed, notes_of, rows_of
from charrnn_tui.dashboard.panes.pane import Pane
from charrnn_tui.dashboard.session import RunSession
from charrnn_tui.dashboard.spans import Line, Span
from charrnn_tui.dashboard.stream import wrapped
from charrnn_tui.formatting import count_of

GROUPS = (
    ("central", "text", "zeros", "h₀ = 0"),
    ("central", "text", "carried", "carried"),
    ("complex-step", "text", "carried", "complex"),
    ("complex-step", "stress", "random", "stress"),
    ("complex-step", "repeats", "random", "repeats"),
    ("training", "text", "carried", "training"),
    ("training", "fixed", "carried", "fixed"),
    ("loop", "fixed", "carried", "loop"),
)
"""The parts of the default check, and the heads of their columns."""

_CELL = 9


class GradientPane(Pane):
    """A table of maximum relative errors: a row for each parameter, a column for each part of the check."""

    TITLE = "Gradients"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Row above", show=False),
        Binding("down,j", "move(1)", "Row below", show=False),
        Binding("enter", "open", "Open the entries", show=False, id="gradients.open"),
        Binding("left", "leaf(-1)", "Earlier check", show=False, id="gradients.earlier"),
        Binding("right", "leaf(1)", "Later check", show=False, id="gradients.later"),
    ]

    chosen: var[int | None] = var(None)
    """Which check is shown, by its place in the history; None is the last one."""

    class Opened(Message):
        """A parameter's rows are to be shown in full."""

        def __init__(self, rows: Sequence[dict[str, Any]], update: int) -> None:
            super().__init__()
            self.rows = rows
            self.update = update

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._session: RunSession | None = None
        self.tell("g checks now")

    def update_from(self, session: RunSession) -> None:
        """Show the checks of a run."""
        self._session = session
        checks = session.history.checks
        self.show(list(check_lines(checks, self.chosen, self.text_width)))
        if checks and self.cursor is None:
            self.cursor = 1

    def action_move(self, by: int) -> None:
        """Choose another parameter."""
        rows = self._parameters()
        if rows:
            self.cursor = min(len(rows), max(1, (self.cursor or 1) + by))

    def action_leaf(self, by: int) -> None:
        """Show an earlier or a later check."""
        checks = self._session.history.checks if self._session else []
        if checks:
            last = len(checks) - 1
            place = min(last, max(0, (last if self.chosen is None else self.chosen) + by))
            self.chosen = None if place == last else place
            assert self._session is not None
            self.update_from(self._session)

    def action_open(self) -> None:
        """Show the entries of the parameter that the cursor is on."""
        rows, parameters = self._rows(), self._parameters()
        if parameters:
            name = parameters[min(len(parameters), self.cursor or 1) - 1]
            checks = self._session.history.checks if self._session else []
            update = checks[-1 if self.chosen is None else self.chosen]["update"]
            self.post_message(self.Opened([row for row in rows if row.get("parameter") == name], update))

    def on_click(self, event: Any) -> None:
        """Choose the row under the mouse, and open it when it is clicked twice."""
        y = event.y - self.gutter.top + self.scroll_offset.y
        if 1 <= y <= len(self._parameters()):
            self.cursor = y
            if event.chain > 1:
                self.action_open()

    def _rows(self) -> list[dict[str, Any]]:
        checks = self._session.history.checks if self._session else []
        return rows_of(checks[-1 if self.chosen is None else self.chosen]) if checks else []

    def _parameters(self) -> list[str]:
        return list(dict.fromkeys(str(row["parameter"]) for row in self._rows()))


def check_lines(checks: Sequence[dict[str, Any]], chosen: int | None, width: int) -> Iterator[Line]:
    """Yield the lines of the pane: the chosen check as a table, its verdict, and the other checks."""
    if not checks:
        yield [Span("not checked yet", "label")]
        return
    check = checks[-1 if chosen is None else chosen]
    rows = rows_of(check)
    groups = _groups(rows, max(1, (width - 4) // _CELL))
    yield [Span(" " * 4), *(Span(f"{title:>{_CELL}}", "label") for _, title in groups)]
    for name in dict.fromkeys(str(row["parameter"]) for row in rows):
        own = [row for row in rows if row["parameter"] == name]
        line = [_mark(own), Span(f"{name} ", "value")]
        for key, _ in groups:
            row = next((row for row in own if _key(row) == key), None)
            role = "text" if row is None or row["passed"] else "bad"
            line.append(Span(f"{_error(row):>{_CELL}}", role))
        yield line
    yield []
    verdict = format_verdict(rows)
    at = f"update {count_of(check['update'])}"
    role = _mark(rows).role
    if len(f"{verdict} · {at}") <= width:
        yield [Span(verdict, role), Span(f" · {at}", "label")]
    else:
        yield [Span(verdict, role)]
        yield [Span(f"at {at}", "label")]
    for told in (*notes_of(rows), "the figures are maximum relative errors"):
        for _, words in wrapped(told, max(1, width)):
            yield [Span(words, "label")]
    if len(checks) > 1:
        yield []
        yield [Span("all checks", "label")]
        for place in range(len(checks) - 1, -1, -1):
            yield _earlier(checks[place], shown=checks[place] is check)


def _groups(rows: Sequence[dict[str, Any]], most: int) -> list[tuple[Any, str]]:
    """Return the parts of a check that there is room for, each with its title; of each method one first."""
    titles = {(method, window, h0): title for method, window, h0, title in GROUPS}
    keys = list(dict.fromkeys(_key(row) for row in rows))
    firsts = {next(key for key in keys if key[0] == method) for method, _, _ in keys}
    wanted = sorted(keys, key=lambda key: key not in firsts)[:most]
    return [(key, titles.get(key, str(key[0])[:7])) for key in keys if key in wanted]


def _key(row: dict[str, Any]) -> tuple[Any, Any, Any]:
    return row["method"], str(row.get("window", "text")), row["h0"]


def _error(row: dict[str, Any] | None) -> str:
    error = None if row is None else row.get("maximum_relative_error")
    return f"{error:.1e}" if isinstance(error, (int, float)) else "–"


def _mark(rows: Sequence[dict[str, Any]]) -> Span:
    """Return the symbol of rows that passed, that failed, or of which nothing was compared."""
    passed = have_passed(rows)
    if passed is None:
        return Span("– ", "label")
    return Span("✓ ", "good") if passed else Span("✗ ", "bad")


def _earlier(check: dict[str, Any], *, shown: bool) -> Line:
    rows = rows_of(check)
    errors = [row.get("maximum_relative_error") for row in rows if row["method"] == "complex-step"]
    largest = max((error for error in errors if isinstance(error, float)), default=None)
    error = "–" if largest is None else f"{largest:.1e}"
    return [
        _mark(rows),
        Span(f"{count_of(check['update']):>11}", "value" if shown else "text"),
        Span(f"  {error}", "label"),
        Span("  shown" if shown else "", "accent"),
    ]
