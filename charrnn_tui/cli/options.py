"""Command-line options made from the settings."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from charrnn_core.training.settings import DEFAULT_LEARNING_RATES, FIELDS, PRESETS, Settings, option_name

Runs = Annotated[
    str, typer.Option("--runs", metavar="DIR", envvar="CHARRNN_RUNS", help="Directory that holds the runs.")
]


def with_settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every setting to a command, and `--preset`.

    The command receives the resulting `Settings` as the argument `settings`.
    """
    own = [
        parameter
        for parameter in inspect.signature(command, eval_str=True).parameters.values()
        if parameter.name != "settings"
    ]
    added = [_parameter("preset", _preset_option()), *(_parameter(name, _option(name)) for name in FIELDS)]

    @functools.wraps(command)
    def with_options(**arguments: Any) -> Any:
        preset = arguments.pop("preset") or next(iter(PRESETS))
        texts = {name: arguments.pop(name) for name in FIELDS}
        given = {name: FIELDS[name].parse(name, text) for name, text in texts.items() if text is not None}
        return command(settings=Settings.of(preset, **given), **arguments)

    parameters = own + added
    # Typer reads both.
    with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_options.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return with_options


def _parameter(name: str, option: Any) -> inspect.Parameter:
    annotation = Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _preset_option() -> Any:
    presets = list(PRESETS)
    return typer.Option(
        "--preset",
        metavar="|".join(presets),
        help=f"Settings of the course until 2024, or of 2025 and 2026 (default {presets[0]}).",
        autocompletion=lambda: presets,
    )


def _option(name: str) -> Any:
    field = FIELDS[name]
    default = getattr(Settings(), name)
    shown = "none" if default is None else default if isinstance(default, str) else f"{default:,g}"
    if isinstance(default, int):
        shown = f"{default:,}"
    if name == "learning_rate":
        shown = ", ".join(f"{rate:g} for {optimizer}" for optimizer, rate in DEFAULT_LEARNING_RATES.items())
    choices = list(field.choices)
    return typer.Option(
        option_name(name),
        metavar="|".join(choices) or {int: "N", float: "X"}[field.kind],
        help=f"{field.help[0].upper()}{field.help[1:]} (default {shown}).",
        rich_help_panel=field.group,
        autocompletion=(lambda: choices) if choices else None,
    )
