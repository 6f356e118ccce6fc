"""The gradient check, with the figures of the study beside ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from charrnn_core.rnn.gradcheck.comparisons import STUDY
from charrnn_tui.check_rows import (
    NORM_METHODS,
    conditions_of,
    format_conditions,
    format_error,
    format_figure,
    format_place,
    format_shape,
    have_passed,
    is_compared,
    is_reference,
    notes_of,
    rows_of,
    worst_of,
)
from charrnn_tui.formatting import count_of
from charrnn_tui.report.document import (
    Block,
    Column,
    Paragraph,
    Table,
)
from charrnn_tui.report.findings import Findings


def verdict(found: Findings) -> str:
    """Return how the checks ended, all of them."""
    checks = found.history.checks
    if not checks:
        return "not made"
    told = [_verdict(rows_of(check)) for check in checks]
    later = sum(words.startswith("failed") for words in told[1:])
    return f"{told[0]} at first; {later:,} of {len(told) - 1:,} later checks failed" if later else told[0]


def _verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return "not readable"
    wrong = list(dict.fromkeys(str(row["parameter"]) for row in rows if not row["passed"]))
    compared = sum(map(is_compared, rows))
    if not compared:
        return "nothing could be compared"
    told = f"failed for {', '.join(wrong)}" if wrong else f"all {compared} comparisons agree"
    return told if compared == len(rows) else f"{told}, {len(rows) - compared} could not be made"


def gradients(found: Findings) -> Iterator[Block]:
    """Yield the checks: the first in full, later ones in a sentence."""
    if not found.history.checks:
        yield Paragraph("The gradients of this run were not checked.", "note")
        return
    check, *later = found.history.checks
    rows = rows_of(check)
    reference = [row for row in rows if is_reference(row)]
    others = [row for row in rows if not is_reference(row)]
    yield Paragraph(
        "The gradients of the backward pass were compared with derivatives that do not use it, in float64 "
        f"and before clipping, {_at(check['update'])}. The relative error is |a - n| / max({_floor(rows)}, "
        "|a| + |n|), a the analytic and n the numeric derivative."
    )
    if reference:
        yield _reference_table(reference)
        yield Paragraph(
            "The study is Straathof's of 2019: the same method, step, h_0 and number of entries, on a "
            "network with m = 100, T = 25 and K = 80. A single tiny entry makes the largest error of W, "
            "which therefore differs from seed to seed."
        )
    if others:
        yield _comparison_table(others)
    if any(row["method"] in NORM_METHODS for row in rows):
        yield Paragraph(
            "The training gradient is that of a copy of the engine that trained this run, in the run's type, "
            "sizes and threads, after at least five updates; it was compared with the same gradient in "
            "float64. Five updates in float64 were compared with five of a plain loop. Both errors are norms "
            "of differences, relative to the norm; h is the state that is carried into the next window.",
            "note",
        )
    for note in notes_of(rows):
        yield Paragraph(f"Not everything could be compared. {note}.", "note")
    excused = [row for row in rows if row["passed"] and _exceeds(row)]
    if excused:
        yield Paragraph(
            "An error above the tolerance passes where the entry is too small for its method to show more "
            "digits: where the complex step agrees, or rounding explains it.",
            "note",
        )
    if any(not row["passed"] for row in rows):
        yield Paragraph(f"The check {_verdict(rows)}.", "warning")
    for event in later:
        told = _verdict(rows_of(event))
        tone: Literal["warning", "plain"] = "warning" if told.startswith("failed") else "plain"
        yield Paragraph(f"Checked again {_at(event['update'])}: {told}.", tone)


def _at(update: Any) -> str:
    return f"after update {count_of(update)}" if update else "before the first update"


def _exceeds(row: Mapping[str, Any]) -> bool:
    error, tolerance = row.get("maximum_relative_error"), row.get("tolerance")
    return isinstance(error, float) and isinstance(tolerance, float) and error > tolerance


def _reference_table(rows: Sequence[dict[str, Any]]) -> Table:
    return Table(
        [
            Column("parameter"), Column("shape"), Column("checked", "number"), Column("largest", "number"),
            Column("study's", "number"), Column("mean", "number"), Column("worst at", "number"),
            Column("analytic", "number"), Column("numeric", "number"), Column("agrees"),
        ],
        [
            (
                str(row["parameter"]),
                format_shape(row.get("shape")),
                count_of(row.get("entries")),
                format_error(row),
                f"{STUDY[row['parameter']]:.1e}" if row["parameter"] in STUDY else "–",
                format_error(row, "mean_relative_error"),
                format_place(worst_of(row, "index")),
                format_figure(worst_of(row, "analytic"), 3),
                format_figure(worst_of(row, "numeric"), 3),
                _agrees([row]),
            )
            for row in rows
        ],
        caption=f"Relative errors: {', '.join(format_conditions(rows[0]))}, tolerance {_tolerance(rows[0])}",
    )  # fmt: skip


def _agrees(rows: Sequence[Mapping[str, Any]]) -> str:
    return {True: "yes", False: "NO", None: "–"}[have_passed(rows)]


def _tolerance(row: Mapping[str, Any]) -> str:
    return format_figure(row.get("tolerance"), 0)


def _floor(rows: Sequence[Mapping[str, Any]]) -> str:
    return format_figure(rows[0].get("floor"), 0) if rows else "a floor"


def _comparison_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the largest errors of other comparisons, one in a row, a parameter in a column."""
    parameters = list(dict.fromkeys(str(row["parameter"]) for row in rows))
    lines = []
    for _, group in groupby(rows, key=conditions_of):
        same = list(group)
        errors = {str(row["parameter"]): format_error(row) for row in same}
        agrees = _agrees(same)
        told = ", ".join([*format_conditions(same[0]), f"tolerance {_tolerance(same[0])}"])
        lines.append((told, *(errors.get(name, "–") for name in parameters), agrees))
    columns = [
        Column("compared with", "description"),
        *(Column(name, "number") for name in parameters),
        Column("agrees"),
    ]
    return Table(columns, lines, caption="Largest relative errors of the other comparisons")
