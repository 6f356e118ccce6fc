"""Along what a gradient check takes derivatives: single entries, and directions over all of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from charrnn_core.rnn.gradcheck.comparisons import Comparison
from charrnn_core.rnn.gradcheck.pieces import Pieces, blocks
from charrnn_core.rnn.parameters import Floats

_DRAWN = 8  # cost of a random sign


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
    """The lines of a comparison through one parameter, drawn one by one: a direction is as large as it."""

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

    def line(self, number: int) -> Pieces[Line]:
        """Return a line, in pieces; directions are drawn in the order in which they are asked for."""
        if not self.by_direction:
            return Line(self._place(number), np.ones(()))
        direction = np.empty(math.prod(self._shape))
        for part in blocks(len(direction), _DRAWN):
            drawn = direction[part]
            drawn[:] = self._generator.integers(0, 2, len(drawn))
            drawn *= 2
            drawn -= 1
            yield _DRAWN * len(drawn)
        return Line((), direction.reshape(self._shape))

    def index(self, number: int) -> list[int] | int:
        """Return the index of the entry of a line, or the number of its direction."""
        return number if self.by_direction else list(self._place(number))

    def _place(self, number: int) -> tuple[int, ...]:
        return tuple(int(i) for i in np.unravel_index(self._flat[number], self._shape))
