"""The engine: does a given number of updates at once, as fast as it can."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn_core.rnn.gradcheck.windows import CheckedWindow
from charrnn_core.rnn.network import Indices, Network, Reduction
from charrnn_core.rnn.optimizers import Optimizer
from charrnn_core.rnn.parameters import Floats, Parameters
from charrnn_core.text.vocabulary import Codes
from charrnn_core.text.windows import Windows

SMOOTHING = 0.999
"""smooth loss <- 0.999 smooth loss + 0.001 L, after each update."""

_GATHERED_CHARACTERS = 1 << 16  # windows are gathered from the text for several updates at once, up to here


@dataclass(frozen=True)
class FirstWindow:
    """The first window of an update, measured without training on it.

    Attributes
    ----------
    loss : float
        L.
    norm : float
        Euclidean norm of its gradient before clipping.
    clipped_share : float
        Share of the gradient's entries outside the clipping limit.
    """

    loss: float
    norm: float
    clipped_share: float


class NumpyEngine:
    """Trains a network window by window in NumPy.

    Everything that changes while it trains is an attribute, so that a checkpoint can hold it: `parameters`,
    `optimizer.memory`, `h` and `smooth_loss`.

    Parameters
    ----------
    parameters : Parameters
        Changed in place.
    optimizer : Optimizer
    codes : array of shape (characters,)
        The training text.
    windows : Windows
        Which window each update takes.
    reduction : "sum" or "mean"
    clip : float or None
        The optimizer's limit; here only for reporting what share is clipped.

    Attributes
    ----------
    smooth_loss : float
        Moving average of L; NaN until `begin`.
    """

    name = "numpy"

    def __init__(
        self,
        parameters: Parameters,
        optimizer: Optimizer,
        codes: Codes,
        windows: Windows,
        *,
        reduction: Reduction,
        clip: float | None,
    ) -> None:
        self.parameters = parameters
        self.optimizer = optimizer
        self.smooth_loss = math.nan
        self._codes = codes
        self._windows = windows
        self._clip = clip
        self._reduction: Reduction = reduction
        self._network = Network(parameters, windows.seq_length, windows.batch_size, reduction)
        streams = np.arange(windows.batch_size) * windows.part
        self._places: Indices = np.arange(windows.seq_length + 1)[:, None] + streams

    @property
    def h(self) -> Floats:
        """h_0 of the next window, shape (B, m), where it does not begin with zeros; a view."""
        first: Floats = self._network.H[0]
        return first

    def begin(self) -> FirstWindow:
        """Measure the first window on the parameters as they are; the smooth loss starts at its loss."""
        ((inputs, targets, _),) = self._gather(0, 1)
        self._network.H[0] = 0
        with np.errstate(all="ignore"):
            self.smooth_loss = loss = self._network.forward(inputs, targets)
            self._network.backward()
        self._network.H[0] = 0
        return FirstWindow(loss, *self.gradient_figures())

    def advance(self, first: int, updates: int, stop_below: float | None = None) -> NDArray[np.float64]:
        """Do updates, and return the loss of each that was done.

        Parameters
        ----------
        first : int
            How many updates have been done before.
        updates : int
            How many to do.
        stop_below : float, optional
            Stop after the first update that leaves the smooth loss below this.

        Returns
        -------
        losses : float64 array of shape (done,)
            L of each window. Fewer than `updates` when the smooth loss fell below `stop_below`, or when the
            last loss is not finite: that last update was then not applied.
        """
        network, optimizer = self._network, self.optimizer
        parameters, gradients = self.parameters.buffer, network.gradients.buffer
        forward, backward, carry, step = network.forward, network.backward, network.carry, optimizer.step
        h, smooth, limit = network.H[0], self.smooth_loss, -math.inf if stop_below is None else stop_below
        losses: list[float] = []
        update = first
        # Divergence is found by its result; NumPy's warnings on the way there would only reach the screen.
        with np.errstate(all="ignore"):
            for inputs, targets, fresh in self._gather(first, updates):
                if fresh:
                    h.fill(0)
                loss = forward(inputs, targets)
                losses.append(loss)
                if not -math.inf < loss < math.inf:
                    break
                backward()
                update += 1
                step(parameters, gradients, update)
                carry()
                smooth = SMOOTHING * smooth + (1 - SMOOTHING) * loss
                if smooth < limit:
                    break
        self.smooth_loss = smooth
        return np.array(losses)

    def window(self, update: int) -> CheckedWindow:
        """Return the window that the next update after this many would take, for a check of its gradients."""
        ((inputs, targets, fresh),) = self._gather(update, 1)
        h0 = np.zeros_like(self.h) if fresh else self.h.copy()
        return CheckedWindow(
            self.parameters, inputs, targets, h0, self._windows.seq_length, self._reduction, self._clip
        )

    def gradient_figures(self) -> tuple[float, float]:
        """Return norm and clipped share of the last window's gradient, before clipping."""
        gradients = self._network.gradients.buffer
        norm = float(np.linalg.norm(gradients.astype(np.float64)))  # the squares overflow float32 first
        if self._clip is None:
            return norm, 0.0
        return norm, float(np.count_nonzero(np.abs(gradients) > self._clip) / gradients.size)

    def _gather(self, first: int, updates: int) -> Iterator[tuple[Indices, Indices, bool]]:
        """Yield inputs, targets and whether h begins with zeros, for each update."""
        T, B = self._windows.seq_length, self._windows.batch_size
        at_once = max(1, _GATHERED_CHARACTERS // (T * B))
        for done in range(0, updates, at_once):
            count = min(at_once, updates - done)
            positions, fresh = self._windows.at(first + done, count)
            codes = self._codes[positions[:, None, None] + self._places].astype(np.intp)
            inputs, targets = codes[:, :-1].reshape(count, T * B), codes[:, 1:].reshape(count, T * B)
            yield from zip(inputs, targets, fresh.tolist(), strict=True)
