"""The process that trains: from settings and a corpus to a run directory, until a stop or a signal."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from charrnn_core.errors import CheckpointError, RunFailedError
from charrnn_core.rnn.threads import limit_blas_threads
from charrnn_core.runs.checkpoint import RunFacts, save
from charrnn_core.runs.directory import create_run, utc_now
from charrnn_core.runs.environment import describe_corpus, machine, versions
from charrnn_core.runs.log import EventLog
from charrnn_core.text.corpus import Corpus, write_text
from charrnn_core.training.events import CheckpointSaved, Ended, Event, Started, Status, Warned
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import Trainer

STATUS_SECONDS = 0.1
"""How often `status.json` is replaced."""

SAVE_SHARE = 50
"""A periodic save waits at least this many times as long as the last one took."""

View = Callable[[Event | Status], None]

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class TrainingProcess:
    """One training run, from its first update to its end.

    Parameters
    ----------
    settings : Settings
    corpus : Corpus
    runs : Path
        Where the run directory is made.
    name : str, optional
        Of the run.

    Attributes
    ----------
    directory : RunDirectory
    trainer : Trainer
    signal : int or None
        The signal that stopped it.

    Raises
    ------
    UsageError
        Settings and corpus do not go together, or the run directory cannot be made. No directory is made
        in the first case.
    """

    def __init__(self, settings: Settings, corpus: Corpus, *, runs: Path, name: str | None = None) -> None:
        blas = limit_blas_threads(settings.threads)
        self.trainer = Trainer(settings, corpus)
        self.directory = create_run(runs, corpus.name, name)
        self._lock = self.directory.lock()
        environment = {
            "engine": self.trainer.engine.name,
            "threads": settings.threads,
            "blas": blas,
            "versions": versions(),
            "machine": machine(),
        }
        self._facts = RunFacts(settings, corpus.vocabulary.characters, describe_corpus(corpus), environment)
        if corpus.kind == "input":
            write_text(corpus, self.directory.corpus_path)
        self.directory.write_config(
            {
                "created": utc_now(),
                "settings": settings.to_json(),
                "corpus": self._facts.corpus,
                "versions": environment["versions"],
            }
        )
        self._log = EventLog(self.directory.events_path)
        self.signal: int | None = None
        self._view: View = lambda item: None
        self._state_sha256: str | None = None
        self._saved_best: int | None = None
        self._save_failed = False
        self._next_save = 0.0
        self._next_status = 0.0

    def run(self, view: View) -> Ended:
        """Train until a stop or a signal, and return how it ended.

        The first SIGINT, SIGTERM or SIGHUP lets the update finish and saves; a second one exits at once.

        Parameters
        ----------
        view : callable
            Shown every event and status, in order.

        Raises
        ------
        CheckpointError
            The trial save before the first update failed, or the last one at the end.
        RunFailedError
            The end of the event log could not be written.
        """
        trainer = self.trainer
        self._view = view
        ended: Ended | None = None
        with self._signals():
            self._record(
                Started(
                    update=0,
                    time=0.0,
                    settings=self._facts.settings.to_json(),
                    corpus=self._facts.corpus,
                    **self._facts.environment,
                )
            )
            for item in trainer.run():
                if isinstance(item, Ended):
                    ended = item
                    break
                self._record(item)
                if not trainer.diverged and time.monotonic() >= self._next_save:
                    self._save(trial=self._state_sha256 is None)
            assert ended is not None, "a trainer's last event is Ended"
            self._save()
            ended = dataclasses.replace(ended, time=trainer.seconds, state_sha256=self._state_sha256)
            self._record(ended)
        self._close()
        return ended

    def _close(self) -> None:
        """Give back log and lock, and say now what could not be made durable."""
        unsynced = None
        try:
            self._log.sync()
        except OSError as error:
            unsynced = error
        self._log.close()
        os.close(self._lock)
        if self._save_failed:
            raise CheckpointError("the last checkpoint could not be saved; the one before it is kept")
        if unsynced is not None or self._log.waiting:
            reason = f": {unsynced.strerror}" if unsynced is not None else ""
            raise RunFailedError(f"the end of {self.directory.events_path} may be missing{reason}")

    def _record(self, item: Event | Status) -> None:
        if isinstance(item, Event):
            refused = self._log.append(item)
            if refused is not None and self._log.waiting == 1:
                self._warn(f"cannot write {self.directory.events_path}: {refused.strerror}; training goes on")
        elif time.monotonic() >= self._next_status:
            self._next_status = time.monotonic() + STATUS_SECONDS
            self._write_status(item)
        self._view(item)

    def _write_status(self, status: Status) -> None:
        state = "stopping" if self.signal else "training"
        try:
            self.directory.write_status({"state": state, "pid": os.getpid(), **status.to_json()})
        except OSError:
            # The next one is a tenth of a second away, and a disk that refuses is reported by the next save.
            self._next_status = time.monotonic() + 10 * STATUS_SECONDS

    def _warn(self, message: str) -> None:
        self._record(Warned(update=self.trainer.update, time=self.trainer.seconds, message=message))

    def _save(self, *, trial: bool = False) -> None:
        """Save best, if it is new, and last; a failure is a warning, but for the first save of all."""
        trainer, began = self.trainer, time.monotonic()
        try:
            best = trainer.best
            if best is not None and trainer.best_snapshot is not None and best.update != self._saved_best:
                saved = save(self.directory, "best", trainer.best_snapshot, self._facts, self._log)
                self._saved_best = best.update
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
            if not trainer.diverged:
                saved = save(self.directory, "last", trainer.snapshot(), self._facts, self._log)
                self._state_sha256 = saved.state_sha256
                if saved.warning:
                    self._warn(saved.warning)
            self._save_failed = False
        except CheckpointError as error:
            if trial:
                raise
            if not self._save_failed:
                self._warn(f"{error}; training goes on, and the next save tries again")
            self._save_failed = True
        took = time.monotonic() - began
        self._next_save = began + took + max(self._facts.settings.checkpoint_every, SAVE_SHARE * took)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let the first signal stop the trainer and the second one end the process."""

        def stop(number: int, frame: FrameType | None) -> None:
            if self.signal is not None:
                raise SystemExit(128 + number)
            self.signal = number
            self.trainer.stop(f"signal {signal.Signals(number).name}")

        # A signal that whoever started this process has set to be ignored (nohup) stays ignored.
        heeded = [number for number in _STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, stop) for number in heeded}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
