"""What a sweep is to do: its trials, each the settings of one run."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np

from charrnn_core.errors import SettingsError, reason_of
from charrnn_core.runs.files import Entry
from charrnn_core.runs.toml_text import parse_toml
from charrnn_core.sweeps.varying import Variation, shown, variation_of
from charrnn_core.training.settings import DEFAULT_PRESET, FIELDS, Settings, Value

Search = Literal["grid", "random", "tpe"]

MOST_TRIALS = 100_000
"""Trials of one sweep."""

DRAW_STREAM = 5
"""The spawn key of the random numbers by which settings are drawn is (5,)."""

_LONGEST_NAME = 80  # bytes


@dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    Attributes
    ----------
    name : str
        From what varies; also of its run directory.
    values : dict
        What varies, with the values here.
    settings : Settings
        All of them.
    """

    name: str
    values: dict[str, Value]
    settings: Settings

    @property
    def combination(self) -> dict[str, Value]:
        """The values without the seed: what trials have in common that differ by luck alone."""
        return {name: value for name, value in self.values.items() if name != "seed"}


@dataclass(frozen=True)
class Plan:
    """What a sweep varies, and how it goes through that.

    Attributes
    ----------
    given : dict
        The settings that are the same in all trials, where they are not the preset's.
    vary : tuple of Variation
    preset : str
    search : "grid", "random" or "tpe"
        All combinations; some that are drawn; or some that are chosen by what came of the ones before.
    combinations : int
        How many, where they are drawn or chosen.
    seeds : int
        Each combination is trained with this many seeds, from the given one on.
    plain_seed : bool
        Trials with the given seed have no seed in their names: the sweep began without others.

    Raises
    ------
    SettingsError
        Something varies twice, nothing varies, values do not go together, or there are too many.
    """

    given: dict[str, Value]
    vary: tuple[Variation, ...]
    preset: str = DEFAULT_PRESET
    search: Search = "grid"
    combinations: int = 0
    seeds: int = 1
    plain_seed: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for name, value in self.given.items():
            if name not in FIELDS:
                raise SettingsError(f"there is no setting called {name!r}")
            FIELDS[name].check(name, value)
        names = [each.name for each in self.vary]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise SettingsError(f"{twice} varies twice; give all its values in one --vary")
        if not 1 <= self.seeds <= MOST_TRIALS:
            raise SettingsError(
                f"--seeds {self.seeds} is not possible; it is a number from 1 to {MOST_TRIALS:,}"
            )
        if "seed" in names and (self.seeds > 1 or self.search == "tpe"):
            raise SettingsError("--vary seed excludes --seeds and --search tpe; --seeds 3 are three seeds")
        if not names and self.seeds == 1:
            raise SettingsError("nothing varies; for example --vary hidden=100,250, or --seeds 3")
        both = next((name for name in names if name in self.given), None)
        if both is not None:
            raise SettingsError(f"{both} is given and varies too; give it only once")
        if self.search == "grid":
            self._check_grid()
        elif not names:
            raise SettingsError(f"for --search {self.search} something has to vary, by --vary")
        elif not 1 <= self.combinations <= MOST_TRIALS:
            raise SettingsError(
                f"{self.combinations:,} trials are not possible; it is a number from 1 to {MOST_TRIALS:,}"
            )
        if self.size > MOST_TRIALS:
            raise SettingsError(f"these are {self.size:,} trials; at most {MOST_TRIALS:,} are possible")

    def _check_grid(self) -> None:
        if self.combinations:
            raise SettingsError(
                "how many trials there are follows from --vary, unless --random or --search tpe"
            )
        drawn = next((each for each in self.vary if not each.values), None)
        if drawn is not None:
            raise SettingsError(
                f"--vary {drawn.name}={drawn.to_text()}: say how many values, for example {drawn.scale}5, or "
                "draw them with --random 20"
            )

    @property
    def size(self) -> int:
        """How many trials there are in the end."""
        if self.search == "grid":
            return math.prod(len(each.values) for each in self.vary) * self.seeds
        return self.combinations * self.seeds

    @property
    def varied(self) -> tuple[str, ...]:
        """The settings that vary, the seed last."""
        names = [each.name for each in self.vary if each.name != "seed"]
        return (*names, "seed") if self.seeds > 1 or len(names) < len(self.vary) else tuple(names)

    def first_trials(self) -> list[Trial]:
        """Return the trials that are known before any is trained: all, but with "tpe" none.

        Raises
        ------
        SettingsError
            Values do not go together.
        """
        combinations: Iterator[dict[str, Value]] = iter(())
        if self.search == "grid":
            names = [each.name for each in self.vary]
            chosen = itertools.product(*(each.values for each in self.vary))
            combinations = (dict(zip(names, values, strict=True)) for values in chosen)
        elif self.search == "random":
            combinations = self._draw()
        return self.in_trials(combinations)

    def in_trials(self, combinations: Iterator[dict[str, Value]] | Sequence[dict[str, Value]]) -> list[Trial]:
        """Return the trials of combinations, one for each seed."""
        return [self.trial(values) for each in combinations for values in self._with_seeds(each)]

    def accepts(self, values: Mapping[str, Value]) -> bool:
        """Return whether values are a combination of this plan: one for all that varies, and possible."""
        if values.keys() != {each.name for each in self.vary}:
            return False
        try:
            self.in_trials([dict(values)])
        except SettingsError:
            return False
        return True

    def _draw(self) -> Iterator[dict[str, Value]]:
        """Yield combinations that are drawn, none twice while there are others."""
        generator = np.random.default_rng(np.random.SeedSequence(self.base_seed, spawn_key=(DRAW_STREAM,)))
        seen: set[tuple[Value, ...]] = set()
        tries = 0
        while len(seen) < self.combinations:
            values = {each.name: each.draw(generator) for each in self.vary}
            key = tuple(values.values())
            tries += 1
            if tries > 100 * self.combinations + 1000:
                raise SettingsError(
                    f"there are fewer than {self.combinations:,} different combinations to draw; "
                    f"{len(seen):,} were found"
                )
            if key not in seen:
                seen.add(key)
                yield values

    @property
    def base_seed(self) -> int:
        """The first seed."""
        seed = self.given.get("seed", 0)
        assert isinstance(seed, int)
        return seed

    def _with_seeds(self, values: dict[str, Value]) -> Iterator[dict[str, Value]]:
        if self.seeds == 1:
            yield values
            return
        for seed in range(self.base_seed, self.base_seed + self.seeds):
            yield {**values, "seed": seed}

    def trial(self, values: Mapping[str, Value]) -> Trial:
        """Return the trial with these values.

        Raises
        ------
        SettingsError
            They do not go together.
        """
        ordered = {name: values[name] for name in self.varied if name in values}
        settings = Settings.of(self.preset, **{**self.given, **ordered})
        told = {name: value for name, value in ordered.items() if name != "seed" or value != self.base_seed}
        return Trial(name_of(told if self.plain_seed and told else ordered), ordered, settings)

    def extends(self, other: Plan) -> bool:
        """Return whether all trials of another plan are trials of this one too."""
        same = (self.given, self.preset, self.search, [each.name for each in self.vary]) == (
            other.given, other.preset, other.search, [each.name for each in other.vary],
        )  # fmt: skip
        if not same or self.seeds < other.seeds:
            return False
        if self.search != "grid":
            return self.vary == other.vary and self.combinations >= other.combinations
        own = {each.name: set(each.values) for each in self.vary}
        return all(own[each.name].issuperset(each.values) for each in other.vary)

    def extending(self, other: Plan) -> Self:
        """Return this plan with the names that the trials of one have which it extends."""
        return replace(self, plain_seed=other.plain_seed or other.seeds == 1)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "preset": self.preset,
            "settings": self.given,
            "vary": {each.name: list(each.values) or each.to_text() for each in self.vary},
            "search": self.search,
            "combinations": self.combinations,
            "seeds": self.seeds,
            "plain_seed": self.plain_seed,
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Self:
        """Return the plan that `to_json` gave.

        Raises
        ------
        SettingsError
            It is none.
        """
        try:
            search = told["search"]
            if search not in get_args(Search):
                raise SettingsError(
                    f"the search {search!r} is not known; known are {', '.join(get_args(Search))}"
                )
            return cls(
                given=dict(told["settings"]),
                vary=tuple(variation_of(name, values) for name, values in told["vary"].items()),
                preset=str(told["preset"]),
                search=search,
                combinations=int(told["combinations"]),
                seeds=int(told["seeds"]),
                plain_seed=told.get("plain_seed") is True,
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise SettingsError(f"it is not the plan of a sweep: {error}") from None


@dataclass(frozen=True)
class Specification:
    """What a file of TOML says of a sweep; what it does not say is None or empty.

    Attributes
    ----------
    corpus, name, preset, search : str or None
    combinations, seeds : int or None
    given : dict
        Settings that are the same in all trials.
    vary : tuple of Variation
    """

    corpus: str | None = None
    name: str | None = None
    preset: str | None = None
    search: str | None = None
    combinations: int | None = None
    seeds: int | None = None
    given: dict[str, Value] = field(default_factory=dict)
    vary: tuple[Variation, ...] = ()


_KINDS: dict[str, tuple[type, str]] = {
    **dict.fromkeys(("corpus", "name", "preset", "search"), (str, "a text")),
    **dict.fromkeys(("trials", "seeds"), (int, "a whole number")),
    **dict.fromkeys(("settings", "vary"), (dict, "a table")),
}


def read_specification(path: Path) -> Specification:
    """Return what a file says of a sweep.

    Raises
    ------
    SettingsError
        It cannot be read, is not TOML, or says what a sweep does not know.
    """
    try:
        told = parse_toml(Entry.at(path).read())
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {reason_of(error)}") from None
    except ValueError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    for name, value in told.items():
        if name not in _KINDS:
            raise SettingsError(f"{path}: there is no {name!r} in a sweep; known are {', '.join(_KINDS)}")
        kind, words = _KINDS[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise SettingsError(f"{path}: {name} is {words}")
    try:
        given = [variation_of(_plain(name), [value]) for name, value in told.get("settings", {}).items()]
        vary = [
            variation_of(_plain(name), values if isinstance(values, (str, list)) else [values])
            for name, values in told.get("vary", {}).items()
        ]
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    corpus = told.get("corpus")
    if corpus is not None and (path.parent / corpus).is_file():
        corpus = str(path.parent / corpus)  # as its writer sees it
    return Specification(
        corpus=corpus,
        name=told.get("name"),
        preset=told.get("preset"),
        search=told.get("search"),
        combinations=told.get("trials"),
        seeds=told.get("seeds"),
        given={each.name: each.values[0] for each in given},
        vary=tuple(vary),
    )


def _plain(name: str) -> str:
    return name.replace("-", "_")


def name_of(values: Mapping[str, Value]) -> str:
    """Return the name of the trial with these values.

    Examples
    --------
    >>> name_of({"hidden": 100, "learning_rate": 0.03, "seed": 1})
    'hidden-100_learning-rate-0.03_seed-1'
    """
    parts = [f"{name.replace('_', '-')}-{shown(value)}" for name, value in values.items()]
    name = "_".join(parts).replace("+", "")
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name[: _LONGEST_NAME - 13].rstrip('-_.')}_{digest}"
