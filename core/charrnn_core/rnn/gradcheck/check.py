"""The gradient check: its rows, and how they are made."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from charrnn_core.rnn.engine import Engine
from charrnn_core.rnn.gradcheck.comparisons import (
    DEFAULT_STEPS,
    DEFAULT_TOLERANCES,
    REFERENCE,
    Comparison,
    InitialState,
    comparisons,
)
from charrnn_core.rnn.gradcheck.lines import Line, Lines
from charrnn_core.rnn.gradcheck.reference import reference
from charrnn_core.rnn.gradcheck.rows import KEPT_ENTRIES, NOT_FINITE_NOTE, NOTHING, CheckRow
from charrnn_core.rnn.gradcheck.training import loop_rows, training_pieces, training_rows
from charrnn_core.rnn.gradcheck.windows import (
    CheckedWindow,
    NetworkMaker,
    affordable_part,
    multiplications,
    stress_window,
)
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import Floats

CHECKED_TYPE = np.dtype(np.float64)
"""The type of all comparisons but the training gradient's, whatever training's is."""

_EPSILON = float(np.finfo(np.float64).eps)
_PULSE = 50  # lines between two looks of the caller, fewer where each takes long
_MULTIPLIED_A_PULSE = 1_000_000_000


@dataclass(frozen=True)
class Checking:
    """How far a check is, so that a caller can show it, or stop it.

    Attributes
    ----------
    done, total : int
        Comparisons.
    """

    done: int
    total: int


def check(
    window: CheckedWindow,
    seed: np.random.SeedSequence,
    asked: Sequence[Comparison] | None = None,
    *,
    network: NetworkMaker = Network,
    engine: Engine | None = None,
    update: int = 0,
) -> Iterator[CheckRow | Checking]:
    """Yield the rows of a check, one for each comparison and parameter, and between them how far it is.

    Parameters
    ----------
    window : CheckedWindow
    seed : SeedSequence
        Of random directions, entries, states and windows.
    asked : sequence of Comparison, optional
        By default the *default check*: the reference conditions with h_0 zeros and carried; along random
        directions over all entries the complex step on the window of the text and on two stress windows; and
        the comparisons of `engine`. Of a large network it looks at fewer characters, entries and directions.
    network : callable
        What makes the network whose forward and backward are held against each other.
    engine : Engine, optional
        The engine that trains, which is not changed. The default check compares what one like it computes
        with the float64 reference: on the run's own network and text, on a fixed network, and five updates
        of a loop.
    update : int
        How many updates that engine has done.
    """
    generator = np.random.default_rng(seed)
    trained = engine if asked is None else None
    if asked is None:
        window, share = affordable_part(window, network)
        asked = _default(share)
    sizes = [array.size for array in window.parameters.arrays().values()]
    total = sum(comparison.count(size) for comparison in asked for size in sizes)
    if trained is not None:
        total += 2 * training_pieces(trained) + 1
    done = 0
    is_finite = reference(window).is_finite
    for comparison in asked:
        if comparison.window == "text" and not is_finite:
            for name, size in zip(window.parameters.arrays(), sizes, strict=True):
                yield _not_compared(window, comparison, name)
                done += comparison.count(size)
                yield Checking(done, total)
            continue
        seen = window
        if comparison.window != "text":
            seen = stress_window(window, generator, network, repeats=comparison.window == "repeats")
        trial = _Trial(seen, comparison, generator, network)
        pulse = min(
            _PULSE, max(1, _MULTIPLIED_A_PULSE // (2 * multiplications(seen.parameters) * seen.inputs.size))
        )
        for name in window.parameters.arrays():
            lines = trial.lines(name)
            verdicts = []
            for line in lines:
                verdicts.append(trial.compare(name, line))
                done += 1
                if done % pulse == 0:
                    yield Checking(done, total)
            yield trial.row(name, lines, verdicts)
            yield Checking(done, total)
    if trained is not None:
        for item in _of_engine(trained, update, generator):
            if item is None:
                done += 1
                yield Checking(done, total)
            else:
                yield item


def _of_engine(engine: Engine, update: int, generator: np.random.Generator) -> Iterator[CheckRow | None]:
    """Yield the rows of an engine, and None after each piece of work."""
    yield from training_rows(engine, update, generator, "text")
    yield from training_rows(engine, update, generator, "fixed")
    yield from loop_rows(engine)
    yield None


def _default(share: float) -> tuple[Comparison, ...]:
    """Return the comparisons of the default check, or a share of them."""
    central = replace(REFERENCE, entries=f"first:{max(4, int(20 * share))}")
    (projected,) = comparisons("complex-step", f"directions:{max(2, int(8 * share))}", "carried")
    stress = replace(projected, h0="random", window="stress")
    return (
        central,
        replace(central, h0="carried"),
        projected,
        stress,
        replace(stress, entries=f"directions:{max(2, int(4 * share))}", window="repeats"),
    )


def _not_compared(window: CheckedWindow, comparison: Comparison, name: str) -> CheckRow:
    """Return the row of a window on which nothing can be compared, since its loss or gradient overflows."""
    return CheckRow(
        parameter=name,
        shape=getattr(window.parameters, name).shape,
        entries=0,
        method=comparison.method,
        step=comparison.step,
        h0=comparison.h0,
        maximum_relative_error=math.nan,
        mean_relative_error=math.nan,
        worst=dict(NOTHING),
        passed=True,
        selection=comparison.entries,
        window=comparison.window,
        seq_length=window.seq_length,
        batch_size=window.batch_size,
        characters=len(np.unique(window.inputs)),
        tolerance=comparison.tolerance,
        floor=comparison.floor,
        compared=(),
        note=NOT_FINITE_NOTE,
    )


@dataclass(frozen=True)
class _Verdict:
    """One comparison: the analytic and the numeric derivative, and whether they agree."""

    analytic: float
    numeric: float
    passed: bool

    def error(self, floor: float) -> float:
        size = abs(self.analytic) + abs(self.numeric)
        return abs(self.analytic - self.numeric) / max(floor, size)


class _Trial:
    """One comparison on one window: the gradients as `backward` has them, and losses to hold them against."""

    def __init__(
        self,
        window: CheckedWindow,
        comparison: Comparison,
        generator: np.random.Generator,
        maker: NetworkMaker,
    ) -> None:
        self._window = window
        self._comparison = comparison
        self._generator = generator
        h0 = _initial_state(window, comparison.h0, generator, maker)
        self._real = window.network(h0, maker)
        self._gradients = self._real.gradients()
        self._complex = window.network(h0, maker, np.complex128)
        self._moved = self._real if comparison.method == "central" else self._complex

    def lines(self, name: str) -> Lines:
        return Lines(self._comparison, getattr(self._gradients, name).shape, self._generator)

    def compare(self, name: str, line: Line) -> _Verdict:
        comparison = self._comparison
        a = line.slope(getattr(self._gradients, name))
        n = self._moved.derivative(name, line, comparison.step)
        agree = abs(a - n) <= comparison.tolerance * max(comparison.floor, abs(a) + abs(n))
        if not agree and not comparison.strict:
            agree = self._is_excused(name, line, a, n)
        return _Verdict(a, n, bool(agree and math.isfinite(a) and math.isfinite(n)))

    def _is_excused(self, name: str, line: Line, a: float, n: float) -> bool:
        """Return whether an error above the tolerance is no fault of the backward pass.

        Where the centred difference fails, the complex step decides: it has neither the rounding of the
        losses nor the bend within a step. The complex step has the rounding of the backward pass itself:
        p - y, 1 - h^2 and sums can cancel.
        """
        if self._comparison.method == "central":
            n = self._complex.derivative(name, line, DEFAULT_STEPS["complex-step"])
            if abs(a - n) <= DEFAULT_TOLERANCES["complex-step"] * (abs(a) + abs(n)):
                return True
        gradient = getattr(self._gradients, name)
        window = self._window
        share = window.seq_length if window.reduction == "sum" else 1.0
        largest = max(float(np.abs(array).max()) for array in window.parameters.arrays().values())
        entries = math.sqrt(gradient.size) if line.is_direction else 1.0
        rounding = 8 * share * (1 + largest) * entries + 1000 * float(np.linalg.norm(gradient))
        return abs(a - n) <= _EPSILON * rounding

    def row(self, name: str, lines: Lines, verdicts: Sequence[_Verdict]) -> CheckRow:
        comparison, window = self._comparison, self._window
        errors = np.array([verdict.error(comparison.floor) for verdict in verdicts])
        unknown = np.isnan(errors)
        failed = np.array([not verdict.passed for verdict in verdicts])
        order = np.lexsort((-np.where(unknown, np.inf, errors), ~failed))[:KEPT_ENTRIES].tolist()
        compared = tuple(
            {
                "index": lines.index(number),
                "analytic": verdicts[number].analytic,
                "numeric": verdicts[number].numeric,
                "passed": verdicts[number].passed,
            }
            for number in order
        )
        gradient = getattr(self._gradients, name)
        return CheckRow(
            parameter=name,
            shape=gradient.shape,
            entries=gradient.size if lines.by_direction else lines.count,
            method=comparison.method,
            step=comparison.step,
            h0=comparison.h0,
            maximum_relative_error=float(errors.max()),
            mean_relative_error=float(errors.mean()),
            worst=compared[0],
            passed=not failed.any(),
            selection=comparison.entries,
            window=comparison.window,
            seq_length=window.seq_length,
            batch_size=window.batch_size,
            characters=len(np.unique(window.inputs)),
            tolerance=comparison.tolerance,
            floor=comparison.floor,
            compared=compared,
        )


def _initial_state(
    window: CheckedWindow, h0: InitialState, generator: np.random.Generator, maker: NetworkMaker
) -> Floats:
    zeros = np.zeros(window.h0.shape)
    if h0 == "random":
        return generator.uniform(-1, 1, window.h0.shape)
    if h0 == "zeros":
        return zeros
    return window.h0 if window.h0.any() else window.network(zeros, maker).last_state()
