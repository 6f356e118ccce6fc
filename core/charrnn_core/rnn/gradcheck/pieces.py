"""Work in pieces, so that the caller can look for signals and commands in between.

A function that works in pieces is a generator: it yields what each piece has cost, and returns its result.
Costs are in multiplications of a product, or entries of an array that are read or written; they need not be
exact, but an array as large as W must count.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from typing import ParamSpec, TypeVar

import numpy as np

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")

Pieces = Generator[int, None, Result]
"""Yields the cost of each piece of work, and returns the result."""

LARGEST_PIECE = 100_000_000
"""Cost of the largest piece where work can be cut: about 0.2 s of one core."""


def finish(pieces: Pieces[Result]) -> Result:
    """Do all pieces, and return the result."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            result: Result = end.value
            return result


def without_warnings(
    function: Callable[Arguments, Pieces[Result]],
) -> Callable[Arguments, Pieces[Result]]:
    """Let a function in pieces compute without NumPy's warnings, and its caller with them.

    `np.errstate` inside the generator, or as its decorator, would last while the generator waits, or not at
    all.
    """

    @functools.wraps(function)
    def quiet(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Pieces[Result]:
        pieces = function(*args, **kwargs)
        while True:
            with np.errstate(all="ignore"):
                try:
                    cost = next(pieces)
                except StopIteration as end:
                    result: Result = end.value
                    return result
            yield cost

    return quiet


def blocks(length: int, cost: int) -> Iterator[slice]:
    """Yield slices of so many rows, each of which costs so much, that together are all of them."""
    step = max(1, LARGEST_PIECE // max(1, cost))
    for first in range(0, length, step):
        yield slice(first, min(length, first + step))
