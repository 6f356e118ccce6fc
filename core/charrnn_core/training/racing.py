"""Engines beside the textbook loop on the same work, in turn, so that a machine's drift meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from charrnn_core.errors import UsageError
from charrnn_core.rnn import textbook
from charrnn_core.rnn.parameters import initial_parameters
from charrnn_core.text.corpus import Corpus
from charrnn_core.training.settings import Settings
from charrnn_core.training.trainer import Trainer

BOUT_SECONDS = 0.4
"""About how long one contender works before the next one's turn."""

Clock = Callable[[], float]


class Contender(Protocol):
    """Something that trains.

    Attributes
    ----------
    name : str
    dtype : str
    threads : int
    batch_size : int
        Streams whose characters an update learns from.
    compiler : str or None
        What has compiled it, and for which processor.
    """

    name: str
    dtype: str
    threads: int
    batch_size: int
    compiler: str | None

    def prepare(self) -> None:
        """Make ready what takes time only once."""

    def train(self, updates: int) -> None:
        """Do updates."""


class TrainedEngine:
    """An engine as training uses it: its bare rate, without events, samples and checkpoints.

    Parameters
    ----------
    settings : Settings
        With the engine and the type.
    corpus : Corpus
    """

    def __init__(self, settings: Settings, corpus: Corpus) -> None:
        self._engine = Trainer(settings, corpus).engine
        self.name: str = self._engine.name
        self.dtype: str = settings.dtype
        self.threads = self._engine.threads
        self.batch_size = settings.batch_size
        self.compiler = self._engine.compiler
        self._done = 0

    def prepare(self) -> None:
        """Compile what is to be compiled, and measure the first window."""
        self._engine.prepare()
        self._engine.begin()

    def train(self, updates: int) -> None:
        """Do updates.

        Raises
        ------
        UsageError
            The network has diverged.
        """
        done = len(self._engine.advance(self._done, updates))
        self._done += done
        if done < updates or not self._engine.is_finite():
            raise UsageError(
                f"the network diverges after {self._done:,} updates in {self.dtype}, and is then no measure; "
                "choose another size, or a limit by --clip"
            )


class TextbookLoop:
    """The textbook loop, in float64 and on one stream, as it is written down."""

    name, dtype, threads, batch_size = "textbook", "float64", 1, 1
    compiler: str | None = None

    def __init__(self, settings: Settings, corpus: Corpus) -> None:
        parameters = initial_parameters(
            settings.hidden,
            len(corpus.vocabulary),
            np.float64,
            seed=settings.seed,
            scheme="normal",
            standard_deviation=0.01,
        )
        self._parameters = {name: np.ascontiguousarray(array) for name, array in parameters.arrays().items()}
        self._codes = corpus.codes[:100_000].tolist()
        self._seq_length = settings.seq_length

    def prepare(self) -> None:
        """Nothing is to be made ready."""

    def train(self, updates: int) -> None:
        """Do updates."""
        textbook.train(self._parameters, self._codes, updates=updates, seq_length=self._seq_length)


@dataclass
class Standing:
    """How a contender has done so far.

    Attributes
    ----------
    contender : Contender
    seq_length : int
    rates : list of float
        Updates per second of each round.
    ratios : list of float
        How many times as many characters a second as the textbook loop in the same round.
    """

    contender: Contender
    seq_length: int
    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)

    @property
    def updates_per_second(self) -> float:
        """The median; NaN before the first round."""
        return statistics.median(self.rates) if self.rates else float("nan")

    @property
    def ratio(self) -> float:
        """The median; NaN before the first round."""
        return statistics.median(self.ratios) if self.ratios else float("nan")

    @property
    def characters_per_second(self) -> float:
        """The median."""
        return self.updates_per_second * self.seq_length * self.contender.batch_size


def contenders(settings: Settings, corpus: Corpus, engines: Sequence[str]) -> list[Contender]:
    """Return the textbook loop, and each engine in both types."""
    entered: list[Contender] = [TextbookLoop(settings, corpus)]
    for engine in engines:
        for dtype in ("float64", "float32"):
            chosen = replace(settings, engine=engine, dtype=dtype)  # type: ignore[arg-type]
            entered.append(TrainedEngine(chosen, corpus))
    return entered


def race(
    entered: Sequence[Contender], seq_length: int, *, rounds: int = 5, clock: Clock = time.perf_counter
) -> Iterator[tuple[Contender | None, list[Standing]]]:
    """Let contenders train in turn, the textbook loop first; yield whose turn is next, and how all stand.

    First each is made ready, in turns without a rate; the last value has no contender.
    """
    standings = [Standing(contender, seq_length) for contender in entered]
    updates: dict[int, int] = {}
    for number, standing in enumerate(standings):
        yield standing.contender, standings
        standing.contender.prepare()
        standing.contender.train(1)
        updates[number] = _updates_of_a_bout(standing.contender, clock)
    for _ in range(rounds):
        base = 0.0
        for number, standing in enumerate(standings):
            yield standing.contender, standings
            began = clock()
            standing.contender.train(updates[number])
            rate = updates[number] / max(clock() - began, 1e-9)
            characters = rate * seq_length * standing.contender.batch_size
            base = base or characters
            standing.rates.append(rate)
            standing.ratios.append(characters / base)
    yield None, standings


def _updates_of_a_bout(contender: Contender, clock: Clock) -> int:
    """Return how many updates take about `BOUT_SECONDS`."""
    updates = 1
    while True:
        began = clock()
        contender.train(updates)
        seconds = clock() - began
        if seconds > BOUT_SECONDS / 4:
            return max(1, round(updates * BOUT_SECONDS / seconds))
        updates *= 2
