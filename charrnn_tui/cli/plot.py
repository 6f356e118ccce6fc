"""`charrnn plot`: the loss of runs, as a figure in a file or as a chart in the terminal."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from charrnn_core.errors import UsageError
from charrnn_tui.cli import completion
from charrnn_tui.cli.options import Charts, Runs, glyphs_of
from charrnn_tui.files import check_place, write_file
from charrnn_tui.terminal import harmless_line, is_rich, put

if TYPE_CHECKING:
    from charrnn_core.runs.following import RunFollower
    from charrnn_tui.dashboard.loss_chart import LossView
    from charrnn_tui.dashboard.renderables.canvas import GlyphSet
    from charrnn_tui.report.figures.loss_figure import FileFormat

SHORT_HELP = "Draw the loss of runs, into a file or the terminal."
HELP = (
    "Example: charrnn plot 20261122 20261123 -o loss.svg --log-x\n\n"
    "Draw the loss of one or several runs, also of those that still train. Of one run: the smooth loss over "
    "the smallest and the largest loss of each stretch, held-out loss, epochs, changes of the learning rate "
    "and the best state. Of several: their smooth losses, in nats per character where their units differ. "
    "Onto a terminal it is a chart of characters; into a pipe, an SVG; with -o a file, whose path goes to "
    "stdout."
)

_SIZE = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)x(\d{1,6}(?:\.\d{1,6})?)")
_INCHES, _INCH_RANGE = (7.0, 4.0), (3.0, 40.0)
_CELLS, _CELL_RANGE = (100, 28), (10.0, 1000.0)
_SHALLOWEST, _DEEPEST = 8, 40  # lines of a chart that is as large as its terminal
_MOST_IN_TERMINAL = 6


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            autocompletion=completion.runs,
            help="Runs: their directories, names, or the beginnings of names (default: the newest).",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Where the figure goes: a file that ends in .svg, .png or .pdf.",
        ),
    ] = None,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="A chart of characters, also into a pipe.")
    ] = False,
    charts: Charts = "auto",
    by: Annotated[
        str, typer.Option("--by", metavar="update|epoch|time", help="What lies on the horizontal axis.")
    ] = "update",
    log_x: Annotated[bool, typer.Option("--log-x", help="A logarithmic horizontal axis.")] = False,
    log_y: Annotated[bool, typer.Option("--log-y", help="A logarithmic vertical axis.")] = False,
    title: Annotated[
        str | None,
        typer.Option("--title", metavar="TEXT", help="Above the figure (default: none)."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="WIDTHxHEIGHT",
            help="Inches of a figure (default 7x4); columns and lines of a chart (default: the terminal's).",
        ),
    ] = None,
    runs: Runs = "runs",
) -> None:
    """Draw the loss of runs."""
    target = None if output is None else Path(output)
    format = "svg" if target is None else _format(target)
    if terminal and target is not None:
        raise UsageError("--terminal draws onto stdout; leave it out for a file")
    onto_terminal = terminal or (target is None and sys.stdout is not None and sys.stdout.isatty())
    from charrnn_tui.dashboard.loss_chart import ABSCISSAS, LossView

    if by not in ABSCISSAS:
        raise UsageError(f"--by {by} is not possible; allowed is {', '.join(ABSCISSAS)}")
    view = LossView(log_x=log_x, log_y=log_y, abscissa=by)
    if onto_terminal:
        cells, glyphs = _cells(size), glyphs_of(charts)
        _draw_characters(_followed(names, Path(runs), _MOST_IN_TERMINAL), view, cells, glyphs, title)
        return
    inches = _INCHES if size is None else _numbers(size, _INCH_RANGE, "inches")
    followers = _followed(names, Path(runs), None)
    from charrnn_tui.report.figures.loss_figure import LossOf, draw_losses

    figure = draw_losses(
        [
            LossOf(name, follower.history, follower.settings)
            for name, follower in zip(_distinct_names(followers), followers, strict=True)
        ],
        by=view.abscissa,
        log_x=log_x,
        log_y=log_y,
        size=inches,
        format=format,
        title=title or "",
    )
    if target is None:
        put(figure.decode(), raw=True)
        return
    write_file(target, figure)
    put(f"{target}\n")


def _format(target: Path) -> FileFormat:
    formats = ("svg", "png", "pdf")
    ending = target.suffix.lower().removeprefix(".")
    if ending not in formats:
        raise UsageError(f"{target}: a figure's file ends in {', '.join('.' + name for name in formats)}")
    check_place(target)
    return cast("FileFormat", ending)


def _followed(names: list[str] | None, runs: Path, most: int | None) -> list[RunFollower]:
    from charrnn_core.runs.directory import find_run_or_newest
    from charrnn_core.runs.following import RunFollower

    found = [find_run_or_newest(name, runs) for name in names or (None,)]
    directories = list({run.path: run for run in found}.values())
    if most is not None and len(directories) > most:
        raise UsageError(
            f"{len(directories)} runs do not fit into a terminal's chart, {most} do; -o FILE draws them all"
        )
    return [RunFollower(directory) for directory in directories]


def _numbers(size: str, allowed: tuple[float, float], unit: str) -> tuple[float, float]:
    found = _SIZE.fullmatch(size)
    width, height = map(float, found.groups()) if found else (0.0, 0.0)
    low, high = allowed
    if not (low <= width <= high and low <= height <= high):
        raise UsageError(
            f"--size {size[:40]} is not possible; allowed is WIDTHxHEIGHT, each {low:g} to {high:g} {unit}"
        )
    return width, height


def _cells(size: str | None) -> tuple[int, int]:
    """Return columns and lines of the chart with its legend."""
    if size is not None:
        width, height = _numbers(size, _CELL_RANGE, "columns or lines")
        return int(width), int(height)
    if sys.stdout is None or not sys.stdout.isatty():
        return _CELLS
    terminal = shutil.get_terminal_size(_CELLS)
    # The command above it and the shell's prompt below it stay visible.
    return terminal.columns, max(_SHALLOWEST, min(terminal.lines - 3, _DEEPEST))


def _distinct_names(followers: list[RunFollower]) -> list[str]:
    """Return the names of runs, and the paths of those that are called the same."""
    names = [follower.directory.name for follower in followers]
    return [
        os.path.relpath(follower.directory.path) if names.count(name) > 1 else name
        for follower, name in zip(followers, names, strict=True)
    ]


def _axes_told(first: RunFollower, view: LossView) -> str:
    """Return what the axes of a chart mean."""
    from charrnn_tui.formatting import characters_of_loss

    characters = characters_of_loss(first.settings)
    unit = f"nats, sum over {characters:,} characters" if characters > 1 else "nats per character"
    by = {"update": "update", "epoch": "epoch", "time": "seconds of training"}[view.abscissa]
    return f"loss in {unit}, by {by}"


_STYLES = {
    "line": "bright_blue", "envelope": "bright_black", "held-out": "magenta", "axis": "bright_black",
    "best": "green", "good": "green", "intervention": "yellow", "epoch": "bright_black",
    "checkpoint": "bright_black", "diverged": "bold red", "label": "bright_black", "value": "bold",
    "rule": "bright_black", "overlay-1": "yellow", "overlay-2": "green", "overlay-3": "magenta",
    "overlay-4": "red", "overlay-5": "cyan",
}  # fmt: skip
"""The terminal's own colours, by the role of a piece of the chart."""


