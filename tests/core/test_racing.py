"""Contenders take turns, and are compared within a round."""

import pytest

from charrnn_core.errors import UsageError
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.racing import BOUT_SECONDS, TrainedEngine, race
from charrnn_core.training.settings import Settings


class Runner:
    """Trains at a rate of its own, by a clock that only training moves."""

    dtype, threads, compiler = "float64", 1, None

    def __init__(self, name, clock, rates, batch_size=1):
        self.name, self.batch_size = name, batch_size
        self._clock, self._rates, self.turns = clock, rates, []

    def prepare(self):
        self._clock[0] += 100.0  # counts for nobody

    def train(self, updates):
        rate = self._rates[min(len(self.turns), len(self._rates) - 1)]
        self.turns.append((updates, self._clock[0]))
        self._clock[0] += updates / rate


def test_a_machine_that_slows_down_changes_no_ratio():
    clock = [0.0]
    slow = Runner("textbook", clock, [100.0])
    fast = Runner("other", clock, [1000.0], batch_size=2)
    shown, standings = [], []
    for contender, now in race([slow, fast], 25, rounds=4, clock=lambda: clock[0]):
        shown.append(None if contender is None else contender.name)
        standings = now
        slow._rates, fast._rates = ([rate * 0.9 for rate in runner._rates] for runner in (slow, fast))
    textbook, other = standings
    assert shown[2:] == ["textbook", "other"] * 4 + [None]
    assert textbook.ratios == [1.0] * 4
    assert other.ratios == pytest.approx([10 * 2 * 0.9] * 4)  # its turn is one step of the machine later
    assert other.rates == sorted(other.rates, reverse=True) and other.rates[0] > other.rates[-1]
    assert other.updates_per_second == pytest.approx((other.rates[1] + other.rates[2]) / 2)
    assert other.characters_per_second == pytest.approx(other.updates_per_second * 25 * 2)


@pytest.mark.parametrize("rate", [0.5, 7.0, 40_000.0])
def test_a_turn_takes_about_as_long_for_everybody(rate):
    clock = [0.0]
    runner = Runner("textbook", clock, [rate])
    for _ in race([runner], 25, rounds=3, clock=lambda: clock[0]):
        pass
    for updates, _ in runner.turns[-3:]:
        assert updates == max(1, round(rate * BOUT_SECONDS))


def test_a_network_that_diverges_is_no_measure():
    corpus = corpus_of("the cat sat on the mat. " * 40)
    engine = TrainedEngine(Settings.of(hidden=5, seq_length=5, engine="numpy"), corpus)
    engine.prepare()
    engine._engine.parameters.b[0] = float("nan")
    with pytest.raises(UsageError, match="diverges after 1 updates in float32"):
        engine.train(10)
