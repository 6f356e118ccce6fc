"""Axes: where a value is on one, round values to mark, and their labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

BOUND = 1e100
"""Values beyond this are drawn as if they were this: their differences stay finite."""


@dataclass(frozen=True)
class Axis:
    """A range of values along a line of cells, linear or logarithmic.

    Attributes
    ----------
    low, high : float
        low < high; both positive on a logarithmic axis.
    log : bool
    """

    low: float
    high: float
    log: bool = False

    @classmethod
    def over(cls, low: float, high: float, log: bool = False) -> Axis:
        """Return an axis over a range, widened where it is empty and cut to what can be drawn."""
        low, high = sorted(max(-BOUND, min(BOUND, value)) for value in (low, high))
        if log:
            high = max(high, 1 / BOUND)
            low = low if low > 0 else high / 1000
            low = max(low, 1 / BOUND)
        size = max(abs(low), abs(high))
        if high - low <= max(1e-9 * size, 1 / BOUND):
            # A single value stands in the middle; 0, where updates begin, at the lower end.
            nothing = size <= 1 / BOUND
            low, high = (1e-3 * log, 1.0) if nothing else (low - 0.05 * size, high + 0.05 * size)
        return cls(low, high, log)

    def position(self, values: Any) -> FloatArray:
        """Return where values are, float64: 0 at the lower end, 1 at the upper, NaN where none is."""
        low, high = self._scaled(np.array([self.low, self.high]))
        return np.asarray((self._scaled(values) - low) / (high - low), dtype=np.float64)

    def value(self, position: Any) -> FloatArray:
        """Return what is at a position, float64; undoes `position`."""
        low, high = self._scaled(np.array([self.low, self.high]))
        scaled = low + np.asarray(position, dtype=np.float64) * (high - low)
        return np.asarray(10.0**scaled if self.log else scaled, dtype=np.float64)

    def ticks(self, most: int) -> FloatArray:
        """Return at most this many round values on the axis, ascending, float64."""
        return log_ticks(self.low, self.high, most) if self.log else linear_ticks(self.low, self.high, most)

    def _scaled(self, values: Any) -> FloatArray:
        values = np.clip(np.asarray(values, dtype=np.float64), -BOUND, BOUND)
        if self.log:
            values = np.log10(np.where(values > 0, values, np.nan))
        return np.asarray(values, dtype=np.float64)


def linear_ticks(low: float, high: float, most: int) -> FloatArray:
    """Return at most so many multiples of 1, 2, 2.5 or 5 times a power of ten in a range, ascending.

    Examples
    --------
    >>> linear_ticks(38.0, 110.0, 5)
    array([ 40.,  60.,  80., 100.])
    """
    numbers, tenths, exponent = _multiples(low, high, max(most, 1))
    # A division by a power of ten is rounded once: 0.3 is 3 / 10, and not 3 * 0.1.
    scale = 10.0 ** abs(exponent - 1)
    ticks = numbers * tenths * scale if exponent > 1 else numbers * tenths / scale
    return np.asarray(ticks, dtype=np.float64)


def linear_step(low: float, high: float, most: int) -> float:
    """Return the distance of the ticks that `linear_ticks` gives, or would if there were two."""
    _, tenths, exponent = _multiples(low, high, max(most, 1))
    return tenths * 10.0 ** (exponent - 1)


def _multiples(low: float, high: float, most: int) -> tuple[FloatArray, int, int]:
    """Return which multiples are ticks, and their unit: so many tenths of ten to the power of an exponent."""
    exponent = math.floor(math.log10((high - low) / (most + 1)))
    while True:
        for tenths in (10, 20, 25, 50):
            step = tenths * 10.0 ** (exponent - 1)
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            if last - first + 1 <= most:
                return np.arange(first, last + 1, dtype=np.float64), tenths, exponent
        exponent += 1


_MANTISSAS = ((1, 2, 3, 4, 6, 8), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,))


def log_ticks(low: float, high: float, most: int) -> FloatArray:
    """Return at most this many round values in a positive range that do not crowd on a logarithmic axis.

    Powers of ten, not all of them in a long range, more than them in a short one, and round multiples as on a
    linear axis in one that has hardly any of these; ascending, float64.

    Examples
    --------
    >>> log_ticks(1, 20_000, 6)
    array([1.e+00, 1.e+01, 1.e+02, 1.e+03, 1.e+04])
    >>> log_ticks(38, 110, 5)
    array([ 40.,  60.,  80., 100.])
    """
    bottom, top = math.log10(low), math.log10(high)
    decades = np.arange(math.floor(bottom), math.floor(top + 1e-9) + 1, dtype=np.float64)
    closest = (top - bottom) / (2 * max(most, 1))
    for mantissas in _MANTISSAS:
        values = (10.0 ** decades[:, None] * np.array(mantissas)).ravel()
        values = values[(values >= low * (1 - 1e-9)) & (values <= high * (1 + 1e-9))]
        if len(values) <= most and (np.diff(np.log10(values)) >= closest).all():
            break
    else:
        decades = decades[decades >= bottom - 1e-9]
        values = 10.0 ** decades[:: -(-len(decades) // max(most, 1))]
    return values if len(values) > 1 or high > 10 * low else linear_ticks(low, high, most)


_SUFFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def label(value: float, step: float) -> str:
    """Return a short label of a value, exact to the step between it and its neighbours.

    Examples
    --------
    >>> [label(value, 500) for value in (0.0, 500.0, 1000.0, 1500.0)]
    ['0', '500', '1k', '1.5k']
    >>> [label(value, value) for value in (1e-7, 0.02, 1.5, 10_000.0, 1.5e6)]
    ['1e-7', '0.02', '1.5', '10k', '1.5M']
    >>> [label(value, 0.5) for value in (42.5, 43.0)]
    ['42.5', '43.0']
    """
    size = abs(value)
    if size < step * 1e-6 or size < 1 / BOUND:
        return "0"
    if size >= 1e15 or size < 0.9995e-3:
        exponent = math.floor(math.log10(size) + 1e-9)
        return f"{value / 10.0**exponent:.{min(_decimals(step / 10.0**exponent), 2)}f}e{exponent}"
    for unit, suffix in _SUFFIXES:
        decimals = _decimals(step / unit)
        if size >= unit and decimals <= 2:
            text = f"{value / unit:.{decimals}f}"
            return (text.rstrip("0").rstrip(".") if decimals else text) + suffix
    return f"{value:,.{_decimals(step)}f}"


def labels(ticks: FloatArray) -> list[str]:
    """Return the labels of round values that are ticks, as exact as their distance needs."""
    if len(ticks) < 2:
        return [label(tick, abs(tick)) for tick in ticks.tolist()]
    gaps = np.diff(ticks)
    if gaps.max() <= 1.001 * gaps.min():
        return [label(tick, float(gaps[0])) for tick in ticks.tolist()]
    return [label(tick, abs(tick)) for tick in ticks.tolist()]


def short(value: float, width: int) -> str:
    """Return a value with as many digits as fit into a width, at most five; "NaN" where it is none."""
    if not math.isfinite(value):
        return {"nan": "NaN"}.get(str(value), str(value))[:width]
    for digits in (5, 4, 3, 2, 1):
        size = math.floor(math.log10(abs(value))) if abs(value) > 1 / BOUND else 0
        text = label(value, 10.0 ** (size - digits + 1))
        if len(text) <= width:
            return text
    return ""


def _decimals(step: float) -> int:
    """Return how many decimals show a step, to two digits of it at most."""
    if not 1 / BOUND < step < BOUND:
        return 0
    first = max(-math.floor(math.log10(step) + 1e-9), 0)
    exact = abs(step * 10.0**first - round(step * 10.0**first)) < 1e-6 * step * 10.0**first
    return first if exact else first + 1
