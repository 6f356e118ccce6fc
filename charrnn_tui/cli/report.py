"""`charrnn report`: the document of a run or of a sweep."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn_core.errors import UsageError
from charrnn_tui.cli.options import MovedCorpus, Quiet, RunOrSweep, Runs
from charrnn_tui.cli.output import OutputFormat, check_output, report_target, target_in
from charrnn_tui.cli.sweep_meant import sweep_meant
from charrnn_tui.terminal import put, say

if TYPE_CHECKING:
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_tui.report.document import ReportFormat

SHORT_HELP = "Write the document of a run or sweep: figures, loss, samples."
HELP = (
    "Example: charrnn report 20261122 -o report.html\n\n"
    "Write the document of a run, as it is now: its numbers, the gradient check, the figure of the loss, how "
    "its samples got better, the best passage, the words that it has learnt, and the command that repeats "
    "it. Of a sweep: which combination is best and how much of that is luck of the seed, the figure of the "
    "loss against each setting, all trials, and the command that trains the best one alone. The path of the "
    "document goes to stdout; with -o - the document itself does."
)


def command(
    run: RunOrSweep = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the report goes (default: report.html or report.md in the directory of the run or "
            "sweep).",
        ),
    ] = None,
    format: OutputFormat = None,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Of a sweep: its plan, trials and combinations as one JSON object on stdout, no document.",
        ),
    ] = False,
    moved: MovedCorpus = None,
    quiet: Quiet = False,
    runs: Runs = "runs",
) -> None:
    """Write the report of a run or of a sweep."""
    if json and (output is not None or format is not None):
        raise UsageError("--json goes to stdout, and excludes -o and --format")
    streamed = output == "-"
    form = check_output(None if streamed else output, format)
    sweep = sweep_meant(run, Path(runs)) if run else None
    if sweep is None:
        from charrnn_core.runs.directory import find_run_or_newest

        directory = find_run_or_newest(run, Path(runs))
        if json:
            raise UsageError(
                f"--json is for a sweep, and {directory.name} is a run; charrnn export {directory.name} "
                "--format jsonl gives its data"
            )
        _write_run(directory, None if streamed else (output, format), form, moved, quiet=quiet)
        return
    if moved is not None:
        raise UsageError("--corpus is for the report of a run; that of a sweep does not need the text")
    from charrnn_tui.report.sweep_findings import look_into

    if json:
        put(json_module.dumps(look_into(sweep).to_json(), allow_nan=False) + "\n")
        return
    from charrnn_tui.report.sweep_report import sweep_report

    if streamed:
        report = sweep_report(look_into(sweep))
        _put(report.to_html() if form == "html" else report.to_markdown(), form, quiet=quiet)
        return
    text = sweep.told()["corpus"].get("path")
    path, form = target_in(sweep.path, output, format, text)
    for written in sweep_report(look_into(sweep)).write(path, form)[:1]:
        put(f"{written}\n")


def _write_run(
    directory: RunDirectory,
    target: tuple[str | None, str | None] | None,
    form: ReportFormat,
    moved: str | None,
    *,
    quiet: bool,
) -> None:
    """Write the report of a run: to a file and in a format, or to stdout where the target is None."""
    from charrnn_tui.cli.progress import passing
    from charrnn_tui.report.findings import find
    from charrnn_tui.report.writing import report_html, report_markdown, write_report

    with passing(quiet) as show:

        def looked_at(characters: int) -> None:
            show(f"looking at the text: {characters:,} characters")

        if target is not None:
            path, form = report_target(*target, directory)
            for written in write_report(directory, path, form, corpus=moved, progress=looked_at)[:1]:
                put(f"{written}\n")
            return
        found = find(directory, corpus=moved, progress=looked_at)
    _put(report_html(found) if form == "html" else report_markdown(found), form, quiet=quiet)


def _put(document: str, form: ReportFormat, *, quiet: bool) -> None:
    put(document, raw=True)
    if form == "md" and not quiet:
        say("charrnn: the figure is left out; -o FILE writes it beside the document\n", sys.stderr)
