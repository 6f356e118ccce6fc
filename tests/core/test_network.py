"""The fast network against the textbook loop, a window worked out by hand, and itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn_core.rnn import textbook
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.parameters import PARAMETER_NAMES, Parameters, initial_parameters


def random_parameters(rng, m, K, dtype=np.float64, deviation=0.5):
    parameters = Parameters(m, K, dtype)
    parameters.buffer[:] = rng.normal(0, deviation, parameters.buffer.size)
    return parameters


def textbook_batch(parameters, inputs, targets, h0, reduction):
    """Mean over the streams of the textbook's loss and gradients; inputs and targets of shape (T, B)."""
    T, B = inputs.shape
    arrays = {name: array.astype(np.float64) for name, array in parameters.arrays().items()}
    scale = 1 / B if reduction == "sum" else 1 / (B * T)
    loss, gradients, last = 0.0, {name: np.zeros_like(array) for name, array in arrays.items()}, []
    for stream in range(B):
        one, of_one, h = textbook.loss_and_gradients(
            arrays, inputs[:, stream].tolist(), targets[:, stream].tolist(), h0[stream].astype(np.float64)
        )
        loss += scale * one
        last.append(h)
        for name in gradients:
            gradients[name] += scale * of_one[name]
    return loss, gradients, np.array(last)


@given(
    T=st.integers(1, 7),
    B=st.integers(1, 4),
    m=st.integers(1, 9),
    K=st.integers(2, 8),
    reduction=st.sampled_from(["sum", "mean"]),
    seed=st.integers(0, 2**32 - 1),
)
def test_equals_the_textbook_loop_at_every_size(T, B, m, K, reduction, seed):
    rng = np.random.default_rng(seed)
    parameters = random_parameters(rng, m, K)
    network = Network(parameters, T, B, reduction)
    for _ in range(2):  # twice, so that nothing is left over from the window before
        network.H[0] = rng.normal(size=(B, m))
        inputs, targets = rng.integers(0, K, (2, T, B))
        loss, gradients, last = textbook_batch(parameters, inputs, targets, network.H[0], reduction)
        assert network.forward(inputs.reshape(-1), targets.reshape(-1)) == pytest.approx(loss, rel=1e-12)
        network.backward()
        for name in PARAMETER_NAMES:
            np.testing.assert_allclose(
                getattr(network.gradients, name), gradients[name], rtol=1e-10, atol=1e-13, err_msg=name
            )
        np.testing.assert_allclose(network.H[-1], last, rtol=1e-12, atol=1e-14)


def test_float32_agrees_with_float64_within_its_rounding():
    rng = np.random.default_rng(4)
    T, B, m, K = 25, 2, 30, 11
    double = random_parameters(rng, m, K, deviation=0.2)
    single = Parameters(m, K, np.float32, double.buffer.astype(np.float32))
    inputs, targets = rng.integers(0, K, (2, T * B))
    networks = [Network(parameters, T, B) for parameters in (single, double)]
    losses = [network.forward(inputs, targets) for network in networks]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for network in networks:
        network.backward()
    a, b = (network.gradients.buffer for network in networks)
    assert np.abs(a - b).max() < 1e-4 * np.abs(b).max()


