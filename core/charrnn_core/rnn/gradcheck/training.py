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
from charrnn_core.rnn.gradcheck.pieces import Pieces, blocks
from charrnn_core.rnn.gradcheck.reference import (
    Doubles,
    Reference,
    movement,
    reference,
    relative_difference,
)
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

_MOST_MOVED = 10  # times what rounding the parameters once changes, rounding all along changes at most
_KEPT_ENTRIES = 5  # of a row: the norm decides, the entries only show where it comes from
_LARGE = 100_000_000  # multiplications of a forward pass from which on training does one update a call too
_STEP_LIKE = 8  # a step of the optimizer costs like so many multiplications of each parameter
_WINDOWS = 8  # of each stream in the fixed text


@dataclass(frozen=True)
class _Call:
    """One call of an engine's `advance`: how many updates, and whether the last of them is compared."""

    updates: int
    compared: bool = False
    rewound: bool = False  # to where the first call began


_CALLS = (_Call(5), _Call(6, compared=True, rewound=True), _Call(1, compared=True), _Call(1, compared=True))
_CALLS_OF_LARGE = (*[_Call(1)] * 5, _Call(1, compared=True))


def _calls(engine: Engine) -> tuple[_Call, ...]:
    return _CALLS_OF_LARGE if _is_large(engine) else _CALLS


def _is_large(engine: Engine) -> bool:
    return _forward_cost(engine) > _LARGE


def _forward_cost(engine: Engine) -> int:
    """Return the multiplications of a forward pass; at least those that a step of the optimizer is like."""
    windows = engine.windows
    return multiplications(engine.parameters) * max(_STEP_LIKE, windows.seq_length * windows.batch_size)


def training_rows(
    engine: Engine, update: int, generator: np.random.Generator, kind: TrainingWindowKind
) -> Iterator[CheckRow | int]:
    """Yield the cost of each piece of work, and then the rows: one for each parameter, and one for h.

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
        with repeated characters, and with some units saturated. There a loss that is not finite is a
        failure, and only a difference that rounding explains is left out.
    """
    if _bytes_needed(engine) > installed_memory() / 4:
        yield from _Compared(engine, kind).rows(TOO_LARGE_NOTE)
        return
    trained = yield from (_fixed_engine(engine) if kind == "fixed" else _copied(engine))
    compared = _Compared(trained, kind)
    yield from _train(trained, 1 if kind == "fixed" else update, generator, compared)
    yield from compared.rows()


def _train(trained: Engine, first: int, generator: np.random.Generator, compared: _Compared) -> Pieces[None]:
    """Do the calls, and compare the windows until one has shown all that can be shown."""
    begun = trained.state()
    size, forward_cost = trained.parameters.buffer.size, _forward_cost(trained)
    yield 4 * size
    is_finite = trained.parameters.is_finite()
    trained.begin()
    trained.restore(begun)
    yield 3 * forward_cost + 4 * size
    if not is_finite:
        compared.stop(is_wrong=False)
        return
    update = first
    for call in _calls(trained):
        if call.compared:
            before = window_of(trained, update)
            yield 2 * size
        if call.rewound:
            trained.restore(begun)
            update = first
        losses = trained.advance(update, call.updates)
        yield call.updates * (3 * forward_cost + _STEP_LIKE * size)
        done = len(losses)
        finite = np.isfinite(losses)
        if done == call.updates and finite.all():
            update += done
            if call.compared:
                yield from compared.add(trained, before, generator)
        elif not done or finite[-1] or not finite[:-1].all():
            compared.stop(is_wrong=True)  # it did not do what it was asked, or not stop where it should
        else:
            if not call.compared or done < call.updates:
                before = window_of(trained, update + done - 1)  # the last update was not applied
                yield 2 * size
            yield from compared.add_diverged(before)
        if compared.is_over:
            return


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


def _copied(engine: Engine) -> Pieces[Engine]:
    size = engine.parameters.buffer.size
    copied = engine.like(engine.parameters)
    yield 6 * size
    copied.restore(engine.state())
    copied.learning_rate = engine.learning_rate
    yield 4 * size
    return copied


def _fixed_engine(
    engine: Engine, dtype: np.dtype[np.floating] | None = None, seq_length: int = 0, batch_size: int = 0
) -> Pieces[Engine]:
    """Return an engine like this one on the fixed network and text, of the same sizes by default."""
    m, K = engine.parameters.hidden, engine.parameters.characters
    T, B = seq_length or engine.windows.seq_length, batch_size or engine.windows.batch_size
    parameters = yield from fixed_parameters(m, K, dtype or engine.parameters.dtype)
    codes, h0 = fixed_codes(K, T, B, _WINDOWS), np.random.default_rng(m).uniform(-0.5, 0.5, (B, m))
    fixed = engine.like(
        parameters,
        optimizer=fixed_optimizer(engine.optimizer, m),
        codes=codes,
        windows=Windows(len(codes), B, T),
    )
    fixed.h[...] = h0
    fixed.smooth_loss = 0.0
    yield 6 * parameters.buffer.size
    return fixed


