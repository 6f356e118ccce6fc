"""Formatting of the rows of a gradient check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from charrnn_core.rnn.gradcheck.comparisons import REFERENCE
from charrnn_tui.formatting import number_of
from charrnn_tui.terminal import harmless_line

METHODS = {
    "central": "centred difference",
    "complex-step": "complex step",
    "training": "training gradient",
    "loop": "five updates",
}

WINDOWS = {"stress": "stress window", "repeats": "repeats window", "fixed": "fixed network"}
"""The windows that are not of the text."""

_LONGEST = 80  # characters of a word from a log, which is not trusted

NORM_METHODS = ("training", "loop")
"""The methods whose errors are of norms, in a type of their own."""

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


def format_conditions(row: dict[str, Any]) -> list[str]:
    """Return in words what was compared with what, piece by piece: method, window, h_0, entries."""
    step, method = row.get("step"), str(row["method"])
    compared = METHODS.get(method, method)
    if isinstance(step, float):
        compared += f", step {step:.0e}"
    elif method in NORM_METHODS:
        compared += f", {_word(str(row.get('dtype')))}"
    sizes = f"T = {row.get('seq_length')} · B = {row.get('batch_size')}"
    special = WINDOWS.get(str(row.get("window")))
    words = [compared, special or sizes, f"h_0 {row['h0']}", _selection(row.get("selection"))]
    if special:
        words.append(f"{sizes} · {row.get('characters')} different characters")
    return words


def is_compared(row: Mapping[str, Any]) -> bool:
    """Return whether anything was compared; rows of older logs always were."""
    return not isinstance(row.get("note"), str)


def notes_of(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return why rows were not compared, each reason once with its parameters."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if not is_compared(row):
            reasons.setdefault(str(row["note"])[:_LONGEST], []).append(str(row["parameter"])[:_LONGEST])
    notes = (f"{', '.join(dict.fromkeys(names))}: {reason}" for reason, names in reasons.items())
    return list(map(harmless_line, notes))


def have_passed(rows: Sequence[Mapping[str, Any]]) -> bool | None:
    """Return whether all rows that were compared passed; None if nothing was compared."""
    if any(not row["passed"] for row in rows):
        return False
    return True if any(map(is_compared, rows)) else None


def format_verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how many checks failed or passed, and how many could not be made.

    Examples
    --------
    >>> format_verdict([{"passed": True}, {"passed": True, "note": "not finite: not compared"}])
    'all 1 checks passed, 1 not compared'
    >>> format_verdict([{"passed": True, "note": "not finite: not compared"}])
    'nothing could be compared'
    """
    if have_passed(rows) is None:
        return "nothing could be compared"
    failed = sum(not row["passed"] for row in rows)
    compared = sum(map(is_compared, rows))
    verdict = f"{failed} of {compared} checks failed" if failed else f"all {compared} checks passed"
    return verdict if compared == len(rows) else f"{verdict}, {len(rows) - compared} not compared"


def _selection(selection: Any) -> str:
    kind, _, number = str(selection).partition(":")
    return {
        "first": f"first {number} entries",
        "random": f"{number} random entries",
        "directions": f"{number} random directions over all entries",
        "all": "all entries",
        "norm": "norm over all entries",
    }.get(kind, str(selection))


def format_shape(shape: Any) -> str:
    """Return the shape of a parameter."""
    return _word("×".join(map(str, shape))) if isinstance(shape, list) else "–"


def format_place(index: Any) -> str:
    """Return where an entry or a direction is."""
    if index is None:
        return "–"
    return _word(",".join(map(str, index)) if isinstance(index, list) else f"dir. {index}")


def worst_of(row: Mapping[str, Any], name: str) -> Any:
    """Return what a row says of its worst comparison; None where it says nothing."""
    worst = row.get("worst")
    return worst.get(name) if isinstance(worst, dict) else None


def is_excused(row: Mapping[str, Any]) -> bool:
    """Return whether a row has passed with an error above the tolerance."""
    error, tolerance = (number_of(row.get(name)) for name in ("maximum_relative_error", "tolerance"))
    return bool(row["passed"]) and error is not None and tolerance is not None and error > tolerance


def _word(text: str) -> str:
    return harmless_line(text[:_LONGEST])


def format_figure(value: Any, digits: int) -> str:
    """Return a figure with so many decimals of its mantissa; null is one that is not finite."""
    number = number_of(value)
    return "nan" if number is None else f"{number:.{digits}e}"


def format_error(row: Mapping[str, Any], name: str = "maximum_relative_error") -> str:
    """Return the error of a row, or a dash where nothing was compared."""
    return format_figure(row.get(name), 1) if is_compared(row) else "–"
