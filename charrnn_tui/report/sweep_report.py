"""The report of a sweep: its document with its figure."""

from __future__ import annotations

from charrnn_tui.report.figures.look import Look
from charrnn_tui.report.figures.sweep_figure import draw_sweep, size_of
from charrnn_tui.report.sweep_document import sweep_document
from charrnn_tui.report.sweep_findings import SweepFindings
from charrnn_tui.report.sweep_points import points_of
from charrnn_tui.report.writing import NARROW_WIDTH, WIDTH, WIDTH_ALONE, Drawing, Report, Size


def sweep_report(found: SweepFindings) -> Report:
    """Return the report of a sweep."""
    points = points_of(found)
    best = next(iter(found.ranked), None)

    def draw(size: Size, look: Look) -> bytes:
        return draw_sweep(points, best, size, look)

    if not points.panels:
        return Report(sweep_document(found), None)
    sizes = (size_of(len(points.panels), width) for width in (WIDTH, NARROW_WIDTH, WIDTH_ALONE))
    return Report(sweep_document(found), Drawing(draw, *sizes))
