"""Forward and backward through one window, in NumPy with next to no allocation.

The equations are in core/README.md. What makes it fast: rows of U are gathered instead of multiplied with
one-hot vectors; only the recurrence is inside the loop over time, all else is one product over the window;
every result has its place beforehand, and so have the bound methods and views that the loop calls.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from charrnn_core.rnn.parameters import Floats, Parameters

Reduction = Literal["sum", "mean"]
Indices = NDArray[np.intp]


class Network:
    """The vanilla recurrent network on windows of one size.

    a_t = W h_{t-1} + U x_t + b, h_t = tanh(a_t), o_t = V h_t + c, p_t = softmax(o_t), and the loss L is the
    mean over the B streams of the sum (or mean) over the T characters of -ln p_t[y_t].

    Parameters
    ----------
    parameters : Parameters
        Read at each call; whoever trains changes them in place.
    seq_length, batch_size : int
        T and B.
    reduction : "sum" or "mean"
        Over the T characters of a window.

    Attributes
    ----------
    H : array of shape (T + 1, B, m)
        H[0] is h_0, set by the caller; `forward` fills in the rest.
    gradients : Parameters
        Of L, unclipped, after `backward`.
    """

    def __init__(
        self, parameters: Parameters, seq_length: int, batch_size: int = 1, reduction: Reduction = "sum"
    ) -> None:
        T, B, m, K = seq_length, batch_size, parameters.hidden, parameters.characters
        dtype = parameters.dtype
        self.parameters = parameters
        self.gradients = Parameters(m, K, dtype)
        self.H: Floats = np.zeros((T + 1, B, m), dtype)
        self._characters = T if reduction == "mean" else 1  # what L divides the sum over T by
        self._scale = 1 / (B * self._characters)

        rows = T * B  # a window as one matrix: row t * B + s is stream s at time t
        self._h: Floats = self.H[1:].reshape(rows, m)
        self._h_prev: Floats = self.H[:-1].reshape(rows, m)
        self._a: Floats = np.empty((rows, m), dtype)  # U x_t + b; in `backward` the gradient of a
        self._tanh_slope: Floats = np.empty((rows, m), dtype)
        self._dh: Floats = np.empty((rows, m), dtype)  # from the outputs alone
        self._p: Floats = np.empty((rows, K), dtype)  # o, then p, then the gradient of o
        self._row_max: Floats = np.empty((rows, 1), dtype)
        self._row_sum: Floats = np.empty((rows, 1), dtype)
        self._one_hot: Floats = np.zeros((rows, K), dtype)
        self._row_starts: Indices = np.arange(rows) * K
        self._target_places = self._row_starts.copy()
        self._target_outputs: Floats = np.empty(rows, dtype)
        self._ones_K: Floats = np.ones(K, dtype)
        self._ones_rows: Floats = np.ones(rows, dtype)
        self._inputs = self._row_starts

        # A stream alone is a vector to NumPy, which calls the matrix-vector product; several are a matrix.
        shape = (T, m) if B == 1 else (T, B, m)
        z: Floats = np.empty(shape[1:], dtype)
        a, h, h_prev = self._a.reshape(shape), self._h.reshape(shape), self._h_prev.reshape(shape)
        dh, slope = self._dh.reshape(shape), self._tanh_slope.reshape(shape)
        W = parameters.W
        self._z = z
        self._forward_steps = [(h_prev[t].dot, a[t], h[t]) for t in range(T)]
        self._backward_steps = [(a[t + 1].dot, dh[t], slope[t], a[t]) for t in range(T - 2, -1, -1)]
        self._W, self._W_transposed = W, W.T
        self._U_rows = parameters.U.T
        self._last = (dh[T - 1], slope[T - 1], a[T - 1])

    def forward(self, inputs: Indices, targets: Indices) -> float:
        """Return L of a window, in nats, for H[0] as it stands; fills in H[1:].

        Parameters
        ----------
        inputs, targets : intp arrays of shape (T * B,)
            Codes of x and y, time first: stream s at time t is at t * B + s.
        """
        parameters = self.parameters
        z, W_transposed, add, tanh = self._z, self._W_transposed, np.add, np.tanh
        self._inputs = inputs
        a, p, row_max, row_sum = self._a, self._p, self._row_max, self._row_sum
        self._U_rows.take(inputs, 0, a, "clip")
        add(a, parameters.b, a)
        for h_prev_dot, a_t, h_t in self._forward_steps:
            h_prev_dot(W_transposed, z)
            add(z, a_t, z)
            tanh(z, h_t)
        self._h.dot(parameters.V.T, p)
        add(p, parameters.c, p)
        np.maximum.reduce(p, 1, out=row_max, keepdims=True)
        np.subtract(p, row_max, p)
        add(self._row_starts, targets, self._target_places)
        p.reshape(-1).take(self._target_places, 0, self._target_outputs, "clip")
        np.exp(p, p)
        p.dot(self._ones_K, row_sum[:, 0])
        loss: float = (np.log(row_sum).sum() - self._target_outputs.sum()).item()
        return loss * self._scale

    def backward(self) -> None:
        """Fill in `gradients` for the window that `forward` has seen last, exact back to h_0."""
        parameters, gradients = self.parameters, self.gradients
        a, p, h, slope, ones = self._a, self._p, self._h, self._tanh_slope, self._ones_rows
        z, W, add, multiply = self._z, self._W, np.add, np.multiply
        np.divide(p, self._row_sum, p)
        p.reshape(-1)[self._target_places] -= 1
        if self._scale != 1:
            multiply(p, self._scale, p)
        p.T.dot(h, gradients.V)
        ones.dot(p, gradients.c)
        p.dot(parameters.V, self._dh)
        multiply(h, h, slope)
        np.subtract(1, slope, slope)
        dh_last, slope_last, da_last = self._last
        multiply(dh_last, slope_last, da_last)
        for da_next_dot, dh_t, slope_t, da_t in self._backward_steps:
            da_next_dot(W, z)
            add(z, dh_t, z)
            multiply(z, slope_t, da_t)
        a.T.dot(self._h_prev, gradients.W)
        ones.dot(a, gradients.b)
        places = self._row_starts + self._inputs
        one_hot = self._one_hot.reshape(-1)
        one_hot[places] = 1
        self._one_hot.T.dot(a, gradients.U.T)
        one_hot[places] = 0

    def carry(self) -> None:
        """Let the next window begin with the last h of this one."""
        self.H[0] = self.H[-1]
