"""The chart of the loss: curves over an envelope, axes, marks and a crosshair, as lines of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from charrnn_tui.dashboard.renderables.canvas import GLYPHS, Canvas, Glyphs, GlyphSet, Line, narrow
from charrnn_tui.dashboard.renderables.columns import Columns, bulk, fitted, reduced
from charrnn_tui.dashboard.renderables.curves import Curve, Envelope, Marker
from charrnn_tui.dashboard.renderables.frame import Area, Frame
from charrnn_tui.dashboard.renderables.ticks import Axis, FloatArray, labels


@dataclass(frozen=True)
class View:
    """What of the data is visible, and how.

    Attributes
    ----------
    x_range, y_range : (float, float), optional
        Without it all data, and of y what is visible of it (see `fitted`).
    log_x, log_y : bool
        On a logarithmic axis an x that is not positive is drawn at the first that is; a y is a gap.
    crosshair : float, optional
        x of a vertical line; the first curve's value there stands on the axis.
    right_axis : (float, str), optional
        A second unit: values on the right are those on the left times this, under this name.
    """

    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    log_x: bool = False
    log_y: bool = False
    crosshair: float | None = None
    right_axis: tuple[float, str] | None = None


@dataclass(frozen=True)
class Drawing:
    """A drawn chart.

    Attributes
    ----------
    lines : list of list of Span
        As many as the height, each as many columns wide as the width.
    area : Area
        Where the curves are.
    x_axis, y_axis : Axis
        What their columns and rows mean.
    """

    lines: list[Line]
    area: Area
    x_axis: Axis
    y_axis: Axis

    @property
    def x_range(self) -> tuple[float, float]:
        """The x at the left and the right edge of the area."""
        return self.x_axis.low, self.x_axis.high

    @property
    def y_range(self) -> tuple[float, float]:
        """The y at the lower and the upper edge of the area."""
        return self.y_axis.low, self.y_axis.high

    def x_at(self, column: int) -> float | None:
        """Return the x in the middle of a column of the chart; None outside of the area."""
        place = column - self.area.left
        if not 0 <= place < self.area.width:
            return None
        return float(self.x_axis.value((place + 0.5) / self.area.width))


_NARROW = 40
_LABEL = 5


def plot_area(width: int, height: int, left: int = 0, right: int = 0) -> Area:
    """Return where the curves of a chart of this size are, which depends on little but the size.

    Parameters
    ----------
    width, height : int
        Of the chart, in cells.
    left, right : int
        Width of the longest label on the left and of the longest on the right, 0 without a right axis.
        There is room for at least five columns (four in a narrow chart), so that curves rest while numbers
        grow.
    """
    least = _LABEL if width >= _NARROW else _LABEL - 1
    before = max(left, least) + 2 if width >= 3 * (max(left, least) + 1) else 0
    after = max(right, least) + 1 if right and width >= _NARROW else 0
    below = 2 if height >= 5 else 0
    return Area(before, 0, max(width - before - after, 0), max(height - below, 0))


def draw(
    width: int,
    height: int,
    curves: Sequence[Curve] = (),
    envelope: Envelope | None = None,
    markers: Sequence[Marker] = (),
    view: View = View(),
    glyphs: GlyphSet = "braille",
) -> Drawing:
    """Return the drawing of curves over an envelope, with axes, marks and a crosshair.

    What is small loses first the right axis, then what is below, then the left axis. A cell shows the
    foremost of what is there: the crosshair, a mark, the line, the held-out curve, the overlays, a vertical
    line, the envelope.

    Parameters
    ----------
    width, height : int
        In cells.
    curves : sequence of Curve
        The first is the one that "best" and the crosshair follow.
    envelope : Envelope, optional
    markers : sequence of Marker
    view : View
    glyphs : "braille", "block" or "ascii"
        What the terminal can show.
    """
    with np.errstate(all="ignore"):  # a value that is not finite is a gap, wherever it comes from
        return _draw(width, height, curves, envelope, markers, view, GLYPHS[glyphs])


def _draw(
    width: int,
    height: int,
    curves: Sequence[Curve],
    envelope: Envelope | None,
    markers: Sequence[Marker],
    view: View,
    glyphs: Glyphs,
) -> Drawing:
    if view.log_x:
        curves, envelope = _positive(curves, envelope)
    x_axis = _x_axis(curves, envelope, view)
    scale, unit = view.right_axis or (math.nan, "")
    unit = narrow(unit)
    right = max(len(unit), 1) if view.right_axis else 0
    area = plot_area(width, height, right=right)

    def reduce(x: FloatArray, low: FloatArray, high: FloatArray) -> Columns:
        return reduced(x, low, high, x_axis, max(area.width, 1) * glyphs.across, view.log_y)

    def columns() -> tuple[list[Columns], Columns | None]:
        band = reduce(envelope.x, envelope.low, envelope.high) if envelope is not None else None
        return [reduce(curve.x, curve.y, curve.y) for curve in curves], band

    lines, band = columns()
    calm = bulk(envelope.x, envelope.low, envelope.high, x_axis, view.log_y) if envelope is not None else None
    fit = fitted(lines, calm, view.log_y, _room(area.height))
    y_axis = _axis(view.y_range, view.log_y) or fit
    y_ticks = _y_ticks(y_axis, area.height) if y_axis else np.array([])
    left = max(map(len, labels(y_ticks)), default=0)
    right_ticks = np.array([])
    if view.right_axis:
        if y_axis:
            scaled = Axis.over(y_axis.low * scale, y_axis.high * scale, y_axis.log)
            right_ticks = _y_ticks(scaled, area.height)
        right = max(right, *map(len, labels(right_ticks)), 1)
    if plot_area(width, height, left, right) != area:  # rare: labels longer than the room for them
        area = plot_area(width, height, left, right)
        lines, band = columns()

    frame = Frame(
        Canvas(width, height), area, glyphs, x_axis, y_axis or Axis(0.0, 1.0), clamp=view.y_range is None
    )
    if band is not None:
        frame.envelope(band)
    frame.rules(markers)
    drawn = sorted(zip(curves, lines, strict=True), key=lambda pair: _depth(pair[0]), reverse=True)
    for curve, points in drawn:
        frame.curve(points, curve.role)
    signed = [(curve, points) for curve, points in zip(curves, lines, strict=True) if curve.sign]
    for number, (curve, points) in enumerate(signed, 1):
        frame.sign(points, curve.sign, number / (len(signed) + 1), curve.role)
    has_data = fit is not None or any(np.isfinite(curve.y).any() for curve in curves)
    frame.left_axis(y_ticks)
    if has_data or view.x_range is not None:
        xs = [x[[0, -1]] for x in _all_x(curves, envelope) if len(x)]
        single = view.x_range is None and np.ptp(np.concatenate(xs)) == 0
        # Before the second update there is no distance that other ticks could show.
        frame.bottom_axis((lambda most: xs[0][:1]) if single else x_axis.ticks)
    else:
        frame.bottom_axis(None)
    if view.right_axis:
        frame.right_axis(right_ticks, scale, unit)
    frame.marks(markers, curves[0] if curves else None)
    for points in lines:
        frame.losses(points)
    if fit is None:
        frame.message("nothing here" if has_data else "no updates yet")
    if view.crosshair is not None:
        frame.crosshair(view.crosshair, curves)
    return Drawing(frame.canvas.lines(), area, x_axis, frame.y_axis)


def _depth(curve: Curve) -> tuple[int, str]:
    """Return what sorts curves from the foremost to the hindmost."""
    return {"line": 0, "held-out": 1}.get(curve.role, 2), curve.role


def _y_ticks(axis: Axis, rows: int) -> FloatArray:
    """Return the ticks of y: one for about three rows, and more where a single one would say nothing."""
    most = _room(rows)
    ticks = axis.ticks(most)
    return ticks if len(ticks) > 1 else axis.ticks(most + 1)


def _room(rows: int) -> int:
    return max(rows // 3, min(rows // 2, 3), 2)


def _axis(ends: tuple[float, float] | None, log: bool) -> Axis | None:
    if ends is None or not all(map(math.isfinite, ends)):
        return None
    return Axis.over(*ends, log)


def _x_axis(curves: Sequence[Curve], envelope: Envelope | None, view: View) -> Axis:
    """Return the axis of what is visible: what the view says, or all there is."""
    xs = [x for x in _all_x(curves, envelope) if len(x)]
    first, last = min((float(x[0]) for x in xs), default=0.0), max((float(x[-1]) for x in xs), default=1.0)
    given = view.x_range
    if view.log_x and given is not None and min(given) <= 0:
        given = (min(first, max(given)), max(given))
    return _axis(given, view.log_x) or Axis.over(first, last, view.log_x)


def _positive(curves: Sequence[Curve], envelope: Envelope | None) -> tuple[list[Curve], Envelope | None]:
    """Move what is at 0, where updates begin, to the first x that a logarithmic axis has."""
    firsts = [x[x > 0][:1] for x in _all_x(curves, envelope)]
    least = min((float(first[0]) for first in firsts if len(first)), default=1.0)

    def moved(x: FloatArray) -> FloatArray:
        return x if not len(x) or x[0] > 0 else np.where(x > 0, x, least)

    return (
        [replace(curve, x=moved(curve.x)) for curve in curves],
        None if envelope is None else replace(envelope, x=moved(envelope.x)),
    )


def _all_x(curves: Sequence[Curve], envelope: Envelope | None) -> list[FloatArray]:
    return [*(curve.x for curve in curves), *([] if envelope is None else [envelope.x])]
