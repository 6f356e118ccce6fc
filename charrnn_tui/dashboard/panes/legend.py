"""The legend of the loss chart: whose line has which colour, and its value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from charrnn_tui.dashboard.renderables.canvas import GlyphSet
from charrnn_tui.dashboard.renderables.curves import Curve, nearest
from charrnn_tui.dashboard.spans import Line, Span
from charrnn_tui.formatting import loss_of
from charrnn_tui.terminal import harmless_line

_SHORTEST = 8


def legend_line(curves: Sequence[Curve], at: float | None, width: int, glyphs: GlyphSet) -> Line:
    """Return a line that names curves.

    Parameters
    ----------
    curves : sequence of Curve
        With names that may come from anywhere.
    at : float or None
        The x whose values stand beside the names; None is the end of each.
    width : int
        In cells. Where it is short, names are cut, and then the values are left out.
    glyphs : "braille", "block" or "ascii"
    """
    rule = "-" if glyphs == "ascii" else "━"
    names = [harmless_line(curve.name) for curve in curves]
    values = [f" {loss_of(_value(curve, at))}" for curve in curves]
    if sum(4 + cell_len(name) + len(value) for name, value in zip(names, values, strict=True)) > width:
        undated = [re.sub(r"^\d{8}-", "", name) for name in names]
        names = _without_common_beginning(undated if len(set(undated)) == len(names) else names)
    room = _room(names, width - sum(4 + len(value) for value in values))
    if room < min(_SHORTEST, max(map(cell_len, names), default=0)):
        values = [""] * len(curves)
        room = max(1, _room(names, width - 4 * len(curves)))
    spans: list[Span] = []
    for curve, name, value in zip(curves, names, values, strict=True):
        cut = name if cell_len(name) <= room else set_cell_size(name, room - 1) + "…"
        spans += [Span(f"{curve.sign or rule} ", curve.role), Span(cut, "text"), Span(f"{value}  ", "label")]
    return spans


def _without_common_beginning(names: Sequence[str]) -> list[str]:
    """Return names without the parts, up to a hyphen, that all of them begin with.

    Examples
    --------
    >>> _without_common_beginning(["20261126-1905-tales-2", "20261126-1905-tales", "20261126-1920-play"])
    ['1905-tales-2', '1905-tales', '1920-play']
    """
    parts = [name.split("-") for name in names]
    common = 0
    while len(names) > 1 and all(len(each) > common + 1 for each in parts):
        if len({each[common] for each in parts}) > 1:
            break
        common += 1
    return ["-".join(each[common:]) for each in parts]


def _room(names: Sequence[str], width: int) -> int:
    """Return how many cells each name can have: long ones share what short ones leave."""
    lengths = sorted(map(cell_len, names))
    for index, length in enumerate(lengths):
        share = width // (len(lengths) - index)
        if length > share:
            return max(share, 0)
        width -= length
    return max(lengths, default=0)


def _value(curve: Curve, at: float | None) -> float | None:
    if not len(curve.x):
        return None
    if at is None:
        return float(curve.y[-1])
    point = nearest(curve, at) if curve.x[0] <= at <= curve.x[-1] else None
    return None if point is None else point[1]
