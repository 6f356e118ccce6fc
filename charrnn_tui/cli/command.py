"""`charrnn command`: ask something of a run that trains."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from charrnn_tui.cli import completion
from charrnn_tui.cli.options import RunArgument, Runs
from charrnn_tui.terminal import say

SHORT_HELP = "Ask something of a run that trains: pause, sample, ..."
HELP = (
    "Example: charrnn command 20261122-2210-tales set-learning-rate 0.05\n\n"
    "Ask something of a run that trains in another terminal, and wait for its answer: pause, continue, stop, "
    "detach, sample, check, checkpoint, set-learning-rate. A sample goes to stdout, the answer to stderr."
)


def command(
    run: RunArgument,
    name: Annotated[
        str, typer.Argument(metavar="COMMAND", autocompletion=completion.asked, help="What to ask.")
    ],
    value: Annotated[
        str | None, typer.Argument(metavar="[RATE]", help="For set-learning-rate: the learning rate.")
    ] = None,
    length: Annotated[
        int | None, typer.Option("--length", metavar="N", help="For sample: how many characters.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", metavar="X", help="For sample: the temperature.")
    ] = None,
    top_p: Annotated[
        float | None, typer.Option("--top-p", metavar="X", help="For sample: the nucleus to draw from.")
    ] = None,
    prime: Annotated[
        str | None, typer.Option("--prime", metavar="TEXT", help="For sample: what the network reads first.")
    ] = None,
    wait: Annotated[
        float, typer.Option("--wait", metavar="SECONDS", help="How long to wait for the answer.")
    ] = 10.0,
    runs: Runs = "runs",
) -> None:
    """Send a command and show its answer."""
    from charrnn_core.runs.asking import ask
    from charrnn_core.runs.commands import Command, CommandName
    from charrnn_core.runs.directory import find_run
    from charrnn_core.training.settings import FIELDS
    from charrnn_tui.check_rows import rows_of
    from charrnn_tui.cli.check_table import show_check

    directory = find_run(run, Path(runs))
    options = {"length": length, "temperature": temperature, "top_p": top_p, "prime": prime}
    arguments: dict[str, Any] = {key: given for key, given in options.items() if given is not None}
    if value is not None:
        arguments["learning_rate"] = FIELDS["learning_rate"].parse("learning_rate", value)
    asked = Command.make(cast("CommandName", name), **arguments)
    for event in ask(directory, asked, wait):
        if event["type"] == "sample" and isinstance(event.get("text"), str):
            say(f"{event['text']}\n", sys.stdout)
        elif event["type"] == "gradients_checked":
            show_check(rows_of(event), f"{directory.name} · update {event['update']:,}")
        elif event["type"] == "obeyed":
            say(f"{name}: obeyed at update {event['update']:,}\n", sys.stderr)
