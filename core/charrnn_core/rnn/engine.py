"""What every engine is: it does a given number of updates at once, as fast as it can."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from charrnn_core.rnn.gradcheck.windows import CheckableNetwork, CheckedWindow
from charrnn_core.rnn.network import Indices, Reduction
from charrnn_core.rnn.optimizers import OptimizerSettings
from charrnn_core.rnn.parameters import Floats, Parameters, parameter_count
from charrnn_core.text.vocabulary import Codes
from charrnn_core.text.windows import Windows

EngineName = Literal["numpy", "numba"]

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


class Engine(abc.ABC):
    """Trains a network window by window.

    Everything that changes while it trains is an attribute, so that a checkpoint can hold it: `parameters`,
    `memory`, `h` and `smooth_loss`.

    Parameters
    ----------
    parameters : Parameters
        Where training begins.
    optimizer : OptimizerSettings
    codes : array of shape (characters,)
        The training text.
    windows : Windows
        Which window each update takes.
    reduction : "sum" or "mean"
    threads : int
        How many threads may share the work.

    Attributes
    ----------
    name : str
        Part of what a checkpoint promises: only the same engine goes on to the last bit.
    parameters : Parameters
        As they are now.
    memory : dict of str to Parameters
        What the optimizer remembers.
    learning_rate : float
        May be changed between updates.
    smooth_loss : float
        Moving average of L; NaN until `begin`.
    """

    name: ClassVar[EngineName]
    parameters: Parameters
    memory: dict[str, Parameters]
    learning_rate: float
    smooth_loss: float

    def __init__(
        self,
        parameters: Parameters,
        optimizer: OptimizerSettings,
        codes: Codes,
        windows: Windows,
        *,
        reduction: Reduction,
        threads: int = 1,
    ) -> None:
        self.learning_rate = optimizer.learning_rate
        self.smooth_loss = np.nan
        self.optimizer = optimizer
        self.threads = threads
        self._codes = codes
        self._windows = windows
        self._reduction: Reduction = reduction
        streams = np.arange(windows.batch_size) * windows.part
        self._places: NDArray[np.intp] = np.arange(windows.seq_length + 1)[:, None] + streams

    @staticmethod
    @abc.abstractmethod
    def network(
        parameters: Parameters, seq_length: int, batch_size: int, reduction: Reduction
    ) -> CheckableNetwork:
        """Return the network in the parameters' type whose gradients a check holds against losses."""

    @property
    def compiler(self) -> str | None:
        """What has compiled it and for which processor, both of which the last bits depend on."""
        return None

    def is_ready(self, dtype: np.dtype[Any] | None = None) -> bool:
        """Return whether it can compute in a type, by default its own, at once: if not, see `prepare`."""
        return True

    def prepare(self, dtype: np.dtype[Any] | None = None) -> None:
        """Make ready what it needs for that, such as compiled code, which can take some seconds."""
        return

    @property
    @abc.abstractmethod
    def h(self) -> Floats:
        """h_0 of the next window, shape (B, m), where it does not begin with zeros; a view."""

    @property
    @abc.abstractmethod
    def gradients(self) -> Parameters:
        """Of the last window, unclipped."""

    @abc.abstractmethod
    def begin(self) -> FirstWindow:
        """Measure the first window on the parameters as they are; the smooth loss starts at its loss."""

    @abc.abstractmethod
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

    def window(self, update: int) -> CheckedWindow:
        """Return the window that the next update after this many would take, for a check of its gradients."""
        inputs, targets, fresh = self._gather(update, 1)
        h0 = np.zeros_like(self.h) if fresh[0] else self.h.copy()
        return CheckedWindow(
            self.parameters,
            inputs[0],
            targets[0],
            h0,
            self._windows.seq_length,
            self._reduction,
            self.optimizer.clip,
        )

    def gradient_figures(self) -> tuple[float, float]:
        """Return norm and clipped share of the last window's gradient, before clipping."""
        gradients = self.gradients
        buffer = gradients.buffer
        norm = float(np.linalg.norm(buffer.astype(np.float64)))  # the squares overflow float32 first
        if self.optimizer.clip is None:
            return norm, 0.0
        count = parameter_count(gradients.hidden, gradients.characters)
        return norm, float(np.count_nonzero(np.abs(buffer) > self.optimizer.clip) / count)

    def _portions(self, updates: int) -> list[int]:
        """Return how many updates' windows to gather at a time."""
        T, B = self._windows.seq_length, self._windows.batch_size
        most = max(1, _GATHERED_CHARACTERS // (T * B))
        return [min(most, updates - done) for done in range(0, updates, most)]

    def _gather(self, first: int, updates: int) -> tuple[Indices, Indices, NDArray[np.bool_]]:
        """Return inputs and targets, shape (updates, T * B), and whether h begins with zeros, for updates."""
        positions, fresh = self._windows.at(first, updates)
        codes = self._codes[positions[:, None, None] + self._places].astype(np.intp)
        inputs, targets = (
            np.ascontiguousarray(part).reshape(updates, -1) for part in (codes[:, :-1], codes[:, 1:])
        )
        return inputs, targets, fresh
