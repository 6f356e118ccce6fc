"""Along what a gradient check takes derivatives: single entries, and directions over all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from charrnn_core.rnn.gradcheck.comparisons import Comparison
from charrnn_core.rnn.gradcheck.windows import CheckedWindow
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import Floats


@dataclass(frozen=True)
class Line:
    """A line in the space of a parameter: one entry, or all of them along a direction."""

    place: tuple[int, ...] | EllipsisType
    direction: Any

    def slope(self, gradient: Floats) -> float:
        """Return the derivative of the loss along the line, as a gradient has it."""
        return float((gradient[self.place] * self.direction).sum())

    def derivative(self, network: Network, theta: Floats, window: CheckedWindow, step: float) -> float:
        """Return the derivative of the loss along the line, from losses alone.

        By the complex step where theta is complex, and else by the centred difference.
        """
        before = np.array(theta[self.place])

        def loss(move: Any) -> Any:
            theta[self.place] = before + move
            return network.forward(window.inputs, window.targets)

        if np.iscomplexobj(theta):
            derivative = complex(loss(1j * step * self.direction)).imag / step
        else:
            derivative = (loss(step * self.direction) - loss(-step * self.direction)) / (2 * step)
        theta[self.place] = before
        return float(derivative)


class Lines:
    """The lines of a comparison through one parameter, made one by one."""

    def __init__(
        self, comparison: Comparison, shape: tuple[int, ...], generator: np.random.Generator
    ) -> None:
        size = math.prod(shape)
        self.count = comparison.count(size)
        self.by_direction = comparison.entries.startswith("directions")
        self._shape = shape
        self._generator = generator
        drawn = comparison.entries.startswith("random")
        self._flat = generator.choice(size, self.count, replace=False) if drawn else np.arange(self.count)

    def __iter__(self) -> Iterator[Line]:
        for number in range(self.count):
            if self.by_direction:
                yield Line(..., self._generator.choice([-1.0, 1.0], size=self._shape))
            else:
                yield Line(self._place(number), np.float64(1))

    def index(self, number: int) -> list[int] | int:
        """Return the index of the entry of a line, or the number of its direction."""
        return number if self.by_direction else list(self._place(number))

    def _place(self, number: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(self._flat[number], self._shape))
