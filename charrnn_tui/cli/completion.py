"""What the shell completes, besides the names of commands and options: runs, bundled texts, files.

Asked at every press of Tab, so that nothing is read which is not needed. Where nothing is offered, the shell
offers files by itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import typer

_PLAIN = re.compile(r"(?!-)[\w.,+@%=/-]+")  # a leading hyphen would make it an option
"""What is offered: no shell takes a part of it for anything else, however a completion script puts it."""


def runs(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield the names of runs that begin so, in the directory that holds the runs."""
    yield from _named(context, incomplete, "config.json")


def sweeps(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield the names of sweeps that begin so, in the directory that holds them beside the runs."""
    yield from _named(context, incomplete, "sweep.json")


def runs_and_sweeps(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield what `runs` and `sweeps` do."""
    yield from runs(context, incomplete)
    yield from sweeps(context, incomplete)


def _named(context: typer.Context, incomplete: str, file: str) -> Iterator[str]:
    """Yield the names of directories that hold such a file and begin so."""
    folder = Path(context.params.get("runs") or os.environ.get("CHARRNN_RUNS") or "runs")
    names = (path.parent.name for path in folder.glob(f"*/{file}"))
    fitting = (name for name in names if name.startswith(incomplete) and _PLAIN.fullmatch(name))
    yield from sorted(fitting, reverse=True)


def texts(incomplete: str) -> Iterator[str]:
    """Yield the names of bundled texts that begin so, and files."""
    from charrnn_core.text.source import bundled_sources

    names = [name for name in bundled_sources() if name.startswith(incomplete)]
    if names:  # else the shell offers files by itself, and goes on into directories
        yield from names
        yield from _files(incomplete)


def runs_and_texts(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield what `texts` and `runs` do."""
    yield from runs(context, incomplete)
    yield from texts(incomplete)


def sweeps_and_texts(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield what `sweeps` and `texts` do."""
    yield from sweeps(context, incomplete)
    yield from texts(incomplete)


def runs_sweeps_and_texts(context: typer.Context, incomplete: str) -> Iterator[str]:
    """Yield what `runs_and_sweeps` and `texts` do."""
    yield from runs_and_sweeps(context, incomplete)
    yield from texts(incomplete)


def varied(incomplete: str) -> Iterator[str]:
    """Yield the settings that can vary, where they begin so, up to the values."""
    from charrnn_core.training.settings import FIELDS

    yield from (f"{name}=" for name in FIELDS if name.startswith(incomplete))


def asked(incomplete: str) -> Iterator[str]:
    """Yield what can be asked of a run, where it begins so."""
    from charrnn_core.runs.commands import COMMAND_NAMES

    yield from (name for name in COMMAND_NAMES if name.startswith(incomplete))


def _files(beginning: str) -> Iterator[str]:
    """Yield what is in the current directory and begins so, directories with a slash behind."""
    try:
        entries = sorted(os.scandir("."), key=lambda entry: entry.name)
    except OSError:  # it is gone: nothing begins so
        return
    for entry in entries:
        is_hidden = entry.name.startswith(".")
        if entry.name.startswith(beginning) and not is_hidden and _PLAIN.fullmatch(entry.name):
            yield entry.name + (os.sep if entry.is_dir() else "")
