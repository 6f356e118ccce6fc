"""What the dashboard knows of one run, and what it asks of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from charrnn_core.errors import CommandError, reason_of
from charrnn_core.runs.commands import Command, CommandName, send
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.following import RunFollower
from charrnn_core.runs.history import EventFields, History, answered_by
from charrnn_tui.dashboard.trainer import OwnedTrainer
from charrnn_tui.formatting import count_of, loss_of

RECENT_SECONDS = 60.0
"""How far back the figures go that only a screen wants."""


@dataclass(frozen=True)
class Asked:
    """A command without an answer yet, and what to do with the answer."""

    command: Command
    answered: Callable[[EventFields], None]


@dataclass(frozen=True)
class SavedBest:
    """The best state on disk, in words.

    Attributes
    ----------
    told : str
        Its loss: the smooth loss, or the held-out loss with its unit.
    at : str
        Its update.
    """

    told: str
    at: str


@dataclass
class RunSession:
    """A run that is looked at: followed, and asked.

    Attributes
    ----------
    follower : RunFollower
    trainer : OwnedTrainer or None
        The process that trains it, if it is the dashboard's own.
    recent : deque of (time, smooth loss, updates per second)
        What `status.json` said in the last minute.
    now : callable
        Seconds on a clock that never goes back.
    """

    follower: RunFollower
    trainer: OwnedTrainer | None = None
    recent: deque[tuple[float, float, float]] = field(default_factory=deque)
    now: Callable[[], float] = monotonic
    _asked: dict[str, Asked] = field(default_factory=dict)
    _heard: tuple[float, dict[str, Any]] = (0.0, {})  # when the status changed, and to what

    @classmethod
    def of(cls, path: Path, trainer: OwnedTrainer | None = None) -> RunSession:
        """Return a session of the run in a directory."""
        return cls(RunFollower(RunDirectory(path)), trainer)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.follower.directory.name

    @property
    def directory(self) -> RunDirectory:
        """The run's directory."""
        return self.follower.directory

    @property
    def history(self) -> History:
        """What happened."""
        return self.follower.history

    @property
    def status(self) -> dict[str, Any]:
        """What is happening now."""
        return self.follower.status

    @property
    def owned(self) -> bool:
        """Whether the dashboard's own process trains it."""
        return self.trainer is not None and self.trainer.code is None

    @property
    def live(self) -> bool:
        """Whether anybody trains it."""
        return self.follower.state in ("training", "paused")

    @property
    def silent_seconds(self) -> float:
        """How long nothing has been heard of a process that trains; 0 while it is paused."""
        return self.now() - self._heard[0] if self.follower.state == "training" and self._heard[1] else 0.0

    @property
    def diverged(self) -> bool:
        """Whether it has ended with a loss that is not finite."""
        ended = self.history.ended
        return not self.live and ended is not None and ended.get("reason") == "diverged"

    @property
    def best(self) -> SavedBest | None:
        """The best state that is on disk; None before there is one."""
        saved = self.history.best
        if saved is None:
            return None
        held_out = self.follower.settings.get("held_out")
        loss = saved.get("loss")
        told = f"held-out {loss_of(loss, 3)} /char" if held_out else loss_of(loss)
        return SavedBest(told, count_of(saved["update"]))

    @property
    def update(self) -> int:
        """Updates done."""
        now = self.status.get("update")
        if isinstance(now, int):
            return now
        if self.history.ended is not None:
            return int(self.history.ended["update"])
        progress = self.history.progress
        return int(progress[-1]["update"]) if progress else 0

    @property
    def smooth_loss(self) -> float | None:
        """The smooth loss now."""
        now = self.status.get("smooth_loss")
        if isinstance(now, (int, float)):
            return float(now)
        progress = self.history.progress
        last = progress[-1].get("smooth_loss") if progress else None
        return float(last) if isinstance(last, (int, float)) else None

    def poll(self) -> list[EventFields]:
        """Read what is new, hand answers to who asked, and return the new events."""
        events = self.follower.poll()
        for event in events:
            if event["type"] in ("obeyed", "refused"):
                for identity in answered_by(event):
                    asked = self._asked.pop(identity, None)
                    if asked is not None:
                        asked.answered(event)
        if self.status != self._heard[1]:
            self._heard = self.now(), self.status
        self._remember()
        return events

    def ask(
        self,
        name: CommandName,
        answered: Callable[[EventFields], None] = lambda event: None,
        **arguments: Any,
    ) -> None:
        """Ask the process that trains for something.

        Raises
        ------
        CommandError
            Nobody trains, or it could not be written.
        """
        if not self.live:
            raise CommandError(f"nobody trains {self.name} now")
        command = Command.make(name, **arguments)
        try:
            send(self.directory.commands_file, command)
        except OSError as error:
            raise CommandError(f"cannot write {self.directory.commands_file}: {reason_of(error)}") from None
        self._asked[command.id] = Asked(command, answered)

    def resumed_by(self, trainer: OwnedTrainer) -> None:
        """Let a process of the dashboard's own go on with the run."""
        if self.trainer is not None:
            self.trainer.release()
        self.trainer = trainer

    def waits(self, name: CommandName) -> bool:
        """Return whether a command of this name has no answer yet."""
        return any(asked.command.name == name for asked in self._asked.values())

    def close(self) -> None:
        """Let go of the run; a trainer of its own stops by that, unless it was detached."""
        self.follower.close()
        if self.trainer is not None:
            self.trainer.release()

    def _remember(self) -> None:
        time, loss, rate = (self.status.get(key) for key in ("time", "smooth_loss", "updates_per_second"))
        if isinstance(time, (int, float)) and isinstance(loss, (int, float)):
            if not self.recent or time > self.recent[-1][0]:
                self.recent.append((time, float(loss), float(rate or 0)))
            while self.recent and time - self.recent[0][0] > RECENT_SECONDS:
                self.recent.popleft()
