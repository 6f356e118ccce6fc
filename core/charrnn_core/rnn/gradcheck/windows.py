"""The windows that a gradient check looks at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from charrnn_core.rnn.network import Indices, Network, Reduction
from charrnn_core.rnn.parameters import Floats, Parameters

NetworkMaker = Callable[[Parameters, int, int, Reduction], Network]

STRESS_STREAMS = 3
"""B of the stress window."""

WORK = 4_000_000
"""Multiplications of a forward pass that a default check may cost; m = K = 100 with T = 25 take a tenth."""

_STRESS_LIMIT = 5.0  # what the stress window's gradients must exceed twice where nothing is clipped
_ATTEMPTS = 100  # in vain, where every target is the likeliest character already
_AMPLIFICATION = 1000.0


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
    clip : float or None
        The optimizer's limit, which no gradient may know of.
    """

    parameters: Parameters
    inputs: Indices
    targets: Indices
    h0: Floats
    seq_length: int
    reduction: Reduction
    clip: float | None = None

    @property
    def batch_size(self) -> int:
        """B."""
        return len(self.h0)

    def part(self, seq_length: int, batch_size: int) -> CheckedWindow:
        """Return the first characters of the first streams."""
        inputs, targets = (
            codes.reshape(self.seq_length, self.batch_size)[:seq_length, :batch_size].ravel()
            for codes in (self.inputs, self.targets)
        )
        return replace(self, inputs=inputs, targets=targets, h0=self.h0[:batch_size], seq_length=seq_length)

    def network(self, dtype: Any, h0: Floats, maker: NetworkMaker) -> Network:
        """Return a network of a type with a copy of the parameters and this h_0."""
        m, K = self.parameters.hidden, self.parameters.characters
        parameters = Parameters(m, K, dtype, self.parameters.buffer.astype(dtype))
        network = maker(parameters, self.seq_length, self.batch_size, self.reduction)
        network.H[0] = h0
        return network


def stress_window(
    window: CheckedWindow, generator: np.random.Generator, network: NetworkMaker = Network
) -> CheckedWindow:
    """Return a window in which faults show that a window of text hides.

    Three streams, so that mixing them shows; every character of the vocabulary as input and as target, as far
    as they fit, so that no column of U is left out; U and W scaled so that the units neither are linear nor
    saturate, and V until the largest gradient exceeds twice the limit of clipping.
    """
    m, K, B = window.parameters.hidden, window.parameters.characters, STRESS_STREAMS
    T = min(max(8, -(-K // B)), max(5, WORK // _work(window.parameters)), 100)
    inputs, targets = (_permutations(K, T * B, generator) for _ in range(2))
    parameters = Parameters(m, K, np.float64, window.parameters.buffer.astype(np.float64))
    for weights, size in ((parameters.U, 0.5), (parameters.W, m**-0.5), (parameters.V, m**-0.5)):
        root_mean_square = math.sqrt(float(np.square(weights).mean()))
        if root_mean_square > 0:
            weights *= size / root_mean_square
    h0 = generator.uniform(-1, 1, (B, m))
    stress = CheckedWindow(parameters, inputs, targets, h0, T, window.reduction, window.clip)
    wanted = 2 * (_STRESS_LIMIT if window.clip is None else window.clip)
    for _ in range(_ATTEMPTS):
        real = stress.network(np.float64, h0, network)
        real.forward(inputs, targets)
        real.backward()
        largest = float(np.abs(real.gradients.buffer).max())
        if largest > wanted:
            break
        # Not quite proportional: outputs that are surer of themselves have other gradients.
        parameters.V *= min(max(2.0, wanted / largest), 1e6) if largest > 0 else 2.0
    return stress


def _permutations(K: int, length: int, generator: np.random.Generator) -> Indices:
    """Return codes: whole permutations of the vocabulary, the last one cut."""
    return np.concatenate([generator.permutation(K) for _ in range(-(-length // K))])[:length].astype(np.intp)


def affordable_part(window: CheckedWindow, maker: NetworkMaker = Network) -> tuple[CheckedWindow, float]:
    """Return the part of a window that the default check looks at, and the share of its comparisons to make.

    As many characters and streams as `WORK` allows, and no more characters than a difference can follow:
    where a network is chaotic, rounding grows with each. Where even a short window costs more, fewer
    comparisons are made.
    """
    work = _work(window.parameters)
    T = min(window.seq_length, max(5, WORK // work))
    B = min(window.batch_size, max(1, WORK // (work * T)))
    part = window.part(T, B)
    while part.seq_length > 1 and _amplification(part, maker) > _AMPLIFICATION:
        part = part.part(part.seq_length // 2, B)
    return part, min(1.0, WORK / (work * T * B))


def _work(parameters: Parameters) -> int:
    """Return the multiplications that a character costs."""
    return parameters.hidden * (parameters.hidden + parameters.characters)


def _amplification(window: CheckedWindow, maker: NetworkMaker) -> float:
    """Return how many times larger a relative change of the weights is in the gradients."""
    change = 1e-12
    buffer = window.parameters.buffer.astype(np.float64)
    gradients = []
    with np.errstate(all="ignore"):
        for sign in (np.zeros(buffer.size), np.where(np.arange(buffer.size) % 2, change, -change)):
            m, K = window.parameters.hidden, window.parameters.characters
            moved = replace(window, parameters=Parameters(m, K, np.float64, buffer * (1 + sign)))
            network = moved.network(np.float64, window.h0, maker)
            network.forward(window.inputs, window.targets)
            network.backward()
            gradients.append(network.gradients.buffer)
        size = np.linalg.norm(gradients[0])
        return float(np.linalg.norm(gradients[1] - gradients[0]) / size / change) if size else 0.0
