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
from charrnn_core.rnn.gradcheck.pieces import LARGEST_PIECE, Pieces
from charrnn_core.rnn.gradcheck.reference import reference
from charrnn_core.rnn.gradcheck.rows import KEPT_ENTRIES, NOT_FINITE_NOTE, NOTHING, CheckRow
from charrnn_core.rnn.gradcheck.training import loop_rows, training_rows
from charrnn_core.rnn.gradcheck.windows import (
    CheckedNetwork,
    CheckedWindow,
    NetworkMaker,
    affordable_part,
    calm_part,
    stress_window,
)
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import Floats, Parameters

CHECKED_TYPE = np.dtype(np.float64)
"""The type of all comparisons but the training gradient's, whatever training's is."""

_EPSILON = float(np.finfo(np.float64).eps)
_LINES_A_LOOK = 50  # most lines between two looks of the caller, fewer where each takes long


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

    The caller gets something at least every `LARGEST_PIECE` of work, as far as work can be cut. What cannot
    be cut is a forward or a backward pass of a network, and an update of the engine.

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
        What makes the network whose gradients are compared with derivatives of its losses.
    engine : Engine, optional
        The engine that trains, which is not changed. The default check compares what one like it computes
        with the float64 reference: on the run's own network and text, on a fixed network, and five updates
        of a loop.
    update : int
        How many updates that engine has done.
    """
    made = _Check(window, seed, asked, network, engine, update)
    work = 0
    for item in made.pieces():
        if isinstance(item, CheckRow):
            yield item
        else:
            work += item
            if work < LARGEST_PIECE:
                continue
        work = 0
        yield Checking(made.done, made.total)


class _Check:
    """A check, in pieces; `done` of `total` comparisons have been made."""

    def __init__(
        self,
        window: CheckedWindow,
        seed: np.random.SeedSequence,
        asked: Sequence[Comparison] | None,
        network: NetworkMaker,
        engine: Engine | None,
        update: int,
    ) -> None:
        self._generator = np.random.default_rng(seed)
        self._maker = network
        self._trained = engine if asked is None else None
        self._update = update
        self._is_default = asked is None
        if asked is None:
            window, share = affordable_part(window)
            asked = _default(share)
        self._window = window
        self._comparisons = asked
        sizes = [array.size for array in window.parameters.arrays().values()]
        self.done = 0
        self.total = sum(comparison.count(size) for comparison in asked for size in sizes)
        if self._trained is not None:
            self.total += 3 * (len(sizes) + 1)

    def pieces(self) -> Iterator[CheckRow | int]:
        """Yield rows, and the costs of the work before them."""
        window = self._window
        if self._is_default:
            window = yield from calm_part(window, self._maker)
        is_finite = (yield from reference(window)).is_finite
        for comparison in self._comparisons:
            if comparison.window != "text":
                seen = yield from stress_window(
                    window, self._generator, self._maker, repeats=comparison.window == "repeats"
                )
                yield from self._compare(seen, comparison)
            elif is_finite:
                yield from self._compare(window, comparison)
            else:
                for name, array in window.parameters.arrays().items():
                    self.done += comparison.count(array.size)
                    yield _not_compared(window, comparison, name)
        if self._trained is not None:
            for item in self._of_engine(self._trained):
                self.done += isinstance(item, CheckRow)
                yield item

    def _compare(self, window: CheckedWindow, comparison: Comparison) -> Iterator[CheckRow | int]:
        trial = yield from _Trial.on(window, comparison, self._generator, self._maker)
        for name in window.parameters.arrays():
            lines = trial.lines(name)
            verdicts = []
            for number in range(lines.count):
                line = yield from lines.line(number)
                verdicts.append((yield from trial.compare(name, line)))
                self.done += 1
                yield LARGEST_PIECE // _LINES_A_LOOK
            yield trial.row(name, lines, verdicts)

    def _of_engine(self, engine: Engine) -> Iterator[CheckRow | int]:
        yield from training_rows(engine, self._update, self._generator, "text")
        yield from training_rows(engine, self._update, self._generator, "fixed")
        yield from loop_rows(engine)


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
    return _row(
        window,
        comparison,
        name,
        entries=0,
        maximum_relative_error=math.nan,
        mean_relative_error=math.nan,
        worst=dict(NOTHING),
        passed=True,
        compared=(),
        note=NOT_FINITE_NOTE,
    )


def _row(
    window: CheckedWindow,
    comparison: Comparison,
    name: str,
    *,
    entries: int,
    maximum_relative_error: float,
    mean_relative_error: float,
    worst: dict[str, object],
    passed: bool,
    compared: tuple[dict[str, object], ...],
    note: str | None = None,
) -> CheckRow:
    """Return the row of a parameter, with the conditions under which it was compared."""
    return CheckRow(
        parameter=name,
        shape=getattr(window.parameters, name).shape,
        entries=entries,
        method=comparison.method,
        step=comparison.step,
        h0=comparison.h0,
        maximum_relative_error=maximum_relative_error,
        mean_relative_error=mean_relative_error,
        worst=worst,
        passed=passed,
        selection=comparison.entries,
        window=comparison.window,
        seq_length=window.seq_length,
        batch_size=window.batch_size,
        characters=len(np.unique(window.inputs)),
        tolerance=comparison.tolerance,
        floor=comparison.floor,
        compared=compared,
        note=note,
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
    """One comparison on one window: the gradients as `backward` has them, and losses to compare them with."""

    def __init__(
        self,
        window: CheckedWindow,
        comparison: Comparison,
        generator: np.random.Generator,
        gradients: Parameters,
        real: CheckedNetwork,
        complex_: CheckedNetwork,
    ) -> None:
        self._window = window
        self._comparison = comparison
        self._generator = generator
        self._gradients = gradients
        self._complex = complex_
        self._moved = real if comparison.method == "central" else complex_

    @classmethod
    def on(
        cls,
        window: CheckedWindow,
        comparison: Comparison,
        generator: np.random.Generator,
        maker: NetworkMaker,
    ) -> Pieces[_Trial]:
        """Return a comparison on a window, in pieces."""
        h0 = yield from _initial_state(window, comparison.h0, generator, maker)
        real = yield from window.network(h0, maker)
        gradients = yield from real.gradients()
        complex_ = yield from window.network(h0, maker, np.complex128)
        return cls(window, comparison, generator, gradients, real, complex_)

    def lines(self, name: str) -> Lines:
        return Lines(self._comparison, getattr(self._gradients, name).shape, self._generator)

    def compare(self, name: str, line: Line) -> Pieces[_Verdict]:
        comparison = self._comparison
        a = line.slope(getattr(self._gradients, name))
        yield 3 * line.direction.size
        n = yield from self._moved.derivative(name, line, comparison.step)
        agree = abs(a - n) <= comparison.tolerance * max(comparison.floor, abs(a) + abs(n))
        if not agree and not comparison.strict:
            agree = yield from self._is_excused(name, line, a, n)
        return _Verdict(a, n, bool(agree and math.isfinite(a) and math.isfinite(n)))

    def _is_excused(self, name: str, line: Line, a: float, n: float) -> Pieces[bool]:
        """Return whether an error above the tolerance is no fault of the backward pass.

        Where the centred difference fails, the complex step decides: it has neither the rounding of the
        losses nor the bend within a step. The complex step has the rounding of the backward pass itself:
        p - y, 1 - h^2 and sums can cancel.
        """
        if self._comparison.method == "central":
            n = yield from self._complex.derivative(name, line, DEFAULT_STEPS["complex-step"])
            if abs(a - n) <= DEFAULT_TOLERANCES["complex-step"] * (abs(a) + abs(n)):
                return True
        gradient = getattr(self._gradients, name)
        window = self._window
        share = window.seq_length if window.reduction == "sum" else 1.0
        largest = max(float(np.abs(array).max()) for array in window.parameters.arrays().values())
        yield 2 * window.parameters.buffer.size
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
        return _row(
            window,
            comparison,
            name,
            entries=gradient.size if lines.by_direction else lines.count,
            maximum_relative_error=float(errors.max()),
            mean_relative_error=float(errors.mean()),
            worst=compared[0],
            passed=not failed.any(),
            compared=compared,
        )


def _initial_state(
    window: CheckedWindow, h0: InitialState, generator: np.random.Generator, maker: NetworkMaker
) -> Pieces[Floats]:
    zeros = np.zeros(window.h0.shape)
    if h0 == "random":
        return generator.uniform(-1, 1, window.h0.shape)
    if h0 == "zeros":
        return zeros
    if window.h0.any():
        return window.h0
    network = yield from window.network(zeros, maker)
    return (yield from network.last_state())
