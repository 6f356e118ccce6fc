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
from typing import TYPE_CHECKING, Any

from charrnn_core.errors import UsageError
from charrnn_core.sweeps.directory import Proposed, Pruned
from charrnn_core.sweeps.following import TrialRow
from charrnn_core.sweeps.plan import Plan, Trial
from charrnn_core.sweeps.queues import Step
from charrnn_core.sweeps.task import Outcome
from charrnn_core.sweeps.varying import Variation
from charrnn_core.training.events import Event
from charrnn_core.training.settings import Value

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

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
    step : int
        From 0.
    losses : dict of str to float
        Of the trials that are done with this step, nats per character.
    """

    asked: Any
    trials: list[Trial]
    step: int = 0
    losses: dict[str, float] = field(default_factory=dict)


class TpeSearch:
    """Chooses combinations, and gives up those that promise nothing; a `Queue`.

    Parameters
    ----------
    plan : Plan
    rows : sequence of TrialRow
        Of the trials that were chosen before.
    proposed : sequence of dict
        The combinations that were chosen before.
    record : callable
        Takes what is to be kept in the sweep's log.

    Raises
    ------
    UsageError
        Optuna is not installed.
    """

    def __init__(
        self,
        plan: Plan,
        rows: Sequence[TrialRow],
        proposed: Sequence[dict[str, Value]],
        record: Callable[[Event], None],
    ) -> None:
        check_installed()
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan = plan
        self._record = record
        self._state = optuna.trial.TrialState
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(
                seed=plan.base_seed, n_startup_trials=max(1, min(10, plan.combinations // 3))
            ),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=REDUCTION),
        )
        self._ready: deque[Step] = deque()
        self._candidates: dict[str, _Candidate] = {}
        self._chosen: list[dict[str, Value]] = []
        self._is_exhausted = False
        known = {row.trial.name: row for row in rows}
        for values in proposed:
            self._take_up(dict(values), known)

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
            self._end(candidate, state=self._state.FAIL)
            return
        candidate.losses[step.trial.name] = _loss_of(step.trial, outcome)
        if len(candidate.losses) < len(candidate.trials):
            return
        mean = statistics.fmean(candidate.losses.values())
        steps = _steps_of(candidate.trials[0])
        candidate.asked.report(mean, REDUCTION**candidate.step)
        if candidate.step + 1 == len(steps) or mean >= _DIVERGED_LOSS:
            self._end(candidate, value=mean)
        elif candidate.asked.should_prune():
            names = [trial.name for trial in candidate.trials]
            self._record(Pruned(update=outcome.update, time=0.0, trials=names))
            self._end(candidate, state=self._state.PRUNED)
        else:
            candidate.step += 1
            self._begin_step(candidate)

    def _end(self, candidate: _Candidate, **how: Any) -> None:
        how.setdefault("values", how.pop("value", None))
        self._study.tell(candidate.asked, **how)
        for trial in candidate.trials:
            self._candidates.pop(trial.name, None)

    def _choose(self) -> None:
        """Choose a combination that was not chosen before, and begin with it."""
        for _ in range(_TRIES):
            asked = self._study.ask()
            values = {each.name: _suggested(asked, each) for each in self._plan.vary}
            if values not in self._chosen:
                self._chosen.append(values)
                self._record(Proposed(update=0, time=0.0, values=values))
                candidate = _Candidate(asked, self._plan.in_trials([values]))
                self._candidates |= {trial.name: candidate for trial in candidate.trials}
                self._begin_step(candidate)
                return
            self._study.tell(asked, state=self._state.FAIL)
        self._is_exhausted = True

    def _begin_step(self, candidate: _Candidate) -> None:
        candidate.losses.clear()
        updates = _steps_of(candidate.trials[0])[candidate.step]
        self._ready.extend(Step(trial, updates) for trial in candidate.trials)

    def _take_up(self, values: dict[str, Value], known: dict[str, TrialRow]) -> None:
        """Tell the search what has come of a combination before, or go on with it."""
        self._chosen.append(values)
        trials = self._plan.in_trials([values])
        rows = [known[trial.name] for trial in trials if trial.name in known]
        losses = [_DIVERGED_LOSS if row.state == "diverged" else row.loss for row in rows]
        finite = [loss for loss in losses if loss is not None]
        is_pruned = any(row.state == "pruned" for row in rows)
        if finite and (is_pruned or all(_is_whole(row) for row in rows)):
            from optuna.trial import create_trial

            mean = statistics.fmean(finite)
            last = rows[0].update if is_pruned else None
            steps = [limit for limit in _steps_of(trials[0]) if limit is not None]
            place = steps.index(last) if last in steps else len(steps)
            self._study.add_trial(
                create_trial(
                    state=self._state.PRUNED if is_pruned else self._state.COMPLETE,
                    params=dict(values),
                    distributions={each.name: _distribution(each) for each in self._plan.vary},
                    value=None if is_pruned else mean,
                    intermediate_values={REDUCTION**place: mean} if is_pruned else {},
                )
            )
            return
        self._study.enqueue_trial(values)
        asked = self._study.ask()
        for each in self._plan.vary:
            _suggested(asked, each)
        candidate = _Candidate(asked, trials)
        self._candidates |= {trial.name: candidate for trial in trials}
        # What is done already of a step comes back at once.
        self._begin_step(candidate)


def check_installed() -> None:
    """Raise a UsageError unless Optuna is installed."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UsageError("--search tpe needs the extra sweep: pip install 'charrnn-tui[sweep]'") from None


def _is_whole(row: TrialRow) -> bool:
    """Return whether a trial is done, and not only with a step."""
    updates = row.trial.settings.updates
    return row.state == "diverged" or (row.state == "ended" and (updates is None or row.update >= updates))


def _steps_of(trial: Trial) -> list[int | None]:
    """Return up to which updates a trial is trained, step by step; None for its end."""
    updates = trial.settings.updates
    if updates is None:
        return [None]
    shares = [updates // REDUCTION**power for power in range(_STEPS - 1, 0, -1)]
    return [*(share for share in shares if share >= _FEWEST_UPDATES), updates]


def _loss_of(trial: Trial, outcome: Outcome) -> float:
    """Return the loss that combinations are compared by, nats per character."""
    if outcome.reason == "diverged" or outcome.smooth_loss is None:
        return _DIVERGED_LOSS
    if trial.settings.held_out and outcome.best_loss is not None:
        return outcome.best_loss
    return outcome.smooth_loss / trial.settings.characters_of_loss


def _distribution(variation: Variation) -> BaseDistribution:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if variation.values:
        return CategoricalDistribution(variation.values)
    is_log = variation.scale == "log"
    if variation.field.kind is int:
        return IntDistribution(round(variation.low), round(variation.high), log=is_log)
    return FloatDistribution(variation.low, variation.high, log=is_log)


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
