"""Writing reports into files: the document, and its figure."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.training.events import encodable
from charrnn_tui.files import is_stream, write_file
from charrnn_tui.report.document import Document, ReportFormat
from charrnn_tui.report.figures.look import PAPER, Look
from charrnn_tui.report.figures.loss_figure import LossOf, draw_losses
from charrnn_tui.report.findings import Findings, find
from charrnn_tui.report.html import html
from charrnn_tui.report.markdown import markdown
from charrnn_tui.report.telling import document_of

Size = tuple[float, float]  # width and height in inches

WIDTH, NARROW_WIDTH, WIDTH_ALONE = 7.6, 3.7, 7.0
"""Inches of a figure in a page on paper and large screens, on small ones, and in a file by itself."""

# Colours of the page's own style sheet, so that one figure serves a light page and a dark one. Matplotlib
# takes nothing but colours: these stand for the names.
_PAGE = {
    "#010101": "--ink", "#020202": "--muted", "#030303": "--grid", "#040404": "--data",
    "#050505": "--held-out", "#060606": "--band", "#070707": "--good", "#080808": "--bad",
}  # fmt: skip
_INK, _MUTED, _GRID, _DATA, _HELD_OUT, _BAND, _GOOD, _BAD = _PAGE
_PAGE_LOOK = Look(
    ink=_INK, muted=_MUTED, grid=_GRID, paper="none", lines=(_DATA,), held_out=_HELD_OUT, envelope=_BAND,
    good=_GOOD, bad=_BAD, text_as_text=True,
)  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """The figure of a report, before it has a size and colours.

    Attributes
    ----------
    draw : callable
        Gives the bytes of an SVG in a size and a look.
    wide, narrow, alone : (float, float)
        Its sizes in a page on paper and large screens, on small ones, and in a file by itself.
    """

    draw: Callable[[Size, Look], bytes]
    wide: Size
    narrow: Size
    alone: Size


@dataclass(frozen=True)
class Report:
    """A document with its figure.

    Attributes
    ----------
    document : Document
    drawing : Drawing or None
        None where there is nothing to draw.
    """

    document: Document
    drawing: Drawing | None

    def to_html(self) -> str:
        """Return the report as one HTML file that needs nothing else."""
        drawing = self.drawing
        if drawing is None:
            return html(self.document, "", "")
        return html(self.document, _page_figure(drawing, drawing.wide), _page_figure(drawing, drawing.narrow))

    def to_markdown(self) -> str:
        """Return the report as Markdown without its figure."""
        return markdown(self.document, "")

    def write(self, path: Path, format: ReportFormat) -> list[Path]:
        """Write the report, and return the files: the report first, then its figure, if it is a file.

        Parameters
        ----------
        path : Path
            Of the report; what is there is replaced once the new one is whole.
        format : "html" or "md"
            One file that needs nothing else, or Markdown with the figure beside it.

        Raises
        ------
        OutputFileError
            A file cannot be written.
        """
        if format == "html":
            _write(path, self.to_html())
            return [path]
        if is_stream(path) or self.drawing is None:  # beside a stream is no place for a figure
            _write(path, self.to_markdown())
            return [path]
        figure = path.with_name(f"{path.stem}-loss.svg")
        text = markdown(self.document, quote(os.fsencode(figure.name)))
        write_file(figure, self.drawing.draw(self.drawing.alone, PAPER))
        _write(path, text)
        return [path, figure]


def report_of(found: Findings) -> Report:
    """Return the report of a run."""
    losses = LossOf(found.name, found.history, found.begun_with.to_json())

    def draw(size: Size, look: Look) -> bytes:
        return draw_losses([losses], size=size, look=look)

    drawing = Drawing(draw, (WIDTH, 4.0), (NARROW_WIDTH, 4.2), (WIDTH_ALONE, 4.0))
    return Report(document_of(found), drawing if found.history.progress else None)


def write_report(
    directory: RunDirectory,
    path: Path,
    format: ReportFormat,
    *,
    corpus: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write the report of a run, and return the files, as `Report.write`.

    Parameters
    ----------
    directory : RunDirectory
    path, format
        As of `Report.write`.
    corpus : str, optional
        Where the text is now, if not where it was.
    progress : callable, optional
        Called with the number of characters of the text that were looked at so far.

    Raises
    ------
    RunDirectoryError
        It is no run directory.
    CorpusError
        The text that is given cannot be read, or is another one.
    OutputFileError
        A file cannot be written.
    """
    return report_of(find(directory, corpus=corpus, progress=progress)).write(path, format)


def report_html(found: Findings) -> str:
    """Return the report of a run as one HTML file."""
    return report_of(found).to_html()


def report_markdown(found: Findings) -> str:
    """Return the report of a run as Markdown without its figure."""
    return report_of(found).to_markdown()


def _write(path: Path, text: str) -> None:
    write_file(path, encodable(text).encode())


def _page_figure(drawing: Drawing, size: Size) -> str:
    """Return the figure as an SVG element whose colours are those of the page."""
    drawn = drawing.draw(size, _PAGE_LOOK).decode()
    # Both figures stand in one page: what one refers to must not be in the other.
    drawn = re.sub(r'(id="|url\(#|href="#)', rf"\1w{round(100 * size[0])}-", drawn[drawn.index("<svg") :])
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    return re.sub("#0[1-8]0[1-8]0[1-8]", lambda color: f"var({_PAGE[color[0]]})", drawn)
