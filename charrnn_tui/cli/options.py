"""Command-line options made from the settings."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charrnn_core.errors import UsageError
from charrnn_core.training.settings import (
    CHANGEABLE,
    DEFAULT_LEARNING_RATES,
    DEFAULT_PRESET,
    FIELDS,
    PRESETS,
    STOPS,
    Settings,
    Value,
    option_name,
)
from charrnn_tui.cli import completion
from charrnn_tui.terminal import has_utf8

if TYPE_CHECKING:
    from charrnn_tui.dashboard.renderables.canvas import GlyphSet

DEFAULT_CORPUS = "tales"

_NETWORK = (
    "hidden", "seq_length", "batch_size", "init", "init_std", "dtype", "seed", "clip", "loss", "engine",
)  # fmt: skip

_SIZES = (
    "hidden", "seq_length", "batch_size", "optimizer", "clip", "loss", "chunks", "engine", "threads",
)  # fmt: skip

Runs = Annotated[
    str, typer.Option("--runs", metavar="DIR", envvar="CHARRNN_RUNS", help="Directory that holds the runs.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors and warnings.")]
Json = Annotated[
    bool, typer.Option("--json", help="The run's events on stdout, one JSON object a line, not its path.")
]
Owned = Annotated[bool, typer.Option("--owned", hidden=True, help="End when standard input ends.")]
MovedCorpus = Annotated[
    str | None,
    typer.Option("--corpus", metavar="FILE", help="With a run: where its text is now, if it has moved."),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        autocompletion=completion.runs,
        help="A run's directory, its name, or the beginning of its name.",
    ),
]
RunOrNewest = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN]",
        autocompletion=completion.runs,
        help="A run's directory, its name, or the beginning of its name (default: the newest run).",
        show_default=False,
    ),
]
RunOrSweep = Annotated[
    str | None,
    typer.Argument(
        metavar="[RUN | SWEEP]",
        autocompletion=completion.runs_and_sweeps,
        help="The directory of a run or a sweep, its name, or the beginning of its name (default: the newest "
        "run).",
        show_default=False,
    ),
]
Charts = Annotated[
    str,
    typer.Option(
        "--charts",
        metavar="auto|braille|block|ascii",
        help="What charts are drawn with (default: braille where the terminal has it).",
        show_default=False,
    ),
]
Subject = Annotated[
    str | None,
    typer.Argument(
        metavar="[CORPUS | RUN]",
        autocompletion=completion.runs_and_texts,
        help="A text as for charrnn train, or a run: its directory, its name, or the beginning of its "
        f"name (default: the text {DEFAULT_CORPUS}).",
        show_default=False,
    ),
]


def glyphs_of(charts: str) -> GlyphSet:
    """Return the characters that charts are drawn with: what was asked for, or what stdout can show."""
    known: dict[str, GlyphSet] = {"braille": "braille", "block": "block", "ascii": "ascii"}
    if charts in known:
        return known[charts]
    if charts != "auto":
        raise UsageError(f"--charts {charts} is not possible; allowed is auto, {', '.join(known)}")
    if not has_utf8(sys.stdout):
        return "ascii"
    # The console of Linux has a font of 512 characters, and braille is not among them.
    return "block" if os.environ.get("TERM") == "linux" and sys.stdout.isatty() else "braille"


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every setting to a command, and `--preset`.

    The command receives the settings that were given as the argument `given`, a dictionary, and the preset's
    name, or None, as `preset`.
    """
    return _with_options(command, FIELDS, extra=[_preset_parameter()])


def with_network(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that make a network and its loss to a command, and `--preset`, as `with_settings`."""
    return _with_options(command, _NETWORK, extra=[_preset_parameter()])


def with_sizes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that the speed of training depends on to a command, and `--preset`."""
    return _with_options(command, _SIZES, extra=[_preset_parameter()])


def with_changes(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every setting that can change when a run goes on; the command receives `given`."""
    return _with_options(command, CHANGEABLE, defaults=False)


def _with_options(
    command: Callable[..., Any],
    names: Iterable[str],
    extra: list[inspect.Parameter] | None = None,
    *,
    defaults: bool = True,
) -> Callable[..., Any]:
    names = list(names)
    extra = extra or []
    hidden = {"given", *(parameter.name for parameter in extra)}
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name not in hidden]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, _option(name, defaults=defaults)],
        )
        for name in names
    ]

    @functools.wraps(command)
    def with_options(**arguments: Any) -> Any:
        texts = {name: arguments.pop(name) for name in names}
        given: dict[str, Value] = {
            name: FIELDS[name].parse(name, text) for name, text in texts.items() if text is not None
        }
        return command(given=given, **arguments)

    parameters = own + extra + added
    # Typer reads both.
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _preset_parameter() -> inspect.Parameter:
    presets = list(PRESETS)
    option = typer.Option(
        "--preset",
        metavar="|".join(presets),
        help=f"Settings of the course until 2024, or of 2025 and 2026 (default {DEFAULT_PRESET}).",
        autocompletion=lambda: presets,
    )
    annotation = Annotated[str | None, option]
    return inspect.Parameter("preset", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _option(name: str, *, defaults: bool) -> Any:
    field = FIELDS[name]
    default = getattr(Settings(), name)
    shown = "none" if default is None else default if isinstance(default, str) else f"{default:,g}"
    if isinstance(default, int):
        shown = f"{default:,}"
    if name == "learning_rate":
        shown = ", ".join(f"{rate:g} for {optimizer}" for optimizer, rate in DEFAULT_LEARNING_RATES.items())
    help = f"{field.help[0].upper()}{field.help[1:]}"
    if defaults:
        help += f" (default {shown})"
    elif name in STOPS:
        help = help.split(";")[0]
    if field.none is not None:
        help += f"; none: {field.none}"
    choices = list(field.choices)
    return typer.Option(
        option_name(name),
        metavar="|".join(choices) or {int: "N", float: "X"}[field.kind],
        help=f"{help}.",
        rich_help_panel=field.group,
        autocompletion=(lambda: choices) if choices else None,
    )
