"""Engines that are small enough to compare."""

import numpy as np
import pytest

from charrnn_core.rnn.engines import engine_class
from charrnn_core.rnn.optimizers import OptimizerSettings
from charrnn_core.rnn.parameters import initial_parameters
from charrnn_core.text.corpus import corpus_of
from charrnn_core.text.windows import Windows

TEXT = "the tide rises, the tide falls; the clock above the market counts them both. " * 3


@pytest.fixture(scope="session")
def engine_of():
    """Make an engine by its name."""
    return make_engine


def make_engine(
    name, text=TEXT, *, T=4, B=1, m=7, rate=0.1, clip=5.0, scheme="normal", optimizer="adagrad",
    dtype=np.float64, reduction="sum", threads=1,
):  # fmt: skip
    corpus = corpus_of(text)
    parameters = initial_parameters(
        m, len(corpus.vocabulary), dtype, seed=3, scheme=scheme, standard_deviation=0.1
    )
    settings = OptimizerSettings(optimizer, rate, clip=clip)
    windows = Windows(len(corpus), B, T)
    return engine_class(name)(
        parameters, settings, corpus.codes, windows, reduction=reduction, threads=threads
    )


@pytest.fixture(scope="session")
def assert_same_state():
    """Compare two engines."""
    return compare


def compare(one, other):
    """The same bytes in everything that a checkpoint holds."""
    for name, array in one.parameters.arrays().items():
        assert np.array_equal(array, getattr(other.parameters, name), equal_nan=True)
    for name, memory in one.memory.items():
        for key, array in memory.arrays().items():
            assert np.array_equal(array, getattr(other.memory[name], key))
    assert np.array_equal(one.h, other.h)
    assert one.smooth_loss == other.smooth_loss
