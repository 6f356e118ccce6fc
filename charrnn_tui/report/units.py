"""Losses and counts as a report writes them."""

from __future__ import annotations

import math
from typing import Any

from charrnn_tui.formatting import loss_of
from charrnn_tui.report.findings import Findings


def decimals(found: Findings) -> int:
    """Return how many decimals a loss of the run is written with."""
    return 2 if found.characters > 1 else 4


def told_in_units(loss: Any, found: Findings) -> str:
    """Return a loss in the run's unit, and in nats and bits per character."""
    if not isinstance(loss, (int, float)):
        return loss_of(loss)
    nats = nats_and_bits(loss / found.characters)
    if found.characters == 1:
        return f"{nats} per character"
    return f"{loss_of(loss)}, which is {nats} per character"


def nats_and_bits(nats: Any) -> str:
    """Return a loss per character in both units."""
    bits = nats / math.log(2) if isinstance(nats, (int, float)) else None
    return f"{loss_of(nats, 3)} nats or {loss_of(bits, 3)} bits"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural where there is not one."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
