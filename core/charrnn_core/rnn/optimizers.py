"""Optimizers: what they remember of past gradients, and the step that they take.

Each works on the flat buffers of `Parameters`, clips a copy of the gradients elementwise (the gradients
themselves stay as they are, for their norm and for checks), and changes the parameters in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from charrnn_core.rnn.parameters import Floats

OptimizerName = Literal["adagrad", "adam", "rmsprop"]


@dataclass(frozen=True)
class OptimizerSettings:
    """Which optimizer, and everything that it is told.

    Attributes
    ----------
    name : "adagrad", "adam" or "rmsprop"
    learning_rate : float
        eta.
    epsilon : float
    clip : float or None
        Limit of each entry of the gradient.
    beta1, beta2 : float
        Adam's.
    decay : float
        RMSProp's rho.
    """

    name: OptimizerName
    learning_rate: float
    epsilon: float = 1e-8
    clip: float | None = None
    beta1: float = 0.9
    beta2: float = 0.999
    decay: float = 0.9


class Optimizer(Protocol):
    """What the engine asks of an optimizer.

    Attributes
    ----------
    learning_rate : float
        May be changed between steps.
    memory : dict of str to array of shape (size,)
        Everything that a step depends on besides gradients, learning rate and number of the update.
    """

    learning_rate: float
    memory: dict[str, Floats]

    def step(self, parameters: Floats, gradients: Floats, update: int) -> None:
        """Change the parameters in place by one step.

        Parameters
        ----------
        parameters, gradients : arrays of shape (size,)
        update : int
            Number of this update, from 1.
        """


class _Clip:
    """Elementwise clipping to [-limit, limit] into a buffer of its own; without a limit nothing is done."""

    def __init__(self, like: Floats, limit: float | None) -> None:
        self._limit = None if limit is None else like.dtype.type(limit)
        self._clipped: Floats = np.empty_like(like)

    def __call__(self, gradients: Floats) -> Floats:
        if self._limit is None:
            return gradients
        gradients.clip(-self._limit, self._limit, self._clipped)
        return self._clipped


class AdaGrad:
    """AdaGrad: every entry's rate shrinks with the sum of its squared gradients.

    s <- s + g^2, theta <- theta - eta g / sqrt(s + eps). The memory s starts at 0 and eps is inside the root,
    so the first step of an entry is about eta, whatever its gradient.

    Attributes
    ----------
    memory : {"squares": array of shape (size,)}
        s.

    References
    ----------
    Duchi, Hazan, Singer: Adaptive Subgradient Methods, JMLR 12 (2011).

    Examples
    --------
    >>> theta = np.array([1.0, 1.0])
    >>> AdaGrad(theta, learning_rate=0.1).step(theta, np.array([2.0, -0.5]), 1)
    >>> theta.round(6).tolist()
    [0.9, 1.1]
    """

    def __init__(
        self, like: Floats, *, learning_rate: float, epsilon: float = 1e-8, clip: float | None = None
    ) -> None:
        self.learning_rate = learning_rate
        self._epsilon = epsilon
        self.memory: dict[str, Floats] = {"squares": np.zeros_like(like)}
        self._clip = _Clip(like, clip)
        self._scratch: Floats = np.empty_like(like)

    def step(self, parameters: Floats, gradients: Floats, update: int) -> None:
        """Take one step; see `Optimizer.step`."""
        squares, scratch = self.memory["squares"], self._scratch
        gradients = self._clip(gradients)
        np.multiply(gradients, gradients, scratch)
        np.add(squares, scratch, squares)
        np.add(squares, self._epsilon, scratch)
        np.sqrt(scratch, scratch)
        np.divide(gradients, scratch, scratch)
        np.multiply(scratch, self.learning_rate, scratch)
        np.subtract(parameters, scratch, parameters)


class RMSProp:
    """RMSProp: AdaGrad that forgets, with an exponential average in place of the sum.

    s <- rho s + (1 - rho) g^2, theta <- theta - eta g / (sqrt(s) + eps). The memory s starts at 0.

    Attributes
    ----------
    memory : {"squares": array of shape (size,)}
        s.

    References
    ----------
    Tieleman, Hinton: Neural Networks for Machine Learning, lecture 6e (2012).
    """

    def __init__(
        self,
        like: Floats,
        *,
        learning_rate: float,
        decay: float = 0.9,
        epsilon: float = 1e-8,
        clip: float | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self._decay, self._epsilon = decay, epsilon
        self.memory: dict[str, Floats] = {"squares": np.zeros_like(like)}
        self._clip = _Clip(like, clip)
        self._scratch: Floats = np.empty_like(like)

    def step(self, parameters: Floats, gradients: Floats, update: int) -> None:
        """Take one step; see `Optimizer.step`."""
        squares, scratch = self.memory["squares"], self._scratch
        gradients = self._clip(gradients)
        np.multiply(gradients, gradients, scratch)
        np.multiply(scratch, 1 - self._decay, scratch)
        np.multiply(squares, self._decay, squares)
        np.add(squares, scratch, squares)
        np.sqrt(squares, scratch)
        np.add(scratch, self._epsilon, scratch)
        np.divide(gradients, scratch, scratch)
        np.multiply(scratch, self.learning_rate, scratch)
        np.subtract(parameters, scratch, parameters)


class Adam:
    """Adam: exponential averages of gradient and squared gradient, corrected for their start at 0.

    m <- b1 m + (1 - b1) g, v <- b2 v + (1 - b2) g^2,
    theta <- theta - eta (m / (1 - b1^n)) / (sqrt(v / (1 - b2^n)) + eps) at update n; eps is outside the root.

    Attributes
    ----------
    memory : {"mean": array of shape (size,), "squares": array of shape (size,)}
        m and v.

    References
    ----------
    Kingma, Ba: Adam, ICLR (2015), algorithm 1.
    """

    def __init__(
        self,
        like: Floats,
        *,
        learning_rate: float,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        clip: float | None = None,
    ) -> None:
        self.learning_rate = learning_rate
        self._beta1, self._beta2, self._epsilon = beta1, beta2, epsilon
        self.memory: dict[str, Floats] = {"mean": np.zeros_like(like), "squares": np.zeros_like(like)}
        self._clip = _Clip(like, clip)
        self._scratch: Floats = np.empty_like(like)

    def step(self, parameters: Floats, gradients: Floats, update: int) -> None:
        """Take one step; see `Optimizer.step`."""
        mean, squares, scratch = self.memory["mean"], self.memory["squares"], self._scratch
        gradients = self._clip(gradients)
        np.multiply(mean, self._beta1, mean)
        np.multiply(gradients, 1 - self._beta1, scratch)
        np.add(mean, scratch, mean)
        np.multiply(gradients, gradients, scratch)
        np.multiply(scratch, 1 - self._beta2, scratch)
        np.multiply(squares, self._beta2, squares)
        np.add(squares, scratch, squares)
        np.multiply(squares, 1 / (1 - self._beta2**update), scratch)
        np.sqrt(scratch, scratch)
        np.add(scratch, self._epsilon, scratch)
        np.divide(mean, scratch, scratch)
        np.multiply(scratch, self.learning_rate / (1 - self._beta1**update), scratch)
        np.subtract(parameters, scratch, parameters)


def optimizer_of(settings: OptimizerSettings, like: Floats) -> Optimizer:
    """Return the optimizer of these settings for parameters of this size and type."""
    rate, epsilon, clip = settings.learning_rate, settings.epsilon, settings.clip
    match settings.name:
        case "adagrad":
            return AdaGrad(like, learning_rate=rate, epsilon=epsilon, clip=clip)
        case "adam":
            betas = {"beta1": settings.beta1, "beta2": settings.beta2}
            return Adam(like, learning_rate=rate, epsilon=epsilon, clip=clip, **betas)
        case "rmsprop":
            return RMSProp(like, learning_rate=rate, epsilon=epsilon, clip=clip, decay=settings.decay)


def memory_names(optimizer: OptimizerName) -> tuple[str, ...]:
    """Return the names of what an optimizer remembers."""
    return ("mean", "squares") if optimizer == "adam" else ("squares",)
