"""A check lets its caller look after each piece of work, and computes the same in pieces."""

import numpy as np
import pytest

from charrnn_core.rnn.compiled.engine import CompiledNetwork
from charrnn_core.rnn.gradcheck import pieces, training
from charrnn_core.rnn.gradcheck import reference as reference_module
from charrnn_core.rnn.gradcheck.check import Checking, check
from charrnn_core.rnn.gradcheck.comparisons import comparisons
from charrnn_core.rnn.gradcheck.fixed import fixed_parameters
from charrnn_core.rnn.gradcheck.lines import Lines
from charrnn_core.rnn.gradcheck.pieces import blocks, finish
from charrnn_core.rnn.gradcheck.reference import movement, reference
from charrnn_core.rnn.gradcheck.rows import CheckRow
from charrnn_core.rnn.gradcheck.training import largest_differences
from charrnn_core.rnn.gradcheck.windows import CheckedWindow
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.optimizers import AdaGrad
from charrnn_core.rnn.parameters import Parameters

# Each goes over all weights at least once.
PASSES = [
    (Network, "forward"), (Network, "backward"), (CompiledNetwork, "forward"), (CompiledNetwork, "backward"),
    (AdaGrad, "step"), (Parameters, "astype"), (training, "relative_difference"),
    (reference_module, "relative_difference"), (reference_module, "_largest"),
]  # fmt: skip
MOST = 3
"""Passes between two looks: an update of the NumPy engine is three, and nothing else is more."""


@pytest.fixture
def passes(monkeypatch):
    """Count passes over the weights, one for each name of a function that makes one."""
    counted = []

    def count(owner, name):
        original = getattr(owner, name)

        def counting(*arguments, **how):
            counted.append(name)
            return original(*arguments, **how)

        monkeypatch.setattr(owner, name, counting)

    for owner, name in PASSES:
        count(owner, name)
    return counted


@pytest.fixture
def all_is_large(monkeypatch):
    """Let a piece of work cost 1, so that the smallest network is as a very large one."""
    monkeypatch.setattr(pieces, "LARGEST_PIECE", 1)
    monkeypatch.setattr("charrnn_core.rnn.gradcheck.check.LARGEST_PIECE", 1)
    monkeypatch.setattr(training, "_LARGE", 0)


def passes_between_looks(items, passes):
    """Yield the passes that were made before each item that lets the caller look."""
    for item in items:
        if isinstance(item, Checking):
            yield list(passes)
            passes.clear()


@pytest.mark.slow(sparing=1)
@pytest.mark.usefixtures("all_is_large")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["numpy", "numba"])
def test_a_look_comes_after_each_few_passes_over_the_weights(engine_of, name, dtype, passes):
    engine = engine_of(name, B=2, m=9, dtype=dtype)
    engine.begin()
    engine.advance(0, 3)
    passes.clear()
    items = check(
        engine.window(3), np.random.SeedSequence(0), network=engine.network, engine=engine, update=3
    )
    looks = list(passes_between_looks(items, passes))
    assert max(map(len, looks)) <= MOST, max(looks, key=len)
    assert sum(map(len, looks)) > 500


@pytest.mark.usefixtures("all_is_large")
@pytest.mark.parametrize("entries", ["first:3", "all", "directions:2"])
def test_a_look_comes_after_each_few_passes_of_what_is_asked_for(engine_of, entries, passes):
    engine = engine_of("numpy", m=3, text="abcabcabac" * 5)
    engine.begin()
    passes.clear()
    items = check(engine.window(0), np.random.SeedSequence(0), comparisons(entries=entries, h0="carried"))
    assert max(map(len, passes_between_looks(items, passes))) <= 1


def test_a_check_of_a_small_network_looks_up_seldom(engine_of):
    engine = engine_of("numpy", m=9)
    engine.begin()
    items = list(check(engine.window(0), np.random.SeedSequence(0), network=Network, engine=engine))
    rows = sum(isinstance(item, CheckRow) for item in items)
    assert rows <= sum(isinstance(item, Checking) for item in items) <= rows + 12


