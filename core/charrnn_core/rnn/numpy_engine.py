"""The engine in NumPy: the readable one, which needs nothing else."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from charrnn_core.rnn.engine import SMOOTHING, Engine, EngineName, FirstWindow
from charrnn_core.rnn.gradcheck.windows import CheckableNetwork
from charrnn_core.rnn.network import Network, Reduction
from charrnn_core.rnn.optimizers import OptimizerSettings, optimizer_of
from charrnn_core.rnn.parameters import Floats, Parameters
from charrnn_core.text.vocabulary import Codes
from charrnn_core.text.windows import Windows


class NumpyEngine(Engine):
    """Trains a network window by window in NumPy; see `Engine`."""

    name: ClassVar[EngineName] = "numpy"

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
        super().__init__(parameters, optimizer, codes, windows, reduction=reduction, threads=threads)
        self.parameters = parameters
        self._optimizer = optimizer_of(optimizer, parameters.buffer)
        m, K = parameters.hidden, parameters.characters
        self.memory = {
            name: Parameters(m, K, memory.dtype, memory) for name, memory in self._optimizer.memory.items()
        }
        self._network = Network(parameters, windows.seq_length, windows.batch_size, reduction)

    @staticmethod
    def network(
        parameters: Parameters, seq_length: int, batch_size: int, reduction: Reduction
    ) -> CheckableNetwork:
        """Return the network whose gradients a check looks at."""
        return Network(parameters, seq_length, batch_size, reduction)

    @property
    def h(self) -> Floats:
        """h_0 of the next window, shape (B, m); a view."""
        first: Floats = self._network.H[0]
        return first

    @property
    def gradients(self) -> Parameters:
        """Of the last window, unclipped."""
        return self._network.gradients

    def begin(self) -> FirstWindow:
        """Measure the first window; see `Engine.begin`."""
        inputs, targets, _ = self._gather(0, 1)
        self._network.H[0] = 0
        with np.errstate(all="ignore"):
            self.smooth_loss = loss = self._network.forward(inputs[0], targets[0])
            self._network.backward()
        self._network.H[0] = 0
        return FirstWindow(loss, *self.gradient_figures())

    def advance(
        self,
        first: int,
        updates: int,
        stop_below: float | None = None,
        *,
        best: float = -math.inf,
        best_every: int = 1,
    ) -> NDArray[np.float64]:
        """Do updates; see `Engine.advance`."""
        network, optimizer = self._network, self._optimizer
        optimizer.learning_rate = self.learning_rate
        parameters, gradients = self.parameters.buffer, network.gradients.buffer
        forward, backward, carry, step = network.forward, network.backward, network.carry, optimizer.step
        h, smooth, limit = network.H[0], self.smooth_loss, -math.inf if stop_below is None else stop_below
        losses: list[float] = []
        update, last = first, first + updates
        # Divergence is found by its result; NumPy's warnings on the way there would only reach the screen.
        with np.errstate(all="ignore"):
            while update < last:
                inputs, targets, fresh = self._gather(update, last - update)
                for x, y, begins in zip(inputs, targets, fresh.tolist(), strict=True):
                    if begins:
                        h.fill(0)
                    loss = forward(x, y)
                    losses.append(loss)
                    if not -math.inf < loss < math.inf:
                        last = update
                        break
                    backward()
                    update += 1
                    step(parameters, gradients, update)
                    carry()
                    smooth = SMOOTHING * smooth + (1 - SMOOTHING) * loss
                    if smooth < limit or (smooth < best and update % best_every == 0):
                        last = update
                        break
        self.smooth_loss = smooth
        return np.array(losses)
