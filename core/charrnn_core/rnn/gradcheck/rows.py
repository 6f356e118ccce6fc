"""The rows of a gradient check."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from charrnn_core.rnn.gradcheck.comparisons import InitialState, Method, WindowKind

RowMethod = Literal[Method, "training", "loop"]
TrainingWindowKind = Literal["text", "fixed"]

KEPT_ENTRIES = 20
"""A row keeps this many of its comparisons, the worst first; a view can show them."""

ILL_CONDITIONED_NOTE = "ill-conditioned: not compared"
NOT_FINITE_NOTE = "not finite: not compared"
TOO_LARGE_NOTE = "too large for this machine's memory: not compared"

NOTHING: dict[str, Any] = {"index": None, "analytic": None, "numeric": None, "passed": True}
"""The worst comparison of a row without any."""


@dataclass(frozen=True)
class CheckRow:
    """The check of one parameter by one comparison.

    Attributes
    ----------
    parameter : str
        U, W, V, b or c; for "training" and "loop" also h, the state that is carried into the next window.
    shape : tuple of int
    entries : int
        Number of entries compared, or covered by the directions; 0 where nothing was compared.
    method : "central", "complex-step", "training" or "loop"
        "training": the gradient of the engine that trains, against the float64 reference. "loop": parameters
        after five updates of the engine in float64, against five of a plain loop.
    step : float or None
        None for a method without a step.
    h0 : "zeros", "carried" or "random"
    maximum_relative_error, mean_relative_error : float
        Not finite where a value is not, and where nothing was compared. Of entries or directions; for
        "training" and "loop" the norm of the difference, relative to the norm of the exact value.
    worst : dict
        `index`, `analytic` and `numeric` of the worst comparison: one that failed, if any did, else the one
        with the largest error. The index of a direction is its number; null where nothing was compared.
    passed : bool
        False only where a comparison failed.
    selection : str
        Which entries or directions, as `Comparison.entries` says it; "norm" for "training" and "loop".
    window : "text", "stress", "repeats" or "fixed"
        "fixed": windows of the fixed network and text.
    seq_length, batch_size, characters : int
        T and B of the window that was looked at, and how many different characters it reads.
    tolerance, floor : float
    compared : tuple of dict
        The `KEPT_ENTRIES` worst comparisons, each like `worst`, the worst first; for "training" and "loop"
        the five entries that differ most.
    dtype : "float32" or "float64"
        Type of the values that were compared.
    note : str or None
        Why nothing was compared; null where it was.
    """

    parameter: str
    shape: tuple[int, ...]
    entries: int
    method: RowMethod
    step: float | None
    h0: InitialState
    maximum_relative_error: float
    mean_relative_error: float
    worst: dict[str, Any]
    passed: bool
    selection: str
    window: WindowKind | TrainingWindowKind
    seq_length: int
    batch_size: int
    characters: int
    tolerance: float
    floor: float
    compared: tuple[dict[str, Any], ...]
    dtype: str = "float64"
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values; what is not finite becomes null."""
        values = asdict(self)
        values["shape"] = list(self.shape)
        values["compared"] = [_plain(entry) for entry in self.compared]
        values["worst"] = _plain(self.worst)
        return _plain(values)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in values.items()
    }
