"""How figures are written for people: losses, counts, durations, endings."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any


def number_of(value: Any) -> float | None:
    """Return a value of a log if it is a number that can be calculated with: a log is not trusted."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and abs(value) <= sys.float_info.max else None


def loss_of(value: Any, decimals: int = 2) -> str:
    """Return a loss as text: so many decimals, or the digits that matter; a dash where there is none."""
    value = number_of(value)
    if value is None:
        return "–"
    return f"{value:.{decimals}f}" if abs(value) < 1000 else f"{value:.3g}"


def count_of(value: Any) -> str:
    """Return a count with its thousands apart; a dash where it is none: a log is not trusted."""
    is_count = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15
    return f"{int(value):,}" if is_count and value == value else "–"


def characters_of_loss(settings: Mapping[str, Any]) -> int:
    """Return how many characters a loss is the sum over: T, or 1 where it is a mean."""
    return int(settings.get("seq_length", 25)) if settings.get("loss") == "sum" else 1


_ENDINGS = {
    "updates": "all updates done",
    "epochs": "all epochs done",
    "seconds": "time is up",
    "smooth loss": "smooth loss is low enough",
    "owner gone": "stopped with its owner",
    "handed over": "handed over to go on elsewhere",
    "output closed": "stopped: nobody reads its output",
}


def ending_of(reason: Any) -> str:
    """Return in words why training ended.

    Examples
    --------
    >>> ending_of("updates"), ending_of("stopped"), ending_of("signal SIGTERM")
    ('all updates done', 'stopped', 'stopped by signal SIGTERM')
    """
    words = str(reason)
    return f"stopped by {words}" if words.startswith("signal") else _ENDINGS.get(words, words)


def clock(seconds: float | None) -> str:
    """Return a duration as 0:07 or 1:02:03; a dash where there is none.

    Examples
    --------
    >>> clock(7), clock(3723), clock(None)
    ('0:07', '1:02:03', '–')
    """
    if seconds is None or not math.isfinite(seconds):
        return "–"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def ago(seconds: float) -> str:
    """Return how long ago something was, in one unit.

    Examples
    --------
    >>> ago(3), ago(130), ago(7300), ago(200_000)
    ('3 s ago', '2 min ago', '2 h ago', '2 d ago')
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"
