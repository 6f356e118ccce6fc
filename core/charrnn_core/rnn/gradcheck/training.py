"""Comparisons of what an engine computes while it trains with the float64 reference.

A backward pass that is right in a network of its own, in float64, can still be wrong in a run: in the run's
type, at its sizes, in its threads, or through what an engine keeps from one update to the next. So an engine
of the run's own class and configuration does updates here, and what it leaves behind is compared:

    the run's state ──> engine like the run's ──> begin, 5 updates, back, 6 updates, 1, 1
                                                                       │        │  │
                             gradient and carried h of the last window compared, against `reference`

The states before the compared windows are the engine's own: the first is what the same five updates left.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from charrnn_core.memory import installed_memory
from charrnn_core.rnn.engine import Engine
from charrnn_core.rnn.gradcheck.fixed import fixed_codes, fixed_optimizer, fixed_parameters
from charrnn_core.rnn.gradcheck.reference import Doubles, movement, reference, relative_difference
from charrnn_core.rnn.gradcheck.rows import (
    ILL_CONDITIONED_NOTE,
    NOT_FINITE_NOTE,
    NOTHING,
    TOO_LARGE_NOTE,
    CheckRow,
    TrainingWindowKind,
)
from charrnn_core.rnn.gradcheck.windows import WORK, CheckedWindow, multiplications
from charrnn_core.rnn.optimizers import optimizer_of
from charrnn_core.rnn.parameters import Floats, Parameters, parameter_count
from charrnn_core.text.windows import Windows

TRAINING_TOLERANCES = {"float32": 1e-4, "float64": 1e-10}
"""How far, relative to its norm, a value may be from the reference, by type."""

ILL_CONDITIONED = {"float32": 1e-5, "float64": 1e-11}
"""Where rounding moves the reference further than this, a larger difference is no fault."""

TRAINING_FLOOR = 1e-12
"""A norm below this counts as this."""

LOOP_UPDATES = 5
LOOP_TOLERANCE = 1e-7
"""AdaGrad's first steps magnify rounding, to 6e-10 at the fifth."""

_KEPT_ENTRIES = 5  # of a row: the norm decides, the entries only show where it comes from
_LARGE = 100_000_000  # multiplications of a forward pass from which on training does one update a call too
_WINDOWS = 8  # of each stream in the fixed text


@dataclass(frozen=True)
class _Call:
    """One call of an engine's `advance`: how many updates, and whether the last of them is compared."""

    updates: int
    compared: bool = False
    rewound: bool = False  # to where the first call began


_CALLS = (_Call(5), _Call(6, compared=True, rewound=True), _Call(1, compared=True), _Call(1, compared=True))
_CALLS_OF_LARGE = (*[_Call(1)] * 5, _Call(1, compared=True))


def training_pieces(engine: Engine) -> int:
    """Return how many pieces of work `training_rows` yields."""
    return len(_calls(engine)) + 1


def _calls(engine: Engine) -> tuple[_Call, ...]:
    return _CALLS_OF_LARGE if _cost(engine) > _LARGE else _CALLS


def _cost(engine: Engine) -> int:
    windows = engine.windows
    return multiplications(engine.parameters) * windows.seq_length * windows.batch_size


def training_rows(
    engine: Engine, update: int, generator: np.random.Generator, kind: TrainingWindowKind
) -> Iterator[CheckRow | None]:
    """Yield None after each piece of work, and then the rows: one for each parameter, and one for h.

    Parameters
    ----------
    engine : Engine
        Not changed.
    update : int
        How many updates it has done.
    generator : Generator
        Of the roundings that conditioning is measured by.
    kind : "text" or "fixed"
        The run's own network and text; or a fixed well-conditioned network of its sizes, on a fixed text
        with repeated characters, and with some units saturated. That one is compared whatever its
        conditioning.
    """
    pieces = training_pieces(engine)
    if _bytes_needed(engine) > installed_memory() / 4:
        yield from [None] * pieces
        yield from _Compared(engine, kind).rows(TOO_LARGE_NOTE)
        return
    trained = _fixed_engine(engine) if kind == "fixed" else _copied(engine)
    update = 1 if kind == "fixed" else update
    compared = _Compared(trained, kind)
    begun = trained.state()
    trained.begin()
    trained.restore(begun)
    yield None
    first = update
    before: CheckedWindow | None = None
    for call in _calls(engine):
        if call.rewound:
            before = window_of(trained, update)
            trained.restore(begun)
            update = first
        elif call.compared:
            before = window_of(trained, update)
        if not compared.is_finite:
            yield None
            continue
        losses = trained.advance(update, call.updates)
        update += len(losses)
        if len(losses) < call.updates or not math.isfinite(losses[-1]):
            compared.is_finite = False
        elif call.compared:
            assert before is not None
            compared.add(trained, before, generator)
        yield None
    yield from compared.rows(None if compared.is_finite else NOT_FINITE_NOTE)


