"""The gradient check: its rows, and how they are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from charrnn_core.rnn.gradcheck.comparisons import (
    REFERENCE,
    Comparison,
    InitialState,
    Method,
    WindowKind,
    comparisons,
)
from charrnn_core.rnn.gradcheck.lines import Lines
from charrnn_core.rnn.gradcheck.windows import CheckedWindow, NetworkMaker, affordable_part, stress_window
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import Floats

KEPT_ENTRIES = 20
"""A row keeps this many of its comparisons, those with the largest errors."""

_EPSILON = float(np.finfo(np.float64).eps)
_LINES_A_PULSE = 50


@dataclass(frozen=True)
class CheckRow:
    """The check of one parameter by one comparison.

    Attributes
    ----------
    parameter : str
    shape : tuple of int
    entries : int
        How many entries were compared, or how many the directions cover.
    method : "central" or "complex-step"
    step : float
    h0 : "zeros", "carried" or "random"
    maximum_relative_error, mean_relative_error : float
    worst : dict
        `index`, `analytic` and `numeric` of the comparison with the largest error; the index of a direction
        is its number.
    passed : bool
    selection : str
        Which entries or directions, as `Comparison.entries` says it.
    window : "text" or "stress"
    tolerance, floor : float
    compared : tuple of dict
        The `KEPT_ENTRIES` comparisons with the largest errors, each like `worst`, the largest first.
    """

    parameter: str
    shape: tuple[int, ...]
    entries: int
    method: Method
    step: float
    h0: InitialState
    maximum_relative_error: float
    mean_relative_error: float
    worst: dict[str, Any]
    passed: bool
    selection: str
    window: WindowKind
    tolerance: float
    floor: float
    compared: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {**asdict(self), "shape": list(self.shape), "compared": list(self.compared)}


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
) -> Iterator[CheckRow | Checking]:
    """Yield the rows of a check, one for each comparison and parameter, and between them how far it is.

    Parameters
    ----------
    window : CheckedWindow
    seed : SeedSequence
        Of random directions, entries, states and windows.
    asked : sequence of Comparison, optional
        By default the *default check*: the reference conditions with h_0 zeros and carried, and along eight
        random directions over all entries the complex step on the window of the text and on the stress
        window. Of a large network it looks at fewer characters, entries and directions.
    network : callable
        What makes the network whose forward and backward are held against each other.
    """
    generator = np.random.default_rng(seed)
    if asked is None:
        window, share = affordable_part(window, network)
        asked = _default(share)
    sizes = [array.size for array in window.parameters.arrays().values()]
    total = sum(comparison.count(size) for comparison in asked for size in sizes)
    done = 0
    with np.errstate(all="ignore"):
        for comparison in asked:
            seen = window if comparison.window == "text" else stress_window(window, generator, network)
            for item in _compare(seen, comparison, generator, network):
                done += item if isinstance(item, int) else 0
                yield Checking(done, total) if isinstance(item, int) else item


def _default(share: float) -> tuple[Comparison, ...]:
    """Return the comparisons of the default check, or a share of them."""
    central = replace(REFERENCE, entries=f"first:{max(4, int(20 * share))}")
    (projected,) = comparisons("complex-step", f"directions:{max(2, int(8 * share))}", "carried")
    return (
        central,
        replace(central, h0="carried"),
        projected,
        replace(projected, h0="random", window="stress"),
    )


def _compare(
    window: CheckedWindow, comparison: Comparison, generator: np.random.Generator, maker: NetworkMaker
) -> Iterator[CheckRow | int]:
    """Yield the row of each parameter, and before it, from time to time, how many more lines are compared."""
    h0 = _initial_state(window, comparison.h0, generator, maker)
    real = window.network(np.float64, h0, maker)
    loss = real.forward(window.inputs, window.targets)
    real.backward()
    central = comparison.method == "central"
    moved = real if central else window.network(np.complex128, h0, maker)
    for name, theta in moved.parameters.arrays().items():
        gradient = getattr(real.gradients, name)
        lines = Lines(comparison, theta.shape, generator)
        analytic, numeric = np.empty(lines.count), np.empty(lines.count)
        # What is added up to a loss of this size is rounded by this much, and the centred difference divides
        # that by its step. Without it the gradient is still rounded: p - y, 1 - h^2 and sums can cancel.
        rounding = 8 * _EPSILON * max(1.0, abs(loss))
        if central:
            rounding /= comparison.step
        else:
            rounding += 1000 * _EPSILON * float(np.linalg.norm(gradient))
        passed = True
        for number, line in enumerate(lines):
            a = line.slope(gradient)
            n = line.derivative(moved, theta, window, comparison.step)
            allowed = comparison.tolerance * max(comparison.floor, abs(a) + abs(n))
            if not comparison.strict:
                allowed += rounding
            if central and not comparison.strict and not abs(a - n) <= allowed:
                # Where the loss bends within a step, the difference itself is wrong, by a third of this.
                allowed += abs(line.derivative(moved, theta, window, 2 * comparison.step) - n)
            passed = passed and abs(a - n) <= allowed
            analytic[number], numeric[number] = a, n
            if (number + 1) % _LINES_A_PULSE == 0:
                yield _LINES_A_PULSE
        yield lines.count % _LINES_A_PULSE
        errors = np.abs(analytic - numeric) / np.maximum(comparison.floor, np.abs(analytic) + np.abs(numeric))
        order = np.argsort(-errors, kind="stable")[:KEPT_ENTRIES].tolist()
        compared = tuple(
            {"index": lines.index(k), "analytic": float(analytic[k]), "numeric": float(numeric[k])}
            for k in order
        )
        yield CheckRow(
            parameter=name,
            shape=theta.shape,
            entries=theta.size if lines.by_direction else lines.count,
            method=comparison.method,
            step=comparison.step,
            h0=comparison.h0,
            maximum_relative_error=float(errors.max()),
            mean_relative_error=float(errors.mean()),
            worst=compared[0],
            passed=bool(passed),
            selection=comparison.entries,
            window=comparison.window,
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
    if window.h0.any():
        return window.h0
    network = window.network(np.float64, zeros, maker)
    network.forward(window.inputs, window.targets)
    last: Floats = network.H[-1]
    return last
