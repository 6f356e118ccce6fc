"""Going through a sweep: trials are handed out until none is left, or somebody stops it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from charrnn_core.errors import CharRNNError, RunFailedError, reason_of
from charrnn_core.rnn.engines import resolve_engine
from charrnn_core.runs.log import EventLog
from charrnn_core.sweeps.directory import Failed, SweepDirectory, Tried
from charrnn_core.sweeps.ends import end_of
from charrnn_core.sweeps.places import Place
from charrnn_core.sweeps.plan import Trial
from charrnn_core.sweeps.queues import Queue, Step
from charrnn_core.sweeps.task import Outcome, Task, in_words, outcome_of
from charrnn_core.training.events import Event

_LOOK_SECONDS = 0.1
_STATUS_SECONDS = 0.5
_MOST_THREADS = 4096


class Sweeping:
    """One process's share of a sweep, from where it begins to where it ends.

    Parameters
    ----------
    directory : SweepDirectory
        Locked by the caller.
    place : Place
    facts : mapping
        What is recorded of the text.
    files : sequence of str
        Where it is read now.
    log : EventLog
        Of the sweep.

    Attributes
    ----------
    training : dict of str to Step
        What is being trained, by the names of the trials.
    place : Place
    outcomes : dict of str to Outcome
        What has come of the trials that this process has had trained.
    """

    def __init__(
        self,
        directory: SweepDirectory,
        place: Place,
        facts: Mapping[str, Any],
        files: Sequence[str],
        log: EventLog,
    ) -> None:
        self.directory = directory
        self.training: dict[str, Step] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.place = place
        self._facts = dict(facts)
        self._files = list(files)
        self._failed_before = set(directory.record().failed)
        place.bring(files, is_kept=bool(facts.get("kept")))
        self._log = log
        self._began = time.monotonic()
        self._next_status = 0.0
        self._stopped = False

    def stop(self) -> None:
        """Have what is trained saved, and begin nothing more; safe in a handler of signals."""
        self._stopped = True

    def run(self, queue: Queue, look: Callable[[], None]) -> None:
        """Go through the trials until none is left or `stop` was called.

        Parameters
        ----------
        queue : Queue
        look : callable
            Called about ten times a second.

        Raises
        ------
        RunFailedError
            The place where trials are trained is gone.
        """
        try:
            # Threads are made when they are needed: a cluster may grow.
            with ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="trial") as threads:
                try:
                    self._hand_out(queue, look, threads)
                except BaseException:
                    self.place.stop()  # else the trials would be waited for
                    raise
        finally:
            self.training.clear()
            self._next_status = 0.0
            self._write_status()

    def _hand_out(self, queue: Queue, look: Callable[[], None], threads: ThreadPoolExecutor) -> None:
        futures: dict[Future[Outcome], Step] = {}
        is_told = False
        lost: RunFailedError | None = None
        while True:
            while not self._stopped and len(futures) < self.place.size:
                step = queue.next()
                if step is None:
                    break
                if step.trial.name in self._failed_before:
                    self._failed_before.remove(step.trial.name)
                    self.record(Tried(update=0, time=0.0, trial=step.trial.name))
                self.training[step.trial.name] = step
                futures[threads.submit(self._train, step)] = step
            if self._stopped and not is_told:
                is_told = True
                self.place.stop()
            if not futures:
                break
            done, _ = wait(futures, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                step = futures.pop(future)
                try:
                    outcome = future.result()
                except RunFailedError as error:  # of the place, not of the trial
                    lost, outcome = error, Outcome("interrupted", str(error))
                    self._stopped = True
                self._take(queue, step, outcome)
            self._write_status()
            look()
        if lost is not None:
            raise lost

    def record(self, event: Event) -> None:
        """Write an event of the sweep into its log."""
        refused = self._log.append(replace(event, time=round(self.seconds, 6)))
        if refused is not None:
            raise CharRNNError(f"cannot write {self.directory.events_file}: {reason_of(refused)}")

    def past(self, step: Step) -> Outcome | None:
        """Return what has come of a step before; None where it is still to be done."""
        updates = step.trial.settings.updates if step.updates is None else step.updates
        ended = end_of(self.directory.run_of(step.trial.name), updates)
        return None if ended is None else outcome_of(ended)

    @property
    def seconds(self) -> float:
        """Since this process began."""
        return time.monotonic() - self._began

    def _train(self, step: Step) -> Outcome:
        try:
            return self.place.train(self._task(step.trial, step.updates))
        except RunFailedError:
            raise  # the place is gone, and with it all trials
        except (CharRNNError, OSError) as error:
            return Outcome("failed", in_words(error))

    def _task(self, trial: Trial, updates: int | None) -> Task:
        return Task(
            path=str(self.directory.run_of(trial.name).path),
            settings=trial.settings.to_json(),
            corpus=self._facts,
            files=self._files,
            engine=resolve_engine(trial.settings.engine),
            updates=updates,
        )

    def _take(self, queue: Queue, step: Step, outcome: Outcome) -> None:
        name = step.trial.name
        del self.training[name]
        self.outcomes[name] = outcome
        if outcome.end == "failed":
            seconds = round(self.seconds, 6)
            # On a full disk it waits, and the exit code says so.
            self._log.append(Failed(update=outcome.update, time=seconds, trial=name, error=outcome.reason))
        queue.take(step, outcome)

    def _write_status(self) -> None:
        if time.monotonic() < self._next_status:
            return
        self._next_status = time.monotonic() + _STATUS_SECONDS
        try:
            self.directory.write_status({"pid": os.getpid(), "training": list(self.training)})
        except OSError:  # a full disk: the trials say so
            self._next_status = time.monotonic() + 10 * _STATUS_SECONDS
