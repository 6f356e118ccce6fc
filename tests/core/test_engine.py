"""The engines: many updates at once, exactly stopped, and equal to the textbook loop."""

import math

import numpy as np
import pytest

from charrnn_core.rnn import textbook
from charrnn_core.rnn.gradcheck.pieces import finish
from charrnn_core.rnn.gradcheck.reference import reference
from charrnn_core.rnn.gradcheck.training import window_of
from charrnn_core.rnn.optimizers import optimizer_of
from charrnn_core.text.corpus import corpus_of
from charrnn_core.text.windows import Windows

TEXT = "the tide rises, the tide falls; the clock above the market counts them both. " * 3


@pytest.fixture(params=["numpy", "numba"])
def name(request):
    """Each engine in turn."""
    return request.param


@pytest.mark.parametrize("clip", [5.0, 0.05])
def test_trains_like_the_textbook_loop_over_several_epochs(engine_of, name, clip):
    engine = engine_of(name, clip=clip)
    corpus = corpus_of(TEXT)
    plain = {name: array.copy() for name, array in engine.parameters.arrays().items()}
    updates = 3 * Windows(len(corpus), 1, 4).per_epoch + 5
    expected = textbook.train(plain, corpus.codes.tolist(), updates=updates, seq_length=4, clip=clip)
    engine.begin()
    losses = engine.advance(0, updates)
    assert losses == pytest.approx(expected, rel=1e-9)
    for name, array in engine.parameters.arrays().items():
        np.testing.assert_allclose(array, plain[name], rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("B", [1, 3])
def test_the_same_updates_in_any_portions_are_the_same_bytes(engine_of, assert_same_state, name, B):
    whole, parts = engine_of(name, B=B), engine_of(name, B=B)
    whole.begin()
    parts.begin()
    losses = whole.advance(0, 100)
    portions = [parts.advance(first, count) for first, count in ((0, 1), (1, 36), (37, 63))]
    assert np.array_equal(losses, np.concatenate(portions))
    assert_same_state(whole, parts)


def test_begin_measures_the_first_window_and_changes_nothing(engine_of, name):
    engine = engine_of(name)
    before = engine.parameters.buffer.copy()
    first = engine.begin()
    assert np.array_equal(engine.parameters.buffer, before)
    assert engine.smooth_loss == first.loss
    assert first.norm > 0
    assert engine.advance(0, 1)[0] == first.loss
    assert engine.smooth_loss == pytest.approx(first.loss, rel=1e-15)


def test_smooth_loss_is_the_moving_average_of_the_losses(engine_of, name):
    engine = engine_of(name)
    smooth = engine.begin().loss
    for loss in engine.advance(0, 50):
        smooth = 0.999 * smooth + 0.001 * loss
    assert engine.smooth_loss == pytest.approx(smooth, rel=1e-14)


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "rmsprop"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_smooth_loss_and_steps_are_those_in_plain_float64(engine_of, name, optimizer, dtype):
    """The gradient check compares gradients; this is what else an engine computes in a run's own type."""
    engine = engine_of(name, optimizer=optimizer, dtype=dtype, rate=0.01)
    close = 1e-5 if dtype == np.float32 else 1e-10
    engine.begin()
    for update in range(6):
        before, smooth = engine.state(), engine.smooth_loss
        exact = finish(reference(window_of(engine, update)))
        (loss,) = engine.advance(update, 1)
        assert loss == pytest.approx(exact.loss, rel=close)
        assert engine.smooth_loss == pytest.approx(0.999 * smooth + 0.001 * exact.loss, rel=close)
        expected = before.parameters.astype(np.float64)
        plain = optimizer_of(engine.optimizer, expected.buffer)
        for key, memory in before.memory.items():
            plain.memory[key][:] = memory.astype(np.float64).buffer
        plain.step(expected.buffer, engine.gradients.astype(np.float64).buffer, update + 1)
        for key, array in engine.parameters.arrays().items():
            np.testing.assert_allclose(array, getattr(expected, key), rtol=close, atol=close / 100)


@pytest.mark.parametrize("piece", [1, 5, 1000])
def test_stops_after_the_first_update_below_the_threshold(engine_of, name, piece, monkeypatch):
    monkeypatch.setattr("charrnn_core.rnn.engine._GATHERED_CHARACTERS", 4 * piece)
    engine = engine_of(name)
    engine.begin()
    smooth = [engine.smooth_loss]
    for update in range(60):
        engine.advance(update, 1)
        smooth.append(engine.smooth_loss)
    threshold = (min(smooth) + smooth[0]) / 2
    expected = next(update for update, value in enumerate(smooth) if value < threshold)
    again = engine_of(name)
    again.begin()
    assert len(again.advance(0, 60, stop_below=threshold)) == expected


@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize("first", [0, 7, 30])
@pytest.mark.parametrize("every", [1, 10, 25])
def test_stops_at_a_new_best_but_only_at_updates_that_are_looked_at(
    engine_of, name, first, every, piece, monkeypatch
):
    monkeypatch.setattr("charrnn_core.rnn.engine._GATHERED_CHARACTERS", 4 * piece)
    measured, again = engine_of(name), engine_of(name)
    smooth = {0: measured.begin().loss}
    for update in range(1, 101):
        measured.advance(update - 1, 1)
        smooth[update] = measured.smooth_loss
    best = smooth[60]
    lower = (update for update in range(first + 1, 100) if update % every == 0 and smooth[update] < best)
    expected = next(lower, 100)
    again.begin()
    again.advance(0, first)
    assert first + len(again.advance(first, 100 - first, best=best, best_every=every)) == expected
    assert again.smooth_loss == smooth[expected]


def test_a_loss_that_is_not_finite_is_returned_and_not_applied(engine_of, name):
    engine = engine_of(name)
    engine.begin()
    engine.parameters.c[0] = math.nan
    before = engine.parameters.buffer.copy()
    losses = engine.advance(0, 10)
    assert len(losses) == 1
    assert math.isnan(losses[0])
    assert np.array_equal(engine.parameters.buffer, before, equal_nan=True)


def test_reports_the_gradient_before_clipping(engine_of, name):
    engine = engine_of(name, clip=0.01, scheme="fan-in")
    figures = engine.begin()
    codes = corpus_of(TEXT).codes.tolist()
    arrays = engine.parameters.copy().arrays()
    _, gradients, _ = textbook.loss_and_gradients(arrays, codes[:4], codes[1:5], np.zeros(7))
    flat = np.concatenate([gradient.ravel() for gradient in gradients.values()])
    assert figures.norm == pytest.approx(math.sqrt((flat**2).sum()), rel=1e-12)
    assert figures.clipped_share == np.mean(np.abs(flat) > 0.01)
