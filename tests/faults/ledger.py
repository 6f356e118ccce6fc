"""How often a fault was injected, and how long the program took to answer: for the table of reliability."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Entry:
    """What one test has done until now."""

    injections: int | None = None
    longest: float = 0.0
    slow: int = 0


SLOW = 2.0
"""Seconds; an answer that took longer is told in the table as a hang, and fails no test."""

entry = Entry()


def begin() -> None:
    """Forget what the test before has done."""
    global entry
    entry = Entry()


def injected(count: int = 1) -> None:
    """Note that a fault was injected; a test that never says so has injected one."""
    entry.injections = (entry.injections or 0) + count


def waited(seconds: float) -> None:
    """Note how long the program took to answer."""
    entry.longest = max(entry.longest, seconds)
    entry.slow += seconds > SLOW
