"""Tables and events as text: CSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from charrnn_core.training.events import encodable
from charrnn_tui.export.tables import Table
from charrnn_tui.terminal import put


def to_csv(table: Table) -> str:
    r"""Return a table as CSV of RFC 4180: lines end with CR LF, and a cell is empty where there is no value.

    A number is what reading gives exactly again; lists and objects are JSON.

    Examples
    --------
    >>> to_csv(Table(("update", "text"), ((0, "a, b"), (1, None))))
    'update,text\r\n0,"a, b"\r\n1,\r\n'
    """
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(table.columns)
    writer.writerows(map(_cell, row) for row in table.rows)
    return encodable(file.getvalue())


def put_csv(table: Table) -> None:
    """Write a table to stdout as CSV; lines on a terminal end as others there do."""
    text = to_csv(table)
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
