"""`charrnn tui`: the dashboard."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from charrnn_core.errors import RunFailedError, UsageError
from charrnn_core.training.settings import DEFAULT_PRESET, Settings, Value, option_name
from charrnn_tui.cli import completion
from charrnn_tui.cli.options import DEFAULT_CORPUS, Charts, Runs, glyphs_of, with_settings
from charrnn_tui.cli.sweep_meant import sweep_meant
from charrnn_tui.limits import check_limits_of_dashboard
from charrnn_tui.terminal import harmless_line, is_rich, put, say

if TYPE_CHECKING:
    from charrnn_core.sweeps.directory import SweepDirectory
    from charrnn_tui.dashboard.app import Dashboard
    from charrnn_tui.dashboard.renderables.canvas import GlyphSet

SHORT_HELP = "Watch a network learn, with your hand on the controls."
HELP = (
    "Example: charrnn tui book.txt --hidden 200\n\n"
    "Train a network on a text and watch it learn: loss, gradient checks, samples. Or look at a run that is "
    "there: one that trains in another terminal, one that was interrupted, one that ended; or at a sweep. "
    "Without a stop such as --updates it trains until it is stopped. Keys stand at the foot of the screen; ? "
    "shows all."
)


@with_settings
def command(
    given: dict[str, Value],
    preset: str | None = None,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[CORPUS | RUN | SWEEP]",
            autocompletion=completion.runs_sweeps_and_texts,
            help="A text as for charrnn train, or a run or a sweep: its directory, its name, or the "
            f"beginning of its name (default: the text {DEFAULT_CORPUS}).",
            show_default=False,
        ),
    ] = None,
    charts: Charts = "auto",
    new: Annotated[
        bool,
        typer.Option("--new", help="Choose text and settings on the screen, before anything is trained."),
    ] = False,
    keys: Annotated[
        bool,
        typer.Option("--keys", help="Print all keys with their names, as a key map to change, and exit."),
    ] = False,
    runs: Runs = "runs",
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of a new run (default: date, time, text)."),
    ] = None,
    served: Annotated[
        bool, typer.Option("--served", hidden=True, help="Talk to charrnn serve, and not to a terminal.")
    ] = False,
) -> int:
    """Show the dashboard and return the exit code."""
    if keys:
        from charrnn_tui.dashboard.keymap import keymap_text

        put(keymap_text())
        return 0
    is_terminal = is_rich(sys.stdout) and sys.stdin is not None and (sys.stdin.isatty() or subject == "-")
    if not (is_terminal or served):
        raise UsageError("charrnn tui needs a terminal; charrnn train trains without one")
    check_limits_of_dashboard()
    from charrnn_tui.dashboard.preferences import read_keymap

    keymap = read_keymap()  # before anything is started or kept: it may be refused
    glyphs = glyphs_of(charts)
    if new:
        if subject is not None or preset is not None or name is not None or given:
            raise UsageError("--new asks for text and settings on the screen; give it without them")
        return _show(None, None, glyphs, Path(runs), keymap)

    from charrnn_core.runs.directory import RunDirectory, find_run, find_run_or_text, newest_runs

    if served:
        served_sweep = None if subject is None else sweep_meant(subject, Path(runs))
        if served_sweep is not None:
            return _show(None, None, glyphs, Path(runs), keymap, served=True, sweep=served_sweep)
        shown = newest_runs(Path(runs))[:1] if subject is None else [find_run(subject, Path(runs))]
        return _show(shown[0].path if shown else None, None, glyphs, Path(runs), keymap, served=True)
    own = [option_name(setting) for setting in given] + ["--preset"] * (preset is not None)
    own += ["--name"] * (name is not None)
    sweep = None if subject is None else sweep_meant(subject, Path(runs), or_text=True)
    if sweep is not None:
        if own:
            raise UsageError(f"{sweep.name} is a sweep, with settings of its own; {own[0]} is for a new run")
        return _show(None, None, glyphs, Path(runs), keymap, sweep=sweep)
    found = None if subject is None else find_run_or_text(subject, Path(runs))
    if isinstance(found, RunDirectory):
        if own:
            raise UsageError(f"{found.name} is a run, with settings of its own; {own[0]} is for a new one")
        return _show(found.path, None, glyphs, Path(runs), keymap)
    Settings.of(preset or DEFAULT_PRESET, **given).check_memory()
    from charrnn_tui.dashboard.trainer import train_arguments

    arguments = train_arguments(subject, given, runs=Path(runs), preset=preset, name=name)
    text = move_input() if subject == "-" else None
    return _show(None, arguments, glyphs, Path(runs), keymap, text=text)


def move_input() -> int:
    """Return a new descriptor of standard input, and take the keys from the terminal in its place.

    The text is never copied: the process that trains reads it from that descriptor itself, and ends it where
    it takes too much memory.

    Raises
    ------
    UsageError
        Standard input is the terminal, or there is none for the keys.
    """
    if sys.stdin.isatty():
        raise UsageError("charrnn tui - reads a text from a pipe: PROGRAM | charrnn tui -; or give a file")
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        raise UsageError(
            "charrnn tui - reads the text here and the keys from a terminal; there is none"
        ) from None
    text = os.dup(0)
    os.dup2(terminal, 0)
    os.close(terminal)
    return text


def _show(
    path: Path | None,
    arguments: list[str] | None,
    glyphs: GlyphSet,
    runs: Path,
    keymap: dict[str, str],
    *,
    served: bool = False,
    sweep: SweepDirectory | None = None,
    text: int | None = None,
) -> int:
    # Started first: while the toolkit is imported here, the trainer imports what it needs on another core.
    from charrnn_tui.dashboard.preferences import Preferences
    from charrnn_tui.dashboard.trainer import OwnedTrainer

    trainer = None if arguments is None else OwnedTrainer(arguments, text=text)
    from charrnn_tui.dashboard.app import Dashboard
    from charrnn_tui.dashboard.session import RunSession

    session = None if path is None else RunSession.of(path)
    reader = None
    if sweep is not None:
        from charrnn_tui.dashboard.sweep_look import SweepReader

        reader = SweepReader(sweep)
    preferences = Preferences.read()
    app = Dashboard(
        session,
        trainer,
        runs=runs,
        glyphs=glyphs,
        preferences=preferences,
        keymap=keymap,
        is_served=served,
        sweep=reader,
    )
    app.run_here()
    return (app.return_code or 0) if served else _left(app)


def _left(app: Dashboard) -> int:
    """Let the trainers end, and say what is left behind."""
    for stopped in app.stopping:
        stopped.wait(30)
    if app.session is None:
        if app.starting is not None:
            app.starting.release()
        if app.failure is not None:
            raise (UsageError if app.return_code == 2 else RunFailedError)(harmless_line(app.failure))
        if app.sweep is not None:
            from charrnn_tui.dashboard.sweep_lines import sweep_summary

            where = os.path.relpath(app.sweep.directory.path)
            for line in sweep_summary(app.sweep.look(), where):
                say(f"{line}\n", sys.stdout)
            app.sweep.close()
        return app.return_code or 0
    trainer = app.session.trainer
    app.session.close()
    if trainer is not None and not app.detached and not trainer.wait(1):
        say("waiting for the training process to save and stop\n", sys.stderr)
        if not trainer.wait(30):
            say(f"process {trainer.pid} has not stopped yet; it does once it has saved\n", sys.stderr)
    app.session.follower.poll()
    from charrnn_tui.dashboard.summary import summary_lines

    where = os.path.relpath(app.session.directory.path)
    for line in summary_lines(app.session, where, detached=app.detached):
        say(f"{line}\n", sys.stdout)
    return app.return_code or 0
