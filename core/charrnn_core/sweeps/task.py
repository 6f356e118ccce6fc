"""Training one trial of a sweep, wherever that is: begun, gone on with, or done already."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self, get_args

from charrnn_core.errors import CharRNNError, CorpusError, RunFinishedError, RunTakenError, reason_with_path
from charrnn_core.rnn.engine import EngineName
from charrnn_core.runs.concluding import conclude
from charrnn_core.runs.directory import RunDirectory, remove_unstarted
from charrnn_core.runs.files import open_kept
from charrnn_core.runs.json_text import number_of
from charrnn_core.runs.liveness import was_interrupted
from charrnn_core.runs.process import TrainingProcess
from charrnn_core.runs.starting import path_recorded, resume, start
from charrnn_core.sweeps.ends import end_of
from charrnn_core.text.corpus import Corpus, read_corpus
from charrnn_core.text.source import Kind, Source, open_file
from charrnn_core.training.events import Event, Status
from charrnn_core.training.settings import Settings, Value

End = Literal["ended", "interrupted", "failed"]

HANDED_OVER = "handed over"
"""Why training stops whose state is to be returned to whoever asked for it."""


@dataclass(frozen=True)
class Task:
    """What a slot is asked to do: train a trial until it ends, or for a while.

    Attributes
    ----------
    path : str
        Of the run directory, which need not exist.
    settings : dict
        As JSON.
    corpus : dict
        What is recorded of the text, as `SweepDirectory.corpus_facts` gives it.
    files : list of str
        Where the text can be read here.
    engine : str or None
        What computes; None for what the settings mean.
    updates : int or None
        Train up to this update only, if that is before the trial's end.
    seconds : float or None
        Hand over after this time.
    """

    path: str
    settings: dict[str, Value]
    corpus: dict[str, Any]
    files: list[str]
    engine: EngineName | None = None
    updates: int | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the task as JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What has come of a task.

    Attributes
    ----------
    end : "ended", "interrupted" or "failed"
        The trial, or what was asked of it, is done; it was stopped before; it could not be trained.
    reason : str
        Of the run's end; or what was wrong.
    update : int
        How many updates have been done.
    state_sha256 : str or None
    smooth_loss : float or None
        In the unit of the trial's setting.
    best_loss : float or None
        Of the best state: held-out loss where there is one, else smooth loss.
    """

    end: End
    reason: str
    update: int = 0
    state_sha256: str | None = None
    smooth_loss: float | None = None
    best_loss: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Return the outcome that `to_json` gave.

        Raises
        ------
        ValueError
            It gave another one, or none.
        """
        kinds: dict[str, Callable[[object], bool]] = {
            "end": lambda value: value in get_args(End),
            "reason": lambda value: isinstance(value, str),
            "update": lambda value: type(value) is int and value >= 0,
            "state_sha256": lambda value: value is None or isinstance(value, str),
            "smooth_loss": lambda value: value is None or number_of(value) is not None,
            "best_loss": lambda value: value is None or number_of(value) is not None,
        }
        if told.keys() != kinds.keys():
            raise ValueError(f"it has not the fields {', '.join(kinds)}")
        for name, is_right in kinds.items():
            if not is_right(told[name]):
                raise ValueError(f"its {name} has an impossible value")
        return cls(**told)


@dataclass
class Trainee:
    """Trains trials one after another, and keeps the text between them.

    Parameters
    ----------
    owned : bool
        Standard input is a pipe from whoever asks; its end stops training.
    """

    owned: bool = False
    _corpus: Corpus | None = None
    _clock: Callable[[], float] = field(default=time.monotonic)

    def train(self, task: Task) -> tuple[Outcome, int | None]:
        """Do a task, and return what has come of it, and the signal that stopped it, if one did.

        However it fails, that is an outcome.
        """
        try:
            process = self._process(task)
            if isinstance(process, Outcome):
                return process, None
            return self._trained(process, task), process.signal
        except (CharRNNError, OSError) as error:
            return Outcome("failed", in_words(error)), None
        except MemoryError:
            self._corpus = None
            return Outcome("failed", "there is not enough memory for this trial"), None

    def _trained(self, process: TrainingProcess, task: Task) -> Outcome:
        trainer = process.trainer
        deadline = None if task.seconds is None else self._clock() + task.seconds

        def look(item: Event | Status) -> None:
            # Not while it compiles or is just being begun: what is handed over has got further each time.
            if deadline is not None and self._clock() >= deadline and trainer.update > begun_at:
                trainer.stop(HANDED_OVER)

        begun_at = trainer.update
        ended = process.run(look)
        return outcome_of(ended.to_json())

    def _process(self, task: Task) -> TrainingProcess | Outcome:
        """Return the process that begins a trial or goes on with it; or what has come of it already."""
        run, settings = RunDirectory(Path(task.path)), Settings.from_json(task.settings)
        stops: dict[str, Value] = {}
        if task.updates is not None and (settings.updates is None or task.updates < settings.updates):
            stops["updates"] = task.updates
        if run.folder.is_taken() and not run.has_checkpoint:
            if run.is_locked():
                raise RunTakenError(f"{run.path} is being trained by another process")
            remove_unstarted(run)
        text = self._text(task)
        if not run.folder.is_taken():
            settings = dataclasses.replace(settings, **stops)  # type: ignore[arg-type]
            return start(
                settings, text, runs=run.path.parent, name=run.name, engine=task.engine, owned=self.owned
            )
        wanted = stops.get("updates", settings.updates)
        ended = end_of(run, wanted if isinstance(wanted, int) else None)
        if ended is not None:
            return outcome_of(ended)
        try:
            return resume(run, {**stops_of(settings), **stops}, corpus=text, owned=self.owned)
        except RunFinishedError:  # without a line that says so
            return outcome_of(conclude(run, text).to_json())

    def _text(self, task: Task) -> Corpus:
        facts = task.corpus
        if self._corpus is None or self._corpus.sha256 != facts["sha256"]:
            self._corpus = None  # let go of it before there is another one
            kind: Kind = facts["kind"]
            paths = tuple(map(Path, task.files))
            opener = open_kept if facts.get("kept") else open_file
            self._corpus = read_corpus(Source(kind, str(facts["name"]), paths, opener=opener))
        if self._corpus.sha256 != facts["sha256"]:
            self._corpus = None
            raise CorpusError(f"{task.files[0]} is another text than the sweep began with")
        path = path_recorded(facts, self._corpus)
        return dataclasses.replace(self._corpus, name=facts["name"], path=path)


def in_words(error: CharRNNError | OSError) -> str:
    """Return why a trial failed."""
    return reason_with_path(error) if isinstance(error, OSError) else str(error)


def outcome_of(ended: Mapping[str, Any]) -> Outcome:
    """Return what an `ended` event says."""
    reason, state = str(ended.get("reason")), ended.get("state_sha256")
    return Outcome(
        "interrupted" if was_interrupted(reason) else "ended",
        reason,
        int(number_of(ended.get("update")) or 0),
        state if isinstance(state, str) else None,
        number_of(ended.get("smooth_loss")),
        number_of(ended.get("best_loss")),
    )


def stops_of(settings: Settings) -> dict[str, Value]:
    """Return the settings that say when a trial ends, to go on with it until then."""
    names = ("updates", "epochs", "seconds", "stop_below", "minimum_updates")
    return {name: getattr(settings, name) for name in names}
