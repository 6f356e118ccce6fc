"""Where a report goes, and in which form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn_core.errors import UsageError
from charrnn_tui.files import check_place

if TYPE_CHECKING:
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_tui.report.writing import ReportFormat

Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where the report goes (default: report.html or report.md in the run's directory).",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="html|md",
        help="One HTML file that needs nothing else, or Markdown with the figure beside it (default: what "
        "FILE ends in, else html).",
    ),
]

_FORMATS: dict[str, ReportFormat] = {"html": "html", "htm": "html", "md": "md", "markdown": "md"}


def report_format(output: str | None, format: str | None) -> ReportFormat:
    """Return the form of a report that goes to a place, and see that it can go there.

    Raises
    ------
    UsageError
        There is no such form, or no such place.
    """
    if format is not None and format not in ("html", "md"):
        raise UsageError(f"--format {format} is not possible; allowed is html, md")
    if output is None or output == "-":
        return _FORMATS[format or "html"]
    path = Path(output)
    ending = path.suffix.lower().removeprefix(".")
    if format is None and ending not in _FORMATS:
        raise UsageError(f"{output}: a report's file ends in .html or .md; --format says what another one is")
    check_place(path)
    return _FORMATS[format or ending]


def report_path(output: str | None, format: ReportFormat, directory: RunDirectory) -> Path:
    """Return the file of a run's report."""
    return directory.path / f"report.{format}" if output is None else Path(output)
