"""How often a fault was injected, and how long the program took to answer: for the table of reliability."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Entry:
    """What one test has done until now."""

    injections: int | None = None
    longest: float = 0.0
    limit: float = 2.0
    slow: int = 0


entry = Entry()


def begin(limit: float) -> None:
    """Forget what the test before has done; an answer takes at most so many seconds in this one."""
    global entry
    entry = Entry(limit=limit)


def injected(count: int = 1) -> None:
    """Note that a fault was injected; a test that never says so has injected one."""
    entry.injections = (entry.injections or 0) + count


def waited(seconds: float) -> None:
    """Note how long the program took to answer."""
    entry.longest = max(entry.longest, seconds)
    entry.slow += seconds > entry.limit
