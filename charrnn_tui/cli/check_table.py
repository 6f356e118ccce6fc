"""The rows of a gradient check as a table for people."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from charrnn_core.rnn.gradcheck.comparisons import STUDY
from charrnn_tui.check_rows import (
    NORM_METHODS,
    conditions_of,
    format_conditions,
    format_error,
    format_figure,
    format_place,
    format_shape,
    format_verdict,
    have_passed,
    is_compared,
    is_excused,
    is_reference,
    notes_of,
    worst_of,
)
from charrnn_tui.formatting import count_of
from charrnn_tui.terminal import harmless_line, is_rich, put

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_PIPE_WIDTH = 100
_DROPPED = (
    ("worst at", "analytic", "numeric", "engine", "float64"),
    ("study",),
    ("mean rel",),
    ("shape",),
    ("checked",),
)
"""The columns that a narrow terminal does without, in this order."""

_NORM_TITLES = {"analytic": "engine", "numeric": "float64"}
"""The heads of two columns where an engine is compared with the float64 reference."""

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


def _symbols(encoding: str | None) -> dict[bool | None, str]:
    """Return what stands before a row that passed, one that failed, and one that was not compared."""
    try:
        "✓✗–".encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return {True: "ok", False: "WRONG", None: "-"}
    return {True: "✓", False: "✗", None: "–"}


def _table(
    rows: Sequence[dict[str, Any]], heading: str, symbols: dict[bool | None, str], width: int
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
        if any(map(is_excused, same)) and same[0]["method"] in _EXCUSED_NOTE:
            yield Text(_EXCUSED_NOTE[same[0]["method"]], style="dim italic")
        for note in notes_of(same):
            yield Text(f"  {note}", style="dim italic")
    passed = have_passed(rows)
    yield Text(f"\n{symbols[passed]} {format_verdict(rows)}", style=_style(bool(passed)))


def _title(row: dict[str, Any]) -> str:
    words = list(map(harmless_line, format_conditions(row)))
    more = [f"{words[1]} · {size}" for size in words[4:]]
    return "\n".join([" · ".join(words[:4]), *more])


def _group(
    rows: Sequence[dict[str, Any]], symbols: dict[bool | None, str], *, studied: bool, width: int
) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    columns: dict[str, list[Text]] = {
        "": [_symbol(row, symbols) for row in rows],
        " ": [Text(harmless_line(row["parameter"]), style="bold") for row in rows],
        "shape": [Text(format_shape(row.get("shape"))) for row in rows],
        "checked": [Text(count_of(row.get("entries"))) for row in rows],
        "max rel": [Text(format_error(row), "" if row["passed"] else _style(passed=False)) for row in rows],
        "mean rel": [Text(format_error(row, "mean_relative_error")) for row in rows],
        "study": [Text(_study(row), style="dim") for row in rows],
        "worst at": [Text(format_place(worst_of(row, "index"))) for row in rows],
        "analytic": [_value(row, "analytic") for row in rows],
        "numeric": [_value(row, "numeric") for row in rows],
    }
    if rows[0]["method"] in NORM_METHODS:
        columns = {_NORM_TITLES.get(title, title): cells for title, cells in columns.items()}
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


def _symbol(row: dict[str, Any], symbols: dict[bool | None, str]) -> Text:
    from rich.text import Text

    if not is_compared(row):
        return Text(symbols[None], style="dim")
    return Text(symbols[bool(row["passed"])], style=_style(row["passed"]))


def _value(row: dict[str, Any], name: str) -> Text:
    from rich.text import Text

    return Text(format_figure(worst_of(row, name), 4) if is_compared(row) else "–")


def _study(row: dict[str, Any]) -> str:
    return f"{STUDY[row['parameter']]:.1e}" if row["parameter"] in STUDY else "–"


def _style(passed: bool) -> str:
    return "green" if passed else "bold red"
