"""The rows of a gradient check as a table for people."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from charrnn_core.rnn.gradcheck.comparisons import REFERENCE, STUDY
from charrnn_tui.terminal import harmless_line, is_rich, put

if TYPE_CHECKING:
    from rich.console import RenderableType

_PIPE_WIDTH = 100
_FULL_WIDTH = 76
METHODS = {"central": "centred difference", "complex-step": "complex step"}
_CONDITIONS = ("window", "method", "step", "h0", "selection")
_STUDY_NOTE = """\
  study: Straathof 2019, m = 100, T = 25, K = 80.
  W's figure jumps between seeds: a single tiny entry of its gradient makes it."""
_ROUNDING_NOTE = """\
  An error above the tolerance passes where rounding explains it: so small an
  entry has no more digits."""


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
    for part in _table(rows, heading, symbols, narrow=width < _FULL_WIDTH):
        console.print(part)
    put(file.getvalue(), raw=True)


def _symbols(encoding: str | None) -> dict[bool, str]:
    try:
        "✓✗".encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return {True: "ok", False: "WRONG"}
    return {True: "✓", False: "✗"}


def _table(
    rows: Sequence[dict[str, Any]], heading: str, symbols: dict[bool, str], *, narrow: bool
) -> Iterator[RenderableType]:
    from rich.padding import Padding
    from rich.text import Text

    yield Text(harmless_line(heading), style="bold")
    for _, group in groupby(rows, key=_conditions):
        same = list(group)
        yield Text(f"\n{_title(same[0])}", style="dim")
        studied = _is_reference(same[0])
        yield Padding(_group(same, symbols, studied=studied, narrow=narrow), (0, 0, 0, 2), expand=False)
        if studied:
            yield Text(_STUDY_NOTE, style="dim italic")
        if any(row["passed"] and row["maximum_relative_error"] > row["tolerance"] for row in same):
            yield Text(_ROUNDING_NOTE, style="dim italic")
    failed = sum(not row["passed"] for row in rows)
    told = f"{failed} of {len(rows)} checks failed" if failed else f"all {len(rows)} checks passed"
    yield Text(f"\n{symbols[not failed]} {told}", style=_style(not failed))


def _conditions(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in _CONDITIONS)


def _title(row: dict[str, Any]) -> str:
    kind, _, number = row["selection"].partition(":")
    what = {
        "first": f"first {number} entries",
        "random": f"{number} random entries",
        "directions": f"{number} random directions over all entries",
        "all": "all entries",
    }[kind]
    where = "stress window, B = 3 · " if row["window"] == "stress" else ""
    return f"{METHODS[row['method']]} · step {row['step']:.0e} · {where}h_0 {row['h0']} · {what}"


def _is_reference(row: dict[str, Any]) -> bool:
    reference = (REFERENCE.window, REFERENCE.method, REFERENCE.step, REFERENCE.h0, REFERENCE.entries)
    return _conditions(row) == reference


def _group(
    rows: Sequence[dict[str, Any]], symbols: dict[bool, str], *, studied: bool, narrow: bool
) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("")
    table.add_column("")
    for title in ("shape", "checked", "max rel", "mean rel"):
        table.add_column(title, justify="right", no_wrap=True)
    if studied:
        table.add_column("study", justify="right", no_wrap=True)
    if not narrow:
        for title in ("worst at", "analytic", "numeric"):
            table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        style = _style(row["passed"])
        worst = row["worst"]
        cells: list[str | Text] = [
            Text(symbols[bool(row["passed"])], style=style),
            Text(row["parameter"], style="bold"),
            "×".join(str(length) for length in row["shape"]),
            f"{row['entries']:,}",
            Text(f"{row['maximum_relative_error']:.1e}", style="" if row["passed"] else style),
            f"{row['mean_relative_error']:.1e}",
        ]
        if studied:
            cells.append(Text(f"{STUDY[row['parameter']]:.1e}", style="dim"))
        if not narrow:
            place = worst["index"]
            where = ",".join(map(str, place)) if isinstance(place, list) else f"dir. {place}"
            cells += [where, f"{worst['analytic']:.4e}", f"{worst['numeric']:.4e}"]
        table.add_row(*cells)
    return table


def _style(passed: bool) -> str:
    return "green" if passed else "bold red"
