"""The gradient that training is compared with: the equations written out once more, in plain NumPy.

It shares no code with the engines, so that a fault of `Network`, which is the NumPy engine and the base of
the other comparisons, cannot hide in it. Equations as in core/README.md, numbers in brackets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn_core.rnn.gradcheck.pieces import Pieces, blocks, without_warnings
from charrnn_core.rnn.gradcheck.windows import CheckedWindow
from charrnn_core.rnn.parameters import PARAMETER_NAMES, Floats

Doubles = NDArray[np.float64]
DOUBLE = np.dtype(np.float64)


class Blur(Protocol):
    """Changes numbers as rounding does."""

    def __call__(self, array: Floats, terms: int = 1) -> Floats:
        """Return an array changed as if each number were the sum of so many terms."""


@dataclass(frozen=True)
class Reference:
    """Loss and gradients of a window in float64.

    Attributes
    ----------
    loss : float
        L.
    values : dict of str to float64 array
        Gradients of L by parameter, unclipped, and `h`, the state after the window, shape (B, m).
    largest : float
        Largest absolute value on the way; infinite if one of them is NaN.
    """

    loss: float
    values: dict[str, Doubles]
    largest: float

    @property
    def is_finite(self) -> bool:
        """Whether everything was finite."""
        return bool(np.isfinite([self.loss, self.largest]).all())


@without_warnings
def reference(
    window: CheckedWindow,
    dtype: np.dtype[np.floating] = DOUBLE,
    blur: Blur | None = None,
) -> Pieces[Reference]:
    """Return loss, gradients and last state of a window, in pieces.

    Parameters
    ----------
    window : CheckedWindow
    dtype : numpy dtype
        Type to compute in.
    blur : callable, optional
        Applied to the parameters, and to each a, h, o, p and gradient of a as soon as it is known: stands
        for the rounding of stored numbers. By default nothing is changed.
    """
    blur = blur or (lambda array, terms=1: array)
    T, B = window.seq_length, window.batch_size
    theta = {}
    for name, array in window.parameters.arrays().items():
        theta[name] = blur(array.astype(dtype))
        yield 4 * array.size
    U, W, V, b, c = (theta[name] for name in PARAMETER_NAMES)
    m, K = U.shape
    x, y = (codes.reshape(T, B) for codes in (window.inputs, window.targets))

    h = np.empty((T + 1, B, m), dtype)
    h[0] = window.h0
    for t in range(T):
        h[t + 1] = blur(np.tanh(blur(h[t] @ W.T + U.T[x[t]] + b)))  # (1), (2)
        yield B * m * m

    scale = float(1 / (B * (T if window.reduction == "mean" else 1)))
    loss, largest = 0.0, []
    dh = np.empty((T, B, m), dtype)
    dV, dc = np.zeros((K, m), dtype), np.zeros(K, dtype)
    for part in blocks(T, 3 * B * m * K):
        after = h[1:][part]
        rows = (np.arange(len(after))[:, None], np.arange(B))
        o = blur(after @ V.T + c, m)  # (3)
        shifted = o - o.max(axis=2, keepdims=True)
        total = np.exp(shifted).sum(axis=2, keepdims=True)
        loss += float((np.log(total[..., 0]) - shifted[(*rows, y[part])]).sum() * scale)  # (4), (5)
        do = blur(np.exp(shifted) / total)
        do[(*rows, y[part])] -= 1
        do *= scale  # (6)
        dh[part] = do @ V
        dV += do.reshape(-1, K).T @ after.reshape(-1, m)
        dc += do.sum((0, 1))
        largest.append(_largest(o))
        yield 3 * len(after) * B * m * K

    da = np.empty((T, B, m), dtype)
    for t in range(T - 1, -1, -1):
        if t < T - 1:
            dh[t] += da[t + 1] @ W  # (7)
        da[t] = blur(dh[t] * (1 - h[t + 1] * h[t + 1]))  # (8)
        yield B * m * m

    dU, dW, db = np.zeros((K, m), dtype), np.zeros((m, m), dtype), np.zeros(m, dtype)
    for part in blocks(T, B * m * m):
        rows_of_a = da[part].reshape(-1, m)
        np.add.at(dU, x[part].ravel(), rows_of_a)
        dW += rows_of_a.T @ h[:-1][part].reshape(-1, m)
        db += da[part].sum((0, 1))
        yield len(rows_of_a) * m * m + 2 * m * m
    values = {"U": dU.T, "W": dW, "V": dV, "b": db, "c": dc, "h": h[-1]}  # (9)
    doubles = {}
    for array in (dh, *theta.values()):
        largest.append(_largest(array))
        yield 2 * array.size
    for name, value in values.items():
        largest.append(_largest(value))
        doubles[name] = value.astype(np.float64)
        yield 3 * value.size
    return Reference(loss, doubles, max(largest))


def _largest(array: Floats) -> float:
    """Return the largest absolute value; infinity if a value is NaN."""
    largest = float(np.abs(array).max())
    return math.inf if math.isnan(largest) else largest


def movement(
    window: CheckedWindow, exact: Reference, dtype: np.dtype[np.floating], generator: np.random.Generator
) -> Pieces[dict[str, float]]:
    """Return how far rounding to a type moves each value of the reference, relative to its norm; in pieces.

    The same equations are computed in that type, and the parameters and every number that they store are
    changed by one unit in the last place of the type, up or down at random; and o, which can be a large sum
    and is exponentiated, by sqrt(m) units, as its m terms are rounded one after the other. Right code that
    computes in this type cannot be expected to come closer than that.
    """
    unit = float(np.finfo(dtype).eps) / (2 if dtype == np.float32 else 1)

    def blur(array: Floats, terms: int = 1) -> Floats:
        signs = generator.integers(0, 2, array.shape, np.int8).astype(dtype)
        blurred: Floats = array + array * ((2 * signs - 1) * dtype.type(unit * math.sqrt(terms)))
        return blurred

    blurred = yield from reference(window, dtype, blur)
    moved = {}
    for name, value in exact.values.items():
        moved[name] = relative_difference(blurred.values[name], value)
        yield 4 * value.size
    return moved


@np.errstate(all="ignore")
def relative_difference(array: NDArray[np.floating], exact: Doubles, floor: float = 0.0) -> float:
    """Return the norm of a difference, relative to the norm of the exact value or to `floor` if that is more.

    NaN where a value is not finite; zero where both are zeros.
    """
    difference = float(np.linalg.norm(array.astype(np.float64) - exact))
    size = max(floor, float(np.linalg.norm(exact)))
    if difference == 0:
        return 0.0
    return difference / size if size and np.isfinite(difference) else np.nan if size else np.inf