@pytest.mark.usefixtures("all_is_large")
def test_no_piece_draws_more_than_a_block(monkeypatch):
    monkeypatch.setattr(pieces, "LARGEST_PIECE", 80)
    (comparison,) = comparisons("complex-step", "directions:2")
    lines = Lines(comparison, (6, 7), np.random.default_rng(3))
    drawing = lines.line(0)
    costs = []
    with pytest.raises(StopIteration) as ended:
        while True:
            costs.append(next(drawing))
    assert max(costs) <= 80
    assert len(costs) == 5
    directions = [ended.value.value.direction, finish(lines.line(1)).direction]
    generator = np.random.default_rng(3)
    for direction in directions:
        assert np.array_equal(direction, generator.choice([-1.0, 1.0], size=(6, 7)))


@pytest.mark.parametrize("cost", [1, 7, 10**6, 10**12])
@pytest.mark.parametrize("length", [0, 1, 10, 1001])
def test_blocks_are_all_rows_in_order_and_none_costs_more_than_a_piece(cost, length):
    parts = list(blocks(length, cost))
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(length))
    for part in parts:
        rows = part.stop - part.start
        assert rows == 1 or rows * cost <= pieces.LARGEST_PIECE


# -- the same in pieces ------------------------------------------------------------------------------------


def window():
    generator = np.random.default_rng(1)
    parameters = Parameters(6, 5, np.float64)
    parameters.buffer[:] = 0.5 * generator.standard_normal(parameters.buffer.size)
    inputs, targets = generator.integers(0, 5, (2, 11 * 3))
    return CheckedWindow(parameters, inputs, targets, generator.uniform(-1, 1, (3, 6)), 11, "sum")


def test_the_reference_is_the_same_in_small_blocks(monkeypatch):
    whole = finish(reference(window()))
    monkeypatch.setattr(pieces, "LARGEST_PIECE", 500)
    cut = finish(reference(window()))
    assert cut.loss == pytest.approx(whole.loss, rel=1e-14)
    assert cut.largest == pytest.approx(whole.largest, rel=1e-14)
    for name, value in whole.values.items():
        np.testing.assert_allclose(cut.values[name], value, rtol=1e-12, atol=1e-14)


def test_rounding_is_measured_alike_in_small_blocks(monkeypatch):
    exact = finish(reference(window()))
    whole = finish(movement(window(), exact, np.dtype(np.float32), np.random.default_rng(0)))
    monkeypatch.setattr(pieces, "LARGEST_PIECE", 500)
    cut = finish(movement(window(), exact, np.dtype(np.float32), np.random.default_rng(0)))
    for name, value in whole.items():
        assert value / 10 <= cut[name] <= 10 * value


def test_the_fixed_network_is_the_same_in_small_blocks(monkeypatch):
    whole = finish(fixed_parameters(20, 4, np.float32)).buffer.copy()
    monkeypatch.setattr(pieces, "LARGEST_PIECE", 1)
    assert np.array_equal(finish(fixed_parameters(20, 4, np.float32)).buffer, whole)


@pytest.mark.parametrize("shape", [(7, 5), (40,), (1, 3)])
def test_the_largest_differences_are_the_same_in_small_blocks(shape, monkeypatch):
    generator = np.random.default_rng(0)
    array, exact = generator.standard_normal((2, *shape))
    whole = finish(largest_differences(array, exact, 0.3))
    monkeypatch.setattr(pieces, "LARGEST_PIECE", 1)
    assert finish(largest_differences(array, exact, 0.3)) == whole
    order = np.sort(np.abs(array - exact).ravel())[::-1][:5]
    assert [abs(each["analytic"] - each["numeric"]) for each in whole] == order.tolist()


def test_numpy_warns_again_while_a_function_in_pieces_waits():
    @pieces.without_warnings
    def overflow():
        yield int(np.isinf(np.exp(np.float64(1000))))
        return np.geterr()

    before = np.geterr()
    working = overflow()
    assert next(working) == 1
    assert np.geterr() == before
    assert set(finish(working).values()) == {"ignore"}
