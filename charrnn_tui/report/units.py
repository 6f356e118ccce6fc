"""Losses and counts as a report writes them."""

from __future__ import annotations

import math
from typing import Any

from charrnn_tui.formatting import loss_of, number_of
from charrnn_tui.report.findings import Findings


def decimals(found: Findings) -> int:
    """Return how many decimals a loss of the run is written with."""
    return 2 if found.characters > 1 else 3


def told_in_units(loss: Any, found: Findings) -> str:
    """Return a loss in the run's unit, and in nats and bits per character."""
    number = number_of(loss)
    nats = nats_and_bits(None if number is None else number / found.characters)
    if found.characters == 1:
        return f"{nats} per character"
    return f"{loss_of(number)} summed over {found.characters:,} characters, which is {nats} per character"


def nats_and_bits(nats: Any) -> str:
    """Return a loss per character in both units."""
    number = number_of(nats)
    return f"{loss_of(number, 3)} nats or {loss_of(None if number is None else number / math.log(2), 3)} bits"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where there is not one."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def duration(seconds: float) -> str:
    """Return how long something took, in the unit in which that is a short figure.

    Examples
    --------
    >>> duration(0.42), duration(34.2), duration(754.0), duration(11000.0)
    ('0.4 seconds', '34.2 seconds', '12.6 minutes', '3.1 hours')
    """
    for size, unit in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} seconds"
