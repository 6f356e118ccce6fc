"""`charrnn report`: the document of a run."""

from __future__ import annotations

import sys
from pathlib import Path

from charrnn_tui.cli.options import MovedCorpus, Quiet, RunOrNewest, Runs
from charrnn_tui.cli.output import Output, OutputFormat, check_output, report_target
from charrnn_tui.terminal import put, say

SHORT_HELP = "Write the document of a run: figures, loss, samples."
HELP = (
    "Example: charrnn report 20261122 -o report.html\n\n"
    "Write the document of a run, as it is now: its numbers, the gradient check, the figure of the loss, how "
    "its samples got better, the best passage, the words that it has learnt, and the command that repeats "
    "it. The path of the document goes to stdout; with -o - the document itself does."
)


def command(
    run: RunOrNewest = None,
    output: Output = None,
    format: OutputFormat = None,
    moved: MovedCorpus = None,
    quiet: Quiet = False,
    runs: Runs = "runs",
) -> None:
    """Write the report of a run."""
    streamed = output == "-"
    form = check_output(None if streamed else output, format)
    from charrnn_core.runs.directory import find_run_or_newest
    from charrnn_tui.cli.progress import passing
    from charrnn_tui.report.findings import find
    from charrnn_tui.report.writing import report_html, report_markdown, write_report

    directory = find_run_or_newest(run, Path(runs))
    with passing(quiet) as show:

        def looked_at(characters: int) -> None:
            show(f"looking at the text: {characters:,} characters")

        if not streamed:
            path, form = report_target(output, format, directory)
            for written in write_report(directory, path, form, corpus=moved, progress=looked_at)[:1]:
                put(f"{written}\n")
            return
        found = find(directory, corpus=moved, progress=looked_at)
    put(report_html(found) if form == "html" else report_markdown(found), raw=True)
    if form == "md" and not quiet:
        say("charrnn: the figure is left out; -o FILE writes it beside the document\n", sys.stderr)
