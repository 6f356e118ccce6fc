"""Ask something of a run that trains, and wait for its answer."""

from __future__ import annotations

import time
from collections.abc import Iterator

from charrnn_core.errors import CommandError
from charrnn_core.runs.commands import Command, send
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import EventFields, EventTail, answered_by
from charrnn_core.runs.liveness import read_status

_LOOK_SECONDS = 0.02


def ask(directory: RunDirectory, command: Command, wait: float) -> Iterator[EventFields]:
    """Send a command, and yield the events that answer it as they come; the last one is `obeyed`.

    Parameters
    ----------
    directory : RunDirectory
    command : Command
    wait : float
        Seconds until this gives up; the command may still be obeyed then.

    Raises
    ------
    CommandError
        Nobody trains the run, a worker of a cluster does, it has ended, it refuses, or there was no answer in
        time.
    """
    if not directory.is_locked():
        raise CommandError(f"nobody trains {directory.name} now; charrnn resume goes on with it")
    if "elsewhere" in read_status(directory):
        raise CommandError(
            f"{directory.name} is trained on a cluster, where commands do not reach it; Ctrl+C at its sweep "
            "stops it"
        )
    tail = EventTail(directory.events_file)
    try:
        for _ in tail.read():
            pass  # the answer comes after all that is there
        send(directory.commands_file, command)
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline:
            locked = directory.is_locked()  # asked before reading: a run's last answer comes before its end
            for _, event in tail.read():
                if command.id not in answered_by(event):
                    continue
                if event["type"] == "refused":
                    raise CommandError(f"{command.name}: refused, {event.get('reason')}")
                yield event
                if event["type"] == "obeyed":
                    return
            if not locked:
                raise CommandError(f"{directory.name} has ended; the next process that trains it will answer")
            time.sleep(_LOOK_SECONDS)
    finally:
        tail.close()
    raise CommandError(f"no answer within {wait:g} seconds; it is asked, and may still be obeyed")
