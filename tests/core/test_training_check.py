"""The comparison of the gradient that trains with the float64 reference."""

import threading

import numpy as np
import pytest

from charrnn_core.rnn import textbook
from charrnn_core.rnn.engines import engine_class
from charrnn_core.rnn.gradcheck.fixed import fixed_codes, fixed_optimizer, fixed_parameters
from charrnn_core.rnn.gradcheck.pieces import finish
from charrnn_core.rnn.gradcheck.reference import movement, reference, relative_difference
from charrnn_core.rnn.gradcheck.rows import ILL_CONDITIONED_NOTE, NOT_FINITE_NOTE, CheckRow
from charrnn_core.rnn.gradcheck.training import (
    LOOP_TOLERANCE,
    TRAINING_TOLERANCES,
    loop_rows,
    training_rows,
    window_of,
)
from charrnn_core.rnn.gradcheck.windows import CheckedWindow
from charrnn_core.rnn.network import Network
from charrnn_core.rnn.optimizers import OptimizerSettings
from charrnn_core.rnn.parameters import PARAMETER_NAMES, Parameters

NAMES = (*PARAMETER_NAMES, "h")


@pytest.fixture(params=["numpy", "numba"])
def name(request):
    """Each engine in turn."""
    return request.param


def window(seed, *, m=6, K=5, T=7, B=3, reduction="sum", size=0.5):
    generator = np.random.default_rng(seed)
    parameters = Parameters(m, K, np.float64)
    parameters.buffer[:] = size * generator.standard_normal(parameters.buffer.size)
    inputs, targets = generator.integers(0, K, (2, T * B))
    return CheckedWindow(parameters, inputs, targets, generator.uniform(-1, 1, (B, m)), T, reduction)


def rows_in(items):
    return [item for item in items if isinstance(item, CheckRow)]


def rows_of(engine, kind="text", update=0, seed=0):
    rows = rows_in(training_rows(engine, update, np.random.default_rng(seed), kind))
    assert [row.parameter for row in rows] == list(NAMES)
    return {row.parameter: row for row in rows}


