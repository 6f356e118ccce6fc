"""`charrnn bench`: how fast this machine trains."""

from __future__ import annotations

import json as json_module
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_core.errors import UsageError
from charrnn_core.training.settings import DEFAULT_PRESET, Settings, Value
from charrnn_tui.cli import completion
from charrnn_tui.cli.options import DEFAULT_CORPUS, with_sizes
from charrnn_tui.terminal import harmless_line, put, say

if TYPE_CHECKING:
    from charrnn_core.text.corpus import Corpus
    from charrnn_core.training.racing import Standing

SHORT_HELP = "Measure how fast this machine trains."
HELP = (
    "Example: charrnn bench --hidden 256 --rounds 2\n\n"
    "Measure how many updates and characters a second each engine does on this machine, in float64 and "
    "float32, beside the loop as one writes it from the lecture notes: in turn, so that whatever else the "
    "machine does meets all of them. No run is made. With default sizes it takes well under a minute."
)

_MOST_ROUNDS = 1000


@with_sizes
def command(
    given: dict[str, Value],
    preset: str | None = None,
    corpus: Annotated[
        str | None,
        typer.Argument(
            metavar="[CORPUS]",
            autocompletion=completion.texts,
            help=f"A text, as for charrnn train (default {DEFAULT_CORPUS}).",
            show_default=False,
        ),
    ] = None,
    rounds: Annotated[int, typer.Option("--rounds", metavar="N", help="How often each has its turn.")] = 5,
    json: Annotated[bool, typer.Option("--json", help="All figures as one JSON object.")] = False,
) -> int:
    """Measure, show the table, and return the exit code."""
    if not 1 <= rounds <= _MOST_ROUNDS:
        raise UsageError(f"--rounds {rounds} is not possible; it is a number from 1 to {_MOST_ROUNDS:,}")
    settings = Settings.of(preset or DEFAULT_PRESET, **given)
    settings.check_memory()

    from charrnn_core.rnn.engines import problem_with_numba
    from charrnn_core.rnn.threads import limit_blas_threads
    from charrnn_core.text.corpus import read_corpus
    from charrnn_core.text.source import Source, bundled_sources
    from charrnn_core.training.racing import contenders, race
    from charrnn_tui.cli.progress import passing, reading

    source: str | Source = bundled_sources()[DEFAULT_CORPUS] if corpus is None else corpus
    with reading(quiet=False) as progress:
        text = read_corpus(source, progress)
    absent = problem_with_numba()
    engines = [settings.engine] if settings.engine != "auto" else ["numpy", *([] if absent else ["numba"])]
    entered = contenders(settings, text, engines)
    blas = limit_blas_threads(max(contender.threads for contender in entered))
    standings: list[Standing] = []
    with passing(quiet=False) as show:
        turns = race(entered, settings.seq_length, rounds=rounds)
        for number, (contender, now) in enumerate(turns):
            standings = now
            if contender is not None:
                limit_blas_threads(contender.threads)
                turn = number // len(entered)
                doing = f"round {turn} of {rounds}" if turn else "making ready"
                show(f"{contender.name} {contender.dtype}: {doing}")
    if json:
        put(json_module.dumps(_facts(settings, text, blas, standings), allow_nan=False) + "\n")
        return 0
    put("".join(f"{line}\n" for line in _table(settings, text, blas, standings)))
    if absent is not None and settings.engine == "auto":
        say(f"charrnn: without the engine numba: {harmless_line(absent)}\n", sys.stderr)
    return 0


def _facts(settings: Settings, text: Corpus, blas: str, standings: list[Standing]) -> dict[str, Any]:
    return {
        "corpus": text.name,
        "hidden": settings.hidden,
        "seq_length": settings.seq_length,
        "batch_size": settings.batch_size,
        "characters": len(text.vocabulary),
        "optimizer": settings.optimizer,
        **_environment(blas, standings),
        "rows": [
            {
                "engine": standing.contender.name,
                "dtype": standing.contender.dtype,
                "threads": standing.contender.threads,
                "batch_size": standing.contender.batch_size,
                "updates_per_second": standing.updates_per_second,
                "characters_per_second": standing.characters_per_second,
                "rates": standing.rates,
                "times_textbook": standing.ratio,
                "times_textbook_range": [min(standing.ratios), max(standing.ratios)],
            }
            for standing in standings
        ],
    }


def _environment(blas: str, standings: list[Standing]) -> dict[str, Any]:
    from charrnn_core.runs.environment import machine, versions

    compilers = [standing.contender.compiler for standing in standings if standing.contender.compiler]
    return {
        "machine": machine(),
        "blas": blas,
        "compiler": compilers[0] if compilers else None,
        "versions": versions("numba" if compilers else "numpy"),
    }


def _table(settings: Settings, text: Corpus, blas: str, standings: list[Standing]) -> list[str]:
    facts = _environment(blas, standings)
    libraries = [f"NumPy {facts['versions']['numpy']}, {blas}"]
    if facts["compiler"]:
        libraries.append(f"Numba {facts['versions']['numba']}, {facts['compiler']}")
    lines = [
        f"{harmless_line(text.name)} · K = {len(text.vocabulary):,} · m = {settings.hidden:,} · "
        f"T = {settings.seq_length:,} · B = {settings.batch_size:,} · {settings.optimizer}",
        f"{facts['machine']} · {' · '.join(libraries)}",
        "",
        f"{'engine':9} {'type':8} {'threads':>7} {'updates/s':>11} {'characters/s':>13} {'x textbook':>11}"
        "  range",
    ]
    for standing in standings:
        contender, ratios = standing.contender, standing.ratios
        lines.append(
            f"{contender.name:9} {contender.dtype:8} {contender.threads:7} "
            f"{_rate(standing.updates_per_second):>11} {_rate(standing.characters_per_second):>13} "
            f"{standing.ratio:11.1f}  {min(ratios):.1f} to {max(ratios):.1f}"
        )
    if settings.batch_size > 1:
        lines += ["", "The textbook loop has one stream; it is compared by characters a second."]
    return lines


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