def window_of(engine: Engine, update: int) -> CheckedWindow:
    """Return the window of the next update after this many, gathered from the text by the definition.

    Unlike `Engine.window` it does not use what the engine has gathered.
    """
    windows = engine.windows
    positions, fresh = windows.at(update, 1)
    streams = np.arange(windows.batch_size) * windows.part
    places = positions[0] + np.arange(windows.seq_length + 1)[:, None] + streams
    codes = engine.codes[places].astype(np.intp)
    h0 = np.zeros(engine.h.shape) if fresh[0] else engine.h.astype(np.float64)
    return CheckedWindow(
        engine.parameters.copy(), codes[:-1].ravel(), codes[1:].ravel(), h0, windows.seq_length,
        engine.reduction, engine.optimizer.clip,
    )  # fmt: skip


def _copied(engine: Engine) -> Engine:
    copied = engine.like(engine.parameters)
    copied.restore(engine.state())
    copied.learning_rate = engine.learning_rate
    return copied


def _fixed_engine(
    engine: Engine, dtype: np.dtype[np.floating] | None = None, seq_length: int = 0, batch_size: int = 0
) -> Engine:
    """Return an engine like this one on the fixed network and text, of the same sizes by default."""
    m, K = engine.parameters.hidden, engine.parameters.characters
    T, B = seq_length or engine.windows.seq_length, batch_size or engine.windows.batch_size
    parameters = fixed_parameters(m, K, dtype or engine.parameters.dtype)
    codes, h0 = fixed_codes(K, T, B, _WINDOWS), np.random.default_rng(m).uniform(-0.5, 0.5, (B, m))
    fixed = engine.like(
        parameters,
        optimizer=fixed_optimizer(engine.optimizer, m),
        codes=codes,
        windows=Windows(len(codes), B, T),
    )
    fixed.h[...] = h0
    fixed.smooth_loss = 0.0
    return fixed


def _bytes_needed(engine: Engine) -> int:
    """Return about how much memory a comparison takes: the engine once more, and two references."""
    m, K = engine.parameters.hidden, engine.parameters.characters
    rows = engine.windows.seq_length * engine.windows.batch_size
    own = 8 * parameter_count(m, K) + rows * (6 * m + 3 * K)
    doubles = 6 * parameter_count(m, K) + rows * (6 * m + 5 * K)
    return own * engine.parameters.dtype.itemsize + 8 * doubles


class _Compared:
    """The comparisons of an engine's last windows with the reference, and the rows that come of them."""

    def __init__(self, engine: Engine, kind: TrainingWindowKind) -> None:
        self._engine = engine
        self._kind = kind
        self._dtype = engine.parameters.dtype
        self._errors: dict[str, list[float]] = {}
        self._worst: dict[str, tuple[float, list[dict[str, Any]]]] = {}
        self._excluded: set[str] = set()
        self._characters = 0
        self.is_finite = engine.parameters.is_finite()

    def add(self, engine: Engine, window: CheckedWindow, generator: np.random.Generator) -> None:
        """Compare the gradient of the last window, and the h that was carried out of it."""
        exact = reference(window)
        if not exact.is_finite or exact.largest > float(np.finfo(self._dtype).max) / 1e6:
            self.is_finite = False
            return
        self._characters = max(self._characters, len(np.unique(window.inputs)))
        draws = np.random.default_rng(generator.integers(1 << 32))  # as many draws whatever is compared
        moved = {} if self._kind == "fixed" else movement(window, exact, self._dtype, draws)
        limit = ILL_CONDITIONED[self._dtype.name]
        for name, array in (*engine.gradients.arrays().items(), ("h", engine.h)):
            error = relative_difference(array, exact.values[name], TRAINING_FLOOR)
            if not error <= self._tolerance and not moved.get(name, 0.0) <= limit:
                self._excluded.add(name)
                continue
            self._errors.setdefault(name, []).append(error)
            if name not in self._worst or not error <= self._worst[name][0]:
                self._worst[name] = error, largest_differences(array, exact.values[name], self._tolerance)

    @property
    def _tolerance(self) -> float:
        return TRAINING_TOLERANCES[self._dtype.name]

    def rows(self, note: str | None) -> Iterator[CheckRow]:
        """Yield the rows; with a note, none of them was compared."""
        windows = self._engine.windows
        for name, array in (*self._engine.gradients.arrays().items(), ("h", self._engine.h)):
            why = note or (ILL_CONDITIONED_NOTE if name in self._excluded else None)
            errors = np.array([math.nan] if why else self._errors[name])
            compared = () if why else tuple(self._worst[name][1])
            yield CheckRow(
                parameter=name,
                shape=array.shape,
                entries=0 if why else array.size,
                method="training",
                step=None,
                h0="carried",
                maximum_relative_error=float(errors.max()),
                mean_relative_error=float(errors.mean()),
                worst=compared[0] if compared else dict(NOTHING),
                passed=why is not None or bool((errors <= self._tolerance).all()),
                selection="norm",
                window=self._kind,
                seq_length=windows.seq_length,
                batch_size=windows.batch_size,
                characters=self._characters,
                tolerance=self._tolerance,
                floor=TRAINING_FLOOR,
                compared=compared,
                dtype=self._dtype.name,
                note=why,
            )


