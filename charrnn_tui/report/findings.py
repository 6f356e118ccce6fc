"""What a report says of a run, found out once for every form that it is written in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from charrnn_core.errors import CorpusError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.following import RunFollower
from charrnn_core.runs.history import EventFields, History
from charrnn_core.runs.liveness import RunState
from charrnn_core.runs.starting import text_of
from charrnn_core.training.settings import Settings
from charrnn_tui.report.passage import Passage, best_passage
from charrnn_tui.report.words import CorpusWords

_MOST_SAMPLES = 24
_COUNTED_AT_ONCE = 1 << 20  # characters: counting takes eight bytes for each


@dataclass(frozen=True)
class TextFacts:
    """What was found out from the text that a run was trained on.

    Attributes
    ----------
    words : CorpusWords
    entropy : float
        Of its characters without regard to their order, in nats: the loss of who knows nothing but how
        frequent each character is.
    """

    words: CorpusWords
    entropy: float


@dataclass(frozen=True)
class Findings:
    """A run as its report tells it.

    Attributes
    ----------
    name : str
        Of the run.
    created : str
        UTC, ISO 8601.
    state : str
        As `run_state` says it.
    begun_with : Settings
        The settings in `config.json`.
    corpus : dict
        What is recorded of the text.
    history : History
    update : int
        Updates done.
    passage : Passage or None
    text : TextFacts or None
    text_problem : str
        Why there are no `text` facts.
    """

    name: str
    created: str
    state: RunState
    begun_with: Settings
    corpus: dict[str, Any]
    history: History
    update: int
    passage: Passage | None
    text: TextFacts | None
    text_problem: str

    @property
    def evolution(self) -> list[EventFields]:
        """The samples drawn by schedule; of many some at even distances, with the first and last."""
        scheduled = [sample for sample in self.samples if not sample.get("command")]
        step = -(-len(scheduled) // _MOST_SAMPLES)
        shown = scheduled[::step] if step > 1 else scheduled
        return shown if not shown or shown[-1] is scheduled[-1] else [*shown, scheduled[-1]]

    @property
    def samples(self) -> list[EventFields]:
        """All samples that have a text."""
        return [sample for sample in self.history.samples if isinstance(sample.get("text"), str)]

    @property
    def characters(self) -> int:
        """How many characters a loss is the sum over."""
        return self.begun_with.characters_of_loss

    @property
    def vocabulary_size(self) -> int:
        """K; 0 where it is not recorded."""
        size = self.corpus.get("vocabulary_size")
        return size if isinstance(size, int) else 0

    @property
    def diverged(self) -> bool:
        """Whether it ended with a loss that is not finite."""
        return self.ended_by == "diverged"

    @property
    def ended_by(self) -> str | None:
        """Why training ended; None while it goes on, or after a crash."""
        ended = self.history.ended
        return None if ended is None or self.state in ("training", "paused") else str(ended.get("reason"))

    @property
    def rate_changes(self) -> list[tuple[int, float]]:
        """After which updates the learning rate became another one, and which."""
        changes, before = [], self.begun_with.learning_rate
        for update, rate in dict(self.history.learning_rates()).items():
            if rate != before:
                changes.append((update, rate))
            before = rate
        return changes

    @property
    def first_loss(self) -> float | None:
        """The smooth loss before the first update."""
        return _end_of(self.history.column("smooth_loss")[:1])

    @property
    def smooth_loss(self) -> float | None:
        """The smooth loss at the end."""
        return _end_of(self.history.column("smooth_loss")[-1:])


def find(
    directory: RunDirectory,
    *,
    corpus: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Findings:
    """Return what there is to say of a run, as it is now.

    Parameters
    ----------
    directory : RunDirectory
    corpus : str, optional
        Where the text is now, if not where it was.
    progress : callable, optional
        Called with the number of characters of the text that were looked at so far.

    Raises
    ------
    RunDirectoryError
        It is no run directory.
    CorpusError
        The text that is given cannot be read, or is another one.
    """
    follower = RunFollower(directory)
    follower.close()
    facts, history = follower.config["corpus"], follower.history
    text, problem = None, ""
    try:
        text = _text_facts(directory, facts, corpus, progress)
    except CorpusError as error:
        if corpus is not None:
            raise
        # Not where it was on the disk of whoever trained: a report is handed on.
        problem = str(error).replace(str(facts.get("path")), str(facts.get("name")))
        problem = problem.replace(f"{directory.path}/", "").replace(str(directory.path), directory.name)
    ended = history.ended
    updates = [history.progress[-1]["update"]] if history.progress else []
    updates += [event["update"] for event in (ended, history.best) if event is not None]
    return Findings(
        name=directory.name,
        created=str(follower.config.get("created", "")),
        state=follower.state,
        begun_with=Settings.from_json(follower.config["settings"]),
        corpus=facts,
        history=history,
        update=max(0, int(max(updates, default=0))),
        passage=best_passage(directory),
        text=text,
        text_problem=problem,
    )


def _text_facts(
    directory: RunDirectory,
    facts: dict[str, Any],
    given: str | None,
    progress: Callable[[int], None] | None,
) -> TextFacts:
    corpus = text_of(directory, facts, given)
    counts = np.zeros(len(corpus.vocabulary))
    for start in range(0, len(corpus), _COUNTED_AT_ONCE):
        counts += np.bincount(corpus.codes[start : start + _COUNTED_AT_ONCE], minlength=len(counts))
    shares = counts / len(corpus)
    return TextFacts(CorpusWords(corpus, progress), float(-(shares * np.log(shares)).sum()))


def _end_of(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    return float(values[0]) if len(values) and math.isfinite(values[0]) else None
