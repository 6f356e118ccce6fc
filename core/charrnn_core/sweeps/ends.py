"""Where a trial came to the end that its sweep had for it, whatever was done with it afterwards."""

from __future__ import annotations

import os
from typing import Any

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.json_text import number_of, parse_object
from charrnn_core.runs.liveness import was_interrupted
from charrnn_core.runs.log import LineReader

_ENDED = b'{"type":"ended",'


def end_of(run: RunDirectory, updates: int | None) -> dict[str, Any] | None:
    """Return the first `ended` event by which a trial had done what was asked of it; None before that.

    Parameters
    ----------
    run : RunDirectory
    updates : int or None
        Up to which update it was to be trained; None where something else ends it.
    """
    try:
        descriptor = run.events_file.descriptor()
    except OSError:
        return None
    try:
        for _, line in LineReader().read(descriptor):
            event = parse_object(line) if line.startswith(_ENDED) else None
            if event is not None and is_end(event, updates):
                return event
        return None
    finally:
        os.close(descriptor)


def is_end(event: dict[str, Any], updates: int | None) -> bool:
    """Return whether an `ended` event says that a trial had done what was asked of it."""
    reason, update = event.get("reason"), number_of(event.get("update"))
    if update is None or was_interrupted(str(reason)):
        return False
    # Where something else ends it, an end after so many updates is that of a search's step.
    return reason != "updates" or (updates is not None and update >= updates)
