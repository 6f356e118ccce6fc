"""The rows of a gradient check as a table for people."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from charrnn_core.rnn.gradcheck.comparisons import STUDY
from charrnn_tui.check_rows import conditions_of, conditions_told, figure_told, is_reference, place_told
from charrnn_tui.terminal import harmless_line, is_rich, put

if TYPE_CHECKING:
    from rich.console import RenderableType

_PIPE_WIDTH = 100
_DROPPED = (("worst at", "analytic", "numeric"), ("study",), ("mean rel",), ("shape",), ("checked",))
"""The columns that a narrow terminal does without, in this order."""

_STUDY_NOTE = """\
  study: Straathof 2019, m = 100, T = 25, K = 80.
  W's figure jumps between seeds: a single tiny entry of its gradient makes it."""
_EXCUSED_NOTE = {
    "central": """\
  An error above the tolerance passes where the complex step agrees: the entry
  is too small for a difference of two rounded losses.""",
    "complex-step": """\
  An error above the tolerance passes where rounding explains it: so small an
  entry has no more digits.""",
}


def show_check(rows: Sequence[dict[str, Any]], heading: str) -> None:
    """Write rows as a table to stdout.

    Parameters
    ----------
    rows : sequence of dict
        As `CheckRow.to_json` gives them.
    heading : str
        What was checked.
    """
    from rich.console import Console

    terminal = is_rich(sys.stdout)
    width = shutil.get_terminal_size().columns if terminal else _PIPE_WIDTH
    file = io.StringIO()
    # Only what FORCE_COLOR asks for makes colours in a pipe.
    console = Console(file=file, force_terminal=terminal or None, width=width, highlight=False)
    symbols = _symbols(sys.stdout.encoding if terminal else "utf-8")
    for part in _table(rows, heading, symbols, width):
        console.print(part)
    put(file.getvalue(), raw=True)


def _symbols(encoding: str | None) -> dict[bool, str]:
    try:
        "✓✗".encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return {True: "ok", False: "WRONG"}
    return {True: "✓", False: "✗"}


def _table(
    rows: Sequence[dict[str, Any]], heading: str, symbols: dict[bool, str], width: int
) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text(harmless_line(heading), style="bold")
    for _, group in groupby(rows, key=conditions_of):
        same = list(group)
        yield Text(f"\n{_title(same[0])}", style="dim")
        studied = is_reference(same[0])
        yield Padding(_group(same, symbols, studied=studied, width=width - 2), (0, 0, 0, 2), expand=False)
        if studied:
            yield Text(_STUDY_NOTE, style="dim italic")
        if any(row["passed"] and (row["maximum_relative_error"] or 0) > row["tolerance"] for row in same):
            yield Text(_EXCUSED_NOTE[same[0]["method"]], style="dim italic")
    failed = sum(not row["passed"] for row in rows)
    told = f"{failed} of {len(rows)} checks failed" if failed else f"all {len(rows)} checks passed"
    yield Text(f"\n{symbols[not failed]} {told}", style=_style(not failed))


def _title(row: dict[str, Any]) -> str:
    words = conditions_told(row)
    more = [f"stress window · {size}" for size in words[4:]]
    return "\n".join([" · ".join(words[:4]), *more])


def _group(
    rows: Sequence[dict[str, Any]], symbols: dict[bool, str], *, studied: bool, width: int
) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    columns: dict[str, list[Text]] = {
        "": [Text(symbols[bool(row["passed"])], style=_style(row["passed"])) for row in rows],
        " ": [Text(row["parameter"], style="bold") for row in rows],
        "shape": [Text("×".join(str(length) for length in row["shape"])) for row in rows],
        "checked": [Text(f"{row['entries']:,}") for row in rows],
        "max rel": [
            Text(figure_told(row["maximum_relative_error"], 1), "" if row["passed"] else _style(passed=False))
            for row in rows
        ],
        "mean rel": [Text(figure_told(row["mean_relative_error"], 1)) for row in rows],
        "study": [Text(f"{STUDY[row['parameter']]:.1e}", style="dim") for row in rows if studied],
        "worst at": [Text(place_told(row["worst"]["index"])) for row in rows],
        "analytic": [Text(figure_told(row["worst"]["analytic"], 4)) for row in rows],
        "numeric": [Text(figure_told(row["worst"]["numeric"], 4)) for row in rows],
    }
    if not studied:
        del columns["study"]
    for dropped in _DROPPED:
        if sum(max(len(title), *map(len, cells)) + 1 for title, cells in columns.items()) - 1 <= width:
            break
        for title in dropped:
            columns.pop(title, None)
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for title in columns:
        table.add_column(title.strip(), justify="right" if title.strip() else "left", no_wrap=True)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


def _style(passed: bool) -> str:
    return "green" if passed else "bold red"
