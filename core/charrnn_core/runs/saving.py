"""When checkpoints are saved, and what happens when they cannot be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from charrnn_core.errors import CheckpointError
from charrnn_core.runs.checkpoint import Place, RunFacts, save
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.log import EventLog
from charrnn_core.training.events import CheckpointSaved, Event, Warned
from charrnn_core.training.state import Best
from charrnn_core.training.trainer import Trainer

SAVE_SHARE = 50
"""A periodic save waits at least this many times as long as the last one took."""

YOUNG_SECONDS = 0.5
"""The second save of a process waits this long, and each of those after it until its time has doubled, or as
long as the setting says."""


class Saver:
    """Saves a run's best and last state.

    Parameters
    ----------
    directory : RunDirectory
    trainer : Trainer
    facts : RunFacts
    log : EventLog
    record : callable
        Takes the events that say what was saved, or what went wrong.
    saved_best : Best or None
        The figures of the best state that is on disk already.

    Attributes
    ----------
    place : Place
        What a checkpoint says of the other files; kept up to date by the process.
    state_sha256 : str or None
        Of the last state saved; None before the first.
    failed : bool
        The last save did not succeed.
    """

    def __init__(
        self,
        directory: RunDirectory,
        trainer: Trainer,
        facts: RunFacts,
        log: EventLog,
        record: Callable[[Event], None],
        *,
        place: Place,
        saved_best: Best | None = None,
    ) -> None:
        self.place = place
        self.state_sha256: str | None = None
        self.failed = False
        self._directory = directory
        self._trainer = trainer
        self._facts = facts
        self._log = log
        self._record = record
        self._saved_best = saved_best
        self._next = 0.0
        self._first: float | None = None  # when the first save began
        self._attempts = 0

    @property
    def due(self) -> bool:
        """Whether a periodic save is due."""
        return time.monotonic() >= self._next

    def save(self) -> None:
        """Save best, if it is new, and last.

        A failure is recorded once as a warning, and the saves that follow are further and further apart. A
        state that is not finite replaces nothing.

        Raises
        ------
        CheckpointError
            It was the first save of all: nothing has been trained, and nothing could be kept.
        """
        began = time.monotonic()
        try:
            self._save_best()
            if not self._trainer.diverged:
                self._save_last()
            self.failed = False
            self._attempts = 0
        except CheckpointError as error:
            if self.state_sha256 is None:
                raise
            if not self.failed:
                self._warn(f"{error}; training goes on, and later saves try again")
            self.failed = True
            self._attempts += 1
        took = time.monotonic() - began
        # Oftener at first: who wants to see what a network of a few seconds writes gets what it has learnt.
        self._first = began if self._first is None else self._first
        young = max(YOUNG_SECONDS, began - self._first)
        wait = max(min(self._trainer.settings.checkpoint_every, young), SAVE_SHARE * took)
        self._next = began + took + wait * 2 ** min(self._attempts, 6)

    def save_quietly(self) -> None:
        """Save best, if it is new, and last, whatever the time.

        Raises
        ------
        CheckpointError
        """
        self._save_best()
        self._save_last()

    def save_now(self, command: str) -> None:
        """Save because a command asked for it.

        Raises
        ------
        CheckpointError
        """
        began = time.monotonic()
        self._save_best()
        digest = self._save_last()
        self._record(
            CheckpointSaved(
                update=self._trainer.update,
                time=self._trainer.seconds,
                kind="last",
                digest=digest,
                seconds=round(time.monotonic() - began, 6),
                loss=self._trainer.engine.smooth_loss,
                command=command,
            )
        )

    def _save_last(self) -> str:
        snapshot = self._trainer.snapshot()
        # The first save of a process replaces the state that it began with, or one that was found damaged:
        # neither may take the place of an older whole one.
        rotate = self.state_sha256 is not None
        saved = save(self._directory, "last", snapshot, self._facts, self._here(), self._log, rotate=rotate)
        self.state_sha256 = saved.state_sha256
        if saved.warning:
            self._warn(saved.warning)
        return saved.state_sha256

    def _save_best(self) -> None:
        trainer = self._trainer
        best, saved_best = trainer.best, self._saved_best
        if best is None or trainer.best_snapshot is None:
            return
        if saved_best is not None and best.loss >= saved_best.loss:
            return  # it is on disk, or what is there is better: done by a process that was killed just then
        # Taken before the sample of its update was drawn, which the log has by now.
        snapshot = replace(
            trainer.best_snapshot, pending=trainer.pending if trainer.update == best.update else ()
        )
        saved = save(self._directory, "best", snapshot, self._facts, self._here(), self._log)
        self._saved_best = best
        if saved.warning:
            self._warn(saved.warning)
        self._record(
            CheckpointSaved(
                update=best.update,
                time=trainer.seconds,
                kind="best",
                digest=saved.state_sha256,
                seconds=saved.seconds,
                loss=best.loss,
            )
        )

    def _here(self) -> Place:
        return replace(self.place, log_length=self._log.length)

    def _warn(self, message: str) -> None:
        self._record(Warned(update=self._trainer.update, time=self._trainer.seconds, message=message))
