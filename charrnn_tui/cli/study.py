"""`charrnn study`: the whole study of the course by one command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn_core.errors import UsageError
from charrnn_core.training.settings import DEFAULT_PRESET, STOPS, Settings, Value, option_name
from charrnn_tui.cli.options import DEFAULT_CORPUS, MovedCorpus, Quiet, Runs, Subject, with_settings
from charrnn_tui.cli.output import Output, OutputFormat, check_output, report_target
from charrnn_tui.terminal import harmless_line, say

if TYPE_CHECKING:
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_core.text.source import Source
    from charrnn_tui.cli.studying import Study

SHORT_HELP = "Do the whole study of the course: check, train, best passage, report."
HELP = (
    "Example: charrnn study book.txt --stop-below 40\n\n"
    "Do the whole study of the course by one command: the gradient check, training for 100,000 updates with "
    "samples on the way, the best passage, and the report, whose path, alone, goes to stdout. --updates says "
    "how many updates at least; with --stop-below or --epochs training goes on from there until one of them "
    "is reached. It computes in float64, as NumPy does in the assignment, unless --dtype says otherwise. "
    "However it is interrupted, the same command goes on with it. Of a run it makes what is missing."
)


@with_settings
def command(
    given: dict[str, Value],
    preset: str | None = None,
    subject: Subject = None,
    output: Output = None,
    format: OutputFormat = None,
    moved: MovedCorpus = None,
    runs: Runs = "runs",
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the run (default: date, time, text)."),
    ] = None,
    quiet: Quiet = False,
) -> int:
    """Do a study, or what is missing of it, and return the exit code."""
    check_output(output, format)  # before anything is trained

    from charrnn_core.runs.directory import RunDirectory, find_run_or_text
    from charrnn_core.text.source import bundled_sources

    found = bundled_sources()[DEFAULT_CORPUS] if subject is None else find_run_or_text(subject, Path(runs))
    if isinstance(found, RunDirectory):
        own = [option_name(setting) for setting in given] + ["--preset"] * (preset is not None)
        own += ["--name"] * (name is not None)
        if own:
            raise UsageError(f"{found.name} is a run, with settings of its own; {own[0]} is for a new one")
        report_target(output, format, found)
        study = _of_run(found, moved)
    else:
        if moved is not None:
            raise UsageError("--corpus goes with a run; give the text itself: charrnn study FILE")
        settings = study_settings(preset or DEFAULT_PRESET, given)
        settings.check_memory()  # before anything large is read
        study = _of_text(found, settings, Path(runs), name, quiet=quiet, output=output, format=format)
    return study.finish(*report_target(output, format, study.directory), quiet=quiet)


def study_settings(preset: str, given: dict[str, Value]) -> Settings:
    """Return the settings of a study: as of training, but in float64, and `updates` says how many at least.

    Where `minimum_updates` is given it says so itself, and `updates` how many at most.

    Raises
    ------
    UsageError
        Settings that are not possible, or a study without an end.

    Examples
    --------
    >>> settings = study_settings("dd2424-2019", {"stop_below": 40.0})
    >>> settings.updates, settings.minimum_updates
    (None, 100000)
    >>> settings = study_settings("dd2424-2019", {"updates": 500})
    >>> settings.updates, settings.minimum_updates
    (500, 0)
    """
    values = {"dtype": "float64", **given}
    if "minimum_updates" not in given:
        least = values.setdefault("updates", Settings.of(preset).updates)
        if any(given.get(stop) is not None for stop in ("epochs", "stop_below")):
            values.update(updates=None, minimum_updates=least or 0)
    settings = Settings.of(preset, **values)
    if not _has_end(settings):
        raise UsageError("a study has an end; with --updates none, give --epochs, --stop-below or --seconds")
    return settings


def _has_end(settings: Settings) -> bool:
    return any(getattr(settings, stop) is not None for stop in STOPS)


def _of_text(
    source: Source,
    settings: Settings,
    runs: Path,
    name: str | None,
    *,
    quiet: bool,
    output: str | None,
    format: str | None,
) -> Study:
    """Return the study of a text: the one that was interrupted, or a new one."""
    from charrnn_core.runs import starting
    from charrnn_core.runs.unfinished import find_unfinished
    from charrnn_core.text.corpus import read_corpus
    from charrnn_tui.cli.progress import reading
    from charrnn_tui.cli.studying import Study

    with reading(quiet) as progress:
        text = read_corpus(source, progress)
    check_output(output, format, text.path)
    found = find_unfinished(runs, settings, text, name)
    if found is None:
        process = starting.start(settings, text, runs=runs, name=name)
        return Study(process.directory, settings, 0, process, text.path)
    directory, trainer = found
    if not quiet:
        left = "all but its report is done" if trainer.finished else f"from update {trainer.update:,}"
        say(f"going on with {harmless_line(directory.name)}, {left}\n", sys.stderr)
    resumed = None if trainer.finished else starting.resume(directory, {}, corpus=text)
    return Study(directory, settings, trainer.update, resumed, text.path)


def _of_run(directory: RunDirectory, moved: str | None) -> Study:
    """Return the study of a run: what is missing of it."""
    from charrnn_core.runs import starting
    from charrnn_core.runs.following import RunFollower
    from charrnn_tui.cli.studying import Study

    follower = RunFollower(directory)
    follower.close()
    ended = follower.history.ended
    if follower.state in ("training", "paused"):
        raise UsageError(
            f"{directory.name} is being trained by another process; once it has ended, or charrnn command "
            f"{directory.name} stop has stopped it, charrnn study makes the rest"
        )
    if follower.state == "ended" and ended is not None:
        # Nothing is trained, so the text may be gone.
        return Study(directory, Settings.from_json(follower.settings), int(ended["update"]), None, moved)
    trainer, _ = starting.load(directory, corpus=moved)
    settings = trainer.settings
    if not trainer.finished and not _has_end(settings):
        raise UsageError(
            f"{directory.name} has no stop, and so its study no end: charrnn report makes a report of it as "
            f"it is, and charrnn resume {directory.name} --updates N gives it one"
        )
    process = None if trainer.finished else starting.resume(directory, {}, corpus=trainer.corpus)
    return Study(directory, settings, trainer.update, process, moved)