def _bytes_needed(engine: Engine) -> int:
    """Return about how much memory a comparison takes: the engine once more, and two references."""
    m, K = engine.parameters.hidden, engine.parameters.characters
    rows = engine.windows.seq_length * engine.windows.batch_size
    own = 8 * parameter_count(m, K) + rows * (6 * m + 3 * K)
    doubles = 6 * parameter_count(m, K) + rows * (6 * m + 5 * K)
    return own * engine.parameters.dtype.itemsize + 8 * doubles


class _Compared:
    """The comparisons of an engine's last windows with the reference, and the rows that come of them.

    Attributes
    ----------
    is_over : bool
        Whether no later window can be compared.
    """

    def __init__(self, engine: Engine, kind: TrainingWindowKind) -> None:
        self._engine = engine
        self._kind = kind
        self._dtype = engine.parameters.dtype
        self._errors: dict[str, list[float]] = {}
        self._worst: dict[str, tuple[float, list[dict[str, Any]]]] = {}
        self._excluded: set[str] = set()
        self._characters = 0
        self._is_wrong = False
        self.is_over = False

    def add(self, engine: Engine, window: CheckedWindow, generator: np.random.Generator) -> Pieces[None]:
        """Compare the gradient of the last window, and the h that was carried out of it."""
        exact = yield from reference(window)
        if not self._is_moderate(exact):
            self.stop(is_wrong=False)
            return
        self._characters = max(self._characters, len(np.unique(window.inputs)))
        draws = np.random.default_rng(generator.integers(1 << 32))  # as many draws whatever is compared
        errors: dict[str, float] = {}
        for name, array in (*engine.gradients.arrays().items(), ("h", engine.h)):
            errors[name] = relative_difference(array, exact.values[name], TRAINING_FLOOR)
            yield 6 * array.size
        moved: dict[str, float] = {}
        if not all(error <= self._tolerance for error in errors.values()):
            moved = yield from movement(window, exact, self._dtype, draws)
        for name, array in (*engine.gradients.arrays().items(), ("h", engine.h)):
            error = errors[name]
            if not error <= self._tolerance and self._is_rounding(error, moved[name]):
                self._excluded.add(name)
                continue
            self._errors.setdefault(name, []).append(error)
            if name not in self._worst or not error <= self._worst[name][0]:
                worst = yield from largest_differences(array, exact.values[name], self._tolerance)
                self._worst[name] = error, worst

    def _is_rounding(self, error: float, moved: float) -> bool:
        """Return whether rounding alone can make a difference: it moves the reference by about as much.

        On the fixed network that happens where a gradient of one or two units is a sum that nearly cancels.
        A run's own network may be chaotic, where no bound holds.
        """
        if self._kind == "fixed":
            return error <= _MOST_MOVED * moved
        return not moved <= ILL_CONDITIONED[self._dtype.name]

    def add_diverged(self, window: CheckedWindow) -> Pieces[None]:
        """Note that the engine's loss of a window is not finite, which is wrong where the reference's is."""
        exact = yield from reference(window)
        self.stop(is_wrong=self._is_moderate(exact, len(window.inputs)))

    def stop(self, *, is_wrong: bool) -> None:
        """Compare no further window; wrong is also whatever diverges on the fixed network."""
        self.is_over = True
        self._is_wrong = is_wrong or self._kind == "fixed"

    def _is_moderate(self, exact: Reference, terms: int = 1) -> bool:
        """Return whether sums of so many terms of these sizes cannot overflow in the run's type."""
        return exact.is_finite and exact.largest * terms <= float(np.finfo(self._dtype).max) / 1e6

    @property
    def _tolerance(self) -> float:
        return TRAINING_TOLERANCES[self._dtype.name]

    def rows(self, note: str | None = None) -> Iterator[CheckRow]:
        """Yield the rows.

        What was compared in any window decides. A row has a note where nothing was: the given one, or why
        the windows were left out.
        """
        windows = self._engine.windows
        for name, array in (*self._engine.gradients.arrays().items(), ("h", self._engine.h)):
            errors = list(self._errors.get(name, ()))
            compared = list(self._worst[name][1]) if errors else []
            if self._is_wrong:
                errors.append(math.nan)
                compared.insert(0, dict(_NO_LOSS))
            why = None
            if not errors:
                why = note or (ILL_CONDITIONED_NOTE if name in self._excluded else NOT_FINITE_NOTE)
                errors = [math.nan]
            yield CheckRow(
                parameter=name,
                shape=array.shape,
                entries=0 if why else array.size,
                method="training",
                step=None,
                h0="carried",
                maximum_relative_error=float(np.max(errors)),
                mean_relative_error=float(np.mean(errors)),
                worst=compared[0] if compared else dict(NOTHING),
                passed=why is not None or all(error <= self._tolerance for error in errors),
                selection="norm",
                window=self._kind,
                seq_length=windows.seq_length,
                batch_size=windows.batch_size,
                characters=self._characters,
                tolerance=self._tolerance,
                floor=TRAINING_FLOOR,
                compared=tuple(compared),
                dtype=self._dtype.name,
                note=why,
            )


