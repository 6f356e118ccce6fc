"""Along what a gradient check takes derivatives: single entries, and directions over all of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn_core.rnn.gradcheck.comparisons import Comparison
from charrnn_core.rnn.parameters import Floats


@dataclass(frozen=True)
class Line:
    """A line in the space of a parameter: along one entry, or along a direction over all of them.

    Attributes
    ----------
    place : tuple of int
        The entry; empty for a direction.
    direction : array
        1 for an entry, else +1 and -1 in the parameter's shape.
    """

    place: tuple[int, ...]
    direction: NDArray[np.float64]

    @property
    def is_direction(self) -> bool:
        """Whether it runs over all entries."""
        return not self.place

    def slope(self, gradient: Floats) -> float:
        """Return the derivative of the loss along the line, as a gradient has it."""
        return float((gradient[self.place] * self.direction).sum())


class Lines:
    """The lines of a comparison through one parameter, made one by one: a direction is as large as it."""

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
                yield Line((), self._generator.choice([-1.0, 1.0], size=self._shape))
            else:
                yield Line(self._place(number), np.ones(()))

    def index(self, number: int) -> list[int] | int:
        """Return the index of the entry of a line, or the number of its direction."""
        return number if self.by_direction else list(self._place(number))

    def _place(self, number: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(self._flat[number], self._shape))
