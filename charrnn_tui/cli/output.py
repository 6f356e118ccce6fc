"""Where a report goes, and in which format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn_core.errors import UsageError
from charrnn_tui.files import check_place

if TYPE_CHECKING:
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_tui.report.document import ReportFormat

Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where the report goes (default: report.html or report.md in the run's directory).",
    ),
]
OutputFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="html|md",
        help="One HTML file that needs nothing else, or Markdown with the figure beside it (default: what "
        "FILE ends in, else html).",
        autocompletion=lambda: ["html", "md"],
    ),
]

_ENDINGS: dict[str, ReportFormat] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}
_FORMATS: dict[str, ReportFormat] = {"html": "html", "md": "md"}


def report_target(
    output: str | None, format: str | None, directory: RunDirectory
) -> tuple[Path, ReportFormat]:
    """Return where the report of a run goes, and its format.

    Parameters
    ----------
    output : str or None
        The file that was asked for; by default it is called `report` and lies in the run directory.
    format : str or None
        The format that was asked for; by default the file's ending says it.
    directory : RunDirectory

    Raises
    ------
    UsageError
        As `check_output`; or it is no run directory.
    """
    return target_in(directory.path, output, format, directory.config()["corpus"].get("path"))


def target_in(
    folder: Path, output: str | None, format: str | None, text: str | None
) -> tuple[Path, ReportFormat]:
    """Return where the report of what is in a folder goes, and its format, as `report_target`.

    Parameters
    ----------
    folder : Path
        Where the report lies by default.
    output, format : str or None
        As of `report_target`.
    text : str or None
        As of `check_output`.

    Raises
    ------
    UsageError
        As `check_output`.
    """
    wanted = check_output(output, format, text)
    path = Path(output) if output is not None else folder / f"report.{wanted}"
    check_place(path)
    return path, wanted


def check_output(output: str | None, format: str | None, text: str | None = None) -> ReportFormat:
    """Return the format of a report, if it can be written; to know before anything long is begun.

    Parameters
    ----------
    output, format : str or None
        As of `report_target`.
    text : str, optional
        The file with the text of the run, which a report must not replace.

    Raises
    ------
    UsageError
        The format cannot be told, or the file cannot be written there.
    """
    if format is not None and format not in _FORMATS:
        raise UsageError(f"--format {format} is not possible; allowed is {', '.join(_FORMATS)}")
    if output is None:
        return _FORMATS[format or "html"]
    path = Path(output)
    if format is None and path.suffix.lower() not in _ENDINGS:
        raise UsageError(
            f"-o {output}: the ending says no format; known are {', '.join(_ENDINGS)}, or give --format"
        )
    check_place(path)
    if isinstance(text, str) and os.path.realpath(path) == os.path.realpath(text):
        raise UsageError(f"-o {output} is the text itself; the report needs another file")
    return _FORMATS[format] if format is not None else _ENDINGS[path.suffix.lower()]
