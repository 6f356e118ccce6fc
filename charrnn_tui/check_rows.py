"""The rows of a gradient check in words, for every table of them."""

from __future__ import annotations

from typing import Any

from charrnn_core.rnn.gradcheck.comparisons import REFERENCE
from charrnn_tui.formatting import number_of

METHODS = {"central": "centred difference", "complex-step": "complex step"}

CONDITIONS = ("window", "method", "step", "h0", "selection")
"""What the rows of one comparison have in common."""


def rows_of(check: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a check that are whole; a log is not trusted."""
    rows = check.get("rows")
    return [row for row in rows if _is_whole(row)] if isinstance(rows, list) else []


def _is_whole(row: Any) -> bool:
    words = ("parameter", "method", "h0")
    return isinstance(row, dict) and "passed" in row and all(isinstance(row.get(word), str) for word in words)


def conditions_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the rows of one comparison have in common."""
    return tuple(row.get(name) for name in CONDITIONS)


def is_reference(row: dict[str, Any]) -> bool:
    """Return whether a row is of the check under the reference conditions."""
    reference = (REFERENCE.window, REFERENCE.method, REFERENCE.step, REFERENCE.h0, REFERENCE.entries)
    return conditions_of(row) == reference


def conditions_told(row: dict[str, Any]) -> list[str]:
    """Return in words what was compared with what, piece by piece: method, window, h_0, entries."""
    step, method = row.get("step"), str(row["method"])
    words = [METHODS.get(method, method) + (f", step {step:.0e}" if isinstance(step, float) else "")]
    sizes = f"T = {row.get('seq_length')} · B = {row.get('batch_size')}"
    is_stress = row.get("window") == "stress"
    words += ["stress window" if is_stress else sizes, f"h_0 {row['h0']}", _selection(row.get("selection"))]
    if is_stress:
        words.append(f"{sizes} · {row.get('characters')} different characters")
    return words


def _selection(selection: Any) -> str:
    kind, _, number = str(selection).partition(":")
    return {
        "first": f"first {number} entries",
        "random": f"{number} random entries",
        "directions": f"{number} random directions over all entries",
        "all": "all entries",
    }.get(kind, str(selection))


def shape_told(shape: Any) -> str:
    """Return the shape of a parameter."""
    return "×".join(map(str, shape)) if isinstance(shape, list) else "–"


def place_told(index: Any) -> str:
    """Return where an entry or a direction is."""
    return ",".join(map(str, index)) if isinstance(index, list) else f"dir. {index}"


def figure_told(value: Any, digits: int) -> str:
    """Return a figure with so many decimals of its mantissa; null is one that is not finite."""
    number = number_of(value)
    return "nan" if number is None else f"{number:.{digits}e}"
