"""`charrnn gradcheck`: whether the gradients are right."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from charrnn_core.errors import CommandError, RunFailedError, UsageError
from charrnn_core.training.settings import DEFAULT_PRESET, Settings, Value, option_name
from charrnn_tui.check_rows import have_passed, notes_of
from charrnn_tui.cli.options import DEFAULT_CORPUS, MovedCorpus, Runs, Subject, with_network
from charrnn_tui.terminal import harmless_line, put, say

if TYPE_CHECKING:
    from charrnn_core.rnn.gradcheck.comparisons import Comparison
    from charrnn_core.runs.directory import RunDirectory
    from charrnn_core.text.source import Source
    from charrnn_core.training.trainer import Trainer

SHORT_HELP = "Check that the gradients are right."
HELP = (
    "Example: charrnn gradcheck book.txt --method complex-step --entries all\n\n"
    "Compare the gradients of the backward pass with derivatives that do not use it: of a fresh network on a "
    "text, or of a run as it is now. A run that trains checks itself between two updates, and the rows go "
    "into its log. Without options this is the default check: the assignment's centred difference; the "
    "complex step along random directions over all entries, also on two windows made to show hidden faults; "
    "the gradient of the engine that trains, in its own type, sizes and threads, against float64; and five "
    "updates against a plain loop. Exit code 1 when a check fails, or when nothing could be compared, since "
    "the loss or the gradients are not finite."
)


@with_network
def command(
    given: dict[str, Value],
    preset: str | None = None,
    subject: Subject = None,
    method: Annotated[
        str | None,
        typer.Option("--method", metavar="central|complex-step", help="One method alone (default: both)."),
    ] = None,
    entries: Annotated[
        str | None,
        typer.Option(
            "--entries",
            metavar="WHICH",
            help="Which entries of each flattened gradient: first:N, random:N, all; or directions:N, along N "
            "random directions over all of them (default first:20 for central, all for complex-step).",
        ),
    ] = None,
    h0: Annotated[
        str | None,
        typer.Option(
            "--h0", metavar="zeros|carried|random", help="What the window begins with (default zeros)."
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            "--window",
            metavar="text|stress|repeats",
            help="The next window of training; one with three streams, all characters and large gradients; "
            "or one that also has repeated characters and saturated units (default text).",
        ),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option("--step", metavar="X", help="Of the method (default 1e-5 and 1e-20)."),
    ] = None,
    tolerance: Annotated[
        str | None,
        typer.Option(
            "--tolerance", metavar="X", help="Largest relative error that passes (default 1e-4 and 1e-8)."
        ),
    ] = None,
    floor: Annotated[
        str | None,
        typer.Option(
            "--floor", metavar="X", help="The relative error is |a-n| / max(floor, |a|+|n|) (default 1e-12)."
        ),
    ] = None,
    moved: MovedCorpus = None,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for a run that trains.")
    ] = 60.0,
    runs: Runs = "runs",
    json: Annotated[
        bool,
        typer.Option("--json", help="The rows as one JSON object; passed is null if nothing was compared."),
    ] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The rows as CSV.")] = False,
) -> int:
    """Check gradients, show the rows, and return the exit code."""
    if json and as_csv:
        raise UsageError("--json and --csv exclude each other")
    numbers = {"step": step, "tolerance": tolerance, "floor": floor}
    words = {"method": method, "entries": entries, "h0": h0, "window": window}
    options = {name: value for name, value in words.items() if value is not None}
    asked = {**options, **{name: _number(name, text) for name, text in numbers.items() if text is not None}}

    from charrnn_core.rnn.gradcheck.comparisons import comparisons
    from charrnn_core.runs.directory import RunDirectory, find_run_or_text
    from charrnn_core.text.source import bundled_sources

    wanted = comparisons(**cast("dict[str, Any]", asked)) if asked else None
    found = bundled_sources()[DEFAULT_CORPUS] if subject is None else find_run_or_text(subject, Path(runs))
    if isinstance(found, RunDirectory):
        own = [option_name(name) for name in given if name not in ("seed", "engine")] + ["--preset"] * (
            preset is not None
        )
        if own:
            raise UsageError(f"the network is the run's own; {own[0]} cannot change it")
        checked = _check_run(found, asked, wanted, given.get("seed"), given.get("engine"), moved, wait)
    else:
        if moved is not None:
            raise UsageError("--corpus goes with a run; give the text itself: charrnn gradcheck FILE")
        checked = _check_text(found, wanted, given, preset)
    _write(checked, json=json, as_csv=as_csv)
    wrong = dict.fromkeys(row["parameter"] for row in checked["rows"] if not row["passed"])
    if wrong:
        raise RunFailedError(f"the gradient check failed for {', '.join(wrong)}")
    if have_passed(checked["rows"]) is None:
        reasons = "; ".join(notes_of(checked["rows"]))
        raise RunFailedError(
            f"nothing could be compared: {reasons}; without options other networks are checked too"
        )
    return 0


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--{name} {text} is not possible; it is a number") from None


def _check_text(
    source: Source, wanted: tuple[Comparison, ...] | None, given: dict[str, Value], preset: str | None
) -> dict[str, Any]:
    """Check a fresh network on a text."""
    from charrnn_core.rnn.threads import limit_blas_threads
    from charrnn_core.text.corpus import read_corpus
    from charrnn_core.training.trainer import Trainer
    from charrnn_tui.cli.progress import reading

    settings = Settings.of(preset or DEFAULT_PRESET, **given)
    settings.check_memory()  # before anything large is read
    with reading(quiet=False) as progress:
        text = read_corpus(source, progress)
    trainer = Trainer(settings, text)
    limit_blas_threads(trainer.engine.threads)
    described = _described(settings.to_json(), len(text.vocabulary), settings.seed)
    rows = _rows(trainer, wanted, settings.seed)
    return {"corpus": text.name, "engine": trainer.engine.name, "update": 0, **described, "rows": rows}


def _check_run(
    directory: RunDirectory,
    asked: dict[str, Any],
    wanted: tuple[Comparison, ...] | None,
    seed: Value,
    engine: Value,
    moved: str | None,
    wait: float,
) -> dict[str, Any]:
    """Check a run as it is now: by itself if it trains; else, or with an engine, its newest checkpoint."""
    from charrnn_core.runs.asking import ask
    from charrnn_core.runs.commands import Command
    from charrnn_core.runs.history import History
    from charrnn_core.runs.starting import load, settings_of

    config = directory.config()
    settings = settings_of(directory)
    seed = settings.seed if seed is None else seed
    described = {
        "run": directory.name,
        **_described(settings.to_json(), config["corpus"].get("vocabulary_size"), seed),
    }
    engine = None if engine == "auto" else engine  # which is the run's own
    if directory.is_locked() and engine is None:
        command = Command.make("check", **asked, seed=seed)
        try:
            for event in ask(directory, command, wait):
                if event["type"] == "gradients_checked":
                    trained_by = History.read(directory.events_file).openings[-1].get("engine")
                    told = {"update": event["update"], "rows": event["rows"]}
                    return {**described, "engine": trained_by, **told}
        except CommandError:
            if directory.is_locked():
                raise
            say(f"charrnn: {harmless_line(directory.name)} ended before it answered\n", sys.stderr)
    trainer, problems = load(directory, corpus=moved, choice=None if engine is None else str(engine))
    for problem in problems:
        say(f"charrnn: {harmless_line(problem)}; checked is update {trainer.update:,}\n", sys.stderr)
    rows = _rows(trainer, wanted, cast("int", seed))
    return {**described, "engine": trainer.engine.name, "update": trainer.update, "rows": rows}


def _described(settings: dict[str, Any], characters: Any, seed: Value) -> dict[str, Any]:
    names = ("hidden", "seq_length", "batch_size", "loss")
    return {"characters": characters, **{name: settings.get(name) for name in names}, "seed": seed}


def _rows(trainer: Trainer, wanted: tuple[Comparison, ...] | None, seed: int) -> list[dict[str, Any]]:
    from charrnn_core.rnn.gradcheck.check import CHECKED_TYPE
    from charrnn_core.rnn.gradcheck.rows import CheckRow
    from charrnn_tui.cli.progress import passing

    rows = []
    with passing(quiet=False) as show:
        if not trainer.engine.is_ready(CHECKED_TYPE):
            show("making the engine ready, which takes some seconds the first time")
            trainer.engine.prepare(CHECKED_TYPE)
        for item in trainer.checking(wanted, seed):
            if isinstance(item, CheckRow):
                rows.append(item.to_json())
            else:
                show(f"checking: {item.done:,} of {item.total:,}")
    return rows


def _write(checked: dict[str, Any], *, json: bool, as_csv: bool) -> None:
    rows = checked["rows"]
    if json:
        put(json_module.dumps({"passed": have_passed(rows), **checked}, allow_nan=False) + "\n")
    elif as_csv:
        from charrnn_tui.export.tables import check_table
        from charrnn_tui.export.texts import put_csv

        put_csv(check_table(rows))
    else:
        from charrnn_tui.cli.check_table import show_check

        words = [
            checked.get("run") or checked["corpus"],
            f"K = {checked['characters']}",
            f"m = {checked['hidden']}",
            f"{checked['loss']} loss",
            f"update {checked['update']:,}",
            f"seed {checked['seed']}",
            *([checked["engine"]] if "engine" in checked else []),
        ]
        show_check(rows, " · ".join(words))
