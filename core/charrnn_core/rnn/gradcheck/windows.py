"""The windows that a gradient check looks at, and networks on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from charrnn_core.rnn.gradcheck.fixed import fixed_parameters, saturate
from charrnn_core.rnn.gradcheck.lines import Line
from charrnn_core.rnn.gradcheck.pieces import Pieces, without_warnings
from charrnn_core.rnn.network import Indices, Network, Reduction
from charrnn_core.rnn.parameters import Floats, Parameters


class CheckableNetwork(Protocol):
    """What a check needs of a network; see `Network`."""

    H: Floats
    gradients: Parameters

    def forward(self, inputs: Indices, targets: Indices) -> float:
        """Return L of a window for H[0] as it stands, and fill in H[1:]."""

    def backward(self) -> None:
        """Fill in `gradients` for the window that `forward` has seen last."""


NetworkMaker = Callable[[Parameters, int, int, Reduction], CheckableNetwork]

STRESS_STREAMS = 3
"""B of the stress window."""

WORK = 4_000_000
"""Multiplications of a forward pass that a default check may cost; m = K = 100 with T = 25 take an eighth."""

_STRESS_LIMIT = 5.0  # what the stress window's gradients must exceed twice where nothing is clipped
_LARGEST_LIMIT = 1e4  # larger gradients would only hide small faults behind their rounding
_ATTEMPTS = 40  # in vain, where every target is the likeliest character already
_AMPLIFICATION = 1000.0
_CHANGE = 1e-12


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

    def network(
        self, h0: Floats, maker: NetworkMaker = Network, dtype: Any = np.float64
    ) -> Pieces[CheckedNetwork]:
        """Return a network of a type on this window, with a copy of the parameters, in pieces."""
        network = CheckedNetwork(self, h0, maker, dtype)
        yield 6 * self.parameters.buffer.size
        return network


class CheckedNetwork:
    """A network on a checked window: its gradients, and derivatives from its losses alone.

    The network has been used on another window before, as in training: what it keeps between two windows is
    part of what is checked. Its forward and its backward pass are one piece of work each.
    """

    def __init__(self, window: CheckedWindow, h0: Floats, maker: NetworkMaker, dtype: Any) -> None:
        self._window = window
        self._parameters = window.parameters.astype(dtype)
        self._network = maker(self._parameters, window.seq_length, window.batch_size, window.reduction)
        self._h0 = h0
        factor = 4 if np.issubdtype(self._parameters.dtype, np.complexfloating) else 1
        self._forward_cost = factor * multiplications(window.parameters) * len(window.inputs)

    @without_warnings
    def loss(self) -> Pieces[Any]:
        """Return L; complex where the parameters are."""
        self._network.H[0] = self._h0
        loss = self._network.forward(self._window.inputs, self._window.targets)
        yield self._forward_cost
        return loss

    @without_warnings
    def gradients(self) -> Pieces[Parameters]:
        """Return the gradients as `backward` has them."""
        network, window = self._network, self._window
        network.H[0] = -self._h0
        network.forward(window.targets, window.inputs)
        yield self._forward_cost
        network.backward()
        yield 2 * self._forward_cost
        yield from self.loss()
        network.backward()
        yield 2 * self._forward_cost
        gradients = network.gradients.copy()
        yield 2 * gradients.buffer.size
        return gradients

    def last_state(self) -> Pieces[Floats]:
        """Return h after the window, shape (B, m)."""
        yield from self.loss()
        last: Floats = self._network.H[-1].copy()
        return last

    def derivative(self, name: str, line: Line, step: float) -> Pieces[float]:
        """Return the derivative of L along a line through a parameter, from losses alone.

        By the complex step where the parameters are complex, and else by the centred difference.
        """
        theta = getattr(self._parameters, name)
        before = np.array(theta[line.place])

        def moved_loss(step: complex) -> Pieces[Any]:
            theta[line.place] = before + step * line.direction
            yield 8 * line.direction.size
            return (yield from self.loss())

        if np.iscomplexobj(theta):
            derivative = complex((yield from moved_loss(1j * step))).imag / step
        else:
            above = yield from moved_loss(step)
            below = yield from moved_loss(-step)
            derivative = (above - below) / (2 * step)
        theta[line.place] = before
        yield 2 * line.direction.size
        return float(derivative)


@without_warnings
def stress_window(
    window: CheckedWindow,
    generator: np.random.Generator,
    network: NetworkMaker = Network,
    *,
    repeats: bool = False,
) -> Pieces[CheckedWindow]:
    """Return a window in which faults show that a window of text hides; in pieces.

    Three streams, so that mixing them shows; every character of the vocabulary as input and as target, as far
    as `WORK` allows, so that no column of U is left out; and weights with which each parameter has gradients
    over twice the limit of clipping, as far as the loss allows it: a mean over characters leaves c's below 1.
    The units are neither all linear nor all saturated, the biases make many agree in sign, and one character
    is expected everywhere, and wrongly.

    Parameters
    ----------
    window : CheckedWindow
        Its weights are scaled; where one is not finite, those of the fixed network take their place.
    generator : Generator
    network : callable
        What makes the network whose gradients are looked at.
    repeats : bool
        Whether the characters are those of a text, each target being the next input, in which characters
        stand twice or more in a row; then every eighth unit is saturated, too.
    """
    m, K, B = window.parameters.hidden, window.parameters.characters, STRESS_STREAMS
    needed = -(-K * (2 if repeats else 1) // B)
    T = min(max(25, needed), max(5, WORK // multiplications(window.parameters)), 100)
    if repeats:
        inputs, targets = _repeating_codes(K, T, B, generator)
    else:
        inputs, targets = (_permutations(K, T * B, generator) for _ in range(2))
    parameters = window.parameters.astype(np.float64)
    is_finite = parameters.is_finite()
    yield 4 * parameters.buffer.size
    if not is_finite:
        parameters = yield from fixed_parameters(m, K, np.float64)
    for weights, size in ((parameters.U, 0.5), (parameters.W, m**-0.5), (parameters.V, m**-0.5)):
        weights /= np.abs(weights).max() or 1.0  # squares of what is far from 1 overflow or vanish
        root_mean_square = math.sqrt(float(np.square(weights).mean()))
        if root_mean_square > 0:
            weights *= size / root_mean_square
        yield 8 * weights.size
    parameters.b[:] = generator.standard_normal(m)
    if repeats:
        saturate(parameters.b)
    parameters.c[:] = generator.standard_normal(K)
    parameters.c[generator.integers(K)] += 5
    h0 = generator.uniform(-1, 1, (B, m))
    stress = CheckedWindow(parameters, inputs, targets, h0, T, window.reduction, window.clip)
    wanted = min(2 * (_STRESS_LIMIT if window.clip is None else window.clip), _LARGEST_LIMIT)
    # So that what a single step sends back is over it too, a column of U has to be as often as it is read.
    wanted *= -(-T * B // K)
    for _ in range(_ATTEMPTS):
        checked = yield from stress.network(h0, network)
        gradients = yield from checked.gradients()
        # V's and c's are bounded, whatever the weights.
        reached = min(np.abs(getattr(gradients, name)).max() for name in ("U", "W", "b")) > wanted
        yield 2 * gradients.buffer.size
        if reached:
            break
        parameters.V *= 2
        parameters.c *= 2
    return stress


def _permutations(K: int, length: int, generator: np.random.Generator) -> Indices:
    """Return codes: whole permutations of the vocabulary, the last one cut."""
    return np.concatenate([generator.permutation(K) for _ in range(-(-length // K))])[:length].astype(np.intp)


def _repeating_codes(K: int, T: int, B: int, generator: np.random.Generator) -> tuple[Indices, Indices]:
    """Return inputs and targets of B streams of a text in which characters stand up to three times in a row.

    The last target of a stream is the first input of the next, so that every character is an input once T B
    is 2 K.
    """
    length = T * B + 1
    orders = _permutations(K, length, generator)
    text = np.repeat(orders, np.resize([1, 2, 1, 3], length))[:length]
    inputs, targets = (text[first : first + T * B].reshape(B, T).T.ravel() for first in (0, 1))
    return inputs, targets


def affordable_part(window: CheckedWindow) -> tuple[CheckedWindow, float]:
    """Return the part of a window that `WORK` allows, and the share of the default comparisons to make.

    As many characters and streams as the work allows; where even a short window costs more, fewer
    comparisons are made.
    """
    work = multiplications(window.parameters)
    T = min(window.seq_length, max(5, WORK // (work * window.batch_size)))
    B = min(window.batch_size, max(1, WORK // (work * T)))
    return window.part(T, B), min(1.0, WORK / (work * T * B))


def calm_part(part: CheckedWindow, maker: NetworkMaker = Network) -> Pieces[CheckedWindow]:
    """Return the characters of a window that a difference can follow, in pieces.

    Where a network is chaotic, rounding grows with each character.
    """
    while part.seq_length > 1 and (yield from _amplification(part, maker)) > _AMPLIFICATION:
        part = part.part(part.seq_length // 2, part.batch_size)
    return part


def multiplications(parameters: Parameters) -> int:
    """Return how many multiplications a character costs in a forward pass."""
    return parameters.hidden * (parameters.hidden + parameters.characters)


@without_warnings
def _amplification(window: CheckedWindow, maker: NetworkMaker) -> Pieces[float]:
    """Return how many times larger a relative change of the weights is in the gradients."""
    m, K = window.parameters.hidden, window.parameters.characters
    buffer = window.parameters.astype(np.float64).buffer
    buffer[::2] *= 1 - _CHANGE
    buffer[1::2] *= 1 + _CHANGE
    changed = replace(window, parameters=Parameters(m, K, np.float64, buffer))
    yield 4 * buffer.size
    gradients = []
    for each in (window, changed):
        network = yield from each.network(window.h0, maker)
        gradients.append((yield from network.gradients()).buffer)
    before, after = gradients
    size = float(np.linalg.norm(before))
    change = float(np.linalg.norm(after - before))
    yield 4 * buffer.size
    return change / size / _CHANGE if size else 0.0