def test_equals_a_window_worked_out_by_hand():
    """One hidden unit, two characters, T = 2, every number from the equations with pencil and paper."""
    parameters = Parameters(1, 2, np.float64)
    parameters.U[:] = [[0.5, -1.0]]
    parameters.W[:] = [[2.0]]
    parameters.V[:] = [[1.0], [-1.0]]
    parameters.b[:] = [0.1]
    parameters.c[:] = [0.2, 0.0]
    network = Network(parameters, 2)
    network.H[0] = 0.3
    h1 = math.tanh(2.0 * 0.3 + 0.5 + 0.1)  # reads character 0
    h2 = math.tanh(2.0 * h1 - 1.0 + 0.1)  # reads character 1
    # With two characters the softmax is a logistic function of o_0 - o_1 = 2 h + 0.2.
    p1 = 1 / (1 + math.exp(-(2 * h1 + 0.2)))  # of character 0, at t = 1
    p2 = 1 / (1 + math.exp(-(2 * h2 + 0.2)))
    loss = network.forward(np.array([0, 1]), np.array([1, 0]))
    assert loss == pytest.approx(-math.log(1 - p1) - math.log(p2), rel=1e-14)
    network.backward()
    do1, do2 = p1, p2 - 1  # of o_0; of o_1 they are the negatives
    da2 = (1 - h2**2) * 2 * do2
    da1 = (1 - h1**2) * (2 * do1 + 2.0 * da2)
    g = network.gradients
    assert g.V[:, 0] == pytest.approx([do1 * h1 + do2 * h2, -(do1 * h1 + do2 * h2)], rel=1e-13)
    assert g.c == pytest.approx([do1 + do2, -(do1 + do2)], rel=1e-13)
    assert g.b[0] == pytest.approx(da1 + da2, rel=1e-13)
    assert g.W[0, 0] == pytest.approx(da1 * 0.3 + da2 * h1, rel=1e-13)
    assert g.U[0] == pytest.approx([da1, da2], rel=1e-13)


def test_first_loss_is_the_loss_of_guessing_evenly():
    parameters = initial_parameters(100, 80, np.float32, seed=0, scheme="normal", standard_deviation=0.01)
    rng = np.random.default_rng(1)
    loss = Network(parameters, 25).forward(*rng.integers(0, 80, (2, 25)))
    assert loss == pytest.approx(25 * math.log(80), rel=0.005)


def test_huge_outputs_do_not_overflow():
    parameters = Parameters(2, 3, np.float32)
    parameters.c[:] = [1e30, 0, -1e30]
    network = Network(parameters, 1)
    assert network.forward(np.array([0]), np.array([0])) == 0
    network.backward()
    assert np.isfinite(network.gradients.buffer).all()


def test_carry_lets_the_next_window_go_on():
    rng = np.random.default_rng(2)
    parameters = random_parameters(rng, 5, 4)
    x = rng.integers(0, 4, 9)
    whole, half = Network(parameters, 8), Network(parameters, 4)
    expected = whole.forward(x[:-1], x[1:])
    first = half.forward(x[:4], x[1:5])
    half.carry()
    assert first + half.forward(x[4:8], x[5:9]) == pytest.approx(expected, rel=1e-13)


def test_initial_weights_are_those_of_the_schemes():
    m, K = 200, 50
    normal = initial_parameters(m, K, np.float64, seed=1, scheme="normal", standard_deviation=0.03)
    fan_in = initial_parameters(m, K, np.float64, seed=1, scheme="fan-in", standard_deviation=0.03)
    for name, deviation in {"U": (2 * K) ** -0.5, "W": (2 * m) ** -0.5, "V": m**-0.5}.items():
        assert getattr(normal, name).std() == pytest.approx(0.03, rel=0.03)
        assert getattr(fan_in, name).std() == pytest.approx(deviation, rel=0.03)
    assert not normal.b.any()
    assert not fan_in.c.any()


def test_both_types_begin_at_the_same_weights_and_seeds_at_different_ones():
    def weights(dtype, seed):
        return initial_parameters(4, 3, dtype, seed=seed, scheme="normal", standard_deviation=0.01).buffer

    assert np.array_equal(weights(np.float32, 0), weights(np.float64, 0).astype(np.float32))
    assert not np.array_equal(weights(np.float32, 0), weights(np.float32, 1))


def test_parameters_are_views_of_their_buffer():
    parameters = Parameters(3, 2, np.float32)
    parameters.buffer[:] = np.arange(parameters.buffer.size)
    total = sum(float(array.sum()) for array in parameters.arrays().values())
    assert total == parameters.buffer.sum()
    for array in parameters.arrays().values():
        array[...] = 0
    assert not parameters.buffer.any()
    copy = parameters.copy()
    copy.W[0, 0] = 1
    assert not parameters.buffer.any()
