"""The tables that a run comes to, and those of a gradient check."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from charrnn_core.training.events import (
    CheckpointSaved,
    EpochDone,
    Event,
    Obeyed,
    Progress,
    Refused,
    Sample,
    Validated,
    Warned,
)
from charrnn_tui.formatting import number_of

if TYPE_CHECKING:
    from charrnn_core.runs.history import EventFields
    from charrnn_tui.export.recorded import RecordedRun


@dataclass(frozen=True)
class Table:
    """Rows of JSON values under the names of their columns.

    Attributes
    ----------
    columns : tuple of str
    rows : tuple of tuple
        Each with a value a column, None where there is none.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, columns: Iterable[str], events: Iterable[Mapping[str, Any]]) -> Table:
        """Return the table that has these fields of some events."""
        names = tuple(columns)
        return cls(names, tuple(tuple(map(event.get, names)) for event in events))


def _columns(*kinds: type[Event]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(field.name for kind in kinds for field in fields(kind)))


# -- gradient checks ---------------------------------------------------------------------------------------

_CHECK_COLUMNS = (
    "parameter", "shape", "entries", "selection", "method", "window", "seq_length", "batch_size",
    "characters", "h0", "step", "tolerance", "floor",
    "maximum_relative_error", "mean_relative_error", "passed",
    "worst_index", "worst_analytic", "worst_numeric", "dtype", "note",
)  # fmt: skip


def check_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    """Return the rows of a gradient check as a table, a shape as 100x63 and a place as 0 17."""
    return Table.of(_CHECK_COLUMNS, map(_flat, rows))


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    worst = row.get("worst")
    worst = worst if isinstance(worst, dict) else {}
    return {
        **row,
        "shape": _joined("x", row.get("shape")),
        "worst_index": _joined(" ", worst.get("index")),
        "worst_analytic": worst.get("analytic"),
        "worst_numeric": worst.get("numeric"),
    }


def _joined(separator: str, value: Any) -> Any:
    return separator.join(map(str, value)) if isinstance(value, list) else value


# -- runs --------------------------------------------------------------------------------------------------


def _progress(run: RecordedRun) -> Table:
    per_character = tuple(
        f"{name}_{unit}_per_character" for name in ("smooth_loss", "loss_mean") for unit in ("nats", "bits")
    )
    columns = (*_columns(Progress), "learning_rate", *per_character)
    characters = run.settings.characters_of_loss

    def row(event: EventFields, learning_rate: float) -> dict[str, Any]:
        nats = {name: _divided(event[name], characters) for name in ("smooth_loss", "loss_mean")}
        return {
            **event,
            "partial": "partial" in event,
            "learning_rate": learning_rate,
            **{f"{name}_nats_per_character": value for name, value in nats.items()},
            **{f"{name}_bits_per_character": _divided(value, math.log(2)) for name, value in nats.items()},
        }

    return Table.of(columns, map(row, run.history.progress, run.learning_rates()))


def _validations(run: RecordedRun) -> Table:
    """Return the scores of held-out text, nats per character whatever the run's unit is."""
    rows = (
        {**event, "loss_bits_per_character": _divided(event.get("loss"), math.log(2))}
        for event in run.history.validations
    )
    return Table.of((*_columns(Validated), "loss_bits_per_character"), rows)


def _checks(run: RecordedRun) -> Table:
    columns = ("update", "time", "command")
    checks = [
        (tuple(map(event.get, columns)), check_table(row for row in _rows(event) if isinstance(row, dict)))
        for event in run.history.checks
    ]
    return Table((*columns, *_CHECK_COLUMNS), tuple(own + row for own, check in checks for row in check.rows))


def _rows(event: EventFields) -> list[Any]:
    rows = event.get("rows")
    return rows if isinstance(rows, list) else []


def _divided(value: Any, divisor: float) -> float | None:
    number = number_of(value)
    return None if number is None else number / divisor


TABLES: dict[str, Callable[[RecordedRun], Table]] = {
    "progress": _progress,
    "samples": lambda run: Table.of(_columns(Sample), run.history.samples),
    "validations": _validations,
    "checks": _checks,
    "checkpoints": lambda run: Table.of(_columns(CheckpointSaved), run.history.checkpoints),
    "epochs": lambda run: Table.of(_columns(EpochDone), run.history.epochs),
    "interventions": lambda run: Table.of(("type", *_columns(Obeyed, Refused)), run.history.interventions),
    "warnings": lambda run: Table.of(_columns(Warned), run.history.warnings),
}
"""The tables of a run by name; their columns are called as in the run's log."""
