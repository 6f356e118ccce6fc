"""Where a report goes, and in which format."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from charrnn_core.errors import UsageError

if TYPE_CHECKING:
    from charrnn_core.runs.directory import RunDirectory

Format = Literal["html", "md"]

_ENDINGS: dict[str, Format] = {".html": "html", ".htm": "html", ".md": "md", ".markdown": "md"}
_FORMATS: dict[str, Format] = {"html": "html", "md": "md"}

Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Where the report goes (default: report.html in the run)."
    ),
]
ReportFormat = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="html|md",
        help="Of the report (default: what the ending of -o says, or html).",
        autocompletion=lambda: list(_FORMATS),
    ),
]


def report_target(
    output: str | None, format: str | None, directory: RunDirectory
) -> tuple[Path, Literal["html", "md"]]:
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
    wanted = check_output(output, format, directory.config()["corpus"].get("path"))
    return directory.path / f"report.{wanted}" if output is None else Path(output), wanted


def check_output(output: str | None, format: str | None, text: str | None = None) -> Format:
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
    # os.path does not raise where pathlib does: for a name that is too long, say.
    if os.path.isdir(path):  # noqa: PTH112
        raise UsageError(f"-o {output} is a directory; give a file in it")
    if not os.path.isdir(path.parent):  # noqa: PTH112
        raise UsageError(f"-o {output}: there is no directory {path.parent}")
    if not os.access(path if os.path.lexists(path) else path.parent, os.W_OK):
        raise UsageError(f"-o {output}: this file cannot be written")
    if isinstance(text, str) and os.path.lexists(path) and path.resolve() == Path(text).resolve():
        raise UsageError(f"-o {output} is the text itself; the report needs another file")
    return _FORMATS[format] if format is not None else _ENDINGS[path.suffix.lower()]
