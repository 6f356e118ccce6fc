"""Checks of the backward pass against derivatives that do not use it.

Both methods only call the network's forward pass, in float64 or complex128 whatever the type of training,
and compare unclipped gradients. `central` is the assignment's: (f(x + s) - f(x - s)) / 2s, which rounding
keeps from being better than about 1e-5 on a small gradient. `complex-step` is Im f(x + i s) / s: nothing is
subtracted, so a step of 1e-20 costs nothing and agreement reaches 1e-13; along a random direction it tests
all entries at once.

References
----------
Squire, Trapp: Using complex variables to estimate derivatives of real functions, SIAM Review 40 (1998).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from charrnn_core.rnn.network import Indices, Network, Reduction
from charrnn_core.rnn.parameters import PARAMETER_NAMES, Floats, Parameters

CENTRAL_STEP = 1e-5
COMPLEX_STEP = 1e-20
CHECKED_ENTRIES = 20
"""Entries of each flattened gradient that the assignment looks at: its first ones, row by row."""

DIRECTIONS = 8
FLOOR = 1e-12
"""The relative error is |a - n| / max(floor, |a| + |n|)."""

_CENTRAL_TOLERANCE = 1e-4
_COMPLEX_TOLERANCE = 1e-9


@dataclass(frozen=True)
class CheckRow:
    """The check of one parameter by one method.

    Attributes
    ----------
    parameter : str
    shape : tuple of int
    entries : int
        How many entries were compared, or how many the directions cover.
    method : "central" or "complex-step"
    step : float
    h0 : "zeros" or "carried"
    maximum_relative_error, mean_relative_error : float
    worst : dict
        `index`, `analytic` and `numeric` of the largest error; the index is that of a direction where
        directions were compared.
    passed : bool
    """

    parameter: str
    shape: tuple[int, ...]
    entries: int
    method: Literal["central", "complex-step"]
    step: float
    h0: str
    maximum_relative_error: float
    mean_relative_error: float
    worst: dict[str, Any]
    passed: bool

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return {**asdict(self), "shape": list(self.shape)}


@dataclass(frozen=True)
class CheckedWindow:
    """What a check looks at.

    Attributes
    ----------
    parameters : Parameters
        Of any type; copied.
    inputs, targets : intp arrays of shape (T * B,)
    h0 : array of shape (B, m)
        What was carried into the window.
    seq_length : int
    reduction : "sum" or "mean"
    """

    parameters: Parameters
    inputs: Indices
    targets: Indices
    h0: Floats
    seq_length: int
    reduction: Reduction


def check(window: CheckedWindow, seed: np.random.SeedSequence) -> list[CheckRow]:
    """Return the default check of a window: rows for each parameter, method and h_0.

    The first entries by the centred difference and all entries by complex-step projections, with h_0 zeros
    and as it was carried.

    Parameters
    ----------
    window : CheckedWindow
    seed : SeedSequence
        Of the random directions.
    """
    generator = np.random.default_rng(seed)
    rows: list[CheckRow] = []
    for h0 in ("zeros", "carried"):
        real = _network(window, np.float64, h0)
        loss = real.forward(window.inputs, window.targets)
        real.backward()
        rows += _central(window, real, loss, h0)
        rows += _projected(window, real.gradients, h0, generator)
    return rows


def _network(window: CheckedWindow, dtype: Any, h0: str) -> Network:
    m, K = window.parameters.hidden, window.parameters.characters
    parameters = Parameters(m, K, dtype, window.parameters.buffer.astype(dtype))
    network = Network(parameters, window.seq_length, len(window.h0), window.reduction)
    network.H[0] = window.h0 if h0 == "carried" else 0
    return network


def _central(window: CheckedWindow, network: Network, loss: float, h0: str) -> Iterator[CheckRow]:
    # Two losses of this size differ by this much from rounding alone.
    rounding = 8 * np.finfo(np.float64).eps * max(1.0, abs(loss)) / CENTRAL_STEP
    gradients = network.gradients.copy().arrays()
    for name in PARAMETER_NAMES:
        theta = getattr(network.parameters, name)
        places = list(np.ndindex(theta.shape))[:CHECKED_ENTRIES]
        numeric = np.empty(len(places))
        for number, place in enumerate(places):
            before = theta[place]
            theta[place] = before + CENTRAL_STEP
            above = network.forward(window.inputs, window.targets)
            theta[place] = before - CENTRAL_STEP
            below = network.forward(window.inputs, window.targets)
            theta[place] = before
            numeric[number] = (above - below) / (2 * CENTRAL_STEP)
        analytic = np.array([gradients[name][place] for place in places])
        passed = (
            np.abs(analytic - numeric) <= _CENTRAL_TOLERANCE * (np.abs(analytic) + np.abs(numeric)) + rounding
        )
        yield _row(
            name, theta.shape, len(places), "central", CENTRAL_STEP, h0, analytic, numeric,
            [list(place) for place in places], bool(passed.all()),
        )  # fmt: skip


def _projected(
    window: CheckedWindow, gradients: Parameters, h0: str, generator: np.random.Generator
) -> Iterator[CheckRow]:
    network = _network(window, np.complex128, h0)
    for name in PARAMETER_NAMES:
        theta, gradient = getattr(network.parameters, name), getattr(gradients, name)
        analytic, numeric = np.empty(DIRECTIONS), np.empty(DIRECTIONS)
        for number in range(DIRECTIONS):
            direction = generator.choice([-1.0, 1.0], size=theta.shape)
            theta.imag = COMPLEX_STEP * direction
            loss = complex(network.forward(window.inputs, window.targets))
            numeric[number] = loss.imag / COMPLEX_STEP
            analytic[number] = (gradient * direction).sum()
        theta.imag = 0
        # Directions in which the entries cancel are measured against what was added up.
        size = np.abs(gradient).sum() / np.sqrt(gradient.size)
        passed = np.abs(analytic - numeric) <= _COMPLEX_TOLERANCE * (
            np.abs(analytic) + np.abs(numeric) + size
        )
        yield _row(
            name, theta.shape, theta.size, "complex-step", COMPLEX_STEP, h0, analytic, numeric,
            list(range(DIRECTIONS)), bool(passed.all()),
        )  # fmt: skip


def _row(
    name: str,
    shape: tuple[int, ...],
    entries: int,
    method: Literal["central", "complex-step"],
    step: float,
    h0: str,
    analytic: NDArray[np.float64],
    numeric: NDArray[np.float64],
    places: list[Any],
    passed: bool,
) -> CheckRow:
    errors = np.abs(analytic - numeric) / np.maximum(FLOOR, np.abs(analytic) + np.abs(numeric))
    worst = int(errors.argmax())
    return CheckRow(
        parameter=name,
        shape=shape,
        entries=entries,
        method=method,
        step=step,
        h0=h0,
        maximum_relative_error=float(errors[worst]),
        mean_relative_error=float(errors.mean()),
        worst={
            "index": places[worst],
            "analytic": float(analytic[worst]),
            "numeric": float(numeric[worst]),
        },
        passed=passed,
    )