def largest_differences(
    array: Floats, exact: Doubles, tolerance: float, count: int = _KEPT_ENTRIES
) -> list[dict[str, Any]]:
    """Return the entries in which an array and the exact values differ most, the worst first."""
    values = array.astype(np.float64)
    with np.errstate(all="ignore"):
        differences = np.abs(values - exact).ravel()
    differences[np.isnan(differences)] = np.inf
    count = min(count, differences.size)
    places = np.argpartition(-differences, count - 1)[:count]
    limit = tolerance * max(TRAINING_FLOOR, float(np.linalg.norm(exact)))
    return [
        {
            "index": [int(i) for i in np.unravel_index(place, array.shape)],
            "analytic": float(values.ravel()[place]),
            "numeric": float(exact.ravel()[place]),
            "passed": bool(differences[place] <= limit),
        }
        for place in sorted(places.tolist(), key=lambda place: -differences[place])
    ]


# -- the loop ----------------------------------------------------------------------------------------------


def loop_rows(engine: Engine) -> Iterator[CheckRow]:
    """Yield the rows of five updates in float64, in one call, against the same five of a plain loop.

    The rows compare how far each parameter has moved, and the h that is carried into the sixth window, on the
    fixed network and text, in windows small enough for `WORK`; h begins with zeros at the third.
    """
    work = multiplications(engine.parameters)
    T = min(engine.windows.seq_length, max(3, WORK // (work * min(2, engine.windows.batch_size))))
    B = min(engine.windows.batch_size, max(1, WORK // (work * T)))
    looped = _fixed_engine(engine, np.dtype(np.float64), T, B)
    per_epoch = looped.windows.per_epoch
    first = per_epoch - 2
    before = looped.parameters.copy()
    values = _plain_loop(looped, first)
    updates = range(first, first + LOOP_UPDATES)
    characters = len(np.unique([window_of(looped, update).inputs for update in updates]))
    looped.advance(first, LOOP_UPDATES)
    moved = {name: array - getattr(before, name) for name, array in looped.parameters.arrays().items()}
    for name, array in (*moved.items(), ("h", looped.h)):
        error = relative_difference(array, values[name], TRAINING_FLOOR)
        compared = tuple(largest_differences(array, values[name], LOOP_TOLERANCE))
        yield CheckRow(
            parameter=name,
            shape=array.shape,
            entries=array.size,
            method="loop",
            step=None,
            h0="carried",
            maximum_relative_error=error,
            mean_relative_error=error,
            worst=compared[0],
            passed=error <= LOOP_TOLERANCE,
            selection="norm",
            window="fixed",
            seq_length=T,
            batch_size=B,
            characters=characters,
            tolerance=LOOP_TOLERANCE,
            floor=TRAINING_FLOOR,
            compared=compared,
            dtype="float64",
            note=None,
        )


def _plain_loop(engine: Engine, first: int) -> dict[str, Doubles]:
    """Return how far the updates move the parameters, each by a reference gradient and a step, and h."""
    before, parameters = engine.parameters.copy(), engine.parameters.copy()
    step = optimizer_of(replace(engine.optimizer, learning_rate=engine.learning_rate), parameters.buffer).step
    gradients = Parameters(parameters.hidden, parameters.characters, np.float64)
    h: Doubles = engine.h.astype(np.float64)
    for update in range(first, first + LOOP_UPDATES):
        window = window_of(engine, update)
        fresh = engine.windows.at(update, 1)[1][0]
        h0 = np.zeros_like(h) if fresh else h
        exact = reference(replace(window, parameters=parameters, h0=h0))
        for name, gradient in gradients.arrays().items():
            gradient[...] = exact.values[name]
        step(parameters.buffer, gradients.buffer, update + 1)
        h = exact.values["h"]
    moved = {name: array - getattr(before, name) for name, array in parameters.arrays().items()}
    return {**moved, "h": h}
