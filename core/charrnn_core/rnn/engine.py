"""What every engine is: it does a given number of updates at once, as fast as it can."""

from __future__ import annotations

import abc
import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

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

_GATHERED_CHARACTERS = 1 << 16  # so many are gathered from the text at once


@dataclass(frozen=True)
class EngineState:
    """A copy of all that changes while an engine trains.

    Attributes
    ----------
    parameters : Parameters
    memory : dict of str to Parameters
        What the optimizer remembers.
    h : array of shape (B, m)
    smooth_loss : float
    """

    parameters: Parameters
    memory: dict[str, Parameters]
    h: Floats
    smooth_loss: float


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
    optimizer : OptimizerSettings
    threads : int
    codes : array of shape (characters,)
    windows : Windows
    reduction : "sum" or "mean"
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
        self.codes = codes
        self.windows = windows
        self.reduction: Reduction = reduction
        streams = np.arange(windows.batch_size) * windows.part
        nothing = np.empty((0, 0), np.intp)
        self._gathered: tuple[Indices, Indices, NDArray[np.bool_]] = nothing, nothing, np.empty(0, np.bool_)
        self._first_gathered = 0
        self._places: NDArray[np.intp] = np.arange(windows.seq_length + 1)[:, None] + streams

    @staticmethod
    @abc.abstractmethod
    def network(
        parameters: Parameters, seq_length: int, batch_size: int, reduction: Reduction
    ) -> CheckableNetwork:
        """Return the network in the parameters' type whose gradients a check looks at."""

    def like(
        self,
        parameters: Parameters,
        *,
        optimizer: OptimizerSettings | None = None,
        codes: Codes | None = None,
        windows: Windows | None = None,
    ) -> Self:
        """Return a new engine of the same class, reduction and thread count that shares no memory with this.

        Parameters
        ----------
        parameters : Parameters
            Copied; of any type that the engine computes in.
        optimizer, codes, windows
            By default those of this engine.
        """
        return type(self)(
            parameters.copy(),
            self.optimizer if optimizer is None else optimizer,
            self.codes if codes is None else codes,
            self.windows if windows is None else windows,
            reduction=self.reduction,
            threads=self.threads,
        )

    def state(self) -> EngineState:
        """Return a copy of what changes while it trains."""
        memory = {name: memory.copy() for name, memory in self.memory.items()}
        return EngineState(self.parameters.copy(), memory, self.h.copy(), self.smooth_loss)

    def restore(self, state: EngineState) -> None:
        """Continue from a state of an engine with the same sizes and optimizer."""
        self.parameters.assign(state.parameters)
        for name, memory in state.memory.items():
            self.memory[name].assign(memory)
        self.h[...] = state.h
        self.smooth_loss = state.smooth_loss

    @property
    def compiler(self) -> str | None:
        """What has compiled it and for which processor, both of which the last bits depend on."""
        return None

    def is_ready(self, dtype: np.dtype[Any] | None = None) -> bool:
        """Return whether it can compute in a type, by default its own, at once: if not, see `prepare`."""
        return True

    def preparing(self, dtype: np.dtype[Any] | None = None) -> Generator[None, None, None]:
        """Make ready what it needs for that, such as compiled code, which can take some seconds.

        Yields many times a second, so that a caller can show it, or give up by closing the iterator.
        """
        yield from ()

    def prepare(self, dtype: np.dtype[Any] | None = None) -> None:
        """Make ready what it needs for that, without a chance to give up."""
        for _ in self.preparing(dtype):
            pass

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
    def advance(
        self,
        first: int,
        updates: int,
        stop_below: float | None = None,
        *,
        best: float = -math.inf,
        best_every: int = 1,
    ) -> NDArray[np.float64]:
        """Do updates, and return the loss of each that was done.

        Parameters
        ----------
        first : int
            How many updates have been done before.
        updates : int
            How many to do.
        stop_below : float, optional
            Stop after the first update that leaves the smooth loss below this.
        best, best_every : float, int
            Stop also after an update whose number is a multiple of `best_every` and that leaves the smooth
            loss below `best`.

        Returns
        -------
        losses : float64 array of shape (done,)
            L of each window. Fewer than `updates` when the smooth loss was low enough to stop, or when the
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
            self.windows.seq_length,
            self.reduction,
            self.optimizer.clip,
        )

    def is_finite(self) -> bool:
        """Return whether no parameter was NaN or infinite at the end of the last `begin` or `advance`."""
        return self.parameters.is_finite()

    def gradient_figures(self) -> tuple[float, float]:
        """Return norm and clipped share of the last window's gradient, before clipping."""
        norm, beyond = self._norm_and_count()
        return norm, beyond / parameter_count(self.gradients.hidden, self.gradients.characters)

    def _norm_and_count(self) -> tuple[float, float]:
        """Return the norm of the last window's gradient, and how many entries clipping would change."""
        buffer, clip = self.gradients.buffer, self.optimizer.clip
        limit = math.inf if clip is None else clip
        norm = float(np.linalg.norm(buffer.astype(np.float64)))  # the squares overflow float32 first
        return norm, int(np.count_nonzero(np.abs(buffer) > limit))

    def _gather(self, first: int, updates: int) -> tuple[Indices, Indices, NDArray[np.bool_]]:
        """Return inputs and targets, shape (n, T * B), and whether h begins with zeros, for n updates.

        They are gathered ahead, and n is how many of the wanted ones are at hand: at least one. So what is
        wanted comes in pieces, and a reason to stop can be met at the end of each.
        """
        offset = first - self._first_gathered
        if not 0 <= offset < len(self._gathered[2]):
            offset, self._first_gathered = 0, first
            T, B = self.windows.seq_length, self.windows.batch_size
            count = max(1, _GATHERED_CHARACTERS // (T * B))
            positions, fresh = self.windows.at(first, count)
            codes = self.codes[positions[:, None, None] + self._places].astype(np.intp)
            inputs, targets = (
                np.ascontiguousarray(part).reshape(count, -1) for part in (codes[:, :-1], codes[:, 1:])
            )
            self._gathered = inputs, targets, fresh
        wanted = slice(offset, offset + updates)
        inputs, targets, fresh = self._gathered
        return inputs[wanted], targets[wanted], fresh[wanted]
