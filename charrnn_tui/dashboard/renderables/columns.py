"""What of a curve is in each column of dots, and the range of values that shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from charrnn_tui.dashboard.renderables.ticks import BOUND, Axis, FloatArray, linear_step

BoolArray = NDArray[np.bool_]


class Columns(NamedTuple):
    """What of a curve or an envelope is in each column of dots.

    Attributes
    ----------
    low, high : float64 arrays, (columns,)
        The smallest and the largest value; NaN where there is none.
    lost : bool array, (columns,)
        Whether a point of the column is not finite (of an envelope, its low).
    first : float
        The first point of all, if it is visible; else NaN.
    """

    low: FloatArray
    high: FloatArray
    lost: BoolArray
    first: float


def reduced(x: FloatArray, low: FloatArray, high: FloatArray, axis: Axis, count: int, log: bool) -> Columns:
    """Return the extremes of a line (low and high the same) or of an envelope in each column.

    A column holds its points and what joins them to those of its neighbours, straight on the screen, so
    that no spike is lost and neighbouring columns touch, however many or few points there are.

    Parameters
    ----------
    x, low, high : float64 arrays, (points,)
    axis : Axis
        The columns divide it evenly.
    count : int
        Of columns, at least 1.
    log : bool
        Whether values are drawn on a logarithmic axis; those that are not positive are gaps then.
    """
    edges = axis.value(np.linspace(0, 1, count + 1))
    edges[0], edges[-1] = axis.low, axis.high
    starts = np.searchsorted(x, edges)
    starts[-1] = np.searchsorted(x, axis.high, side="right")
    starts = np.maximum.accumulate(starts)
    visible = slice(starts[0], starts[-1])

    def extremes(extreme: np.ufunc, values: FloatArray) -> FloatArray:
        joints = _at_edges(x, values, axis.position(edges), starts, axis, log)
        points = _per_column(extreme, _drawable(values[visible], log), starts, np.nan)
        return np.asarray(extreme(points, extreme(joints[:-1], joints[1:])), dtype=np.float64)

    bottom, top = extremes(np.fmin, low), extremes(np.fmax, high)
    missing = np.isnan(bottom) | np.isnan(top)
    bottom[missing] = top[missing] = np.nan
    lost = _per_column(np.logical_or, ~np.isfinite(low[visible]), starts, False)
    return Columns(bottom, top, lost, float(low[0]) if starts[0] == 0 and starts[-1] > 0 else math.nan)


def _drawable(values: FloatArray, log: bool) -> FloatArray:
    keep = np.isfinite(values)
    if log:
        keep &= values > 0
    return values if keep.all() else np.where(keep, values, np.nan)


def _per_column(
    reduce: np.ufunc, values: NDArray[Any], starts: NDArray[np.intp], empty: object
) -> NDArray[Any]:
    """Return a reduction of each column's values; those before the first start are not among them."""
    result = np.full(len(starts) - 1, empty, dtype=values.dtype)
    full = starts[1:] > starts[:-1]
    if full.any():
        result[full] = reduce.reduceat(values, (starts - starts[0])[:-1][full])
    return result


def _at_edges(
    x: FloatArray, y: FloatArray, edges: FloatArray, starts: NDArray[np.intp], axis: Axis, log: bool
) -> FloatArray:
    """Return what a line has between its points at the edges of the columns; NaN where it has nothing."""
    inside = (starts > 0) & (starts < len(x))
    after = starts[inside]
    result = np.full(len(starts), np.nan)
    if len(after):
        left, right = axis.position(x[after - 1]), axis.position(x[after])
        before_y, after_y = (np.clip(_drawable(y[index], log), -BOUND, BOUND) for index in (after - 1, after))
        if log:
            before_y, after_y = np.log10(before_y), np.log10(after_y)
        between = before_y + (edges[inside] - left) / (right - left) * (after_y - before_y)
        result[inside] = 10.0**between if log else between
    return result


# How far beyond the bulk of a curve, in heights of the bulk, its extremes still decide what is visible.
_REACH = 2.0
# Percentiles of an envelope's points, and of about how many points they are taken. Its bulk ends at the outer
# ones, or as far beyond the inner ones as those are apart where spikes are so many that they move the outer.
_CALM = (2.0, 10.0, 90.0, 98.0)
_POINTS = 2000


def bulk(
    x: FloatArray, low: FloatArray, high: FloatArray, axis: Axis, log: bool
) -> tuple[float, float] | None:
    """Return between which values nearly all visible points of an envelope are; None without one.

    Of points, not of columns: the extremes of a column grow with its width, and the same data would have
    another range in a smaller chart.
    """
    first, last = np.searchsorted(x, axis.low), np.searchsorted(x, axis.high, side="right")
    # A part of the points is as good where only their quantiles matter.
    part = slice(first, last, max(int(last - first) // _POINTS, 1))
    lows, highs = _scaled(low[part], log), _scaled(high[part], log)
    if not len(lows) or not len(highs):
        return None
    (bottom, tenth), (ninetieth, top) = np.percentile(lows, _CALM[:2]), np.percentile(highs, _CALM[2:])
    reach = ninetieth - tenth
    return float(max(bottom, tenth - reach)), float(min(top, ninetieth + reach))


def fitted(
    curves: Iterable[Columns], envelope: tuple[float, float] | None, log: bool, rows: int
) -> Axis | None:
    """Return an axis that shows curves as a whole and the bulk of an envelope; None where nothing is finite.

    A spike does not flatten the rest: of a curve it counts up to twice the height of the curve's bulk
    beyond that, of the envelope only the bulk counts. But a curve's beginning counts in full: training
    begins at its highest loss, and that is no outlier. The ends are round, so that the axis rests while the
    curve grows.

    Parameters
    ----------
    curves : iterable of Columns
    envelope : (float, float) or None
        What `bulk` gives.
    log : bool
    rows : int
        Ticks that there is room for: how round is round.
    """
    lows, highs = [], []
    for curve in curves:
        low, high = _scaled(curve.low, log), _scaled(curve.high, log)
        if not len(low):
            continue
        bottom, top = np.percentile(low, 10), np.percentile(high, 90)
        reach = _REACH * max(top - bottom, 0.05 * (1.0 if log else abs(bottom)))
        begins = [low[0], *_scaled(np.array([curve.first]), log)]
        lows.append(min(max(low.min(), bottom - reach), *begins))
        highs.append(max(min(high.max(), top + reach), *begins))
    if envelope is not None:
        lows.append(envelope[0])
        highs.append(envelope[1])
    if not lows:
        return None
    low_end, high_end = float(min(lows)), float(max(highs))
    if log:
        widest = math.log10(BOUND)
        axis = Axis.over(10.0 ** max(low_end, -widest), 10.0 ** min(high_end, widest), log)
        unit, upper_unit = (10.0 ** (math.floor(math.log10(end)) - 1) for end in (axis.low, axis.high))
    else:
        axis = Axis.over(low_end, high_end)
        unit = upper_unit = linear_step(axis.low, axis.high, rows) / 4
    return Axis.over(
        math.floor(axis.low / unit + 1e-9) * unit, math.ceil(axis.high / upper_unit - 1e-9) * upper_unit, log
    )


def _scaled(values: FloatArray, log: bool) -> FloatArray:
    values = np.clip(values[np.isfinite(values)], -BOUND, BOUND)
    return np.log10(np.maximum(values[values > 0], 1 / BOUND)) if log else values
