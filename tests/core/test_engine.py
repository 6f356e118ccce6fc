"""The engine: many updates at once, exactly stopped, and equal to the textbook loop."""

import math

import numpy as np
import pytest

from charrnn_core.rnn import textbook
from charrnn_core.rnn.engine import NumpyEngine
from charrnn_core.rnn.optimizers import AdaGrad
from charrnn_core.rnn.parameters import Parameters, initial_parameters
from charrnn_core.text.corpus import corpus_of
from charrnn_core.text.windows import Windows

TEXT = "the tide rises, the tide falls; the clock above the market counts them both. " * 3


def engine_of(
    text=TEXT, *, seq_length=4, batch_size=1, hidden=7, learning_rate=0.1, clip=5.0, scheme="normal"
):
    corpus = corpus_of(text)
    parameters = initial_parameters(
        hidden, len(corpus.vocabulary), np.float64, seed=3, scheme=scheme, standard_deviation=0.1
    )
    optimizer = AdaGrad(parameters.buffer, learning_rate=learning_rate, clip=clip)
    windows = Windows(len(corpus), batch_size, seq_length)
    return NumpyEngine(parameters, optimizer, corpus.codes, windows, reduction="sum", clip=clip)


@pytest.mark.parametrize("clip", [5.0, 0.05])
def test_trains_like_the_textbook_loop_over_several_epochs(clip):
    engine = engine_of(clip=clip)
    corpus = corpus_of(TEXT)
    plain = {name: array.copy() for name, array in engine.parameters.arrays().items()}
    updates = 3 * Windows(len(corpus), 1, 4).per_epoch + 5
    expected = textbook.train(plain, corpus.codes.tolist(), updates=updates, seq_length=4, clip=clip)
    engine.begin()
    losses = engine.advance(0, updates)
    assert losses == pytest.approx(expected, rel=1e-9)
    for name, array in engine.parameters.arrays().items():
        np.testing.assert_allclose(array, plain[name], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_same_updates_in_any_portions_are_the_same_bytes(batch_size):
    whole, parts = engine_of(batch_size=batch_size), engine_of(batch_size=batch_size)
    whole.begin()
    parts.begin()
    losses = whole.advance(0, 100)
    portions = [parts.advance(first, count) for first, count in ((0, 1), (1, 36), (37, 63))]
    assert np.array_equal(losses, np.concatenate(portions))
    assert np.array_equal(whole.parameters.buffer, parts.parameters.buffer)
    assert np.array_equal(whole.h, parts.h)
    assert whole.smooth_loss == parts.smooth_loss


def test_begin_measures_the_first_window_and_changes_nothing():
    engine = engine_of()
    before = engine.parameters.buffer.copy()
    first = engine.begin()
    assert np.array_equal(engine.parameters.buffer, before)
    assert engine.smooth_loss == first.loss
    assert first.norm > 0
    assert engine.advance(0, 1)[0] == first.loss
    assert engine.smooth_loss == pytest.approx(first.loss, rel=1e-15)


def test_smooth_loss_is_the_moving_average_of_the_losses():
    engine = engine_of()
    smooth = engine.begin().loss
    for loss in engine.advance(0, 50):
        smooth = 0.999 * smooth + 0.001 * loss
    assert engine.smooth_loss == pytest.approx(smooth, rel=1e-14)


def test_stops_after_the_first_update_below_the_threshold():
    engine = engine_of()
    engine.begin()
    smooth = [engine.smooth_loss]
    for update in range(60):
        engine.advance(update, 1)
        smooth.append(engine.smooth_loss)
    threshold = (min(smooth) + smooth[0]) / 2
    expected = next(update for update, value in enumerate(smooth) if value < threshold)
    again = engine_of()
    again.begin()
    assert len(again.advance(0, 60, stop_below=threshold)) == expected


def test_a_loss_that_is_not_finite_is_returned_and_not_applied():
    engine = engine_of()
    engine.begin()
    engine.parameters.c[0] = math.nan
    before = engine.parameters.buffer.copy()
    losses = engine.advance(0, 10)
    assert len(losses) == 1
    assert math.isnan(losses[0])
    assert np.array_equal(engine.parameters.buffer, before, equal_nan=True)


def test_reports_the_gradient_before_clipping():
    engine = engine_of(clip=0.01, scheme="fan-in")
    figures = engine.begin()
    parameters = Parameters(7, engine.parameters.characters, np.float64, engine.parameters.buffer)
    codes = corpus_of(TEXT).codes.tolist()
    _, gradients, _ = textbook.loss_and_gradients(parameters.arrays(), codes[:4], codes[1:5], np.zeros(7))
    flat = np.concatenate([gradient.ravel() for gradient in gradients.values()])
    assert figures.norm == pytest.approx(math.sqrt((flat**2).sum()), rel=1e-12)
    assert figures.clipped_share == np.mean(np.abs(flat) > 0.01)
