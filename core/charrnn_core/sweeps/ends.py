"""Where a trial came to the end that its sweep had for it, whatever was done with it afterwards."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from typing import Any

from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import open_regular
from charrnn_core.runs.listing import number_of
from charrnn_core.runs.liveness import was_interrupted

_ENDED = re.compile(rb'^\{"type":"ended",.*\}$', re.M)


def end_of(run: RunDirectory, updates: int | None) -> dict[str, Any] | None:
    """Return the first `ended` event by which a trial had done what was asked of it; None before that.

    Parameters
    ----------
    run : RunDirectory
    updates : int or None
        Up to which update it was to be trained; None where something else ends it.
    """
    try:
        with os.fdopen(open_regular(run.events_path), "rb") as file:
            log = file.read()
    except OSError:
        return None
    for line in _ENDED.finditer(log):
        with suppress(ValueError, RecursionError):  # a line that somebody has edited
            event = json.loads(line[0])
            if is_end(event, updates):
                found: dict[str, Any] = event
                return found
    return None


def is_end(event: dict[str, Any], updates: int | None) -> bool:
    """Return whether an `ended` event says that a trial had done what was asked of it."""
    reason, update = event.get("reason"), number_of(event.get("update"))
    if update is None or was_interrupted(str(reason)):
        return False
    # Where something else ends it, an end after so many updates is that of a search's step.
    return reason != "updates" or (updates is not None and update >= updates)