def _draw_characters(
    followers: list[RunFollower], view: LossView, cells: tuple[int, int], glyphs: GlyphSet, title: str | None
) -> None:
    """Write a chart of the first run, with the others over it, to stdout."""
    from rich.console import Console
    from rich.text import Text

    from charrnn_tui.ascii import to_ascii
    from charrnn_tui.dashboard.loss_chart import chart_of, held_out_curve, named_curves
    from charrnn_tui.dashboard.panes.legend import legend_line
    from charrnn_tui.dashboard.spans import Span
    from charrnn_tui.formatting import characters_of_loss

    first, *others = followers
    names = _distinct_names(followers)
    overlays = dict(zip(names[1:], (follower.history for follower in others), strict=True))
    width, height = cells
    file = io.StringIO()
    # Only what FORCE_COLOR asks for makes colours in a pipe.
    console = Console(file=file, force_terminal=is_rich(sys.stdout) or None, width=width, highlight=False)
    # Without colours a line is not told from what is between the extremes.
    view = replace(view, envelope=not others and console.color_system is not None and not console.no_color)
    curves = named_curves(names[0], first.history, first.settings, view, overlays)
    held_out = held_out_curve(first.history, view.abscissa, characters_of_loss(first.settings))
    if held_out is not None:
        curves.append(replace(held_out, name=f"held-out loss of {names[0]}" if others else "held-out loss"))
    lines = [[Span(title, "value")]] if title else []
    lines.append(list(legend_line(curves, None, width, glyphs)))
    lines.append([Span(_axes_told(first, view), "label")])
    room = (width, height - len(lines))
    lines += chart_of(first.history, first.settings, view, room, glyphs, overlays).lines
    for line in lines:
        text = Text(no_wrap=True, overflow="crop")
        for span in line:
            text.append(harmless_line(span.text), _STYLES.get(span.role, ""))
        text.rstrip()
        console.print(text)
    drawn = file.getvalue()
    put(to_ascii(drawn) if glyphs == "ascii" else drawn, raw=True)
