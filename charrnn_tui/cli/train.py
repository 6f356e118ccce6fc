"""`charrnn train`: training without a screen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn_core.errors import RunFailedError, UsageError
from charrnn_core.training.settings import CHANGEABLE, DEFAULT_PRESET, Settings, Value, option_name
from charrnn_tui.cli import completion
from charrnn_tui.cli.options import DEFAULT_CORPUS, Json, MovedCorpus, Owned, Quiet, Runs, with_settings
from charrnn_tui.terminal import say

if TYPE_CHECKING:
    from charrnn_core.runs.directory import RunDirectory

SHORT_HELP = "Train a network on a text."
HELP = (
    "Example: charrnn train book.txt --hidden 200 --epochs 5\n\n"
    "Train a network on a text. Progress and samples go to stderr; the path of the run directory, alone, "
    "goes to stdout. Ctrl+C finishes the update, saves and stops; a second one stops at once."
)


@with_settings
def command(
    given: dict[str, Value],
    preset: str | None = None,
    corpus: Annotated[
        str | None,
        typer.Argument(
            metavar="[CORPUS]",
            autocompletion=completion.texts,
            help="A text file, - for standard input, or a bundled text: see charrnn corpora "
            f"(default {DEFAULT_CORPUS}).",
            show_default=False,
        ),
    ] = None,
    runs: Runs = "runs",
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the run (default: date, time, text)."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            autocompletion=completion.runs,
            help="Go on with a run, as charrnn resume does.",
        ),
    ] = None,
    replay: Annotated[
        str | None,
        typer.Option(
            "--replay",
            metavar="RUN",
            autocompletion=completion.runs,
            help="Repeat a run with its interventions in a new one, and compare the states.",
        ),
    ] = None,
    moved: MovedCorpus = None,
    quiet: Quiet = False,
    json: Json = False,
    owned: Owned = False,
    input_descriptor: Annotated[
        int | None,
        typer.Option("--input-descriptor", hidden=True, help="Open file that standard input was moved to."),
    ] = None,
) -> int:
    """Train a network on a text and return the exit code."""
    from charrnn_tui.cli.training import show

    if resume is not None or replay is not None:
        _allow_only(given, preset, corpus, name, resume, replay)
        from charrnn_core.runs import starting
        from charrnn_core.runs.directory import find_run

        directory = find_run(resume or replay or "", Path(runs))
        if resume is None:
            return _replay(directory, Path(runs), name, moved, quiet=quiet, json=json)
        process = starting.resume(directory, given, corpus=moved, owned=owned)
        return show(process, quiet=quiet, json=json, owned=owned)
    if moved is not None:
        raise UsageError("--corpus goes with --resume or --replay; give the text itself: charrnn train FILE")
    settings = Settings.of(preset or DEFAULT_PRESET, **given)
    settings.check_memory()  # before anything large is read

    from charrnn_core.runs import starting
    from charrnn_core.text.corpus import read_corpus
    from charrnn_core.text.source import Source, bundled_sources
    from charrnn_tui.cli.owner import ended_by_owner
    from charrnn_tui.cli.progress import reading

    source: str | Source = bundled_sources()[DEFAULT_CORPUS] if corpus is None else corpus
    if input_descriptor is not None:
        source = Source("input", "standard input", descriptor=input_descriptor)
    with reading(quiet) as progress, ended_by_owner(owned):
        text = read_corpus(source, progress)
    process = starting.start(settings, text, runs=Path(runs), name=name, owned=owned)
    return show(process, quiet=quiet, json=json, owned=owned)


def _allow_only(
    given: dict[str, Value],
    preset: str | None,
    corpus: str | None,
    name: str | None,
    resume: str | None,
    replay: str | None,
) -> None:
    """Refuse what makes no sense when there is a run to go on with or to repeat."""
    if resume is not None and replay is not None:
        raise UsageError("--resume and --replay exclude each other")
    option = "--resume" if resume is not None else "--replay"
    if corpus is not None:
        raise UsageError(f"with {option} the text is the run's own; if it has moved, say where with --corpus")
    if preset is not None:
        raise UsageError(f"with {option} the settings are the run's own; --preset cannot change them")
    if resume is not None and name is not None:
        raise UsageError("with --resume the run keeps its name")
    wrong = [setting for setting in given if replay is not None or setting not in CHANGEABLE]
    if wrong:
        raise UsageError(
            f"with {option} the settings are the run's own; {option_name(wrong[0])} cannot change"
        )


def _replay(
    directory: RunDirectory, runs: Path, name: str | None, corpus: str | None, *, quiet: bool, json: bool
) -> int:
    from charrnn_core.runs import starting
    from charrnn_tui.cli.training import show

    process, recorded = starting.replay(directory, runs=runs, name=name, corpus=corpus)
    code = show(process, quiet=quiet, json=json)
    if code == 0 and process.state_sha256 != recorded.state_sha256:
        raise RunFailedError(
            f"the replay differs from {directory.name} at update {recorded.update:,}: state "
            f"{process.state_sha256}, recorded {recorded.state_sha256}"
        )
    if code == 0 and not quiet:
        say(f"the replay of {directory.name} ends in the same state, {recorded.state_sha256}\n", sys.stderr)
    return code
