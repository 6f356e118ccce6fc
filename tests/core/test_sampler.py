"""Drawing from a network, and scoring with it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.errors import DivergedError
from charrnn_core.rnn import textbook
from charrnn_core.rnn.parameters import Parameters
from charrnn_core.rnn.sampler import Sampler, log_probabilities
from charrnn_core.rnn.scoring import SCORED_AT_ONCE, Scorer


def network(m=6, K=5, seed=0):
    parameters = Parameters(m, K, np.float64)
    parameters.buffer[:] = np.random.default_rng(seed).normal(0, 0.7, parameters.buffer.size)
    return parameters


@pytest.mark.slow
@given(
    o=st.lists(st.floats(-50, 50), min_size=2, max_size=12),
    temperature=st.floats(0.05, 10),
    top_k=st.none() | st.integers(1, 14),
    top_p=st.none() | st.floats(0.01, 1),
)
def test_what_is_kept_sums_to_one_and_is_the_largest(o, temperature, top_k, top_p):
    outputs = np.array(o)
    p = np.exp(log_probabilities(outputs, temperature=temperature, top_k=top_k, top_p=top_p))
    assert p.sum() == pytest.approx(1)
    kept = p > 0
    if top_k is not None:
        assert kept.sum() <= top_k
    if kept.any() and not kept.all():
        assert outputs[kept].min() >= outputs[~kept].max() - 1e-9


def test_temperature_is_the_textbook_softmax():
    o = np.array([1.0, -2.0, 0.5])
    expected = np.exp(o / 0.7) / np.exp(o / 0.7).sum()
    assert np.exp(log_probabilities(o, temperature=0.7)) == pytest.approx(expected)


def test_nucleus_is_the_smallest_set_that_reaches_p():
    o = np.log([0.1, 0.4, 0.3, 0.2])
    assert (np.exp(log_probabilities(o, top_p=0.69)) > 0).tolist() == [False, True, True, False]
    assert (np.exp(log_probabilities(o, top_p=0.71)) > 0).tolist() == [False, True, True, True]
    assert (np.exp(log_probabilities(o, top_p=1e-9)) > 0).tolist() == [False, True, False, False]


def test_extreme_outputs_and_temperatures_stay_finite_probabilities():
    for o in ([1e3, -1e3, 0.0], [1e30, 1e30, -1e30]):
        for temperature in (1e-3, 0, 100):
            p = np.exp(log_probabilities(np.array(o), temperature=temperature))
            assert p.sum() == pytest.approx(1)


def test_temperature_zero_is_the_argmax():
    parameters = network()
    sampler = Sampler(parameters, np.random.default_rng(0), temperature=0)
    sampler.feed([1])
    expected = int((parameters.V @ sampler.h + parameters.c).argmax())
    assert next(sampler.codes(1)) == expected


def test_draws_follow_the_probabilities():
    parameters = network()
    fed = Sampler(parameters, np.random.default_rng(0))
    fed.feed([3])
    p = np.exp(log_probabilities(parameters.V @ fed.h + parameters.c))
    generator = np.random.default_rng(12)
    counts = np.zeros(5)
    for _ in range(4000):
        sampler = Sampler(parameters, generator)
        sampler.h = fed.h
        counts[next(sampler.codes(1))] += 1
    chi_square = ((counts - 4000 * p) ** 2 / (4000 * p)).sum()
    assert chi_square < 18.5  # 99.9 % of 4 degrees of freedom


def test_the_same_generator_gives_the_same_text_and_changes_no_parameter():
    parameters = network()
    before = parameters.buffer.copy()
    texts = [list(Sampler(parameters, np.random.default_rng(7)).codes(40)) for _ in range(2)]
    assert texts[0] == texts[1]
    assert np.array_equal(parameters.buffer, before)


@pytest.mark.parametrize("length", [2, 3, SCORED_AT_ONCE, SCORED_AT_ONCE + 1, 3 * SCORED_AT_ONCE + 5])
@pytest.mark.parametrize("step", [1, 300, 10**6])
def test_a_score_is_the_textbook_loss_of_the_whole_text(length, step):
    parameters = network()
    codes = np.random.default_rng(5).integers(0, 5, length).astype(np.uint8)
    scorer = Scorer(parameters, codes)
    while not scorer.done:
        scorer.advance(step)
    arrays = parameters.arrays()
    expected, _, _ = textbook.loss_and_gradients(arrays, codes[:-1].tolist(), codes[1:].tolist(), np.zeros(6))
    assert scorer.scored == length - 1
    assert scorer.loss == pytest.approx(expected, rel=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(
    "cut",
    [{"temperature": 0.6}, {"temperature": 1.7}, {"top_k": 3}, {"top_p": 0.6}, {"top_k": 4, "top_p": 0.8}],
)
def test_a_hundred_thousand_draws_follow_the_probabilities(cut):
    """From a network whose distribution never changes: W, U and V are zero, and c says it all."""
    parameters = Parameters(3, 6, np.float32)
    parameters.c[:] = np.log([0.3, 0.05, 0.25, 0.2, 0.15, 0.05])
    sampler = Sampler(parameters, np.random.default_rng(8), **cut)
    expected = np.exp(log_probabilities(parameters.c, **cut))
    counts = np.bincount(list(sampler.codes(100_000)), minlength=6)
    kept = expected > 0
    assert not counts[~kept].any()
    chi_square = ((counts[kept] - 1e5 * expected[kept]) ** 2 / (1e5 * expected[kept])).sum()
    assert chi_square < 20.5  # 99.9 % of 5 degrees of freedom
    total = (counts[kept] * np.log(expected[kept])).sum()
    assert sampler.log_probability == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize(
    "cut", [{}, {"temperature": 1e-3}, {"temperature": 1e-300}, {"top_k": 2}, {"top_p": 0.5}]
)
def test_logits_of_a_thousand_are_stable(cut):
    parameters = Parameters(3, 4, np.float32)
    parameters.c[:] = [1e3, 999.0, -1e3, 0.0]
    sampler = Sampler(parameters, np.random.default_rng(0), **cut)
    assert set(sampler.codes(300)) <= {0, 1}
    assert np.isfinite(sampler.log_probability)


def test_a_prime_changes_the_first_distribution_exactly_as_feeding_does():
    parameters = network()
    fed = Sampler(parameters, np.random.default_rng(0))
    fed.feed([1, 2, 3])
    h = np.zeros(6)
    for code in (1, 2, 3):
        h = np.tanh(parameters.W @ h + parameters.U[:, code] + parameters.b)
    assert fed.h == pytest.approx(h, rel=1e-14)
    o = parameters.V @ h + parameters.c
    assert fed.distribution() == pytest.approx(o - np.log(np.exp(o).sum()), rel=1e-12)


def test_a_sampler_keeps_writing_as_it_began_when_training_goes_on():
    parameters = network()
    expected = list(Sampler(parameters, np.random.default_rng(7)).codes(40))
    sampler = Sampler(parameters, np.random.default_rng(7))
    parameters.buffer[:] = 0
    assert list(sampler.codes(40)) == expected


WAYS = ({}, {"temperature": 0.00101}, {"temperature": 0}, {"temperature": 1e-9}, {"top_k": 2}, {"top_p": 0.5})


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_of_any_size_are_written_with_or_refused(dtype):
    """A checkpoint may come from anybody: no sum overflows, and no code is outside of the vocabulary."""
    chance, refused, written = np.random.default_rng(7), 0, 0
    exponents = np.log10(float(np.finfo(dtype).max)) - 1
    for _ in range(300):
        m, K = int(chance.integers(1, 9)), int(chance.integers(2, 9))
        parameters = Parameters(m, K, dtype)
        size = parameters.buffer.size
        sizes = exponents * chance.random() ** 0.1 * chance.random(size) ** 0.1
        parameters.buffer[:] = chance.uniform(-9, 9, size) * 10.0**sizes
        for way in WAYS:
            with np.errstate(all="raise", under="ignore"):
                try:
                    sampler = Sampler(parameters, np.random.default_rng(1), np.ones(m, dtype), **way)
                except DivergedError:
                    refused += 1
                    continue
                assert all(0 <= code < K for code in sampler.codes(20))
            written += 1
    assert refused > 10
    assert written > 1000
