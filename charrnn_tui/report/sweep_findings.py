"""What a report says of a sweep, found out once for every form that it is written in."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from charrnn_core.runs.history import History
from charrnn_core.sweeps.directory import SweepDirectory
from charrnn_core.sweeps.following import Group, SweepFollower, TrialRow, best_first, groups_of
from charrnn_core.sweeps.plan import Plan
from charrnn_core.training.settings import FIELDS, Settings
from charrnn_tui.formatting import loss_of
from charrnn_tui.report.reproducing import OWN_ENDS, as_computed, training_command
from charrnn_tui.trial_words import loss_in_words

FEW = 5
"""Degrees of freedom below which a deviation is only a rough figure."""


@dataclass(frozen=True)
class Luck:
    """How much the seed alone moves the loss, beside what the settings do; nats per character.

    Attributes
    ----------
    deviation : float
        Standard deviation over the seeds of a combination, pooled over all of them.
    freedom : int
        Degrees of freedom of it.
    combinations : int
        How many it is pooled over.
    spread : float
        Standard deviation of the means of the combinations; NaN for fewer than two.
    expected : float
        What that spread would be by luck alone, if all combinations were alike.
    left_out : int
        Combinations that are in none of these: their mean is no better than guessing.
    """

    deviation: float
    freedom: int
    combinations: int
    spread: float
    expected: float
    left_out: int

    def of_difference(self, one: Group, other: Group) -> float:
        """Return the standard deviation that luck gives to the difference of two means."""
        return self.deviation * math.sqrt(1 / len(one.losses) + 1 / len(other.losses))


def luck_of(groups: Sequence[Group], guessing: float | None) -> Luck | None:
    """Return how much is luck; None where no combination was trained twice to its end.

    Parameters
    ----------
    groups : sequence of Group
    guessing : float or None
        The loss of guessing among all characters alike, if it is known. What has learnt nothing differs from
        seed to seed by so much that it would hide everything else.
    """
    ended = [group for group in groups if group.losses]
    learnt = [group for group in ended if guessing is None or group.mean < guessing]
    kept = [group.losses for group in learnt or ended]
    repeated = [losses for losses in kept if len(losses) > 1]
    freedom = sum(len(losses) - 1 for losses in repeated)
    if not freedom:
        return None
    squares = sum((len(losses) - 1) * statistics.variance(losses) for losses in repeated)
    deviation = math.sqrt(squares / freedom)
    means = [statistics.fmean(losses) for losses in kept]
    return Luck(
        deviation,
        freedom,
        len(repeated),
        statistics.stdev(means) if len(means) > 1 else math.nan,
        deviation * math.sqrt(statistics.fmean(1 / len(losses) for losses in kept)),
        len(ended) - len(kept),
    )


@dataclass(frozen=True)
class SweepFindings:
    """A sweep as its report tells it.

    Attributes
    ----------
    name : str
    created : str
        UTC, ISO 8601.
    corpus : dict
        What is recorded of the text.
    plan : Plan
    rows : tuple of TrialRow
        In the order of the plan.
    is_running : bool
        Whether a process goes through it now.
    best_log : History
        Of the best trial; empty where there is none.
    """

    name: str
    created: str
    corpus: dict[str, Any]
    plan: Plan
    rows: tuple[TrialRow, ...]
    is_running: bool
    best_log: History

    @cached_property
    def ordered(self) -> list[TrialRow]:
        """The rows, the lowest loss first."""
        return best_first(self.rows)

    @cached_property
    def groups(self) -> list[Group]:
        """The combinations, the lowest mean first."""
        return groups_of(self.rows)

    @cached_property
    def ranked(self) -> list[Group]:
        """The combinations of which a trial came to its end, the lowest mean first."""
        return [group for group in self.groups if group.losses]

    @cached_property
    def luck(self) -> Luck | None:
        """How much is luck of the seed."""
        return luck_of(self.groups, self.guessing)

    @property
    def vocabulary_size(self) -> int:
        """K; 0 where it is not recorded."""
        size = self.corpus.get("vocabulary_size")
        return size if isinstance(size, int) else 0

    @property
    def guessing(self) -> float | None:
        """The loss of guessing among all characters alike, nats; None where K is not recorded."""
        return math.log(self.vocabulary_size) if self.vocabulary_size > 1 else None

    @property
    def counts(self) -> Counter[str]:
        """How many trials are in each state."""
        return Counter(row.state for row in self.rows)

    @property
    def size(self) -> int:
        """How many trials there are in the end."""
        return max(self.plan.size, len(self.rows))

    @property
    def left(self) -> int:
        """How many trials are not done."""
        return self.size - sum(row.is_done for row in self.rows)

    @property
    def varied(self) -> tuple[str, ...]:
        """The settings that vary, without the seed."""
        return tuple(name for name in self.plan.varied if name != "seed")

    @property
    def has_seeds(self) -> bool:
        """Whether combinations are trained with several seeds."""
        return "seed" in self.plan.varied

    @property
    def best(self) -> TrialRow | None:
        """The trial with the lowest loss of those that came to their end."""
        return best_of(self.rows)

    @property
    def loss_told(self) -> str:
        """Which loss trials are compared by."""
        return loss_in_words(self.rows)

    @property
    def command(self) -> str | None:
        """The command that trains the best trial alone; None where there is none."""
        best = self.best
        if best is None:
            return None
        opening = self.best_log.openings[0] if self.best_log.openings else {}
        settings = as_computed(best.trial.settings, opening, self.vocabulary_size)
        if settings.threads is None:
            settings = _with_threads(settings)
        ended = self.best_log.ended or {}
        by_itself = ended.get("reason") in OWN_ENDS or not 0 < best.update <= FIELDS["updates"].maximum
        return training_command(self.corpus, settings, {} if by_itself else {"updates": best.update})

    def to_json(self) -> dict[str, Any]:
        """Return the plan, the trials and the combinations as JSON values."""
        told = {
            "sweep": self.name,
            "created": self.created,
            "plan": self.plan.to_json(),
            "rows": [row.to_json() for row in self.ordered],
            "groups": [group.to_json() for group in self.groups],
        }
        return {name: _finite(value) for name, value in told.items()}


def look_into(directory: SweepDirectory) -> SweepFindings:
    """Return what there is to say of a sweep, as it is now.

    Raises
    ------
    RunDirectoryError
        It is no sweep directory.
    SettingsError
        Its settings do not go together.
    """
    follower = SweepFollower(directory)
    follower.close()
    told = directory.told()
    best = best_of(follower.rows)
    log = History() if best is None else History.read(directory.run_of(best.trial.name).events_file)
    return SweepFindings(
        name=directory.name,
        created=str(told.get("created", "")),
        corpus=told["corpus"],
        plan=follower.plan,
        rows=tuple(follower.rows),
        is_running=directory.is_locked(),
        best_log=log,
    )


def best_of(rows: Sequence[TrialRow]) -> TrialRow | None:
    """Return the trial with the lowest loss of those that came to their end."""
    ended = [row for row in rows if row.state == "ended" and row.loss is not None]
    return next(iter(best_first(ended)), None)


def small(difference: float) -> str:
    """Return a difference of losses, with a digit that is not 0 if it has one that matters.

    Examples
    --------
    >>> small(0.0123), small(0.00021), small(0.0)
    ('0.012', '0.0002', '0.000')
    """
    return f"{difference:.1g}" if 0.00005 <= abs(difference) < 0.0005 else loss_of(difference, 3)


def _with_threads(settings: Settings) -> Settings:
    """Return the settings with the one thread that a trial of a sweep has."""
    return Settings.from_json({**settings.to_json(), "threads": 1})


def _finite(value: Any) -> Any:
    """Return JSON values without numbers that JSON does not have: a file is not trusted."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
