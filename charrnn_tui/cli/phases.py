"""The phases of a study, and how far it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from charrnn_core.training.events import Ended, Event, GradientsChecked, Started, Status
from charrnn_core.training.settings import Settings
from charrnn_tui.cli.told import share_done
from charrnn_tui.formatting import clock

Name = Literal["check", "training", "onward", "passage", "report"]
State = Literal["done", "failed", "skipped", "now", "ahead"]

_SIGNS: dict[State, str] = {"done": "✓", "failed": "✗", "skipped": "–", "now": "●", "ahead": "○"}
_STYLES: dict[State, str] = {
    "done": "green",
    "failed": "red",
    "skipped": "dim",
    "now": "cyan",
    "ahead": "dim",
}


@dataclass(frozen=True)
class Phase:
    """A part of a study.

    Attributes
    ----------
    name : str
        "check", "training", "onward" (beyond the minimum of updates), "passage" or "report".
    words, short : str
        What it is called, and where there is little room.
    """

    name: Name
    words: str
    short: str


def phases_of(settings: Settings) -> tuple[Phase, ...]:
    """Return the phases of the study of a run with these settings.

    Examples
    --------
    >>> [phase.words for phase in phases_of(Settings(updates=None, stop_below=40.0, minimum_updates=1000))]
    ['gradient check', 'training to update 1,000', 'on until smooth loss < 40', 'best passage', 'report']
    >>> [phase.short for phase in phases_of(Settings())]
    ['check', 'to update 100,000', 'passage', 'report']
    """
    goals = _goals(settings)
    short = goals.replace("smooth ", "")
    if has_minimum(settings):
        least = f"{settings.minimum_updates:,}"
        training = [
            Phase("training", f"training to update {least}", f"to {least}"),
            Phase("onward", f"on {goals}", short),
        ]
    else:
        training = [Phase("training", f"training {goals}", short)]
    return (
        Phase("check", "gradient check", "check"),
        *training,
        Phase("passage", "best passage", "passage"),
        Phase("report", "report", "report"),
    )


def has_minimum(settings: Settings) -> bool:
    """Return whether there is a part of training that only `updates` and `seconds` can end."""
    return settings.minimum_updates > 0 and (settings.epochs is not None or settings.stop_below is not None)


def _goals(settings: Settings) -> str:
    """Return where training ends, in words."""
    goals = []
    if settings.stop_below is not None:
        goals.append(f"smooth loss < {settings.stop_below:g}")
    if settings.epochs is not None:
        goals.append(f"epoch {settings.epochs:g}")
    if settings.updates is not None:
        goals.append(f"update {settings.updates:,}")
    if settings.seconds is not None:
        goals.append(f"{clock(settings.seconds)} of training")
    is_place = settings.stop_below is None and (settings.epochs is not None or settings.updates is not None)
    return f"{'to' if is_place else 'until'} {' or '.join(goals or ['it is stopped'])}"


class Phases:
    """How far a study is.

    Parameters
    ----------
    settings : Settings
        Of the run.
    update : int
        How many updates have been done.
    checked : bool, optional
        What the gradient check found, where it has been made: whether all gradients are right.
    """

    def __init__(self, settings: Settings, *, update: int = 0, checked: bool | None = None) -> None:
        self._settings = settings
        self._phases = phases_of(settings)
        self._states: dict[Name, State] = {phase.name: "ahead" for phase in self._phases}
        self._current: Name = "check"
        self._states["check"] = "now"
        if checked is not None:
            self._check(checked)
        self._reach(update)

    def see(self, item: Event | Status) -> bool:
        """Take in what happens in the run, and return whether there is something new to show of the study."""
        before = dict(self._states)
        self._reach(item.update)
        if isinstance(item, GradientsChecked) and item.command is None:
            self._check(not item.wrong)
        elif isinstance(item, Ended) and item.reason == "diverged":
            self.end("failed")
        return self._states != before or isinstance(item, Started)

    def enter(self, name: Name) -> None:
        """Begin another phase; what has not begun before it never will."""
        for phase in self._phases:
            if phase.name == name:
                break
            if self._states[phase.name] == "ahead":
                self._states[phase.name] = "skipped"
        if self._states[self._current] == "now":
            self.end()
        self._current = name
        self._states[name] = "now"

    def end(self, state: State = "done") -> None:
        """End the current phase in this way."""
        self._states[self._current] = state

    def _check(self, right: bool) -> None:
        self.end("done" if right else "failed")
        self.enter("training")

    def _reach(self, update: int) -> None:
        if update and self._current == "check":
            self.end("skipped")  # there was not enough memory for it
            self.enter("training")
        if self._current == "training" and has_minimum(self._settings):
            if update >= self._settings.minimum_updates:
                self.enter("onward")

    def status(self, status: Status) -> Status:
        """Return a status with the time that is left of the current phase, where that is less."""
        rate = status.updates_per_second
        if self._current != "training" or not has_minimum(self._settings) or not rate:
            return status
        left = (self._settings.minimum_updates - status.update) / rate
        shortest = left if status.seconds_left is None else min(left, status.seconds_left)
        return dataclasses.replace(status, seconds_left=shortest)

    def share(self, status: Status) -> float | None:
        """Return how much of the current phase is done, from 0 to 1, or None where nothing tells its end."""
        if self._current == "check":
            return None
        settings = self._settings
        if self._current == "training" and has_minimum(settings):
            settings = dataclasses.replace(settings, updates=settings.minimum_updates, epochs=None)
        return share_done(status, settings)

    def line(self, width: int | None = None) -> list[tuple[str, str]]:
        """Return all phases in a line of at most so many columns: pieces of text, and the style of each.

        Where there is no room for all, the current one alone.
        """
        whole = self._line(self._phases, "   ")
        if width is None:
            return whole
        for pieces in (whole, *(self._line(self._phases, gap, short=True) for gap in ("   ", "  "))):
            if sum(len(words) for words, _ in pieces) <= width:
                return pieces
        number = [phase.name for phase in self._phases].index(self._current)
        of_all = f" ({number + 1} of {len(self._phases)})"
        sign, (words, style) = self._line(self._phases[number : number + 1], "", short=True)
        room = max(1, width - len(sign[0]) - len(of_all))
        words = words if len(words) <= room else f"{words[: room - 1]}…"
        return [sign, (words, style), (of_all, "dim")]

    def _line(self, phases: Sequence[Phase], gap: str, *, short: bool = False) -> list[tuple[str, str]]:
        pieces = []
        for number, phase in enumerate(phases):
            state = self._states[phase.name]
            pieces.append((f"{gap if number else ''}{_SIGNS[state]} ", _STYLES[state]))
            words = phase.short if short else phase.words
            pieces.append((words, "dim" if state in ("ahead", "skipped") else ""))
        return pieces
