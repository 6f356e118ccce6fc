"""Writing the report of a run into files."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.training.events import encodable
from charrnn_tui.files import is_stream, write_file
from charrnn_tui.report.document import ReportFormat
from charrnn_tui.report.findings import Findings, find
from charrnn_tui.report.html import html
from charrnn_tui.report.look import Look
from charrnn_tui.report.loss_figure import LossOf, draw_losses
from charrnn_tui.report.markdown import markdown
from charrnn_tui.report.telling import document_of

_WIDE, _NARROW = (7.6, 4.0), (3.7, 4.2)  # inches

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


def write_report(
    directory: RunDirectory,
    path: Path,
    format: ReportFormat,
    *,
    corpus: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Path]:
    """Write the report of a run, and return the files: the report first, then its figure, if it is a file.

    Parameters
    ----------
    directory : RunDirectory
    path : Path
        Of the report; what is there is replaced once the new one is whole.
    format : "html" or "md"
        One file that needs nothing else, or Markdown with the figure of the loss beside it.
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
    found = find(directory, corpus=corpus, progress=progress)
    if format == "html":
        _write(path, report_html(found))
        return [path]
    if is_stream(path):  # beside it is no place for a figure
        _write(path, report_markdown(found))
        return [path]
    figure = path.with_name(f"{path.stem}-loss.svg")
    text = markdown(document_of(found), quote(os.fsencode(figure.name)))
    write_file(figure, draw_losses([_losses(found)]))
    _write(path, text)
    return [path, figure]


def report_html(found: Findings) -> str:
    """Return the report of a run as one HTML file."""
    sizes = (_WIDE, _NARROW) if found.history.progress else ()
    wide, narrow = [_page_figure(found, size) for size in sizes] or ["", ""]
    return html(document_of(found), wide, narrow)


def report_markdown(found: Findings) -> str:
    """Return the report of a run as Markdown without its figure."""
    return markdown(document_of(found), "")


def _write(path: Path, text: str) -> None:
    write_file(path, encodable(text).encode())


def _losses(found: Findings) -> LossOf:
    return LossOf(found.name, found.history, found.begun_with.to_json())


def _page_figure(found: Findings, size: tuple[float, float]) -> str:
    """Return the figure as an SVG element whose colours are those of the page."""
    drawn = draw_losses([_losses(found)], size=size, look=_PAGE_LOOK).decode()
    # Both figures stand in one page: what one refers to must not be in the other.
    drawn = re.sub(r'(id="|url\(#|href="#)', rf"\1w{round(100 * size[0])}-", drawn[drawn.index("<svg") :])
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    return re.sub("#0[1-8]0[1-8]0[1-8]", lambda color: f"var({_PAGE[color[0]]})", drawn)
