"""`charrnn command`: ask something of a run that trains."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from charrnn_core.errors import CommandError
from charrnn_tui.cli.options import Runs
from charrnn_tui.terminal import harmless_line, say

SHORT_HELP = "Ask something of a run that trains: pause, sample, ..."
HELP = (
    "Example: charrnn command 20261122-2210-tales set-learning-rate 0.05\n\n"
    "Ask something of a run that trains in another terminal, and wait for its answer: pause, continue, stop, "
    "detach, sample, check, checkpoint, set-learning-rate. A sample goes to stdout, the answer to stderr."
)


def command(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's directory, its name, or the beginning of its name.")
    ],
    name: Annotated[str, typer.Argument(metavar="COMMAND", help="What to ask.")],
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
    from charrnn_core.runs.commands import Command, CommandName, send
    from charrnn_core.runs.directory import find_run
    from charrnn_core.runs.history import EventTail
    from charrnn_core.training.settings import FIELDS

    directory = find_run(run, Path(runs))
    options = {"length": length, "temperature": temperature, "top_p": top_p, "prime": prime}
    arguments: dict[str, Any] = {key: given for key, given in options.items() if given is not None}
    if value is not None:
        arguments["learning_rate"] = FIELDS["learning_rate"].parse("learning_rate", value)
    asked = Command.make(cast("CommandName", name), **arguments)
    if not directory.is_locked():
        raise CommandError(f"nobody trains {directory.name} now; charrnn resume goes on with it")
    tail = EventTail(directory.events_path)
    for _ in tail.read():
        pass  # the answer comes after all that is there
    send(directory.commands_path, asked)
    deadline = time.monotonic() + wait
    while time.monotonic() < deadline:
        locked = directory.is_locked()  # asked before reading: the last answer of a run comes before its end
        for _, event in tail.read():
            if event.get("command") == asked.id and event["type"] == "sample":
                say(f"{event['text']}\n", sys.stdout)
            elif event.get("command") == asked.id and event["type"] == "gradients_checked":
                say(_check_table(event["rows"]), sys.stdout)
            elif event.get("command") == asked.id and event["type"] == "obeyed":
                say(f"{name}: obeyed at update {event['update']:,}\n", sys.stderr)
                return
            elif event.get("command") == asked.id and event["type"] == "refused":
                raise CommandError(f"{name}: refused, {harmless_line(str(event.get('reason')))}")
        if not locked:
            raise CommandError(f"{directory.name} has ended; the next process that trains it will answer")
        time.sleep(0.02)
    raise CommandError(f"no answer within {wait:g} seconds; it is asked, and may still be obeyed")


def _check_table(rows: list[dict[str, Any]]) -> str:
    """Return the rows of a gradient check as lines."""
    lines = [f"{'':2} {'method':12} {'h0':8} {'entries':>8} {'max rel':>9} {'mean rel':>9}"]
    for row in rows:
        verdict = "ok" if row["passed"] else "WRONG"
        lines.append(
            f"{row['parameter']:2} {row['method']:12} {row['h0']:8} {row['entries']:8,} "
            f"{row['maximum_relative_error']:9.1e} {row['mean_relative_error']:9.1e}  {verdict}"
        )
    return "\n".join(lines) + "\n"
