"""`charrnn sweep`: many runs that differ in what varies."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from charrnn_core.errors import SettingsError, UsageError
from charrnn_core.training.settings import DEFAULT_PRESET, Value, option_name
from charrnn_tui.cli import completion
from charrnn_tui.cli.options import DEFAULT_CORPUS, Quiet, Runs, with_settings

if TYPE_CHECKING:
    from charrnn_core.sweeps.directory import SweepDirectory
    from charrnn_core.sweeps.plan import Plan, Specification

SHORT_HELP = "Train many runs that differ in what varies."
HELP = (
    "Example: charrnn sweep book.txt --vary hidden=50,100 --seeds 2 --updates 2000\n\n"
    "Train many runs that differ in what varies: all combinations of the values after --vary, or some that "
    "are drawn (--random 20) or searched for (--search tpe), each with one or more seeds. One trial a core, "
    "each with one thread, or on a cluster (--dask). Started again it goes on with what is missing. The path "
    "of the sweep's directory goes to stdout; each trial there is a run like any other: charrnn tui, report, "
    "resume, sample."
)

_MOST = 100_000
_LONGEST_SECONDS = 86_400


@with_settings
def command(
    given: dict[str, Value],
    preset: str | None = None,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[CORPUS | SPEC.toml | SWEEP]",
            autocompletion=completion.sweeps_and_texts,
            help="A text as for charrnn train; a file that says what the options say; or a sweep to go on "
            "with: its directory, its name, or the beginning of its name "
            f"(default: the text {DEFAULT_CORPUS}).",
            show_default=False,
        ),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            metavar="SETTING=VALUES",
            autocompletion=completion.varied,
            help="What varies: values (hidden=100,250), or numbers between two with even ratios "
            "(clip=1:9:log3) or differences (clip=1:9:lin3); drawn ones need no number at the end. "
            "Can be given several times.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", help="Train each combination with N seeds, from --seed on."),
    ] = None,
    random: Annotated[
        int | None, typer.Option("--random", metavar="N", help="Train N combinations that are drawn.")
    ] = None,
    search: Annotated[
        str | None,
        typer.Option(
            "--search",
            metavar="grid|random|tpe",
            help="All combinations, some that are drawn, or some that are chosen by what came of those "
            "before, of which hopeless ones are given up early (default grid).",
            autocompletion=lambda: ["grid", "random", "tpe"],
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option("--trials", metavar="N", help="How many combinations are searched for."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", metavar="N", help="Trials at a time here (default: one a core)."),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            "--dask", metavar="ADDRESS", help="Train on the workers of the Dask scheduler at this address."
        ),
    ] = None,
    return_every: Annotated[
        float,
        typer.Option(
            "--return-every",
            metavar="SECONDS",
            help="With --dask: how often a worker returns what it has, so that no more is lost with it.",
        ),
    ] = 15.0,
    runs: Runs = "runs",
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Name of the sweep (default: date, time, text)."),
    ] = None,
    moved: Annotated[
        str | None,
        typer.Option(
            "--corpus", metavar="FILE", help="With a sweep: where its text is now, if it has moved."
        ),
    ] = None,
    quiet: Quiet = False,
    json: Annotated[
        bool,
        typer.Option("--json", help="On stdout one JSON object for each trial as it ends, not the path."),
    ] = False,
) -> int:
    """Go through a sweep and return the exit code."""
    from charrnn_core.sweeps.plan import Specification, read_specification
    from charrnn_core.sweeps.varying import parse_variation

    if dask is not None and jobs is not None:
        raise UsageError("--jobs is for this machine; with --dask it is the workers' number that counts")
    if jobs is not None and not 1 <= jobs <= _MOST:
        raise SettingsError(f"--jobs {jobs} is not possible; it is a number from 1 to {_MOST:,}")
    if not 0.1 <= return_every <= _LONGEST_SECONDS:
        raise SettingsError(
            f"--return-every {return_every:g} is not possible; it is a number from 0.1 to "
            f"{_LONGEST_SECONDS:,}"
        )
    told = Specification(
        preset=preset,
        name=name,
        search=search,
        combinations=trials if random is None else random,
        seeds=seeds,
        given=given,
        vary=tuple(map(parse_variation, vary or ())),
    )
    if random is not None and (search not in (None, "random") or trials is not None):
        raise UsageError("--random N is --search random --trials N in short; give one of both")
    if random is not None:
        told = replace(told, search="random")
    there = None
    if subject is not None and subject.endswith(".toml"):
        told = _merged(read_specification(Path(subject)), told)
    elif subject is not None:
        there = _sweep_or_text(subject, Path(runs))
        told = replace(told, corpus=subject)
    from charrnn_tui.cli.sweeping import Asked

    asked = Asked(jobs=jobs, dask=dask, return_every=return_every, quiet=quiet, json=json)
    if there is not None:
        _refuse_plan(there, replace(told, corpus=None))
        return asked.go_on(there, moved)
    if moved is not None:
        raise UsageError("--corpus goes with a sweep that is there; give the text itself: charrnn sweep FILE")
    plan = _plan(told)
    return asked.begin(plan, told.corpus, Path(runs), told.name)


def _sweep_or_text(subject: str, runs: Path) -> SweepDirectory | None:
    """Return the sweep that a user means, or None for a text.

    Raises
    ------
    UsageError
        There is neither.
    """
    from charrnn_core.sweeps.directory import find_sweep
    from charrnn_core.text.source import bundled_sources

    is_path = subject == "-" or "/" in subject or os.path.lexists(subject)
    if is_path and not os.path.isdir(subject):  # noqa: PTH112
        if subject != "-" and not os.path.lexists(subject):
            raise UsageError(f"{subject}: no such file, and no such sweep")
        return None
    there = find_sweep(subject, runs)
    if there is None and is_path:
        raise UsageError(f"{subject} is a directory, and not of a sweep: it has no sweep.json")
    if there is None and subject not in bundled_sources():
        names = ", ".join(bundled_sources())
        raise UsageError(
            f"{subject or 'an empty name'}: no such file, no such sweep under {runs}, and no such bundled "
            f"text ({names})"
        )
    if there is not None and not is_path and subject in bundled_sources():
        return there if there.name == subject else None
    return there


def _merged(file: Specification, told: Specification) -> Specification:
    """Return what a file says, with what options say in its place."""
    varied = {each.name for each in told.vary}
    return replace(
        file,
        name=told.name or file.name,
        preset=told.preset or file.preset,
        search=told.search or file.search,
        combinations=file.combinations if told.combinations is None else told.combinations,
        seeds=file.seeds if told.seeds is None else told.seeds,
        given={name: value for name, value in file.given.items() if name not in varied} | told.given,
        vary=tuple(each for each in file.vary if each.name not in varied | told.given.keys()) + told.vary,
    )


def _plan(told: Specification) -> Plan:
    """Return the plan that was asked for.

    Raises
    ------
    SettingsError
        It is not possible.
    """
    from charrnn_core.sweeps.plan import Plan, Search

    search = told.search or "grid"
    if search not in get_args(Search):
        raise SettingsError(f"--search {search} is not possible; allowed is {', '.join(get_args(Search))}")
    if search != "grid" and told.combinations is None:
        raise SettingsError(f"--search {search} needs --trials: how many combinations")
    # One thread each: the trials are what shares the cores. The same with charrnn train --threads 1.
    given = {"threads": 1, **told.given} if all(each.name != "threads" for each in told.vary) else told.given
    return Plan(
        given=given,
        vary=told.vary,
        preset=told.preset or DEFAULT_PRESET,
        search=search,  # type: ignore[arg-type]
        combinations=told.combinations or 0,
        seeds=1 if told.seeds is None else told.seeds,
    )


def _refuse_plan(sweep: SweepDirectory, told: Specification) -> None:
    """Refuse what would make another sweep of one that is gone on with."""
    options = {
        "--vary": told.vary,
        "--preset": told.preset,
        "--name": told.name,
        "--search": told.search,
        "--trials": told.combinations,
        "--seeds": told.seeds,
        **{option_name(setting): True for setting in told.given},
    }
    own = next((option for option, value in options.items() if value not in (None, ())), None)
    if own is not None:
        raise UsageError(
            f"{sweep.name} is a sweep, with a plan of its own; {own} is for a new one, or, to add trials to "
            f"this one, for charrnn sweep CORPUS --name {sweep.name} with all of its options"
        )
