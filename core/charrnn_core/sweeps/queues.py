"""Which trial is next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from charrnn_core.sweeps.plan import Trial
from charrnn_core.sweeps.task import Outcome


@dataclass(frozen=True)
class Step:
    """A trial, or a part of one.

    Attributes
    ----------
    trial : Trial
    updates : int or None
        Up to which update; None for the trial's end.
    """

    trial: Trial
    updates: int | None = None


class Queue(Protocol):
    """Says which step of a sweep is next, and is told what has come of each."""

    def next(self) -> Step | None:
        """Return a step that can be begun now; None where there is none, or none yet."""

    def take(self, step: Step, outcome: Outcome) -> None:
        """Take in what has come of a step."""


class AllOf:
    """Trials that are known before any is trained, in their order.

    Parameters
    ----------
    trials : iterable of Trial
        Those that are left.
    """

    def __init__(self, trials: Iterable[Trial]) -> None:
        self._left = deque(trials)

    def next(self) -> Step | None:
        """Return the next one."""
        return Step(self._left.popleft()) if self._left else None

    def take(self, step: Step, outcome: Outcome) -> None:
        """Nothing follows from it for the others."""
