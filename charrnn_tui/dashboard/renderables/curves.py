"""What a chart is made from: curves, an envelope, markers; the value at an x, and smoothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from charrnn_tui.dashboard.renderables.ticks import FloatArray


@dataclass(frozen=True)
class Curve:
    """A line through points.

    Attributes
    ----------
    x, y : float64 arrays, (points,)
        x finite and not decreasing; a y that is not finite is a gap and a mark.
    role : str
        "line", "held-out", or "overlay-1" to "overlay-5"; the first hides the others.
    name : str
    sign : str
        One character that stands on the line, so that it is known without its colour.
    """

    x: FloatArray
    y: FloatArray
    role: str = "line"
    name: str = ""
    sign: str = ""


@dataclass(frozen=True)
class Envelope:
    """The range around a curve, for example of the losses in each bucket of updates.

    Attributes
    ----------
    x, low, high : float64 arrays, (points,)
        x finite and not decreasing; a low or high that is not finite is a gap.
    """

    x: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Marker:
    """Something that happened at an x.

    Attributes
    ----------
    x : float
    role : str
        "best" is a mark on the curve, "checkpoint" and "epoch" are marks on the axis, "diverged" is one at
        the upper edge, and "intervention", like all others, is a vertical line behind the curves.
    label : str
        Written beside a vertical line where there is room.
    y : float, optional
        Of "best"; without it the first curve's.
    """

    x: float
    role: str
    label: str = ""
    y: float | None = None


def nearest(curve: Curve, x: float) -> tuple[float, float] | None:
    """Return the point of a curve that is nearest to an x, finite or not; None without points.

    Of two points as near, the later.
    """
    if not len(curve.x):
        return None
    index = nearest_index(curve.x, x)
    return float(curve.x[index]), float(curve.y[index])


def nearest_index(values: FloatArray, x: float) -> int:
    """Return where the value that is nearest to x stands among some that do not decrease, at least one."""
    right = int(np.searchsorted(values, x, side="right"))
    if right > 0 and (right == len(values) or x - values[right - 1] < values[right] - x):
        return right - 1
    return min(right, len(values) - 1)


def smoothed(mean: FloatArray, widths: FloatArray, half_life: float) -> FloatArray:
    """Return the debiased exponential moving average of a quantity that is known as means of buckets.

    Parameters
    ----------
    mean : float64 array, (buckets,)
        One that is not finite is left out, and stays as it is in what is returned.
    widths : array, (buckets,)
        Updates of each bucket.
    half_life : float
        After how many updates a value counts half; 0 or less smooths nothing.

    Returns
    -------
    float64 array, (buckets,)
        s_i / n_i, with s_0 = n_0 = 0, k_i = 2^(-widths_i / half_life), and

            s_i = k_i s_{i-1} + (1 - k_i) mean_i
            n_i = k_i n_{i-1} + (1 - k_i)

        as if each update of a bucket had the bucket's mean, so that it does not matter how updates are cut
        into buckets. Dividing by n_i keeps the beginning from leaning towards 0.
    """
    mean = np.array(mean, dtype=np.float64)
    if not half_life > 0:
        return mean
    keeps = np.exp2(-np.maximum(np.asarray(widths, dtype=np.float64), 0.0) / half_life)
    total = weight = 0.0
    result = mean.tolist()
    for index, (value, keep) in enumerate(zip(result, keeps.tolist(), strict=True)):
        if not math.isfinite(value):
            continue
        total = keep * total + (1.0 - keep) * value
        weight = keep * weight + (1.0 - keep)
        result[index] = total / weight if weight > 0 else value
    return np.array(result, dtype=np.float64)
