"""A search that learns from the trials that are done: Optuna's TPE, with pruning of hopeless trials.

A combination is trained in steps, each three times as long as the one before. After each it goes on only if
its loss, the mean over its seeds, is among the best third of those that got as far (successive halving).

References
----------
Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011 (TPE); Li et al., A System for Massively
Parallel Hyperparameter Tuning, 2020 (asynchronous successive halving).
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from charrnn_core.errors import UsageError
from charrnn_core.sweeps.directory import Proposed, Pruned, Record
from charrnn_core.sweeps.following import TrialRow
from charrnn_core.sweeps.plan import Plan, Trial
from charrnn_core.sweeps.queues import Step
from charrnn_core.sweeps.task import Outcome
from charrnn_core.sweeps.varying import Variation
from charrnn_core.training.events import Event
from charrnn_core.training.settings import Value

REDUCTION = 3
"""How many times as long each step is as the one before, and of how many combinations one goes on."""

_STEPS = 3
_FEWEST_UPDATES = 10  # of a step
_DIVERGED_LOSS = 1e6  # worse than any: only the order counts
_TRIES = 50  # for a combination that was not chosen before


@dataclass
class _Candidate:
    """A combination that is being trained.

    Attributes
    ----------
    asked : optuna.Trial
    trials : list of Trial
        One for each seed.
    steps : list of int or None
        Up to which updates they are trained, step by step; None for their end.
    step : int
        From 0.
    losses : dict of str to float
        Of the trials that are done with this step, nats per character.
    """

    asked: Any
    trials: list[Trial]
    steps: list[int | None]
    step: int = 0
    losses: dict[str, float] = field(default_factory=dict)


class TpeSearch:
    """Chooses combinations, and gives up those that promise nothing; a `Queue`.

    Parameters
    ----------
    plan : Plan
    record : Record
        What was chosen and given up before.
    rows : sequence of TrialRow
        Of the trials that were chosen before.
    past : callable
        Returns what has come of a step before, or None.
    tell : callable
        Takes what is to be kept in the sweep's log.
    updates_of : callable
        Returns how many updates a trial does in all; None where that is not known: it is trained in one step.

    Raises
    ------
    UsageError
        Optuna is not installed.
    """

    def __init__(
        self,
        plan: Plan,
        record: Record,
        rows: Sequence[TrialRow],
        *,
        past: Callable[[Step], Outcome | None],
        tell: Callable[[Event], None],
        updates_of: Callable[[Trial], int | None],
    ) -> None:
        check_installed()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan = plan
        self._tell = tell
        self._updates_of = updates_of
        self._state = optuna.trial.TrialState
        startup = max(1, min(10, plan.combinations // 3))
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=plan.base_seed, n_startup_trials=startup)
        )
        self._ready: deque[Step] = deque()
        self._candidates: dict[str, _Candidate] = {}
        self._means: list[list[float]] = [[] for _ in range(_STEPS)]  # of those that got as far, step by step
        self._chosen: list[dict[str, Value]] = []
        self._is_exhausted = False
        done = {row.trial.name: row.update for row in rows}
        for values in filter(plan.accepts, record.proposed):
            self._take_up(dict(values), record.pruned, done, past)

    def next(self) -> Step | None:
        """Return a step of a combination that goes on, or of a new one."""
        if not self._ready and not self._is_exhausted and len(self._chosen) < self._plan.combinations:
            self._choose()
        return self._ready.popleft() if self._ready else None

    def take(self, step: Step, outcome: Outcome) -> None:
        """Take in what has come of a step; with the last of its seeds a combination goes on or not."""
        candidate = self._candidates.get(step.trial.name)
        if candidate is None or outcome.end == "interrupted":
            return
        if outcome.end == "failed":
            names = {trial.name for trial in candidate.trials}
            self._ready = deque(each for each in self._ready if each.trial.name not in names)
            self._end(candidate, state=self._state.FAIL)
            return
        candidate.losses[step.trial.name] = _loss_of(step.trial, outcome)
        if len(candidate.losses) == len(candidate.trials) and self._goes_on(candidate, outcome.update):
            self._begin_step(candidate)

    def _goes_on(self, candidate: _Candidate, update: int, *, is_known: bool = False) -> bool:
        """Return whether a combination whose seeds are all done with a step goes on with the next one.

        Parameters
        ----------
        candidate : _Candidate
        update : int
            Where it is.
        is_known : bool
            It did go on, when that was decided.
        """
        losses = candidate.losses.values()
        has_diverged = max(losses) >= _DIVERGED_LOSS
        mean = _DIVERGED_LOSS if has_diverged else statistics.fmean(losses)
        means = self._means[candidate.step]
        means.append(mean)
        candidate.asked.report(mean, candidate.step)
        candidate.losses.clear()
        if has_diverged or candidate.step + 1 == len(candidate.steps):
            self._end(candidate, values=mean)
            return False
        if not is_known and mean > sorted(means)[max(1, len(means) // REDUCTION) - 1]:
            self._tell(Pruned(update=update, time=0.0, trials=[trial.name for trial in candidate.trials]))
            self._end(candidate, state=self._state.PRUNED)
            return False
        candidate.step += 1
        return True

    def _end(self, candidate: _Candidate, **how: Any) -> None:
        self._study.tell(candidate.asked, **how)
        for trial in candidate.trials:
            self._candidates.pop(trial.name, None)

    def _choose(self) -> None:
        """Choose a combination that was not chosen before, and begin with it."""
        for _ in range(_TRIES):
            asked = self._study.ask()
            values = {each.name: _suggested(asked, each) for each in self._plan.vary}
            if values not in self._chosen:
                self._tell(Proposed(update=0, time=0.0, values=values))
                self._begin_step(self._add(asked, values))
                return
            self._study.tell(asked, state=self._state.FAIL)
        self._is_exhausted = True

    def _add(self, asked: Any, values: dict[str, Value]) -> _Candidate:
        self._chosen.append(values)
        trials = self._plan.in_trials([values])
        candidate = _Candidate(asked, trials, _steps_of(trials[0], self._updates_of(trials[0])))
        self._candidates |= {trial.name: candidate for trial in trials}
        return candidate

    def _begin_step(self, candidate: _Candidate) -> None:
        updates = candidate.steps[candidate.step]
        self._ready.extend(Step(trial, updates) for trial in candidate.trials)

    def _take_up(
        self,
        values: dict[str, Value],
        pruned: set[str],
        done: dict[str, int],
        past: Callable[[Step], Outcome | None],
    ) -> None:
        """Tell the search what has come of a combination before, and go on with it from there."""
        self._study.enqueue_trial(values)
        asked = self._study.ask()
        for each in self._plan.vary:
            _suggested(asked, each)
        candidate = self._add(asked, values)
        while True:
            updates = candidate.steps[candidate.step]
            outcomes = [past(Step(trial, updates)) for trial in candidate.trials]
            ended = {
                trial.name: outcome
                for trial, outcome in zip(candidate.trials, outcomes, strict=True)
                if outcome is not None
            }
            if len(ended) < len(candidate.trials):
                self._begin_step(candidate)  # what is done of it already comes back at once
                return
            candidate.losses = {trial.name: _loss_of(trial, ended[trial.name]) for trial in candidate.trials}
            if any(trial.name in pruned for trial in candidate.trials) and not self._has_gone_on(
                candidate, done
            ):
                mean = statistics.fmean(candidate.losses.values())
                self._means[candidate.step].append(mean)
                asked.report(mean, candidate.step)
                self._end(candidate, state=self._state.PRUNED)
                return
            is_known = self._has_gone_on(candidate, done)
            if not self._goes_on(candidate, updates or 0, is_known=is_known):
                return

    @staticmethod
    def _has_gone_on(candidate: _Candidate, done: dict[str, int]) -> bool:
        """Return whether a combination was trained further than its step."""
        updates = candidate.steps[candidate.step]
        return updates is not None and any(done.get(trial.name, 0) > updates for trial in candidate.trials)


def check_installed() -> None:
    """Raise a UsageError unless Optuna is installed."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UsageError("--search tpe needs the extra sweep: pip install 'charrnn-tui[sweep]'") from None


def _steps_of(trial: Trial, updates: int | None) -> list[int | None]:
    """Return up to which updates a trial is trained, step by step; None for its end."""
    if updates is None:
        return [None]
    shares = [updates // REDUCTION**power for power in range(_STEPS - 1, 0, -1)]
    return [*(share for share in shares if share >= _FEWEST_UPDATES), trial.settings.updates]


def _loss_of(trial: Trial, outcome: Outcome) -> float:
    """Return the loss that combinations are compared by, nats per character."""
    if outcome.reason == "diverged" or outcome.smooth_loss is None:
        return _DIVERGED_LOSS
    if trial.settings.held_out and outcome.best_loss is not None:
        return outcome.best_loss
    return outcome.smooth_loss / trial.settings.characters_of_loss


def _suggested(asked: Any, variation: Variation) -> Value:
    """Return the value that the search has for a setting."""
    if variation.values:
        value: Value = asked.suggest_categorical(variation.name, variation.values)
        return value
    is_log = variation.scale == "log"
    if variation.field.kind is int:
        low, high = round(variation.low), round(variation.high)
        return int(asked.suggest_int(variation.name, low, high, log=is_log))
    return variation.rounded(asked.suggest_float(variation.name, variation.low, variation.high, log=is_log))
