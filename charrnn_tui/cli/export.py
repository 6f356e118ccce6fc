"""`charrnn export`: a run's data for other tools."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn_core.errors import SettingsError, UsageError
from charrnn_tui.cli.options import RunOrNewest, Runs
from charrnn_tui.terminal import harmless_line, put, say

if TYPE_CHECKING:
    from charrnn_tui.export.recorded import RecordedRun

SHORT_HELP = "Write a run's data for other tools: CSV, JSON, TensorBoard."
HELP = (
    "Example: charrnn export > loss.csv\n\n"
    "Write what a run has recorded, for other tools: a table as CSV for pandas, R and spreadsheets, JSON "
    "lines for jq, or an event file for TensorBoard. What was lost in a crash and done again is there once. "
    "The tables are progress (losses, gradient norms, learning rate), samples, validations, checks (of "
    "gradients), checkpoints, epochs, interventions and warnings. Losses are in the unit of the run, those "
    "of held-out text in nats a character, and times in seconds of training. Data goes to stdout; with -o, "
    "the paths of what was written do."
)

_FORMATS = ("csv", "jsonl", "tensorboard")


def command(
    run: RunOrNewest = None,
    format: Annotated[
        str,
        typer.Option("--format", "-f", metavar="|".join(_FORMATS), help="What to write."),
    ] = "csv",
    table: Annotated[
        str | None,
        typer.Option(
            "--table",
            "-t",
            metavar="NAME",
            help="The table to write (default: progress as csv, the whole history as jsonl).",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|DIR",
            help="csv: a file, or a directory, named with a / or there already, which gets every table as "
            "NAME.csv; jsonl: a file; tensorboard: a directory (default: tensorboard/NAME, beside the run).",
        ),
    ] = None,
    formulas: Annotated[
        bool,
        typer.Option(
            "--formulas",
            help="csv: write text as it is. Without this option, text that a spreadsheet would run as a "
            "formula has an apostrophe before it.",
        ),
    ] = False,
    runs: Runs = "runs",
) -> None:
    """Write a run's data to stdout or into files."""
    if format not in _FORMATS:
        raise SettingsError(f"--format {format} is not possible; allowed is {', '.join(_FORMATS)}")
    if output == "" or (output == "-" and format == "tensorboard"):
        raise UsageError(f"-o {output or 'nothing'} is not possible; name a file or a directory")

    from charrnn_tui.export.tables import TABLES

    if table is not None and table not in TABLES:
        raise SettingsError(f"--table {table} is not possible; allowed is {', '.join(TABLES)}")
    if format == "tensorboard" and table is not None:
        raise UsageError("--table goes with --format csv and jsonl")
    if formulas and format != "csv":
        raise UsageError("--formulas goes with --format csv")

    from charrnn_core.runs.directory import find_run_or_newest
    from charrnn_tui.export.recorded import read_run

    recorded = read_run(find_run_or_newest(run, Path(runs)))
    if format == "tensorboard":
        _write_tensorboard(recorded, output)
    elif format == "csv":
        _write_csv(recorded, table, output, formulas=formulas)
    else:
        _write_jsonl(recorded, table, output)


def _write_csv(run: RecordedRun, table: str | None, output: str | None, *, formulas: bool) -> None:
    from charrnn_tui.export.places import writing
    from charrnn_tui.export.tables import TABLES
    from charrnn_tui.export.texts import put_csv, to_csv
    from charrnn_tui.files import create_folder

    if output in (None, "-"):
        put_csv(TABLES[table or "progress"](run), formulas=formulas)
    elif not _is_directory(output):
        _write(to_csv(TABLES[table or "progress"](run), formulas=formulas), Path(output))
    else:
        folder = Path(output)
        with writing(folder):
            create_folder(folder)
        for name in TABLES if table is None else (table,):
            _write(to_csv(TABLES[name](run), formulas=formulas), folder / f"{name}.csv")


def _write_jsonl(run: RecordedRun, table: str | None, output: str | None) -> None:
    from charrnn_tui.export.tables import TABLES
    from charrnn_tui.export.texts import table_to_json_lines, to_json_lines

    if table is None:
        text = to_json_lines([run.facts(), *run.events()])
    else:
        text = table_to_json_lines(TABLES[table](run))
    if output in (None, "-"):
        put(text)
    elif _is_directory(output):
        raise UsageError(f"-o {output} is a directory, and --format jsonl writes a file; name one in it")
    else:
        _write(text, Path(output))


def _is_directory(output: str) -> bool:
    return output.endswith("/") or Path(output).is_dir()


def _write(text: str, path: Path) -> None:
    """Write data into a file, and its path to stdout."""
    from charrnn_tui.export.places import write_file

    write_file(path, text.encode())
    put(f"{path.absolute()}\n")


def _write_tensorboard(run: RecordedRun, output: str | None) -> None:
    from charrnn_tui.export.tensorboard import write_events

    own = run.directory.path.parent / "tensorboard" / run.directory.name
    folder = own if output is None else Path(output).absolute()
    others = write_events(run, folder)
    if others:
        say(
            f"charrnn: {harmless_line(str(folder))} has event files of others too, such as "
            f"{harmless_line(others[0])}; TensorBoard shows them as one run\n",
            sys.stderr,
        )
    put(f"{folder}\n")
