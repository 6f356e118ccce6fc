"""Tables and events as text: CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from charrnn_core.training.events import encodable
from charrnn_tui.export.tables import Table
from charrnn_tui.terminal import put

# What a spreadsheet takes for a formula, or a command of its own: https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = re.compile(r"'*[=+\-@\x00-\x1f\uff1d\uff0b\uff0d\uff20]")


def without_formula(text: str) -> str:
    """Return a text that a spreadsheet shows and does not run: with an apostrophe before it where needed.

    Whatever begins with apostrophes and what begins a formula gets one more, so that dropping one from each
    of these gives the text again.

    Examples
    --------
    >>> without_formula("=1+1"), without_formula("'=1+1"), without_formula("'tis")
    ("'=1+1", "''=1+1", "'tis")
    """
    return f"'{text}" if _FORMULA.match(text) else text


def to_csv(table: Table, *, formulas: bool = False) -> str:
    r"""Return a table as CSV of RFC 4180: lines end with CR LF, and a cell is empty where there is no value.

    A number is what reading gives exactly again; lists and objects are JSON.

    Parameters
    ----------
    table : Table
    formulas : bool
        Write text as it is, although a spreadsheet may run it as a formula; else as `without_formula` does.

    Examples
    --------
    >>> to_csv(Table(("update", "text"), ((0, "a, b"), (1, None), (-2, "=1+1"))))
    'update,text\r\n0,"a, b"\r\n1,\r\n-2,\'=1+1\r\n'
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(table.columns)
    for row in table.rows:
        cells = map(_cell, row)
        writer.writerow(
            without_formula(cell) if isinstance(cell, str) and not formulas else cell for cell in cells
        )
    return encodable(file.getvalue())


def put_csv(table: Table, *, formulas: bool = False) -> None:
    """Write a table to stdout as CSV; lines on a terminal end as others there do."""
    text = to_csv(table, formulas=formulas)
    terminal = sys.stdout is not None and sys.stdout.isatty()
    put(text.replace("\r\n", "\n") if terminal else text)


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return to_json_line(value) if isinstance(value, (dict, list)) else value


def to_json_lines(values: Iterable[Mapping[str, Any]]) -> str:
    """Return objects as JSON, one a line."""
    return "".join(f"{to_json_line(value)}\n" for value in values)


def table_to_json_lines(table: Table) -> str:
    """Return the rows of a table as JSON objects, one a line."""
    return to_json_lines(dict(zip(table.columns, row, strict=True)) for row in table.rows)


def to_json_line(value: Any) -> str:
    """Return a value as JSON of one line; what JSON has no number for, and a log may have, is null."""
    options: dict[str, Any] = {"ensure_ascii": False, "separators": (",", ":")}
    try:
        text = json.dumps(value, allow_nan=False, **options)
    except ValueError:
        finite = json.loads(json.dumps(value, **options), parse_constant=lambda constant: None)
        text = json.dumps(finite, **options)
    return encodable(text)
