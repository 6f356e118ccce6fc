"""The five parameters of the network, all in one buffer, and their gradients in another."""

from __future__ import annotations

import itertools
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
    lanes : int
        Rows begin at multiples of so many numbers; see `padded_length`. Only the compiled engine has another
        number than 1, so that a row is whole vectors.

    Attributes
    ----------
    buffer : array of shape (size,)
        2 m K + m m + m + K numbers, and zeros between rows where `lanes` is not 1.
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
    row, row_K : int
        Numbers from one row to the next in rows of m, and of K, numbers.
    places : tuple of 6 int
        Where U, W, V, b and c begin in the buffer, and where it ends.

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
        dtype: np.dtype[np.generic] | type[np.generic],
        buffer: Floats | None = None,
        lanes: int = 1,
    ) -> None:
        m, K = hidden, characters
        self.hidden, self.characters, self.lanes = m, K, lanes
        self.row, self.row_K = padded_length(m, lanes), padded_length(K, lanes)
        self.places = parameter_places(m, K, lanes)
        size = self.places[-1]
        self.buffer: Floats = np.zeros(size, dtype) if buffer is None else buffer
        if self.buffer.shape != (size,):
            raise ValueError(f"m = {m} and K = {K} need a buffer of {size} numbers, not {self.buffer.shape}")
        U, W, V, b, c = (self.buffer[first:last] for first, last in itertools.pairwise(self.places))
        self.U: Floats = U.reshape(-1, self.row)[:K, :m].T
        self.W: Floats = W.reshape(-1, self.row)[:m, :m]
        self.V: Floats = V.reshape(-1, self.row)[:K, :m]
        self.b: Floats = b[:m]
        self.c: Floats = c[:K]

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The type of every parameter."""
        return self.buffer.dtype

    def copy(self) -> Parameters:
        """Return a copy that shares no memory with this one, without zeros between rows."""
        return self.astype(self.dtype)

    def astype(self, dtype: np.dtype[np.generic] | type[np.generic]) -> Parameters:
        """Return a copy in another type, without zeros between rows."""
        copied = Parameters(self.hidden, self.characters, dtype)
        copied.assign(self)
        return copied

    def assign(self, other: Parameters) -> None:
        """Take over the numbers of another object of the same sizes."""
        if (self.lanes, self.dtype) == (other.lanes, other.dtype):
            self.buffer[:] = other.buffer
            return
        arrays = other.arrays()
        for name, array in self.arrays().items():
            array[...] = arrays[name]

    def arrays(self) -> dict[str, Floats]:
        """Return the five parameters by name, in the order U, W, V, b, c; views."""
        return {name: getattr(self, name) for name in PARAMETER_NAMES}

    def is_finite(self) -> bool:
        """Return whether no entry is NaN or infinite."""
        return bool(np.isfinite(self.buffer).all())

    def largest_output(self) -> float:
        """Return what no entry of a and o exceeds, for any h whose entries are from -1 to 1.

        Each is a sum of at most m + 2 numbers that are no larger than the largest parameter. NaN or infinity
        where a parameter is.
        """
        return max(float(self.buffer.max()), -float(self.buffer.min())) * (self.hidden + 2)

    def may_overflow(self) -> bool:
        """Return whether an entry of a or o can be too large for the type, or a parameter is not finite."""
        return not 4 * self.largest_output() < float(np.finfo(self.dtype).max)  # also where it is NaN


def padded_length(length: int, lanes: int) -> int:
    """Return how many numbers apart rows of a length begin: the length, or an odd number of whole vectors.

    Odd, so that equal places of many rows do not compete for the same few lines of a cache.

    Examples
    --------
    >>> padded_length(100, 1), padded_length(100, 8), padded_length(128, 8)
    (100, 104, 136)
    """
    return length if lanes == 1 else (-(-length // lanes) | 1) * lanes


def parameter_places(hidden: int, characters: int, lanes: int) -> tuple[int, ...]:
    """Return where U, W, V, b and c begin in a buffer, and where it ends; rows are as many as lanes divide.

    Examples
    --------
    >>> parameter_places(2, 3, 1)
    (0, 6, 10, 16, 18, 21)
    """
    row, row_K = padded_length(hidden, lanes), padded_length(characters, lanes)
    rows, rows_K = (-(-count // lanes) * lanes for count in (hidden, characters))
    return tuple(itertools.accumulate((rows_K * row, rows * row, rows_K * row, row, row_K), initial=0))


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
