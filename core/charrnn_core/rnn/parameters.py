"""The five parameters of the network, all in one buffer, and their gradients in another."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
"""float32 or float64, one type for everything in a run."""

Initialization = Literal["normal", "fan-in"]

PARAMETER_NAMES = ("U", "W", "V", "b", "c")

INITIALIZATION_STREAM = 0
"""The first element of the spawn key of the random numbers that initial weights are drawn from."""


class Parameters:
    """U, W, V, b and c as views of one flat buffer: clipping and updates are a few passes over it.

    Gradients (dU, dW, dV, db, dc) are another object of this class.

    Parameters
    ----------
    hidden : int
        m, hidden units.
    characters : int
        K, characters of the vocabulary.
    dtype : numpy dtype
    buffer : array of shape (size,), optional
        The memory to use; zeros by default.

    Attributes
    ----------
    buffer : array of shape (2 m K + m m + m + K,)
    U : array of shape (m, K)
        Input weights; column k belongs to character k. Stored column by column, since a window needs the
        columns of its characters.
    W : array of shape (m, m)
        Recurrent weights.
    V : array of shape (K, m)
        Output weights.
    b : array of shape (m,)
        Bias of the hidden units.
    c : array of shape (K,)
        Bias of the outputs.

    Examples
    --------
    >>> parameters = Parameters(hidden=2, characters=3, dtype=np.float64)
    >>> parameters.W[0, 1] = 5
    >>> int(parameters.buffer.argmax()), parameters.U.shape
    (7, (2, 3))
    """

    def __init__(
        self,
        hidden: int,
        characters: int,
        dtype: np.dtype[np.floating] | type[np.floating],
        buffer: Floats | None = None,
    ) -> None:
        m, K = hidden, characters
        size = parameter_count(m, K)
        self.hidden, self.characters = m, K
        self.buffer: Floats = np.zeros(size, dtype) if buffer is None else buffer
        if self.buffer.shape != (size,):
            raise ValueError(f"m = {m} and K = {K} need a buffer of {size} numbers, not {self.buffer.shape}")
        parts = np.split(self.buffer, np.cumsum([m * K, m * m, K * m, m]))
        self.U: Floats = parts[0].reshape(K, m).T
        self.W: Floats = parts[1].reshape(m, m)
        self.V: Floats = parts[2].reshape(K, m)
        self.b: Floats = parts[3]
        self.c: Floats = parts[4]

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The type of every parameter."""
        return self.buffer.dtype

    def copy(self) -> Parameters:
        """Return a copy that shares no memory with this one."""
        return Parameters(self.hidden, self.characters, self.dtype, self.buffer.copy())

    def arrays(self) -> dict[str, Floats]:
        """Return the five parameters by name, in the order U, W, V, b, c; views."""
        return {name: getattr(self, name) for name in PARAMETER_NAMES}

    def is_finite(self) -> bool:
        """Return whether no entry is NaN or infinite."""
        return bool(np.isfinite(self.buffer).all())


def parameter_count(hidden: int, characters: int) -> int:
    """Return how many numbers the parameters are: 2 m K + m m + m + K."""
    return 2 * hidden * characters + hidden * hidden + hidden + characters


def initial_parameters(
    hidden: int,
    characters: int,
    dtype: np.dtype[np.floating] | type[np.floating],
    *,
    seed: int,
    scheme: Initialization,
    standard_deviation: float,
) -> Parameters:
    """Return parameters as training begins with them; b and c are zeros.

    Drawn in float64 in the order U, W, V and then rounded, so that both types begin at the same weights.

    Parameters
    ----------
    hidden, characters : int
        m and K.
    dtype : numpy dtype
    seed : int
        Draws come from SeedSequence(seed, spawn_key=(0,)).
    scheme : "normal" or "fan-in"
        Normal with one standard deviation for U, W and V; or with 1/sqrt(2K), 1/sqrt(2m) and 1/sqrt(m).
    standard_deviation : float
        For "normal".
    """
    m, K = hidden, characters
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(INITIALIZATION_STREAM,)))
    deviations = {
        "normal": (standard_deviation,) * 3,
        "fan-in": ((2 * K) ** -0.5, (2 * m) ** -0.5, m**-0.5),
    }[scheme]
    parameters = Parameters(m, K, dtype)
    for weights, deviation in zip((parameters.U, parameters.W, parameters.V), deviations, strict=True):
        weights[...] = generator.standard_normal(weights.shape) * deviation
    return parameters
