"""A course of values in one line."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from charrnn_tui.dashboard.renderables.canvas import GlyphSet

_LEVELS = {"braille": "▁▂▃▄▅▆▇█", "block": "▁▂▃▄▅▆▇█", "ascii": "_.-=+*#"}


def sparkline(values: ArrayLike, width: int, glyphs: GlyphSet = "block") -> str:
    """Return a line of this many columns, the smallest value low and the largest high in it.

    Parameters
    ----------
    values : array, (values,)
        The newest last. More than the width are reduced to the mean of each column's share; fewer stand at
        the right. What is not finite is left out, and a column of nothing else is blank.
    width : int
        In columns.
    glyphs : "braille", "block" or "ascii"
        What the terminal can show; the first two look the same.

    Examples
    --------
    >>> sparkline([3, 4, 5, 4, 3, 2, 1], 7)
    '▅▆█▆▅▃▁'
    >>> sparkline([45.0, 45.0, float("nan"), 45.0], 6)
    '  ▄▄ ▄'
    """
    points = np.ravel(np.asarray(values, dtype=np.float64))
    if width <= 0:
        return ""
    points = np.where(np.isfinite(points), points, np.nan)
    if len(points) > width:
        starts = np.arange(width) * len(points) // width
        finite = ~np.isnan(points)
        # Halved, so that sums of the largest numbers stay finite; only proportions are drawn.
        total = np.add.reduceat(np.where(finite, points, 0.0) / len(points), starts)
        counts = np.add.reduceat(finite.astype(np.float64), starts)
        points = np.divide(total, counts, out=np.full(width, np.nan), where=counts > 0)
    levels = _LEVELS[glyphs]
    finite = ~np.isnan(points)
    if not finite.any():
        return " " * width
    points = points / 2
    low, high = float(points[finite].min()), float(points[finite].max())
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        heights = np.full(len(points), (len(levels) - 1) // 2)
    else:
        heights = np.rint((np.where(finite, points, low) - low) / (high - low) * (len(levels) - 1)).astype(
            np.intp
        )
    text = "".join(levels[height] if there else " " for height, there in zip(heights, finite, strict=True))
    return text.rjust(width)
