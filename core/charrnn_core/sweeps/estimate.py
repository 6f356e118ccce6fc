"""How long a sweep takes, about: from a short measurement of some of its networks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from charrnn_core.rnn.threads import limit_blas_threads
from charrnn_core.sweeps.plan import Plan, Trial
from charrnn_core.text.corpus import Corpus
from charrnn_core.training.racing import TrainedEngine
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import windows_of

_MEASURED_SECONDS = 0.15
_LOOKED_AT = 64  # trials of a search, whose settings are not known yet
_TAME: dict[str, Any] = {
    **{
        name: getattr(Settings(), name) for name in ("init", "init_std", "beta1", "beta2", "decay", "epsilon")
    },
    "learning_rate": 1e-9,
}
_MORE_THAN_UPDATES = 1.1  # samples, checkpoints, the check: what a run does besides


def estimated_seconds(
    trials: Sequence[Trial], corpus: Corpus, size: int, *, clock: Callable[[], float] = time.perf_counter
) -> float | None:
    """Return how many seconds trials take, so many at a time; None where nothing says when they end.

    Where `stop_below` is one of the stops, they may end earlier.
    """
    if not trials:
        return 0.0
    updates = [updates_of(trial.settings, corpus) for trial in trials]
    limits = [trial.settings.seconds for trial in trials]
    if any(count is None and limit is None for count, limit in zip(updates, limits, strict=True)):
        return None
    # Measured are the network with least work, the one with most, and one between them.
    work = [_work_of(trial.settings, corpus) for trial in trials]
    order = sorted(range(len(trials)), key=work.__getitem__)
    chosen = {order[0], order[len(order) // 2], order[-1]} if len(set(work)) > 1 else {order[0]}
    measured = sorted(
        (work[index], _seconds_of_update(trials[index].settings, corpus, clock)) for index in chosen
    )
    xs, ys = zip(*measured, strict=True)
    seconds = []
    for index, (count, limit) in enumerate(zip(updates, limits, strict=True)):
        took = (
            math.inf if count is None else count * float(np.interp(work[index], xs, ys)) * _MORE_THAN_UPDATES
        )
        seconds.append(min(took, math.inf if limit is None else limit))
    return max(sum(seconds) / size, max(seconds))


def trials_to_estimate(plan: Plan) -> list[Trial]:
    """Return trials like those that a search will choose, as many as it has combinations, or some of them."""
    generator = np.random.default_rng(0)
    count = min(plan.combinations, _LOOKED_AT)
    drawn = [{each.name: each.draw(generator) for each in plan.vary} for _ in range(count)]
    return [plan.trial(values) for values in drawn]


def updates_of(settings: Settings, corpus: Corpus) -> int | None:
    """Return how many updates a trial does at most; None where nothing says so."""
    limits = [] if settings.updates is None else [settings.updates]
    if settings.epochs is not None:
        epochs = math.ceil(settings.epochs * windows_of(settings, corpus).per_epoch)
        limits.append(max(epochs, settings.minimum_updates))
    return min(limits, default=None)


def _work_of(settings: Settings, corpus: Corpus) -> float:
    """Return about how many multiplications an update takes, to order networks by."""
    m, K = settings.hidden, len(corpus.vocabulary)
    rows = settings.seq_length * settings.batch_size
    return float(rows * m * (m + K)) * (1 if settings.dtype == "float32" else 2)


def _seconds_of_update(settings: Settings, corpus: Corpus, clock: Callable[[], float]) -> float:
    # How fast it is depends on none of these, and so nothing diverges.
    engine = TrainedEngine(replace(settings, **_TAME), corpus)
    limit_blas_threads(engine.threads)
    engine.prepare()
    done, began = 0, clock()
    while True:
        count = max(1, done)
        engine.train(count)
        done += count
        seconds = clock() - began
        if seconds >= _MEASURED_SECONDS:
            return seconds / done