_NO_LOSS: dict[str, Any] = {"index": None, "analytic": math.nan, "numeric": math.nan, "passed": False}
"""The worst comparison where the engine has no finite loss, and should have one."""


def largest_differences(
    array: Floats, exact: Doubles, tolerance: float, count: int = _KEPT_ENTRIES
) -> Pieces[list[dict[str, Any]]]:
    """Return the entries in which an array and the exact values differ most, the worst first; in pieces."""
    found: list[tuple[float, int]] = []
    row_size = math.prod(array.shape[1:])
    for rows in blocks(len(array), 16 * row_size):
        with np.errstate(all="ignore"):
            differences = np.abs(array[rows].astype(np.float64) - exact[rows]).ravel()
        differences[np.isnan(differences)] = np.inf
        kept = min(count, differences.size)
        places = np.argpartition(-differences, kept - 1)[:kept].tolist()
        found += [(float(differences[place]), rows.start * row_size + place) for place in places]
        yield 16 * differences.size
    found.sort(key=lambda entry: -entry[0])
    limit = tolerance * max(TRAINING_FLOOR, float(np.linalg.norm(exact)))
    yield 2 * exact.size
    entries = []
    for difference, place in found[:count]:
        index = tuple(int(i) for i in np.unravel_index(place, array.shape))
        entries.append(
            {
                "index": list(index),
                "analytic": float(array[index]),
                "numeric": float(exact[index]),
                "passed": difference <= limit,
            }
        )
    return entries


# -- the loop ----------------------------------------------------------------------------------------------


def loop_rows(engine: Engine) -> Iterator[CheckRow | int]:
    """Yield costs and rows of five updates in float64 against the same five of a plain loop.

    The rows compare how far each parameter has moved, and the h that is carried into the sixth window, on the
    fixed network and text, in windows small enough for `WORK`; h begins with zeros at the third. The engine
    does its updates in one call, or, where training does one update a call too, in five.
    """
    work = multiplications(engine.parameters)
    T = min(engine.windows.seq_length, max(3, WORK // (work * min(2, engine.windows.batch_size))))
    B = min(engine.windows.batch_size, max(1, WORK // (work * T)))
    looped = yield from _fixed_engine(engine, np.dtype(np.float64), T, B)
    per_epoch = looped.windows.per_epoch
    first = per_epoch - 2
    size, update_cost = looped.parameters.buffer.size, 3 * _forward_cost(looped)
    before = looped.parameters.copy()
    yield 2 * size
    values = yield from _plain_loop(looped, first)
    inputs = []
    for update in range(first, first + LOOP_UPDATES):
        inputs.append(window_of(looped, update).inputs)
        yield 2 * size
    characters = len(np.unique(inputs))
    at_once = 1 if _is_large(engine) else LOOP_UPDATES
    for update in range(first, first + LOOP_UPDATES, at_once):
        looped.advance(update, at_once)
        yield at_once * (update_cost + _STEP_LIKE * size)
    for name in (*looped.parameters.arrays(), "h"):
        if name == "h":
            array = looped.h
        else:
            array = getattr(looped.parameters, name) - getattr(before, name)
        error = relative_difference(array, values[name], TRAINING_FLOOR)
        yield 8 * array.size
        compared = yield from largest_differences(array, values[name], LOOP_TOLERANCE)
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
            compared=tuple(compared),
            dtype="float64",
            note=None,
        )


def _plain_loop(engine: Engine, first: int) -> Pieces[dict[str, Doubles]]:
    """Return how far the updates move the parameters, each by a reference gradient and a step, and h."""
    before, parameters = engine.parameters.copy(), engine.parameters.copy()
    step = optimizer_of(replace(engine.optimizer, learning_rate=engine.learning_rate), parameters.buffer).step
    gradients = Parameters(parameters.hidden, parameters.characters, np.float64)
    h: Doubles = engine.h.astype(np.float64)
    size = parameters.buffer.size
    yield 8 * size
    for update in range(first, first + LOOP_UPDATES):
        window = window_of(engine, update)
        fresh = engine.windows.at(update, 1)[1][0]
        h0 = np.zeros_like(h) if fresh else h
        yield 2 * size
        exact = yield from reference(replace(window, parameters=parameters, h0=h0))
        for name, gradient in gradients.arrays().items():
            gradient[...] = exact.values[name]
        yield 2 * size
        step(parameters.buffer, gradients.buffer, update + 1)
        yield _STEP_LIKE * size
        h = exact.values["h"]
    moved: dict[str, Doubles] = {}
    for name, array in parameters.arrays().items():
        moved[name] = array - getattr(before, name)
        yield 2 * array.size
    return {**moved, "h": h}