# -- the reference -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_reference_is_the_mean_of_the_textbook_over_streams(reduction):
    checked = window(1, reduction=reduction)
    T, B = checked.seq_length, checked.batch_size
    scale = 1 / (B * (T if reduction == "mean" else 1))
    inputs, targets = (codes.reshape(T, B) for codes in (checked.inputs, checked.targets))
    arrays = checked.parameters.arrays()
    streams = [
        textbook.loss_and_gradients(arrays, inputs[:, s].tolist(), targets[:, s].tolist(), checked.h0[s])
        for s in range(B)
    ]
    exact = finish(reference(checked))
    assert exact.loss == pytest.approx(scale * sum(loss for loss, _, _ in streams), rel=1e-13)
    for parameter in PARAMETER_NAMES:
        expected = scale * sum(gradients[parameter] for _, gradients, _ in streams)
        np.testing.assert_allclose(exact.values[parameter], expected, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(exact.values["h"], [h for _, _, h in streams], rtol=1e-13)


def test_reference_agrees_with_the_complex_step_of_the_forward_pass():
    checked = window(2)
    exact = finish(reference(checked))
    moved = checked.parameters.astype(np.complex128)
    network = Network(moved, checked.seq_length, checked.batch_size)
    for parameter, array in moved.arrays().items():
        largest = np.abs(exact.values[parameter]).max()
        for place in np.ndindex(array.shape):
            before = array[place]
            array[place] += 1e-20j
            network.H[0] = checked.h0
            derivative = network.forward(checked.inputs, checked.targets).imag / 1e-20
            array[place] = before
            assert derivative == pytest.approx(exact.values[parameter][place], rel=1e-10, abs=1e-12 * largest)


def test_rounding_moves_a_chaotic_or_saturated_network_further():
    float32 = np.dtype(np.float32)

    def moved(checked):
        exact = finish(reference(checked))
        return max(finish(movement(checked, exact, float32, np.random.default_rng(0))).values())

    calm = window(3, m=40, T=40)
    calm.parameters.W *= 0.1
    chaotic = window(3, m=40, T=40)
    chaotic.parameters.W *= 2
    saturated = window(3, m=40, T=40)
    saturated.parameters.buffer *= 0.01
    saturated.parameters.b[:] = 9
    assert moved(calm) < 1e-5 < 1e-3 < moved(chaotic)
    assert moved(saturated) > 1e-3


def test_relative_difference_is_of_norms():
    assert relative_difference(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == 0.1
    assert relative_difference(np.zeros(2), np.zeros(2)) == 0
    assert relative_difference(np.full(2, 1e-14), np.zeros(2), 1e-12) < 0.1
    assert np.isnan(relative_difference(np.array([np.nan]), np.ones(1)))
    assert not relative_difference(np.array([np.inf]), np.ones(1)) <= 1


# -- the comparison ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "rmsprop"])
def test_right_engines_agree_on_both_networks(engine_of, name, dtype, optimizer):
    engine = engine_of(name, B=2, m=17, dtype=dtype, optimizer=optimizer, rate=0.01)
    engine.begin()
    engine.advance(0, 9)
    for kind in ("text", "fixed"):
        for row in rows_of(engine, kind, 9).values():
            assert (row.note, row.passed, row.dtype) == (None, True, np.dtype(dtype).name)
            assert row.maximum_relative_error <= row.tolerance == TRAINING_TOLERANCES[row.dtype]
            assert (row.seq_length, row.batch_size, row.step, row.selection) == (4, 2, None, "norm")
            assert row.entries == np.prod(row.shape)
    for row in rows_in(loop_rows(engine)):
        assert row.passed
        assert row.maximum_relative_error <= LOOP_TOLERANCE / 1000
        assert row.dtype == "float64"


@pytest.mark.parametrize("kind", ["text", "fixed"])
def test_the_engine_is_not_changed(engine_of, name, kind):
    engine, twin = (engine_of(name, B=2, dtype=np.float32) for _ in range(2))
    for each in (engine, twin):
        each.begin()
        each.advance(0, 7)
        each.learning_rate = 0.02
    rows_of(engine, kind, 7)
    list(loop_rows(engine))
    assert np.array_equal(engine.advance(7, 50), twin.advance(7, 50))
    for parameter in PARAMETER_NAMES:
        assert np.array_equal(getattr(engine.parameters, parameter), getattr(twin.parameters, parameter))
    assert np.array_equal(engine.h, twin.h)
    assert engine.smooth_loss == twin.smooth_loss
    assert engine.learning_rate == 0.02


def test_threads_of_a_comparison_end_with_it(engine_of):
    engine = engine_of("numba", threads=3)
    engine.begin()
    before = threading.active_count()
    assert all(row.passed for row in rows_of(engine).values())
    for thread in threading.enumerate()[before:]:
        thread.join(timeout=30)
    assert threading.active_count() <= before


def test_windows_follow_the_definition_over_an_epoch_border(engine_of, name):
    engine = engine_of(name, B=2, T=4)
    engine.begin()
    per_epoch = engine.windows.per_epoch
    for update in range(per_epoch + 2):
        ours, engines = window_of(engine, update), engine.window(update)
        assert np.array_equal(ours.inputs, engines.inputs)
        assert np.array_equal(ours.targets, engines.targets)
        assert np.array_equal(ours.h0, engines.h0)
        engine.advance(update, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_chaotic_network_is_ill_conditioned_and_no_failure(engine_of, name, dtype):
    engine = engine_of(name, m=60, T=100, B=2, dtype=dtype, text="abcdefgh" * 100, rate=0.001)
    engine.parameters.W[:] = np.random.default_rng(0).standard_normal((60, 60)) * 6 / np.sqrt(60)
    engine.parameters.U[:] = np.random.default_rng(1).standard_normal((60, 8))
    engine.begin()
    rows = rows_of(engine)
    assert all(row.passed for row in rows.values())
    assert rows["W"].note == ILL_CONDITIONED_NOTE
    assert rows["W"].entries == 0
    assert rows["W"].to_json()["maximum_relative_error"] is None
    fixed = rows_of(engine, "fixed")
    assert all(row.passed and row.note is None for row in fixed.values())


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_diverged_network_is_reported_and_the_fixed_one_is_compared(engine_of, name, value):
    engine = engine_of(name)
    engine.parameters.V[1, 1] = value
    engine.begin()
    assert {row.note for row in rows_of(engine).values()} == {NOT_FINITE_NOTE}
    assert {row.note for row in rows_of(engine, "fixed").values()} == {None}


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_a_gradient_that_is_not_finite_fails_where_the_reference_is(engine_of, value, monkeypatch):
    original = Network.backward

    def backward(self):
        original(self)
        self.gradients.b[0] = value

    engine = engine_of("numpy", clip=None)
    monkeypatch.setattr(Network, "backward", backward)
    monkeypatch.setattr("charrnn_core.rnn.optimizers.AdaGrad.step", lambda *_: None)
    rows = rows_of(engine)
    assert not rows["b"].passed
    assert rows["b"].worst["index"] == [0]
    assert not rows["b"].worst["passed"]
    assert all(rows[other].passed for other in NAMES if other != "b")


def test_a_wrong_gradient_of_an_ill_conditioned_network_fails_on_the_fixed_one(engine_of, monkeypatch):
    original = Network.backward

    def backward(self):
        original(self)
        if self.H.dtype == np.float32:
            self.gradients.W *= 1.01

    engine = engine_of("numpy", m=60, T=100, B=2, dtype=np.float32, text="abcdefgh" * 100, rate=0.001)
    engine.parameters.W[:] = np.random.default_rng(0).standard_normal((60, 60)) * 6 / np.sqrt(60)
    engine.parameters.U[:] = np.random.default_rng(1).standard_normal((60, 8))
    engine.begin()
    monkeypatch.setattr(Network, "backward", backward)
    assert rows_of(engine)["W"].note == ILL_CONDITIONED_NOTE
    assert [row.parameter for row in rows_of(engine, "fixed").values() if not row.passed] == ["W"]


def change_advance(engine, monkeypatch, change):
    """Let a function change the losses of each call of an engine's class, and what the engine has then."""
    original = type(engine).advance

    def advance(self, first, updates, *arguments, **how):
        return change(self, original(self, first, updates, *arguments, **how))

    monkeypatch.setattr(type(engine), "advance", advance)


@pytest.mark.parametrize("kind", ["text", "fixed"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_fails_where_the_reference_is(engine_of, name, kind, value, monkeypatch):
    def change(engine, losses):
        losses[-1] = value
        engine.gradients.buffer[:] = 7
        return losses

    engine = engine_of(name, dtype=np.float32)
    engine.begin()
    change_advance(engine, monkeypatch, change)
    for row in rows_of(engine, kind).values():
        assert (row.passed, row.note, row.worst["passed"]) == (False, None, False)
        assert row.entries == np.prod(row.shape)
        assert row.to_json()["maximum_relative_error"] is None
        assert row.worst == row.compared[0]


@pytest.mark.parametrize("call", range(1, 4))
@pytest.mark.parametrize("kind", ["text", "fixed"])
def test_a_later_loss_that_is_not_finite_fails_too(engine_of, name, kind, call, monkeypatch):
    calls = []

    def change(engine, losses):
        calls.append(len(losses))
        if len(calls) > call:
            losses[-1] = np.nan
        return losses

    engine = engine_of(name)
    engine.begin()
    change_advance(engine, monkeypatch, change)
    assert not any(row.passed for row in rows_of(engine, kind).values())
    assert len(calls) == call + 1


@pytest.mark.parametrize("kind", ["text", "fixed"])
@pytest.mark.parametrize("kept", [slice(0, 0), slice(0, -1)])
def test_an_engine_that_leaves_out_updates_fails(engine_of, name, kind, kept, monkeypatch):
    engine = engine_of(name)
    engine.begin()
    change_advance(engine, monkeypatch, lambda engine, losses: losses[kept])
    assert not any(row.passed for row in rows_of(engine, kind).values())


def test_an_engine_that_goes_on_after_a_loss_that_is_not_finite_fails(engine_of, name, monkeypatch):
    engine = engine_of(name)
    engine.begin()

    def change(engine, losses):
        losses[0] = np.nan if len(losses) > 1 else losses[0]
        return losses

    change_advance(engine, monkeypatch, change)
    assert not any(row.passed for row in rows_of(engine).values())


def test_an_engine_that_spoils_the_fixed_network_fails(engine_of, name, monkeypatch):
    engine = engine_of(name)
    engine.begin()

    def change(engine, losses):
        engine.parameters.W[0, 0] = np.nan
        return losses

    change_advance(engine, monkeypatch, change)
    assert not any(row.passed for row in rows_of(engine, "fixed").values())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "rmsprop"])
def test_a_run_that_diverges_within_the_check_is_no_failure(engine_of, name, dtype, optimizer):
    rate = float(np.finfo(dtype).max) / 1000
    engine = engine_of(name, dtype=dtype, optimizer=optimizer, rate=rate)
    engine.begin()
    for row in rows_of(engine).values():
        assert (row.passed, row.note) == (True, NOT_FINITE_NOTE)
    assert all(row.passed and row.note is None for row in rows_of(engine, "fixed").values())


def double_the_gradient_of_w(engine, losses):
    engine.gradients.W[...] *= 2
    return losses


@pytest.mark.parametrize(
    ("ill_conditioned", "passed", "note"),
    [({2}, False, None), ({0, 1}, False, None), ({0, 1, 2}, True, ILL_CONDITIONED_NOTE)],
)
def test_a_failure_in_one_well_conditioned_window_decides(
    engine_of, ill_conditioned, passed, note, monkeypatch
):
    windows = []

    def moved(window, exact, dtype, generator):
        windows.append(window)
        yield 0
        return dict.fromkeys(NAMES, 1.0 if len(windows) - 1 in ill_conditioned else 0.0)

    engine = engine_of("numpy")
    engine.begin()
    change_advance(engine, monkeypatch, double_the_gradient_of_w)
    monkeypatch.setattr("charrnn_core.rnn.gradcheck.training.movement", moved)
    rows = rows_of(engine)
    assert len(windows) == 3
    assert (rows["W"].passed, rows["W"].note) == (passed, note)
    assert all(rows[other].passed and rows[other].note is None for other in NAMES if other != "W")


def test_a_failure_stays_one_if_the_run_diverges_after_it(engine_of, monkeypatch):
    engine = engine_of("numpy")
    engine.begin()
    calls = []

    def change(engine, losses):
        calls.append(len(losses))
        if len(calls) == 3:  # so that the next window is not finite, in the reference either
            engine.parameters.V[0, 0] = np.inf
        return double_the_gradient_of_w(engine, losses)

    change_advance(engine, monkeypatch, change)
    rows = rows_of(engine)
    assert len(calls) == 4
    assert (rows["W"].passed, rows["W"].note) == (False, None)
    assert rows["V"].passed


def test_a_large_network_does_one_update_at_a_time(engine_of, name, monkeypatch):
    monkeypatch.setattr("charrnn_core.rnn.gradcheck.training._LARGE", 0)
    engine = engine_of(name, dtype=np.float32)
    engine.begin()
    calls = []
    original = type(engine).advance

    def advance(self, first, updates, *arguments, **how):
        calls.append((first, updates))
        return original(self, first, updates, *arguments, **how)

    monkeypatch.setattr(type(engine), "advance", advance)
    assert all(row.passed for row in rows_of(engine).values())
    assert calls == [(first, 1) for first in range(6)]


# -- the fixed network -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("m", "K", "T", "B"), [(100, 60, 50, 4), (17, 5, 200, 1), (8, 3, 20, 12)])
def test_fixed_text_repeats_characters_and_one_of_them_more_than_100_times_in_a_window(m, K, T, B):
    codes = fixed_codes(K, T, B, 8)
    assert len(codes) == B * (8 * T + 1)
    part = codes[: B * (T + 1)]
    assert set(codes.tolist()) == set(range(K))
    assert np.mean(part[1:] == part[:-1]) > 0.3
    assert np.bincount(part).max() > 100
    assert np.array_equal(codes, fixed_codes(K, T, B, 8))


def test_fixed_network_has_saturated_units_and_others():
    parameters = finish(fixed_parameters(40, 10, np.float32))
    h = np.tanh(parameters.b.astype(np.float32))
    assert np.count_nonzero(np.abs(h) == 1) == 5
    assert np.count_nonzero(np.abs(h) < 0.9) >= 30
    assert np.linalg.norm(parameters.W, 2) < 2


@pytest.mark.parametrize(("m", "K", "T", "B"), [(1, 2, 5, 8), (1, 29, 2, 4), (2, 30, 45, 14)])
def test_a_gradient_of_one_unit_that_nearly_cancels_is_no_fault(engine_of, name, m, K, T, B):
    """In one window of the fixed network rounding in float32 moves W by up to a thousandth."""
    text = "".join(chr(0x4E00 + code) for code in range(K)) * (B * 12 * (T + 1))
    rows = rows_of(engine_of(name, text, m=m, T=T, B=B, dtype=np.float32), "fixed")
    assert all(row.passed for row in rows.values())
    assert all(row.note is None for row in rows.values()), "the other windows are compared"


@pytest.mark.parametrize("clip", [None, 1e-9, 5.0])
def test_fixed_optimizer_takes_small_steps_and_clips_where_the_run_does(clip):
    chosen = fixed_optimizer(OptimizerSettings("adam", 1e6, epsilon=1e-300, clip=clip), 100)
    assert chosen.learning_rate <= 0.01
    assert chosen.epsilon == 1e-8
    assert (chosen.clip is None) == (clip is None)


# -- states of engines -------------------------------------------------------------------------------------


def test_a_restored_engine_continues_with_the_same_bits(engine_of, assert_same_state, name):
    engine = engine_of(name, B=2, optimizer="adam")
    engine.begin()
    engine.advance(0, 20)
    state = engine.state()
    losses = engine.advance(20, 20)
    other = engine.like(engine.parameters)
    other.restore(state)
    assert np.array_equal(other.advance(20, 20), losses)
    assert_same_state(engine, other)


def test_an_engine_can_be_made_like_another_in_another_type(engine_of, name):
    engine = engine_of(name, dtype=np.float32, threads=2 if name == "numba" else 1)
    other = engine.like(engine.parameters.astype(np.float64))
    assert type(other) is engine_class(name)
    assert other.parameters.dtype == np.float64
    assert (other.threads, other.reduction, other.windows) == (
        engine.threads,
        engine.reduction,
        engine.windows,
    )
    assert not np.shares_memory(other.parameters.buffer, engine.parameters.buffer)
