"""Each optimizer against its published formula, entry by entry in plain Python."""

import math

import numpy as np
import pytest

from charrnn_core.rnn.optimizers import AdaGrad, Adam, RMSProp

GRADIENTS = [[2.0, -0.5, 0.0], [-1.0, 30.0, 0.25], [0.5, 0.5, -7.0]]


def adagrad(gradients):
    theta, s = 1.0, 0.0
    for g in gradients:
        s += g * g
        theta -= 0.1 * g / math.sqrt(s + 1e-8)
    return theta


def rmsprop(gradients):
    theta, s = 1.0, 0.0
    for g in gradients:
        s = 0.9 * s + 0.1 * g * g
        theta -= 0.1 * g / (math.sqrt(s) + 1e-8)
    return theta


def adam(gradients):
    theta, m, v = 1.0, 0.0, 0.0
    for n, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g * g
        theta -= 0.1 * (m / (1 - 0.9**n)) / (math.sqrt(v / (1 - 0.999**n)) + 1e-8)
    return theta


@pytest.mark.parametrize("clip", [None, 5.0])
@pytest.mark.parametrize(("kind", "formula"), [(AdaGrad, adagrad), (RMSProp, rmsprop), (Adam, adam)])
def test_steps_follow_the_formula(kind, formula, clip):
    theta = np.ones(3)
    optimizer = kind(theta, learning_rate=0.1, clip=clip)
    limit = clip or math.inf
    for update, gradient in enumerate(GRADIENTS, 1):
        optimizer.step(theta, np.array(gradient), update)
    expected = [formula([max(-limit, min(limit, row[entry])) for row in GRADIENTS]) for entry in range(3)]
    assert theta == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kind", [AdaGrad, RMSProp, Adam])
def test_clipping_leaves_the_gradients_as_they_were(kind):
    gradients = np.array([100.0, -100.0])
    kind(np.zeros(2), learning_rate=0.1, clip=5.0).step(np.zeros(2), gradients, 1)
    assert gradients.tolist() == [100.0, -100.0]


@pytest.mark.parametrize("kind", [AdaGrad, RMSProp, Adam])
def test_everything_stays_in_the_type_of_the_parameters(kind):
    theta = np.zeros(2, np.float32)
    optimizer = kind(theta, learning_rate=0.1)
    optimizer.step(theta, np.ones(2, np.float32), 1)
    assert {memory.dtype for memory in optimizer.memory.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", [AdaGrad, RMSProp, Adam])
def test_memory_and_update_number_are_the_whole_state(kind):
    straight, parted = np.ones(3), np.ones(3)
    one = kind(straight, learning_rate=0.1)
    for update, gradient in enumerate(GRADIENTS, 1):
        one.step(straight, np.array(gradient), update)
    two = kind(parted, learning_rate=0.1)
    two.step(parted, np.array(GRADIENTS[0]), 1)
    three = kind(parted, learning_rate=0.1)
    for name, memory in two.memory.items():
        three.memory[name][:] = memory
    for update, gradient in enumerate(GRADIENTS[1:], 2):
        three.step(parted, np.array(gradient), update)
    assert np.array_equal(straight, parted)
