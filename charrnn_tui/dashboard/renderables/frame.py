"""The parts of a chart, put on a canvas: each where its axes say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from charrnn_tui.dashboard.renderables.canvas import BoolArray, Canvas, Glyphs
from charrnn_tui.dashboard.renderables.columns import Columns
from charrnn_tui.dashboard.renderables.curves import Curve, Marker, nearest
from charrnn_tui.dashboard.renderables.ticks import Axis, FloatArray, labels, short

_ON_AXIS = ("epoch", "checkpoint")
_POINTS = ("diverged", "best")


class Area(NamedTuple):
    """A rectangle in cells, from the top left."""

    left: int
    top: int
    width: int
    height: int


class Frame:
    """A canvas with an area for curves and axes around it.

    Parameters
    ----------
    canvas : Canvas
    area : Area
    glyphs : Glyphs
    x_axis, y_axis : Axis
        What the columns and the rows of the area mean.
    clamp : bool
        Whether what is above or below the range is drawn at the edge; else it is not drawn.
    """

    def __init__(
        self, canvas: Canvas, area: Area, glyphs: Glyphs, x_axis: Axis, y_axis: Axis, clamp: bool
    ) -> None:
        self.canvas, self.area, self.glyphs = canvas, area, glyphs
        self.x_axis, self.y_axis = x_axis, y_axis
        self._clamp = clamp
        self._x_labels: list[tuple[int, str]] = []

    def envelope(self, columns: Columns) -> None:
        """Draw the range of each column, faintly."""
        dots = self._dots(columns)
        if not self.glyphs.shade:
            dots[:, 1::2] = False  # every second column of dots is faint where all of them would be a wall
        codes, where = self.glyphs.characters(dots)
        if self.glyphs.shade:
            codes[...] = ord(self.glyphs.shade)
        self.canvas.stamp(self.area.top, self.area.left, codes, where, "envelope")

    def curve(self, columns: Columns, role: str) -> None:
        """Draw a line; it hides what was drawn before in its cells."""
        codes, where = self.glyphs.characters(self._dots(columns))
        self.canvas.stamp(self.area.top, self.area.left, codes, where, role)

    def sign(self, columns: Columns, sign: str, share: float, role: str) -> None:
        """Put a sign on a line, at this share of its visible part; over what else is there."""
        places = np.flatnonzero(np.isfinite(columns.low) & np.isfinite(columns.high))
        if len(places):
            place = int(places[int(share * len(places))])
            row = self._row(float(columns.low[place]) / 2 + float(columns.high[place]) / 2)
            if row is not None:
                self.canvas.put(row, self.area.left + place // self.glyphs.across, sign, role)

    def left_axis(self, ticks: FloatArray) -> None:
        """Draw the axis of y, with a label at each tick."""
        if not self.area.left:
            return
        for place in range(self.area.height):
            self.canvas.put(place, self.area.left - 1, self.glyphs.vertical, "axis")
        for tick, text in zip(ticks.tolist(), labels(ticks), strict=True):
            if (row := self._row(tick)) is not None:
                self.canvas.put(row, self.area.left - 1, self.glyphs.tick_left, "axis")
                self._left_label(row, text, "label")

    def right_axis(self, ticks: FloatArray, scale: float, unit: str) -> None:
        """Write ticks in another unit, which are y times a scale, on the right, and the unit below them."""
        column = self.area.left + self.area.width + 1
        if column > self.canvas.width:
            return
        texts = labels(ticks)
        width = max(map(len, texts), default=0)
        for tick, text in zip(ticks.tolist(), texts, strict=True):
            if (row := self._row(tick / scale)) is not None and column + width <= self.canvas.width:
                self.canvas.put(row, column, text.rjust(width), "label")
        if self._below:
            self.canvas.put(self.area.height, column, unit, "label")

    def bottom_axis(self, ticks: Callable[[int], FloatArray] | None) -> None:
        """Draw the axis of x, with as many labels as have room; `ticks` gives at most so many ticks."""
        if not self._below:
            return
        row, left, width = self.area.height, self.area.left, self.area.width
        self.canvas.put(row, left - 1, self.glyphs.corner, "axis")
        self.canvas.put(row, left, self.glyphs.horizontal * width, "axis")
        if ticks is None:
            return
        for most in range(max(width // 10, 3), 0, -1):
            values = ticks(most)
            columns = [self._column(tick) for tick in values.tolist()]
            placed = [
                (column, self._centred(column, text), text)
                for column, text in zip(columns, labels(values), strict=True)
                if column is not None
            ]
            if all(a[1] + len(a[2]) + 2 <= b[1] for a, b in pairwise(placed)):
                break
        for column, start, text in placed:
            if column > left:  # beside the corner it would be clutter
                self.canvas.put(row, column, self.glyphs.tick_down, "axis")
            self.canvas.put(row + 1, start, text, "label")
        self._x_labels = [(start, text) for _, start, text in placed]

    def rules(self, markers: Sequence[Marker]) -> None:
        """Draw the vertical lines, before the curves that hide them."""
        for marker in self._rules(markers):
            self._vertical(marker.x, self.glyphs.rule, marker.role)

    def marks(self, markers: Sequence[Marker], curve: Curve | None) -> None:
        """Draw the marks, and what is written beside vertical lines; after the curves."""
        for marker in self._rules(markers):
            self._write_beside(marker)
        for role in _ON_AXIS:
            columns = {self._column(marker.x) for marker in markers if marker.role == role} - {None}
            if self._below and 3 * len(columns) <= self.area.width:  # more would be a fence
                for column in columns:
                    self._on_axis(column or 0, role)
        for marker in (marker for role in _POINTS for marker in markers if marker.role == role):
            column = self._column(marker.x)
            row: int | None = self.area.top
            if marker.role == "best":
                point = nearest(curve, marker.x) if curve is not None else None
                value = marker.y if marker.y is not None else point[1] if point is not None else math.nan
                row = self._row(value)
            if column is not None and row is not None:
                self.canvas.put(row, column, self.glyphs.marks[marker.role], marker.role)

    def losses(self, columns: Columns) -> None:
        """Mark at the upper edge where a curve stops being finite."""
        begins = columns.lost & ~np.concatenate([[False], columns.lost[:-1]])
        for column in np.flatnonzero(begins).tolist():
            if self.area.width and self.area.height:
                place = self.area.left + column // self.glyphs.across
                self.canvas.put(self.area.top, place, self.glyphs.marks["diverged"], "diverged")

    def message(self, text: str) -> None:
        """Write a text in the middle of the area, if it has room."""
        if len(text) <= self.area.width and self.area.height:
            column = self.area.left + (self.area.width - len(text)) // 2
            self.canvas.put(self.area.top + (self.area.height - 1) // 2, column, text, "text")

    def crosshair(self, x: float, curves: Sequence[Curve]) -> None:
        """Draw a vertical line over all, a mark on each curve, and the values of the first on the axes."""
        column = self._column(x)
        if column is None:
            return
        self._vertical(x, self.glyphs.crosshair, "crosshair")
        for number, curve in reversed(list(enumerate(curves))):
            point = nearest(curve, x)
            row = self._row(point[1]) if point is not None else None
            if point is None or row is None:
                continue
            self.canvas.put(row, column, self.glyphs.marks["value"], "value")
            if number == 0 and self.area.left:
                self._left_label(row, short(point[1], self.area.left - 2), "value")
        if self._below:
            is_whole = abs(x) >= 1000 or abs(x - round(x)) < 1e-9 * max(abs(x), 1)
            text = f"{x:,.0f}" if is_whole and abs(x) < 1e12 else f"{x:.5g}"
            start = self._centred(column, text)
            for other, label in self._x_labels:
                if other < start + len(text) + 1 and start < other + len(label) + 1:
                    self.canvas.put(self.area.height + 1, other, " " * len(label), "text")
            self.canvas.put(self.area.height + 1, start, text, "value")

    @property
    def _below(self) -> bool:
        return self.canvas.height >= self.area.height + 2 and self.area.width > 0

    def _dots(self, columns: Columns) -> BoolArray:
        rows, across = self.area.height * self.glyphs.down, self.area.width * self.glyphs.across
        low, high = self.y_axis.position(columns.low[:across]), self.y_axis.position(columns.high[:across])
        drawn = np.isfinite(low) & np.isfinite(high)
        if not self._clamp:
            drawn &= (low <= 1) & (high >= 0)
        top, bottom = (
            np.where(drawn, np.rint((1 - np.clip(end, 0, 1)) * (rows - 1)), empty)
            for end, empty in ((high, rows), (low, -1))
        )
        row = np.arange(rows)[:, None]
        return np.asarray((row >= top) & (row <= bottom), dtype=np.bool_)

    def _row(self, y: float) -> int | None:
        position = float(self.y_axis.position(y))
        if not math.isfinite(y) or not -1e-9 <= position <= 1 + 1e-9 or not self.area.height:
            return None
        dot = round((1 - min(max(position, 0.0), 1.0)) * (self.area.height * self.glyphs.down - 1))
        return self.area.top + dot // self.glyphs.down

    def _column(self, x: float) -> int | None:
        position = float(self.x_axis.position(x))
        if not math.isfinite(x) or not -1e-9 <= position <= 1 + 1e-9 or not self.area.width:
            return None
        return self.area.left + min(max(int(position * self.area.width + 1e-9), 0), self.area.width - 1)

    def _centred(self, column: int, text: str) -> int:
        """Return where a text below a column begins; it keeps out of the right axis."""
        return max(min(column - len(text) // 2, self.area.left + self.area.width - len(text)), 0)

    def _vertical(self, x: float, glyph: str, role: str) -> None:
        if (column := self._column(x)) is not None:
            for row in range(self.area.top, self.area.top + self.area.height):
                self.canvas.put(row, column, glyph, role)

    def _left_label(self, row: int, text: str, role: str) -> None:
        self.canvas.put(row, 0, " " * (self.area.left - 1), "text")
        self.canvas.put(row, self.area.left - 2 - len(text), text, role)

    def _rules(self, markers: Sequence[Marker]) -> list[Marker]:
        return [marker for marker in markers if marker.role not in (*_ON_AXIS, *_POINTS)]

    def _write_beside(self, marker: Marker) -> None:
        column, length = self._column(marker.x), len(marker.label)
        if column is None or not length:
            return
        for row in range(self.area.top, self.area.top + min(3, self.area.height)):
            for start in (column + 2, column - 1 - length):
                inside = self.area.left <= start and start + length <= self.area.left + self.area.width
                if inside and self.canvas.is_blank(row, start, length, but="envelope"):
                    self.canvas.put(row, start, marker.label, marker.role)
                    return

    def _on_axis(self, column: int, role: str) -> None:
        glyph = self.glyphs.marks.get(role)
        if glyph is None:
            on_tick = self.canvas.holds(self.area.height, column, self.glyphs.tick_down)
            glyph = self.glyphs.tick_epoch if on_tick else self.glyphs.epoch
        self.canvas.put(self.area.height, column, glyph, role)
