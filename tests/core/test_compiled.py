"""The compiled engine computes what NumPy computes, whatever the sizes and however many threads."""

import math
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from charrnn_core.errors import SettingsError
from charrnn_core.rnn.compiled.functions import exp, tanh
from charrnn_core.rnn.compiled.machine import pointer
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import Parameters
from charrnn_core.rnn.threads import resolve_threads


def applied(function, x):
    @njit(error_model="numpy")
    def apply(x):
        numbers = pointer(x)
        for i in range(len(x)):
            numbers[i] = function(numbers[i])

    result = x.copy()
    apply(result)
    return result


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-7), (np.float64, 4e-16)])
def test_exp_is_as_exact_as_its_module_says(dtype, bound):
    lowest = -87 if dtype == np.float32 else -708
    x = np.concatenate([np.linspace(lowest, 0, 200_001), -np.logspace(-30, 0, 1000)]).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(applied(exp, x) - exact) / exact) < bound
    assert applied(exp, np.array([-np.inf, -1e30, np.nan, 0], dtype)).tolist()[2:] == pytest.approx(
        [math.nan, 1], nan_ok=True
    )
    assert np.all(applied(exp, np.array([-np.inf, -1e30], dtype)) < 2e-38)


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 3e-7), (np.float64, 1e-15)])
def test_tanh_is_as_exact_as_its_module_says(dtype, bound):
    x = np.concatenate([np.linspace(-25, 25, 200_001), np.logspace(-30, 0, 1000)]).astype(dtype)
    x = x[x != 0]
    exact = np.tanh(x.astype(np.longdouble))
    assert np.max(np.abs((applied(tanh, x) - exact) / exact)) < bound
    ends = applied(tanh, np.array([np.inf, -np.inf, np.nan, 0, 1e30], dtype))
    assert np.array_equal(ends, [1, -1, np.nan, 0, 1], equal_nan=True)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "rmsprop"])
@pytest.mark.parametrize("clip", [None, 0.05])
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_both_engines_learn_the_same(engine_of, dtype, tolerance, optimizer, clip, reduction):
    options = {"B": 3, "rate": 0.01, "optimizer": optimizer, "clip": clip, "reduction": reduction}
    engines = [engine_of(name, dtype=dtype, **options) for name in ("numpy", "numba")]
    for engine in engines:
        engine.begin()
    numpy, numba = (np.concatenate([engine.advance(0, 7), engine.advance(7, 33)]) for engine in engines)
    np.testing.assert_allclose(numba, numpy, rtol=tolerance)
    for engine in engines:
        assert engine.smooth_loss == pytest.approx(engines[0].smooth_loss, rel=tolerance)
        assert engine.gradient_figures() == pytest.approx(engines[0].gradient_figures(), rel=100 * tolerance)


@given(
    m=st.integers(1, 70), K=st.integers(2, 40), T=st.integers(1, 9), B=st.integers(1, 6),
    reduction=st.sampled_from(["sum", "mean"]), dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=60)
def test_loss_and_gradients_are_numpys_for_any_sizes(m, K, T, B, reduction, dtype, seed):
    from charrnn_core.rnn.compiled.engine import CompiledNetwork

    generator = np.random.default_rng(seed)
    parameters = Parameters(m, K, dtype)
    parameters.buffer[:] = generator.normal(0, 0.5, parameters.buffer.size)
    h0 = generator.uniform(-1, 1, (B, m))
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    networks = [maker(parameters, T, B, reduction) for maker in (Network, CompiledNetwork)]
    for _ in range(2):  # what is left of the window before must not show
        inputs, targets = generator.integers(0, K, (2, T * B))
        for network in networks:
            network.H[0] = h0
        losses = [network.forward(inputs, targets) for network in networks]
        assert losses[1] == pytest.approx(losses[0], rel=tolerance)
        np.testing.assert_allclose(networks[1].H, networks[0].H, rtol=tolerance, atol=tolerance)
        for network in networks:
            network.backward()
        scale = float(np.abs(networks[0].gradients.buffer).max())
        np.testing.assert_allclose(
            networks[1].gradients.buffer, networks[0].gradients.buffer, rtol=tolerance, atol=tolerance * scale
        )


@pytest.mark.parametrize("optimizer", ["adagrad", "adam"])
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_the_number_of_threads_changes_no_bit(engine_of, assert_same_state, optimizer, threads):
    options = {"B": 3, "m": 37, "dtype": np.float32, "optimizer": optimizer}
    alone, together = engine_of("numba", **options), engine_of("numba", threads=threads, **options)
    assert alone.begin() == together.begin()
    assert np.array_equal(alone.advance(0, 40), together.advance(0, 40))
    assert_same_state(alone, together)
    assert alone.gradient_figures() == together.gradient_figures()


def test_threads_do_not_wait_for_one_that_never_comes(engine_of, monkeypatch):
    from charrnn_core.rnn.compiled import engine as module

    engine = engine_of("numba", threads=3, m=20)
    engine.begin()
    compiled = module.advance

    def interrupted(*arguments):
        *_, me, _ = arguments
        if me == 0:
            raise KeyboardInterrupt
        return compiled(*arguments)

    monkeypatch.setattr(module, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.advance(0, 5)
    pool = engine._workspace._pool
    assert pool is not None
    pool.submit(int).result(timeout=30)  # a thread is free again
    pool.shutdown()


def test_threads_that_cannot_be_started_are_a_sentence(engine_of, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(SettingsError, match="--threads 3 is not possible here: can't start new thread"):
        engine_of("numba", threads=3)


@pytest.mark.parametrize(
    ("engine", "asked", "sizes", "threads"),
    [
        ("numpy", None, (100, 65, 1), 1),
        ("numba", None, (100, 65, 1), 1),
        ("numpy", None, (512, 65, 32), 4),
        ("numba", None, (512, 65, 32), 4),
        ("numpy", 64, (100, 65, 1), 64),  # its bits can depend on it
        ("numba", 64, (100, 65, 1), 4),
        ("numba", 3, (100, 65, 1), 3),
    ],
)
def test_threads_are_as_asked_but_no_more_than_are_of_use(monkeypatch, engine, asked, sizes, threads):
    monkeypatch.setattr("charrnn_core.rnn.threads.available_cores", lambda: 4)
    assert resolve_threads(engine, asked, *sizes) == threads


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("parameter", ["U", "W", "V", "b", "c"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_seen_within_a_bucket(engine_of, threads, dtype, parameter, value):
    engine = engine_of("numba", threads=threads, dtype=dtype, m=9)
    engine.begin()
    engine.advance(0, 5)
    array = getattr(engine.parameters, parameter)
    array[(1,) * array.ndim] = value
    losses = engine.advance(5, 20)
    assert not np.isfinite(losses[-1]) or not engine.parameters.is_finite()


def test_characters_that_a_window_does_not_have_have_no_gradient(engine_of):
    engine = engine_of("numba", text="abcdefgh" + "ab" * 40, T=4)
    engine.begin()
    engine.advance(0, 10)
    assert not engine.gradients.U[:, 2:].any()
    assert engine.gradients.U[:, :2].all()


def test_zeros_between_rows_stay_zeros(engine_of):
    engine = engine_of("numba", m=5, B=2, optimizer="adam")
    engine.begin()
    engine.advance(0, 30)
    for parameters in (engine.parameters, engine.gradients, *engine.memory.values()):
        total = np.count_nonzero(parameters.buffer)
        assert total == sum(np.count_nonzero(array) for array in parameters.arrays().values())
